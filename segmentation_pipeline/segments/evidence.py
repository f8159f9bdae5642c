"""What a condition of the playbook asks for and what was found, in words that a marketer reads.

Every number of what was found is a cell of a published table, rounded as far as it still tells on
which side of the playbook's bound it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.segments.wording import feature_words, is_rate, told_figures, unit_words
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.strategies import Condition


@dataclass(frozen=True)
class Finding:
    """Whether a condition holds for a segment, and the figures behind that."""

    holds: bool
    words: str


def condition_words(condition: Condition, features: Mapping[str, FeatureSpec]) -> str:
    """Say what a condition asks for.

    >>> condition_words(Condition(measure="share", at_least=0.1, at_most=0.5), {})
    'at least 10%, at most 50% of all customers'
    """
    is_share = _is_share(condition, features)
    bounds = ", ".join(
        f"{word} {f'{bound * 100:,.10g}%' if is_share else f'{bound:,.10g}'}"
        for word, bound in (("at least", condition.at_least), ("at most", condition.at_most))
        if bound is not None
    )
    if condition.feature is None:
        return f"{bounds} {'of all ' if is_share else ''}customers"
    subject = _subject(condition, features)
    match condition.measure:
        case "share":
            return f"{subject} for {bounds}"
        case "lift":
            return f"{subject} {bounds} times as frequent as with everybody"
        case "standardised_difference":
            return f"{subject}: standardised difference {bounds}"
        case "trait_rank":
            return f"{subject}: place among the traits {bounds}"
        case _:
            unit = unit_words(features[condition.feature])
            return f"{subject}: {condition.measure} {bounds}{f' {unit}' if unit else ''}"


def find(
    condition: Condition, row: Mapping[str, Any] | None, features: Mapping[str, FeatureSpec]
) -> Finding:
    """Hold a condition against the row of a published table that answers it.

    That is a segment's row of `segments`, `segment_profiles`, `segment_category_shares` or, with
    its `rank` as `trait_rank`, of `segment_traits`. Where there is none, or the figure is missing
    or withheld, the condition doesn't hold.
    """
    value = None if row is None else row[condition.measure]
    if row is None or value is None:
        lack = "no trait" if condition.measure == "trait_rank" else "no figure"
        return Finding(False, f"{_subject(condition, features)}: {lack}")
    holds = (condition.at_least is None or value >= condition.at_least) and (
        condition.at_most is None or value <= condition.at_most
    )
    return Finding(holds, _found_words(condition, row, features))


def _found_words(
    condition: Condition, row: Mapping[str, Any], features: Mapping[str, FeatureSpec]
) -> str:
    bounds = [bound for bound in (condition.at_least, condition.at_most) if bound is not None]
    value = row[condition.measure]
    if condition.feature is None:
        if condition.measure == "customers":
            return f"{value:,} customers"
        return f"{_told(value, bounds, is_share=True)} of all customers"
    if condition.measure == "trait_rank":
        return f"{str(row['sentence']).removesuffix('.')} (trait {value})"
    subject = _subject(condition, features)
    if condition.category is not None:
        near = bounds if condition.measure == "share" else []
        share, overall = _compared(row["share"], row["overall_share"], near, is_share=True)
        against = overall and f", against {overall} of everybody"
        lift = f" ({_told(value, bounds, is_share=False)} times as frequent)"
        return f"{subject} for {share}{against}{lift if condition.measure == 'lift' else ''}"
    feature = features[condition.feature]
    is_percent = is_rate(condition.feature, feature)
    unit = f" {words}" if (words := unit_words(feature)) else ""
    if condition.measure == "median":
        return f"{subject}: median {_told(value, bounds, is_share=is_percent)}{unit}"
    near = bounds if condition.measure == "mean" else []
    mean, overall = _compared(row["mean"], row["overall_mean"], near, is_share=is_percent)
    against = overall and f", against everybody's {overall}"
    told = f"{subject}: {mean}{unit} on average{against}"
    if condition.measure == "mean":
        return told
    return f"{told} (standardised difference {_told(value, bounds, is_share=False)})"


def _compared(
    value: float, overall: float | None, near: Sequence[float], *, is_share: bool
) -> tuple[str, str]:
    """Write a segment's figure and everybody's, which is empty where it is withheld."""
    if overall is None:
        return _told(value, near, is_share=is_share), ""
    told = _told(value, [overall, *near], is_share=is_share)
    return told, _told(overall, [value], is_share=is_share)


def _told(value: float, others: Sequence[float], *, is_share: bool) -> str:
    """Write a figure with as many digits as tell it apart from each of the others."""
    told = (told_figures(value, other, is_share=is_share)[0] for other in (value, *others))
    return max(told, key=len)


def _is_share(condition: Condition, features: Mapping[str, FeatureSpec]) -> bool:
    if condition.feature is None or condition.category is not None:
        return condition.measure == "share"
    is_mean = condition.measure in ("mean", "median")
    return is_mean and is_rate(condition.feature, features[condition.feature])


def _subject(condition: Condition, features: Mapping[str, FeatureSpec]) -> str:
    if condition.feature is None:
        return "customers"
    words = features[condition.feature].description or feature_words(condition.feature)
    return words if condition.category is None else f"{words}: {condition.category}"
