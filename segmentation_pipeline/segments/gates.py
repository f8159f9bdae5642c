"""The gates that a challenger passes, or else a person opens (rule 6 of the statistics).

What belongs here: pure rules over figures. Where the figures come from belongs to `shadow` and to
the verdicts; what follows from a gate that stays shut, to `challenge`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.clustering.stability import STABLE
from segmentation_pipeline.segments.shadow import ShadowNight
from segmentation_pipeline.specification.refit import Refit

_RANKS = {"no structure": 0, "too few to tell": 1, "continuum": 1, "weak": 2, "supported": 3}


@dataclass(frozen=True)
class Gate:
    """One condition of a promotion, whether it holds, and the same in words."""

    name: Literal["verdict", "stability", "sizes", "migration"]
    is_open: bool
    sentence: str


@dataclass(frozen=True)
class ChallengerFigures:
    """What is known of a challenger beside its nights.

    `verdict` and `lowest_jaccard` are of the customers that it was fitted on (None for one
    segment), `champion_verdict` is that of the model in force on the very same ones.
    `keeps_model` says that the YAML prefers the model in force to a cut through a continuum.
    """

    verdict: str
    champion_verdict: str
    segments: int
    lowest_jaccard: float | None
    keeps_model: bool = False


@dataclass(frozen=True)
class SmallestSegment:
    """What a segment must hold at least: customers, and a share of them."""

    customers: int
    share: float


def judge_gates(
    figures: ChallengerFigures,
    nights: Sequence[ShadowNight],
    smallest: SmallestSegment,
    rules: Refit,
) -> tuple[Gate, ...]:
    """Say of each gate whether it is open; of `nights`, at least one, the worst counts."""
    return (
        _verdict(figures),
        _stability(figures),
        _sizes(nights, smallest),
        _migration(nights, rules),
    )


def _verdict(figures: ChallengerFigures) -> Gate:
    if figures.keeps_model and _RANKS[figures.verdict] < _RANKS["weak"]:
        said = f"its verdict is {figures.verdict}, and `if_continuum` is keep_model"
        return Gate("verdict", False, said)
    is_open = _RANKS[figures.verdict] >= _RANKS[figures.champion_verdict]
    said = "not worse" if is_open else "worse"
    return Gate(
        "verdict",
        is_open,
        f"its verdict is {figures.verdict}, and {figures.champion_verdict} that of the model in "
        f"force on the same customers: {said}",
    )


def _stability(figures: ChallengerFigures) -> Gate:
    if figures.segments < 2:
        return Gate("stability", True, "one segment is stable")
    lowest = figures.lowest_jaccard or 0.0
    is_open = lowest >= STABLE
    said = "at least" if is_open else "below"
    return Gate(
        "stability",
        is_open,
        f"its least stable segment has a Jaccard index of {lowest:.2f}, {said} {STABLE}",
    )


def _sizes(nights: Sequence[ShadowNight], smallest: SmallestSegment) -> Gate:
    customers = min(night.smallest_customers for night in nights)
    share = min(night.smallest_customers / night.customers for night in nights)
    is_open = customers >= smallest.customers and share >= smallest.share
    said = "enough" if is_open else "too few"
    return Gate(
        "sizes",
        is_open,
        f"its smallest segment has {customers:,} customers ({share:.1%}), {said}: "
        f"{smallest.customers:,} and {smallest.share:.1%} are asked for",
    )


def _migration(nights: Sequence[ShadowNight], rules: Refit) -> Gate:
    share = max(night.migration_share for night in nights)
    is_open = share <= rules.largest_migration
    said = "at most" if is_open else "more than"
    return Gate(
        "migration",
        is_open,
        f"{share:.1%} of the customers would be in another segment, {said} "
        f"{rules.largest_migration:.0%}",
    )
