"""K-Means as one family among others: Euclidean, and by cosine on rows of length 1.

What belongs here: which partitions are fitted in which coordinates. How one is fitted belongs to
`kmeans`.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.kmeans import (
    Partition,
    fit_partitions,
    one_segment,
    partition_from,
)
from segmentation_pipeline.clustering.metrics import Similarity, count_distinct
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.prototypes import in_canonical_order, nearest_prototypes
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.workers import Workers

_MOST_ITERATIONS = 100


@dataclass(frozen=True)
class KMeansFamily:
    """K-Means for each number of segments of `ks`, the best of `starts` each; 1 is everybody.

    A fit has the array `prototypes` (k, d) and the figure `inertia`: the sum of squared distances
    to the own one, for cosine the sum of cosine distances. By cosine, prototypes have length 1, and
    are the directions of their customers' mean direction (spherical K-Means: Dhillon & Modha 2001,
    doi:10.1023/A:1007612920971).
    """

    ks: Sequence[int]
    starts: int = 10
    metric: Literal["euclidean", "cosine"] = "euclidean"

    @property
    def algorithm(self) -> Literal["k_means"]:
        """Its name in the YAML and in the tables."""
        return "k_means"

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit every k for which there are as many distinct rows; `Family.fit` says more."""
        similarity = Similarity(self.metric)
        rows = similarity.rows(matrix)
        distinct = count_distinct(matrix, max(self.ks), similarity)
        ks = [k for k in self.ks if 1 < k <= distinct]
        found = fit_partitions(
            rows, ks, seed=seed, n_init=self.starts, workers=workers, on_done=on_done
        )
        if 1 in self.ks:
            found.insert(0, one_segment(rows))
        partitions: Sequence[Partition | None] = found
        if self.metric == "cosine":
            partitions = Workers(workers).map(lambda part: _on_the_sphere(matrix, part), found)
        return [_fit_of(part, self.metric) for part in partitions if part is not None]

    def fit_from(self, matrix: Matrix, labels: Labels) -> Fit | None:
        """Fit from the means of given segments (n,), -1 for none, instead of random starts.

        The number of segments is theirs, whatever `ks` is. None where two of them come to be one.
        """
        rows = Similarity(self.metric).rows(matrix)
        segments = np.unique(labels[labels != NOISE])
        start = np.array([rows[labels == segment].mean(axis=0) for segment in segments])
        partition: Partition | None = partition_from(rows, start)
        if partition is not None and self.metric == "cosine":
            partition = _on_the_sphere(matrix, partition)
        if partition is None or not partition.sizes.all():
            return None
        return _fit_of(partition, self.metric)

    def refits(self, fit: Fit) -> FitPredict:
        """Give the quick K-Means of the structure statistics, in the fit's metric."""
        similarity = Similarity(fit.metric)

        def fit_predict(matrix: Matrix, seed: int, n_clusters: int) -> Labels:
            return kmeans_labels(similarity.rows(matrix), seed, n_clusters)

        return fit_predict

    def assigner(
        self,
        arrays: Mapping[str, NDArray[Any]],
        parameters: Mapping[str, JSON],  # noqa: ARG002 -- of other families
    ) -> Assigner:
        """Make the assigner of a fit, or of a model that was read back."""
        return nearest_prototypes(arrays["prototypes"], Similarity(self.metric))


def _fit_of(partition: Partition, metric: Literal["euclidean", "cosine"]) -> Fit:
    return Fit(
        algorithm="k_means",
        metric=metric,
        segments=len(partition.centroids),
        parameters={"segments": len(partition.centroids)},
        arrays={"prototypes": partition.centroids},
        figures={"inertia": partition.inertia},
        seconds=partition.seconds,
    )


def _on_the_sphere(matrix: Matrix, partition: Partition) -> Partition | None:
    """Go on from a partition of rows of length 1 until directions of length 1 are its prototypes.

    A mean of unit rows is the shorter, the more they spread, and a shorter one has a larger part of
    the sphere to itself. At length 1 each has other customers than those that it is the mean of,
    hence the iterations. The mean of rows of zeros stays zeros. None where two prototypes come to
    be one.
    """
    began = time.perf_counter()
    cosine = Similarity("cosine")
    columns = list(matrix.T)
    units = cosine.coordinates(columns)[:-1]
    count = len(partition.centroids)
    prototypes, labels = _directions(partition.centroids[:, :-1]), partition.labels
    for _ in range(_MOST_ITERATIONS):
        # Of the rows themselves: scikit-learn's mean of zeros is off by rounding, in a direction.
        sums = np.array([np.bincount(labels, unit, count) for unit in units], dtype=np.float64).T
        sizes = np.bincount(labels, minlength=count)
        prototypes = np.where(sizes[:, np.newaxis] > 0, _directions(sums), prototypes)
        if count_distinct(prototypes, count, cosine) < count:
            return None
        found = nearest_prototypes(prototypes, cosine).query(columns).own
        if np.array_equal(found, labels):
            break
        labels = found
    prototypes = in_canonical_order(prototypes, matrix, cosine)
    last = nearest_prototypes(prototypes, cosine).query(columns)
    return Partition(
        centroids=prototypes,
        labels=last.own,
        sizes=np.bincount(last.own, minlength=count).astype(np.int64),
        inertia=float(last.distance.sum()),
        seconds=partition.seconds + time.perf_counter() - began,
    )


def _directions(vectors: Matrix) -> Matrix:
    return Similarity("cosine").rows(vectors)[:, :-1]
