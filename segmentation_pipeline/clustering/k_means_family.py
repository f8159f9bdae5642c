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
from segmentation_pipeline.clustering.kmeans import Partition, fit_partitions, one_segment
from segmentation_pipeline.clustering.metrics import Similarity, count_distinct
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.prototypes import in_canonical_order, nearest_prototypes
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
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
        distinct = count_distinct(matrix, max(self.ks), similarity)
        rows = similarity.rows(matrix)
        searched = [k for k in self.ks if 1 < k <= distinct]
        found = fit_partitions(
            rows, searched, seed=seed, n_init=self.starts, workers=workers, on_done=on_done
        )
        partitions = dict(zip(searched, found, strict=True))
        if 1 in self.ks:
            partitions[1] = one_segment(rows)
        ordered = [partitions[k] for k in self.ks if k in partitions]
        if self.metric == "euclidean":
            return [self._fit(part.centroids, part.inertia, part.seconds) for part in ordered]
        fits = Workers(workers).map(lambda part: self._on_sphere(matrix, rows, part), ordered)
        return [fit for fit in fits if fit is not None]
