"""Which fitted features are left out of the distance: those that tell nothing, or nothing new.

What belongs here: the rules, applied to what `fitting` learned. A column without a value, or with a
single one, is dropped by `fitting` already, and a one-hot encoding of identifiers is refused by
`encoding`.

A feature, or a `block` of them, goes or stays as a whole: a rare category is a column that hardly
varies, and two columns of one feature may well be each other's mirror image; neither says anything
against the feature.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.correlation import correlations, ranks_of
from segmentation_pipeline.features.preparation import Preparation, SelectionRow
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.selection import Selection

Numbers = NDArray[np.float64]

LOOKED_AT = 20_000
"""So many customers of the sample are looked at: the standard error of a correlation of .98 is
then .0003, of a share of .99 it is .0007."""
NOTED_CORRELATION = 0.71
"""Two features that correlate so have half of their variance in common (.71 squared)."""
FEWEST_CUSTOMERS = 20
"""Among fewer, any two features may seem to be copies: of two customers, all are."""

# 20 million numbers are 160 MB, and there are two such arrays.
_MOST_NUMBERS = 20_000_000
_EXPECTED_REPEATS = 20.0
_EXACTLY = 1e-9


def select_features(
    preparation: Preparation, sample: FeatureSample, spec: SegmentationSpec
) -> Preparation:
    """Drop features from a preparation by the rules of `spec.selection`; each row says why.

    `sample` is what the preparation was fitted on, in its order. The rules, in this order:

    - numbers of customers: whole numbers of which no two are equal, although at random 20 pairs
      would be (birthday problem: n (n - 1) / 2 pairs in the range that they span);
    - missing share above `maximum_missing_share`, where `missing` is `centre`;
    - near-constant: more than `maximum_same_share` have the same values in all of its columns;
    - copies and correlations, as `_compare` says.

    A feature that is kept says with which other it shares half of its variance, if it does.

    Equal samples drop equal features. Raises PreparationError where none is left.
    """
    numbers = _look_at(preparation, sample)
    if (numbers == numbers[0]).all():
        # Everybody is alike: the one segment that they are needs a column.
        return preparation
    blocks = _blocks(preparation, spec)
    reasons: dict[str, str] = {}
    notes: dict[str, str] = {}
    for block in blocks:
        values = [sample.values[member] for member in block.members]
        reason = _fault(block, values, numbers, spec)
        if reason is not None:
            reasons[block.feature] = reason
    if len(numbers) >= FEWEST_CUSTOMERS:
        left = [block for block in blocks if block.feature not in reasons]
        repeats, notes = _compare(left, numbers, spec.selection.maximum_correlation)
        reasons |= repeats
    return _told(preparation, _by_feature(reasons, blocks), _by_feature(notes, blocks))


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """A feature, or several that go together: their columns in the matrix, and what decides.

    `missing_share` is the mean of the members'.
    """

    feature: str
    members: tuple[str, ...]
    columns: NDArray[np.intp]
    missing_share: float
    weight: float


def _blocks(preparation: Preparation, spec: SegmentationSpec) -> list[_Block]:
    members: dict[str, list[str]] = {}
    for feature in dict.fromkeys(row.feature for row in preparation.scalings):
        members.setdefault(spec.features[feature].block or feature, []).append(feature)
    missing = {row.feature: row.missing_share for row in preparation.selection}
    return [
        _Block(
            feature=name,
            members=tuple(features),
            columns=np.flatnonzero([row.feature in features for row in preparation.scalings]),
            missing_share=math.fsum(missing[one] for one in features) / len(features),
            weight=spec.features[features[0]].weight,
        )
        for name, features in members.items()
    ]


def _by_feature(told: Mapping[str, str], blocks: Sequence[_Block]) -> dict[str, str]:
    """Tell of each member what is told of its block."""
    return {
        member: told[block.feature]
        for block in blocks
        if block.feature in told
        for member in block.members
    }


def _look_at(preparation: Preparation, sample: FeatureSample) -> Numbers:
    """Prepare the first customers; their order is that of a hash, so that they are a sample."""
    fitting = max(_MOST_NUMBERS // len(preparation.scalings), 10 * FEWEST_CUSTOMERS)
    rows = slice(min(LOOKED_AT, fitting))
    looked_at = {feature: values[rows] for feature, values in sample.values.items()}
    return apply_preparation(preparation, FeatureSample(sample.customer_ids[rows], looked_at))


def _fault(
    block: _Block, values: Sequence[NDArray[Any]], numbers: Numbers, spec: SegmentationSpec
) -> str | None:
    """Say what is wrong with a feature taken by itself; None if nothing is."""
    limits: Selection = spec.selection
    if any(_is_numbering(one) for one in values):
        return "no two customers have the same whole number: it looks like an identifier"
    is_filled = all(spec.features[member].missing == "centre" for member in block.members)
    if is_filled and block.missing_share > limits.maximum_missing_share:
        return (
            f"{_percent(block.missing_share)} of the customers have no value, more than "
            f"{_percent(limits.maximum_missing_share)}"
        )
    same = _same_share(numbers[:, block.columns])
    if same > limits.maximum_same_share:
        return (
            f"{_percent(same)} of the customers do not differ in it, more than "
            f"{_percent(limits.maximum_same_share)}"
        )
    return None


def _is_numbering(values: NDArray[Any]) -> bool:
    """Whether whole numbers, shape (n,), tell customers apart as only numbering them does."""
    if values.dtype == object:
        return False
    present = values[~np.isnan(values)]
    if len(present) < FEWEST_CUSTOMERS or not (present == np.rint(present)).all():
        return False
    expected = len(present) * (len(present) - 1) / 2 / (float(np.ptp(present)) + 1.0)
    return expected >= _EXPECTED_REPEATS and len(np.unique(present)) == len(present)


def _same_share(columns: Numbers) -> float:
    """The share of the commonest row of (n, p), where it is above a half; else some lower one."""
    # What more than half of all rows have is the median: no sorting, and no hashing of rows.
    middle = len(columns) // 2
    medians = np.partition(columns, middle, axis=0)[middle]
    return float((columns == medians).all(axis=1).mean())


def _compare(
    blocks: list[_Block], numbers: Numbers, maximum_correlation: float
) -> tuple[dict[str, str], dict[str, str]]:
    """Feature -> why it is dropped, for each that repeats one that is kept; and notes on the kept.

    The best comes first (fewest missing values, then the larger weight, then the first in the
    file); each next one is kept unless it repeats one that is kept. So whatever is dropped has one
    that stands for it, and no chain of neighbours removes two features that differ.

    Two features correlate by the square root of the RV coefficient (`correlations`) of their
    columns' ranks. They are copies where it is 1 and the same of their values too, so that both
    make the same distances but for scale. (The values alone won't do: one extreme customer makes
    any two of them correlate.)
    """
    if not blocks:
        return {}, {}
    ordered = sorted(blocks, key=lambda one: (one.missing_share, -one.weight))
    columns = [block.columns for block in ordered]
    by_rank = correlations(ranks_of(numbers), columns)
    copies = np.minimum(by_rank, correlations(numbers - numbers.mean(axis=0), columns))
    kept: list[int] = []
    reasons = {}
    for index, block in enumerate(ordered):
        reason = _repeats(
            block,
            [ordered[one] for one in kept],
            by_rank[index, kept],
            copies[index, kept],
            maximum_correlation,
        )
        if reason is None:
            kept.append(index)
        else:
            reasons[block.feature] = reason
    notes = {}
    for index in kept:
        others = [other for other in kept if other != index]
        note = _shared([ordered[one] for one in others], by_rank[index, others])
        if note is not None:
            notes[ordered[index].feature] = note
    return reasons, notes


def _repeats(
    block: _Block,
    kept: Sequence[_Block],
    correlations: Numbers,
    copies: Numbers,
    maximum_correlation: float,
) -> str | None:
    """Say which of the kept features one repeats, by its correlations with them; None if none."""
    if not kept:
        return None
    if copies.max() >= 1.0 - _EXACTLY:
        other = kept[int(copies.argmax())]
        return f"it copies `{other.feature}` but for scale and sign; {_preference(other, block)}"
    if correlations.max() > maximum_correlation:
        other = kept[int(correlations.argmax())]
        return (
            f"its correlation with `{other.feature}` is {_decimals(correlations.max())}, more than "
            f"{_decimals(maximum_correlation)}; {_preference(other, block)}"
        )
    return None


def _shared(others: Sequence[_Block], correlations: Numbers) -> str | None:
    """Say with which other kept feature one shares half of its variance; None if with none."""
    if not others or correlations.max() < NOTED_CORRELATION:
        return None
    other = others[int(correlations.argmax())]
    return (
        f"kept; its correlation with `{other.feature}`, which is kept too, is "
        f"{_decimals(correlations.max())}: what they share counts twice in the distance"
    )


def _preference(kept: _Block, dropped: _Block) -> str:
    """Say why one of two is kept; the rule of `_compare`."""
    if kept.missing_share < dropped.missing_share:
        return "that one lacks fewer values"
    if kept.weight > dropped.weight:
        return "that one weighs more"
    return "that one stands first in the file"


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _decimals(value: float) -> str:
    return f"{value:.3g}"


def _told(
    preparation: Preparation, reasons: Mapping[str, str], notes: Mapping[str, str]
) -> Preparation:
    """Take features out of a preparation; all rows of `selection` stay, with reasons and notes."""
    scalings = tuple(row for row in preparation.scalings if row.feature not in reasons)
    if not scalings:
        told = "; ".join(f"`{feature}`: {reason}" for feature, reason in reasons.items())
        raise PreparationError(
            f"no feature is left to make segments by: {told}. Add another feature, or raise the "
            "limit of `selection` that is named"
        )
    return Preparation(
        encodings=tuple(row for row in preparation.encodings if row.feature not in reasons),
        scalings=scalings,
        selection=tuple(_told_row(row, reasons, notes) for row in preparation.selection),
    )


def _told_row(
    row: SelectionRow, reasons: Mapping[str, str], notes: Mapping[str, str]
) -> SelectionRow:
    if not row.is_kept:
        return row
    if row.feature in reasons:
        return replace(row, is_kept=False, reason=reasons[row.feature])
    said = [reason for reason in (row.reason, notes.get(row.feature)) if reason is not None]
    return replace(row, reason="; ".join(said) or None)
