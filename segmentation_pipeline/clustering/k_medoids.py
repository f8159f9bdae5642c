"""K-Medoids: each segment around one of its customers, by any metric.

The medoids are those of FasterPAM (Schubert & Rousseeuw 2021, "Fast and eager k-medoids
clustering", doi:10.1016/j.is.2021.101804) in the library `kmedoids`, which takes a matrix of all
distances: so it is fitted on a budget of rows. What is ours: starts on fewer rows, distances that
every number of segments shares, and an order of the segments that doesn't depend on the start.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.metrics import Similarity, count_distinct
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.prototypes import in_canonical_order, nearest_prototypes
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.specification.clustering import Metric

# A fit on 1,000 rows takes 13 ms where one on 4,000 takes 250; the best of many goes on there with
# all rows, and mostly needs a swap or two.
_START_ROWS = 1_000
_START_ROWS_PER_SEGMENT = 50
_REFIT_STARTS = 3
_BLOCK_ROWS = 256


@dataclass(frozen=True)
class KMedoids:
    """K-Medoids for each number of segments of `ks`, the best of `starts` each.

    It is fitted on the first `rows` rows of a matrix, whose distances take 4 rows^2 bytes. `p` is
    the exponent of `minkowski`. A fit has the array `prototypes` (k, d), which are rows of the
    matrix, and the figure `inertia`, the sum of distances to them over the rows it was fitted on.
    """

    ks: Sequence[int]
    starts: int = 10
    metric: Metric = "euclidean"
    p: float | None = None
    rows: int = 4_000

    @property
    def algorithm(self) -> Literal["k_medoids"]:
        """Its name in the YAML and in the tables."""
        return "k_medoids"

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit every k for which there are as many distinct rows; `Family.fit` says more.

        `workers` share the distances; the library's searches run one after the other, since it
        keeps the interpreter to itself (two threads took as long as one).
        """
        from kmedoids import fasterpam  # Here, before the clock of a fit starts.

        similarity = Similarity(self.metric, self.p)
        rows = matrix[: self.rows]
        distinct = count_distinct(rows, max(self.ks), similarity)
        ks = [k for k in self.ks if k <= distinct]
        distances = _distances(rows, similarity, workers) if ks else np.empty((0, 0), np.float32)

        def fit_one(k: int) -> Fit:
            began = time.perf_counter()
            rng = np.random.default_rng([seed, k])
            medoids = rows[_medoids(fasterpam, distances, k, rng, self.starts)]
            prototypes = in_canonical_order(medoids, rows, similarity)
            found = nearest_prototypes(prototypes, similarity).query(list(rows.T))
            return Fit(
                algorithm=self.algorithm,
                metric=self.metric,
                segments=k,
                parameters={"segments": k} | ({"minkowski_p": self.p} if self.p else {}),
                arrays={"prototypes": prototypes},
                figures={"inertia": float(found.distance.sum())},
                seconds=time.perf_counter() - began,
            )

        def tell(k: int) -> None:
            if on_done is not None:
                on_done(f"k = {k}: best of {self.starts} starts")

        return Workers(1).map(fit_one, ks, tell)

    def refits(self, fit: Fit) -> FitPredict:
        """Give the function that finds medoids of the fit's metric among other rows.

        It looks for them among 1,000 rows (50 a segment, if that is more) that the seed draws, from
        three starts: stability takes a hundred refits, in seconds. Fewer rows make its segments
        vary more than those of the fit, so that what is stable nevertheless is so.
        """
        from kmedoids import fasterpam

        similarity = self._kept(fit.parameters)

        def fit_predict(matrix: Matrix, seed: int, n_clusters: int) -> Labels:
            rng = np.random.default_rng([seed, n_clusters])
            drawn = rng.permutation(len(matrix))[: _start_rows(n_clusters)]
            rows = matrix[np.sort(drawn)]
            k = count_distinct(rows, n_clusters, similarity)
            distances = _distances(rows, similarity)
            medoids = rows[_medoids(fasterpam, distances, k, rng, _REFIT_STARTS)]
            found = nearest_prototypes(medoids, similarity).query(list(matrix.T))
            return found.own.astype(np.intp)

        return fit_predict

    def assigner(
        self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, JSON]
    ) -> Assigner:
        """Make the assigner of a fit, or of a model that was read back, with the exponent it has.

        Raises ClusteringError where the model's exponent is missing.
        """
        return nearest_prototypes(arrays["prototypes"], self._kept(parameters))

    def _kept(self, parameters: Mapping[str, JSON]) -> Similarity:
        p = parameters.get("minkowski_p")
        return Similarity(self.metric, p if isinstance(p, int | float) else None)


def _start_rows(k: int) -> int:
    return max(_START_ROWS, _START_ROWS_PER_SEGMENT * k)


def _distances(rows: Matrix, similarity: Similarity, workers: int = 1) -> NDArray[np.float32]:
    """All distances between rows, (n, n): float32 finds the same medoids in half the memory."""
    found = np.empty((len(rows), len(rows)), dtype=np.float32)

    def measure(start: int) -> None:
        block = slice(start, start + _BLOCK_ROWS)
        found[block] = similarity.pairwise(rows[block], rows)

    Workers(workers).map(measure, range(0, len(rows), _BLOCK_ROWS))
    return found


def _medoids(
    fasterpam: Callable[..., Any],
    distances: NDArray[np.float32],
    k: int,
    rng: np.random.Generator,
    starts: int,
) -> NDArray[np.intp]:
    """Rows (k,) that are the medoids: the best of some starts on the first rows, then on all."""
    few = np.ascontiguousarray(distances[: _start_rows(k), : _start_rows(k)])
    tried = [fasterpam(few, rng.choice(len(few), k, replace=False), n_cpu=1) for _ in range(starts)]
    best = min(tried, key=lambda found: found.loss)
    # Without a `random_state` it takes the rows in their order, which is random already.
    medoids = fasterpam(distances, best.medoids, n_cpu=1).medoids
    return np.asarray(medoids, dtype=np.intp)
