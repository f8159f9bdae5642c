"""The nearest and the second nearest centroid of every row, to the last bit on any machine.

The definition is arithmetic that has one result: d^2 is the sum of (x - c)^2 over the features in
their order, in float64, one rounding an operation; equal distances go to the lowest label. A
float32 product finds the candidates, since it is far faster, but its bits depend on the batch and
the threads. So it decides only where its own error bound allows; the other rows (about 1 in 1,000)
are compared with every centroid by the definition, as are infinite and NaN scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import ClusteringError

Floats = NDArray[np.floating[Any]]
Indexes = NDArray[np.intp]

# Scores of a block stay in the L2 cache (4 MB measured best for k = 8, 64 and 1,300 alike).
_BLOCK_SCORES = 1 << 20
_MOST_BLOCK_ROWS = 1 << 16
# Below, five vectorised operations per centroid beat three argmin passes over rows (k = 64: 110 ns
# a row against 210; k = 256: 410 against 330).
_MOST_CENTROIDS_PACKED = 128
_FLOAT32_UNIT = 2.0**-24


@dataclass(frozen=True, eq=False)
class Nearest:
    """For n rows: the nearest centroid, the second nearest, and how far both are.

    `own` and `runner_up` are labels (n,) int32, `runner_up` is -1 where there is one centroid;
    `own_squared` is d^2 to the nearest (n,) float64; `margin` is
    t = (d_second^2 - d_own^2) / |c_own - c_second|^2 (n,) float64: 0 on the border, 1 at the own
    centroid, NaN where there is one centroid.
    """

    own: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    own_squared: NDArray[np.float64]
    margin: NDArray[np.float64]


class NearestCentroids:
    """Centroids (k, d), prepared for many queries.

    Raises ClusteringError for centroids that are not finite, or two that are equal: between them
    there is no border.
    """

    def __init__(self, centroids: Floats) -> None:
        exact = np.asarray(centroids, dtype=np.float64)
        if exact.ndim != 2 or 0 in exact.shape:
            raise ClusteringError(f"centroids have the shape {exact.shape}, not (k, features)")
        if not np.isfinite(exact).all():
            raise ClusteringError("a centroid is not finite: the model cannot assign anyone")
        if len(np.unique(exact + 0.0, axis=0)) < len(exact):
            raise ClusteringError("two centroids are equal: no border lies between their segments")
        self.count, self.feature_count = exact.shape
        self._by_feature = np.ascontiguousarray(exact.T)
        with np.errstate(over="ignore", invalid="ignore"):
            # Distances don't change when everything is moved; products round less near the origin.
            self._origin = exact.mean(axis=0).astype(np.float32)
            moved = exact - self._origin
            squared = (moved * moved).sum(axis=1)
            self._reach = float(np.sqrt(squared.max()))
            self._products = np.column_stack((-2.0 * moved, squared)).astype(np.float32)

    def query(self, columns: Sequence[Floats]) -> Nearest:
        """Nearest and second nearest centroid of n rows, given as d columns of float32 or float64.

        A row with a NaN or infinite value gets a distance that is not finite; the caller decides.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self.count == 1:
                first = np.zeros(len(columns[0]), dtype=np.intp)
                return Nearest(
                    own=first.astype(np.int32),
                    runner_up=np.full(len(first), -1, dtype=np.int32),
                    own_squared=self.squared_distances(columns, first),
                    margin=np.full(len(first), np.nan),
                )
            first, second = self._two_nearest(columns)
            first_squared, second_squared, between_squared = self._measure(columns, first, second)
            is_swapped = (second_squared < first_squared) | (
                (second_squared == first_squared) & (second < first)
            )
            own_squared = np.where(is_swapped, second_squared, first_squared)
            other_squared = np.where(is_swapped, first_squared, second_squared)
            return Nearest(
                own=np.where(is_swapped, second, first).astype(np.int32),
                runner_up=np.where(is_swapped, first, second).astype(np.int32),
                own_squared=own_squared,
                margin=(other_squared - own_squared) / between_squared,
            )

    def squared_distances(self, columns: Sequence[Floats], labels: Indexes) -> NDArray[np.float64]:
        """d^2 of every row to the centroid of its label, (n,) float64, by the definition above."""
        total = np.zeros(len(labels))
        difference = np.empty(len(labels))
        for column, centroids in zip(columns, self._by_feature, strict=True):
            # "clip" skips a bounds check that costs more than the lookup; labels are ours.
            np.take(centroids, labels, out=difference, mode="clip")
            np.subtract(column, difference, out=difference)
            np.multiply(difference, difference, out=difference)
            np.add(total, difference, out=total)
        return total

    def _measure(
        self, columns: Sequence[Floats], first: Indexes, second: Indexes
    ) -> NDArray[np.float64]:
        """d^2 to the first and to the second centroid, and between the two, (3, n).

        The same arithmetic as `squared_distances`, three at once for half the lookups. A table of
        all pairs of centroids would save little more and take k^2 memory.
        """
        totals = np.zeros((3, len(first)))
        value, one, other, between = np.empty((4, len(first)))
        for column, centroids in zip(columns, self._by_feature, strict=True):
            value[:] = column
            np.take(centroids, first, out=one, mode="clip")
            np.take(centroids, second, out=other, mode="clip")
            np.subtract(one, other, out=between)
            np.subtract(value, one, out=one)
            np.subtract(value, other, out=other)
            for difference, total in zip((one, other, between), totals, strict=True):
                np.multiply(difference, difference, out=difference)
                np.add(total, difference, out=total)
        return totals

    def _two_nearest(self, columns: Sequence[Floats]) -> tuple[Indexes, Indexes]:
        rows = len(columns[0])
        first, second = np.empty(rows, dtype=np.intp), np.empty(rows, dtype=np.intp)
        block_rows = min(_MOST_BLOCK_ROWS, max(1, _BLOCK_SCORES // self.count))
        for start in range(0, rows, block_rows):
            block = slice(start, min(start + block_rows, rows))
            part = [column[block] for column in columns]
            first[block], second[block], is_certain = self._shortlist(part)
            unsure = np.flatnonzero(~is_certain)
            for chunk in np.array_split(unsure, 1 + len(unsure) * self.count // _BLOCK_SCORES):
                first[start + chunk], second[start + chunk] = self._compare_all(part, chunk)
        return first, second

    def _shortlist(self, columns: Sequence[Floats]) -> tuple[Indexes, Indexes, NDArray[np.bool_]]:
        """The two nearest in either order by float32 scores, and whether the bound allows it.

        A score is d^2 - |x|^2 = |c|^2 - 2 x.c. It is off by at most (d + 4) u (|x| + reach)^2:
        d + 1 products summed in any order, and both factors rounded once (Higham 2002, section
        3.1); 1.01 (d + 8) covers the roundings of the bound and of the definition in float64.
        """
        features = self.feature_count
        points = np.empty((features + 1, len(columns[0])), dtype=np.float32)
        points[features] = 1.0
        norm = np.zeros(points.shape[1], dtype=np.float32)
        square = np.empty_like(norm)
        for column, origin, point in zip(columns, self._origin, points, strict=False):
            np.subtract(column, origin, out=point, casting="same_kind")
            np.multiply(point, point, out=square)
            np.add(norm, square, out=norm)
        relative = 1.01 * (features + 8) * _FLOAT32_UNIT
        if self.count <= _MOST_CENTROIDS_PACKED:
            first, second, gap = _two_smallest_packed(self._products @ points)
            relative += 1.01 * 2.0 ** (_index_bits(self.count) - 23)
        else:
            first, second, gap = _two_smallest_by_row(points.T @ self._products.T)
        bound = np.sqrt(norm, out=norm)
        bound += np.float32(self._reach)
        bound *= bound
        bound *= np.float32(2.0 * relative)
        # Products of tiny numbers underflow, which no relative bound covers.
        bound += np.float32((features + 8) * float(np.finfo(np.float32).tiny))
        return first, second, gap > bound

    def _compare_all(self, columns: Sequence[Floats], rows: Indexes) -> tuple[Indexes, Indexes]:
        squared = np.zeros((len(rows), self.count))
        for column, centroids in zip(columns, self._by_feature, strict=True):
            difference = column[rows].astype(np.float64)[:, np.newaxis] - centroids
            np.multiply(difference, difference, out=difference)
            np.add(squared, difference, out=squared)
        first, second, _ = _two_smallest_by_row(squared)
        return first, second


def _index_bits(count: int) -> int:
    return (count - 1).bit_length()


def _two_smallest_packed(
    scores: NDArray[np.float32],
) -> tuple[Indexes, Indexes, NDArray[np.float32]]:
    """Two smallest of each column of (k, n) in any order, and the third's distance from them.

    The label replaces the last bits of its score, so that minima carry their labels along.
    """
    count, rows = scores.shape
    mask = np.int32((1 << _index_bits(count)) - 1)
    packed = scores.view(np.int32)
    packed &= ~mask
    packed |= np.arange(count, dtype=np.int32)[:, np.newaxis]
    smallest, second, third = np.full((3, rows), np.inf, dtype=np.float32)
    larger = np.empty(rows, dtype=np.float32)
    for score in scores:
        np.maximum(smallest, score, out=larger)
        np.minimum(smallest, score, out=smallest)
        # The score's own row is free now: it takes what the second place pushes out.
        np.maximum(second, larger, out=score)
        np.minimum(second, larger, out=second)
        np.minimum(third, score, out=third)
    first_label = (smallest.view(np.int32) & mask).astype(np.intp)
    second_label = (second.view(np.int32) & mask).astype(np.intp)
    # Scores that overflow are NaN, with any label in their bits: the caller compares those rows
    # again, and until then the label has to be one.
    limit = np.intp(count - 1)
    return np.minimum(first_label, limit), np.minimum(second_label, limit), third - second


def _two_smallest_by_row(scores: Floats) -> tuple[Indexes, Indexes, Floats]:
    """Two smallest of each row of (n, k), ties to the lowest label; destroys the scores."""
    rows = np.arange(len(scores))
    first = scores.argmin(axis=1)
    scores[rows, first] = np.inf
    second = scores.argmin(axis=1)
    second_score = scores[rows, second]
    scores[rows, second] = np.inf
    return first, second, scores.min(axis=1) - second_score
