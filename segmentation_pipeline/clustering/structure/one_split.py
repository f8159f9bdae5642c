"""Whether a segmentation is nearly the same as one cut of one feature."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.structure.raw_features import (
    NOISE,
    Labels,
    Matrix,
    RawFeature,
)

N_FOLDS = 10
NEARLY_THE_SAME = 0.95
SMALLEST_RECALL = 0.5
MOST_NAMES = 5


@dataclass(frozen=True, slots=True)
class OneSplit:
    """The best rule of one cut, such as `publications >= 10`.

    `fidelity` is the share of customers that a rule found without them puts into their segment,
    `recall` the smaller such share by segment: to name everybody after a segment of 97 % is
    faithful, and no rule.
    """

    rule: str
    fidelity: float
    recall: float

    @property
    def nearly_the_same(self) -> bool:
        """Whether the rule can stand for the segmentation."""
        return self.fidelity >= NEARLY_THE_SAME and self.recall >= SMALLEST_RECALL


@dataclass(frozen=True, slots=True)
class _Cut:
    """Customers at or above a threshold on one feature's positions, and which segment they are."""

    feature: int
    below: float
    above: float
    second_is_above: bool
    correct: int

    def assign(self, positions: Sequence[Matrix], rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Who of the rows is in the second segment, shape (len(rows),)."""
        threshold = roundest(self.below, self.above)
        above: NDArray[np.bool_] = positions[self.feature][rows] >= threshold
        return above if self.second_is_above else ~above


def one_split(features: Sequence[RawFeature], labels: Labels, *, seed: int) -> OneSplit | None:
    """The best cut of one raw feature between two segments, judged by ten-fold cross-validation.

    The feature, the threshold or the set of categories are all chosen anew in each fold. None for
    any other number of segments, which one cut cannot tell apart, and where no feature varies.
    A missing number lies below every threshold, a missing category is a category.
    """
    segments = np.unique(labels[labels != NOISE])
    if len(segments) != 2:
        return None
    rows = np.flatnonzero(labels != NOISE)
    second = labels == segments[1]
    positions = _positions(features, second, rows)
    cut = _best_cut(positions, second, rows)
    if cut is None:
        return None

    assigned = np.zeros(len(labels), dtype=np.bool_)
    shuffled = np.random.default_rng(seed).permutation(rows)
    for held_out in np.array_split(shuffled, min(N_FOLDS, len(shuffled))):
        training = np.setdiff1d(rows, held_out)
        training_positions = _positions(features, second, training)
        fold_cut = _best_cut(training_positions, second, training)
        if fold_cut is not None:
            assigned[held_out] = fold_cut.assign(training_positions, held_out)
    hit = assigned == second
    return OneSplit(
        rule=_rule(features[cut.feature], positions[cut.feature], cut),
        fidelity=float(hit[rows].mean()),
        recall=float(min(hit[rows][second[rows]].mean(), hit[rows][~second[rows]].mean())),
    )


def roundest(below: float, above: float) -> float:
    """The number with the fewest digits that is greater than `below` and at most `above`.

    >>> roundest(9.0, 10.0), roundest(0.1234, 0.1291), roundest(4.0, 17.0), roundest(-3.0, 2.0)
    (10.0, 0.129, 10.0, 0.0)
    """
    if not np.isfinite(below) or above == 0.0:
        return above
    exponent = int(np.floor(np.log10(max(abs(below), abs(above))))) + 1
    for digits in range(-exponent, 17 - exponent):
        candidate = float(np.floor(np.round(above * 10.0**digits, 6)) / 10.0**digits)
        if below < candidate <= above:
            return candidate
    return above


def _positions(
    features: Sequence[RawFeature], second: NDArray[np.bool_], training: NDArray[np.intp]
) -> list[Matrix]:
    """Each feature on a line that a cut can divide, shape (n,).

    Of all ways to divide categories in two, the best keeps those together that have the larger
    share of the second segment (Breiman et al. 1984, theorem 4.5): so they stand in that order.
    """
    positions = []
    for feature in features:
        if feature.kind != "categorical":
            positions.append(np.where(feature.missing(), -np.inf, feature.values))
            continue
        codes, categories = feature.category_codes()
        size = len(categories) + 1
        codes = codes % size  # Missing values, -1, become the last category.
        counts = np.bincount(codes[training], minlength=size)
        shares = np.bincount(codes[training], second[training], size) / np.maximum(counts, 1)
        rank = shares.argsort(kind="stable").argsort(kind="stable").astype(np.float64)
        positions.append(rank[codes])
    return positions


def _best_cut(
    positions: Sequence[Matrix], second: NDArray[np.bool_], rows: NDArray[np.intp]
) -> _Cut | None:
    """The cut that puts most customers into their segment; the first feature's among equals."""
    best: _Cut | None = None
    total = np.count_nonzero(second[rows])
    for feature, position in enumerate(positions):
        order = position[rows].argsort(kind="stable")
        values, is_second = position[rows][order], second[rows][order]
        ends = np.flatnonzero(values[:-1] < values[1:])
        if len(ends) == 0:
            continue
        seconds_below = is_second.cumsum()[ends]
        correct = (ends + 1 - seconds_below) + (total - seconds_below)
        either = np.maximum(correct, len(rows) - correct)
        at = int(either.argmax())
        if best is None or either[at] > best.correct:
            best = _Cut(
                feature=feature,
                below=float(values[ends[at]]),
                above=float(values[ends[at] + 1]),
                second_is_above=bool(correct[at] == either[at]),
                correct=int(either[at]),
            )
    return best


def _rule(feature: RawFeature, positions: Matrix, cut: _Cut) -> str:
    if feature.kind != "categorical":
        return f"{feature.name} >= {roundest(cut.below, cut.above):.12g}"
    codes, categories = feature.category_codes()
    names = np.array([*categories, "missing"])[codes]
    sides = [np.unique(names[positions >= cut.above]), np.unique(names[positions < cut.above])]
    shorter = min(sides, key=len).tolist()
    if len(shorter) > MOST_NAMES:
        return f"{feature.name} is one of {len(shorter)} categories"
    return f"{feature.name} is {' or '.join(shorter)}"
