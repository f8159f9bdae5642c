"""Assignment to the nearest of k prototypes (centroids or medoids), by any metric.

Where the distance is a sum of squares (Euclidean, cosine on rows of length 1), `nearest` finds it
by an exact search that is as fast as a product. Sums of other powers have no such product: every
row is compared with every prototype, by the definition in `metrics`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigned, Assigner, Floats
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.nearest import NearestCentroids
from segmentation_pipeline.errors import ClusteringError

# Two or three blocks of 256 kB stay in the L2 cache; 2^14 to 2^18 were equally fast within noise.
_BLOCK_DISTANCES = 1 << 15


def nearest_prototypes(prototypes: NDArray[np.float64], similarity: Similarity) -> Assigner:
    """Make the assigner of prototypes (k, d): each row belongs to the nearest, nobody is noise.

    Of equally near prototypes the lowest label counts. The margin is
    t = (d_second^2 - d_own^2) / d(own, second)^2 in the metric, for cosine on the chord: 0 on the
    border, 1 at the own prototype (also beyond 1, behind it). A row that is not finite, or too
    large for its power, gets a distance that isn't finite either; the caller decides.

    Raises ClusteringError for prototypes that are not finite, and for two that the metric can't
    tell apart: between them there is no border.
    """
    if similarity.exponent == 2.0:
        return _SquaredSearch(prototypes, similarity)
    return _FullSearch(prototypes, similarity)


def in_canonical_order(
    prototypes: NDArray[np.float64], rows: NDArray[np.float64], similarity: Similarity
) -> NDArray[np.float64]:
    """Prototypes (k, d) by how many of the rows (n, d) are theirs, most first, then by coordinates.

    So neither the start of a fit nor the order of the rows shows in the segments' numbers.
    """
    # By coordinates first, so that a row between two counts for the same one whatever order the fit
    # had left them in.
    ordered = prototypes[np.lexsort(prototypes.T[::-1])]
    labels = nearest_prototypes(ordered, similarity).query(list(rows.T)).own
    sizes = np.bincount(labels, minlength=len(ordered))
    return ordered[np.argsort(-sizes, kind="stable")]


class _SquaredSearch:
    """Prototypes between which the distance is a root or a half of a sum of squares."""

    def __init__(self, prototypes: NDArray[np.float64], similarity: Similarity) -> None:
        self._prototypes = prototypes
        self._similarity = similarity
        self._nearest = NearestCentroids(similarity.rows(prototypes))

    @property
    def segments(self) -> int:
        return len(self._prototypes)

    def query(self, columns: Sequence[Floats]) -> Assigned:
        found = self._nearest.query(self._similarity.coordinates(columns))
        return Assigned(
            own=found.own,
            runner_up=found.runner_up,
            distance=self._similarity.distance(found.own_squared),
            margin=found.margin,
        )

    nearest = query

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        return self._similarity.to_labelled(columns, self._prototypes, labels)


class _FullSearch:
    """Prototypes with which every row is compared."""

    def __init__(self, prototypes: NDArray[np.float64], similarity: Similarity) -> None:
        if not np.isfinite(prototypes).all():
            raise ClusteringError("a prototype is not finite: the model cannot assign anyone")
        self._prototypes = prototypes
        self._similarity = similarity
        between = similarity.pairwise(prototypes, prototypes)
        self._between_squared = between * between
        if np.count_nonzero(self._between_squared) < between.size - len(between):
            raise ClusteringError("two prototypes are equal: no border lies between their segments")

    @property
    def segments(self) -> int:
        return len(self._prototypes)

    def query(self, columns: Sequence[Floats]) -> Assigned:
        count = len(columns[0])
        labels = np.full((2, count), -1, dtype=np.int32)
        distances = np.full((2, count), np.nan)
        rows = max(1, _BLOCK_DISTANCES // self.segments)
        powers = np.empty((self.segments, min(rows, count)))
        by_feature = np.ascontiguousarray(self._prototypes.T)[:, :, np.newaxis]
        for start in range(0, count, rows):
            block = slice(start, min(start + rows, count))
            part = powers[:, : block.stop - start]
            self._similarity.sum_powers((column[block] for column in columns), by_feature, part)
            for place in range(min(2, self.segments)):
                labels[place, block], least = _take_least(part)
                distances[place, block] = self._similarity.distance(least)
        return Assigned(
            own=labels[0],
            runner_up=labels[1],
            distance=distances[0],
            margin=self._margin(labels, distances),
        )

    nearest = query

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        return self._similarity.to_labelled(columns, self._prototypes, labels)

    def _margin(
        self, labels: NDArray[np.int32], distances: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.segments == 1:
            return np.full(labels.shape[1], np.nan)
        with np.errstate(over="ignore", invalid="ignore"):
            own, second = distances * distances
            margin: NDArray[np.float64] = (second - own) / self._between_squared[tuple(labels)]
        return margin


def _take_least(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The least of each column of (k, n) and the lowest row that holds it; crosses it out."""
    places = values.argmin(axis=0)
    columns = np.arange(values.shape[1])
    least: NDArray[np.float64] = values[places, columns]
    values[places, columns] = np.inf
    return places.astype(np.int32), least
