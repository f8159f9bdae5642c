"""K-Means: starts, the best of them, and its canonical order.

The partitions are scikit-learn's (Lloyd, k-means++). What is ours: starts run on a nested sample,
bits that don't depend on threads, and an order of the centroids that doesn't depend on the start.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.metrics import count_distinct
from segmentation_pipeline.clustering.nearest import NearestCentroids
from segmentation_pipeline.clustering.workers import Workers

# A start on 25,000 rows costs a tenth of one on 200,000 and finds the same optimum up to a few
# iterations, which the winner then gets on all rows. Per segment there must be enough of them.
_START_ROWS = 25_000
_START_ROWS_PER_SEGMENT = 200
_MOST_ITERATIONS = 300


@dataclass(frozen=True, eq=False)
class Partition:
    """K-Means with k segments: centroids (k, d) in canonical order, and the rows' labels (n,).

    The canonical order is by size, largest first, then by coordinates. `inertia` is the sum of
    squared distances to the own centroid; `sizes` (k,) may hold a 0 where rows are too alike.
    """

    centroids: NDArray[np.float64]
    labels: NDArray[np.int32]
    sizes: NDArray[np.int64]
    inertia: float
    seconds: float


class _Start(NamedTuple):
    centroids: NDArray[np.float64]
    inertia: float
    seconds: float


def fit_partitions(
    matrix: NDArray[np.float64],
    ks: Sequence[int],
    *,
    seed: int,
    n_init: int,
    workers: int = 1,
    on_done: Callable[[str], None] | None = None,
) -> list[Partition]:
    """Fit K-Means for several k; one partition each, in that order.

    Each k gets `n_init` k-means++ starts, run to convergence on a seeded sample of 25,000 rows, or
    200 a segment (on all rows if there are fewer, or if the sample has fewer than k distinct ones).
    The start with the least inertia, the first of equal ones, is then run to convergence on all
    rows of `matrix` (n, d), which must have at least k distinct ones. Memory: the matrix once more
    for each worker. `on_done` gets a phrase for each of the `(n_init + 1) * len(ks)` fits.

    The result depends on the rows' order, the seed and nothing else: not on `workers`.
    """
    from sklearn.cluster import KMeans

    pool = Workers(workers)
    order = np.random.default_rng(seed).permutation(len(matrix))
    start_rows = {k: _start_rows(matrix, order, k) for k in ks}

    def run_start(job: tuple[int, int]) -> _Start:
        k, start = job
        began = time.perf_counter()
        state = int(np.random.SeedSequence([seed, k, start]).generate_state(1)[0])
        fitted = KMeans(k, n_init=1, max_iter=_MOST_ITERATIONS, random_state=state)
        fitted.fit(start_rows[k])
        return _Start(fitted.cluster_centers_, fitted.inertia_, time.perf_counter() - began)

    def finish(job: tuple[int, list[_Start]]) -> Partition:
        k, starts = job
        began = time.perf_counter()
        best = min(starts, key=lambda start: start.inertia)
        fitted = KMeans(k, init=best.centroids, n_init=1, max_iter=_MOST_ITERATIONS).fit(matrix)
        partition = _canonical(matrix, fitted.cluster_centers_)
        seconds = time.perf_counter() - began + sum(start.seconds for start in starts)
        return replace(partition, seconds=seconds)

    def tell(k: int, phase: str) -> None:
        if on_done is not None:
            on_done(f"k = {k}: {phase}")

    jobs = [(k, start) for k in ks for start in range(n_init)]
    starts = pool.map(run_start, jobs, lambda job: tell(job[0], f"start {job[1] + 1} of {n_init}"))
    grouped = [(k, starts[i * n_init : (i + 1) * n_init]) for i, k in enumerate(ks)]
    return pool.map(finish, grouped, lambda job: tell(job[0], "best start on all rows"))


def partition_from(matrix: NDArray[np.float64], start: NDArray[np.float64]) -> Partition:
    """Run K-Means to convergence on a matrix (n, d) from these centroids (k, d) and no others."""
    from sklearn.cluster import KMeans

    began = time.perf_counter()

    def run(_: None) -> Partition:
        fitted = KMeans(len(start), init=start, n_init=1, max_iter=_MOST_ITERATIONS).fit(matrix)
        return _canonical(matrix, fitted.cluster_centers_)

    (partition,) = Workers(1).map(run, [None])
    return replace(partition, seconds=time.perf_counter() - began)


def one_segment(matrix: NDArray[np.float64]) -> Partition:
    """Everyone in one segment around the mean (exactly the row, where all rows are equal)."""
    began = time.perf_counter()
    mean = matrix[0] + (matrix - matrix[0]).mean(axis=0)
    return replace(_canonical(matrix, mean[np.newaxis]), seconds=time.perf_counter() - began)


def _start_rows(
    matrix: NDArray[np.float64], order: NDArray[np.intp], k: int
) -> NDArray[np.float64]:
    count = max(_START_ROWS, _START_ROWS_PER_SEGMENT * k)
    if count >= len(matrix):
        return matrix
    sample = matrix[np.sort(order[:count])]
    return sample if count_distinct(sample, k) == k else matrix


def _canonical(matrix: NDArray[np.float64], centroids: NDArray[np.float64]) -> Partition:
    # Ordered by coordinates first, so that a row between two centroids counts for the same one
    # whatever order the fit had left them in.
    centroids = centroids[np.lexsort(centroids.T[::-1])]
    sizes = _sizes(NearestCentroids(centroids).query(_columns(matrix)).own, len(centroids))
    centroids = centroids[np.argsort(-sizes, kind="stable")]
    found = NearestCentroids(centroids).query(_columns(matrix))
    return Partition(
        centroids=centroids,
        labels=found.own,
        sizes=_sizes(found.own, len(centroids)),
        inertia=float(found.own_squared.sum()),
        seconds=0.0,
    )


def _sizes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    return np.bincount(labels, minlength=count).astype(np.int64)


def _columns(matrix: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return list(matrix.T)
