"""How alike two customers are: the four distances, as arithmetic that has one result.

What belongs here: what each metric is, over rows of prepared features. Who is compared with whom
belongs to the families, to `silhouette` and to `similar`.

Every distance is a root of a sum of |x - y|^p over coordinates: p = 1 for Manhattan, 2 for
Euclidean. Cosine is Euclidean on the unit sphere: the squared chord between x/|x| and y/|y| is
2 (1 - cos), so that 1 - cos is half of it. Sums run over the features in their order, in float64,
one rounding an operation: a value depends on its two rows alone, not on the batch or on threads.
(Where Minkowski's p is no whole number, its last bit is that of the platform's power function.)
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Metric

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

# Sums and differences of a block (two or three arrays of 256 kB) stay in the L2 cache.
_BLOCK_PAIRS = 1 << 15


@dataclass(frozen=True, slots=True)
class Similarity:
    """A metric; `p` is the exponent of `minkowski`, and of no other.

    A row of zeros has no direction: by `cosine` it is at distance 1 from every row that has one, as
    one at a right angle is, and at distance 0 from another row of zeros.

    Raises ClusteringError for `minkowski` without a p of at least 1, and for another with one.

    >>> rows = np.array([[3.0, 4.0], [0.0, 0.0]])
    >>> for similarity in (Similarity("euclidean"), Similarity("manhattan"), Similarity("cosine")):
    ...     print(similarity.pairwise(rows[:1], rows))
    [[0. 5.]]
    [[0. 7.]]
    [[0. 1.]]
    """

    metric: Metric
    p: float | None = None

    def __post_init__(self) -> None:
        if (self.metric == "minkowski") != (self.p is not None):
            raise ClusteringError(
                f"a distance by {self.metric} with the exponent {self.p}: `minkowski` has one, "
                "and no other metric"
            )
        if self.p is not None and not 1 <= self.p < math.inf:
            raise ClusteringError(f"Minkowski's exponent is {self.p}; it has to be at least 1")

    @property
    def exponent(self) -> float:
        """The p of the sum of |x - y|^p over the coordinates."""
        return self.p or (1.0 if self.metric == "manhattan" else 2.0)

    def coordinates(self, columns: Sequence[Floats]) -> Sequence[Floats]:
        """The columns, one array for each feature, between whose rows the sums are taken.

        They are the features themselves, but for cosine: there they are divided by the row's
        length, and a last one is added, 1 where all features are 0 and else 0. So rows of zeros
        lie on an axis of their own, at a right angle to everyone else. A row too long for its
        square becomes NaN; one below 1e-154 counts as zeros.
        """
        if self.metric != "cosine":
            return columns
        with np.errstate(over="ignore", invalid="ignore"):
            squared = np.zeros(len(columns[0]))
            square = np.empty_like(squared)
            for column in columns:
                np.multiply(column, column, out=square, dtype=np.float64)
                np.add(squared, square, out=squared)
            length = np.sqrt(squared)
            has_none = squared < np.finfo(np.float64).tiny
            length[has_none | np.isinf(length)] = np.nan
            units = [np.where(has_none, 0.0, column / length) for column in columns]
        return [*units, has_none.astype(np.float64)]

    def rows(self, matrix: Doubles) -> Doubles:
        """The coordinates of a matrix (n, d) as rows: itself, or (n, d + 1) of length 1."""
        if self.metric != "cosine":
            return matrix
        return np.column_stack(self.coordinates(list(matrix.T)))

    def pairwise(self, rows: Floats, others: Floats) -> Doubles:
        """Distance of each of n rows (n, d) to each of m others (m, d): (n, m) float64."""
        one = self._by_coordinate(rows)
        other = self._by_coordinate(others)
        found = np.empty((len(rows), len(others)))
        block_rows = max(1, _BLOCK_PAIRS // max(1, len(others)))
        for start in range(0, len(rows), block_rows):
            block = slice(start, start + block_rows)
            self.sum_powers((column[block, np.newaxis] for column in one), other, found[block])
        return self.distance(found)

    def to_vector(self, columns: Sequence[Floats], vector: Floats) -> Doubles:
        """Distance (n,) of rows, given as one array for each feature, to one vector (d,)."""
        total = np.empty(len(columns[0]))
        self.sum_powers(self.coordinates(columns), self._by_coordinate(vector[np.newaxis]), total)
        return self.distance(total)

    def to_labelled(
        self, columns: Sequence[Floats], vectors: Floats, labels: NDArray[np.integer[Any]]
    ) -> Doubles:
        """Distance (n,) of rows to the vector of their label; vectors (k, d), labels (n,)."""
        total = np.empty(len(labels))
        chosen = (column[labels] for column in self._by_coordinate(vectors))
        self.sum_powers(self.coordinates(columns), chosen, total)
        return self.distance(total)

    def parts(self, columns: Sequence[Floats], others: Sequence[Floats]) -> list[Doubles]:
        """What each feature adds to the sum of |x - y|^p, (n,) each, for n pairs of rows.

        `others` has arrays of the same length, or of length 1. By cosine, they are parts of the
        squared chord; where one row of a pair has no direction, half of it is no feature's.
        """
        found = []
        pairs = zip(self.coordinates(columns), self.coordinates(others), strict=True)
        for (column, other), _ in zip(pairs, columns, strict=False):
            part = np.empty(np.broadcast_shapes(column.shape, other.shape))
            self.sum_powers([column], [other], part)
            found.append(part)
        return found

    def sum_powers(
        self, columns: Iterable[Floats], others: Iterable[Floats], total: Doubles
    ) -> None:
        """Write the sum of |x - y|^p over coordinates that broadcast to the shape of `total`."""
        difference = np.empty_like(total)
        total[...] = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for column, other in zip(columns, others, strict=True):
                np.subtract(column, other, out=difference, dtype=np.float64)
                _raise(difference, self.exponent)
                np.add(total, difference, out=total)

    def distance(self, powers: Doubles) -> Doubles:
        """Distance, of the sums of |x - y|^p."""
        if self.metric == "cosine":
            return powers / 2.0
        if self.exponent == 1.0:
            return powers
        return np.sqrt(powers) if self.exponent == 2.0 else np.power(powers, 1.0 / self.exponent)

    def _by_coordinate(self, rows: Floats) -> list[Doubles]:
        columns = np.ascontiguousarray(rows.T, dtype=np.float64)
        return [np.asarray(column) for column in self.coordinates(list(columns))]


EUCLIDEAN = Similarity("euclidean")


def count_distinct(matrix: Doubles, enough: int, similarity: Similarity = EUCLIDEAN) -> int:
    """Rows of a matrix (n, d) that the metric tells apart, counted no further than `enough`.

    Rows of one direction are the same for cosine; rounding to 12 digits makes them so.
    """
    rows = 4 * enough
    while True:
        found = similarity.rows(matrix[:rows])
        if similarity.metric == "cosine":
            found = found.round(12)
        distinct = len(np.unique(found + 0.0, axis=0))  # -0.0 is 0.0
        if distinct >= enough or rows >= len(matrix):
            return min(distinct, enough)
        rows *= 8


def _raise(values: Doubles, exponent: float) -> None:
    """Replace values by |value|^exponent.

    Whole powers are products, which every machine rounds alike; they also take 2 ns where
    `numpy.power` takes 14.
    """
    if exponent == 2.0:
        np.multiply(values, values, out=values)
        return
    np.abs(values, out=values)
    if exponent == 1.0:
        return
    if exponent != int(exponent):
        np.power(values, exponent, out=values)
        return
    factor = values.copy()
    for bit in bin(int(exponent))[3:]:
        np.multiply(values, values, out=values)
        if bit == "1":
            np.multiply(values, factor, out=values)
