"""How many segments: the candidates and their scores.

What belongs here: which k is tried, what is measured of it, and what makes it inadmissible. How one
k is fitted belongs to its algorithm's module, the rule that picks among them to `choice`.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.kmeans import (
    Partition,
    count_distinct,
    fit_partitions,
    one_segment,
)
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to segment the customers, and what was measured of it.

    `centroids` (k, d) are in canonical order (size, then coordinates), `labels` (n,) refer to
    them; both are None where the candidate was not fitted. Scores are None where they are not
    defined (one segment; not fitted). `silhouette` is the mean over a sample, in the metric of the
    clustering; `silhouette_error` its standard error. `inertia` is the sum of squared distances;
    `seconds` is what fitting and scoring took, added over threads, without the silhouettes, which
    all candidates share. `reason` says in words why it is inadmissible, and after the choice why
    it won or lost.
    """

    algorithm: str
    k: int
    centroids: NDArray[np.float64] | None
    labels: NDArray[np.int32] | None
    silhouette: float | None
    silhouette_error: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None
    inertia: float | None
    smallest_share: float | None
    seconds: float
    is_admissible: bool
    reason: str


def search_candidates(
    matrix: NDArray[np.float64],
    *,
    k_range: range,
    seed: int,
    n_init: int,
    minimum_share: float | None,
    silhouette_sample: int,
    privacy_floor: int = 10,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Candidate]:
    """Fit and score K-Means for every k of `k_range`; one candidate each, in that order.

    `matrix` (n, d) are the prepared features of all customers, or of a sample that the caller drew;
    its rows are in the order of a hash of the customer's id, so that the same customers give the
    same segments. The silhouette is measured on `silhouette_sample` rows drawn by `seed` (all, if
    there are fewer), its standard error is sd / sqrt(rows).

    A candidate is admissible if its smallest segment has at least `minimum_share` of the rows
    (default: min(1 %, 0.2 / k)), and at least `privacy_floor` rows. A k above n / 2, or above the
    number of distinct rows, is listed, not fitted. Where there are fewer distinct rows than the
    least k, everyone is in one segment: the only candidate has k = 1 and says so.

    The result is the same for any number of `workers`. Memory: the matrix once more for each
    worker, n labels a candidate. `progress` gets (done, total, phrase).

    Raises ClusteringError for a matrix that is empty or not finite, and a k below 2.
    """
    _check(matrix, k_range)
    distinct = count_distinct(matrix, max(k_range))
    if distinct < min(k_range):
        return [_one_segment(matrix, distinct, min(k_range), privacy_floor)]
    fitted_ks = [k for k in k_range if k <= min(distinct, len(matrix) // 2)]
    tell = _Counter(progress, (n_init + 2) * len(fitted_ks) + 1)
    partitions = fit_partitions(
        matrix, fitted_ks, seed=seed, n_init=n_init, workers=workers, on_done=tell
    )
    scores = Workers(workers).map(
        lambda partition: _spread_scores(matrix, partition),
        partitions,
        lambda partition: tell(f"k = {len(partition.sizes)}: scores"),
    )
    silhouettes = _sampled_silhouettes(matrix, partitions, seed, silhouette_sample, workers)
    tell("silhouettes")
    fitted = {
        k: _judge(partition, score, silhouette, _least_share(k, minimum_share), privacy_floor)
        for k, partition, score, silhouette in zip(
            fitted_ks, partitions, scores, silhouettes, strict=True
        )
    }
    return [fitted[k] if k in fitted else _not_fitted(k, len(matrix), distinct) for k in k_range]


class _Counter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def __call__(self, phrase: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, phrase)


def _check(matrix: NDArray[np.float64], k_range: range) -> None:
    if not len(k_range) or min(k_range) < 2:
        raise ClusteringError(f"a search needs numbers of segments from 2 up, not {k_range}")
    if matrix.ndim != 2 or matrix.shape[0] == 0:
        raise ClusteringError("too few customers: there is none to make segments of")
    if matrix.shape[1] == 0:
        raise ClusteringError("no feature is left to make segments by")
    if not np.isfinite(matrix).all():
        raise ClusteringError("the feature matrix holds a NaN or infinite value")


def _least_share(k: int, minimum_share: float | None) -> float:
    return min(0.01, 0.2 / k) if minimum_share is None else minimum_share


def _spread_scores(
    matrix: NDArray[np.float64], partition: Partition
) -> tuple[float | None, float | None, float]:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    began = time.perf_counter()
    if np.count_nonzero(partition.sizes) < 2:
        return None, None, time.perf_counter() - began
    davies_bouldin = float(davies_bouldin_score(matrix, partition.labels))
    calinski_harabasz = float(calinski_harabasz_score(matrix, partition.labels))
    return davies_bouldin, calinski_harabasz, time.perf_counter() - began


def _sampled_silhouettes(
    matrix: NDArray[np.float64],
    partitions: Sequence[Partition],
    seed: int,
    silhouette_sample: int,
    workers: int,
) -> list[tuple[float, float]]:
    """Mean silhouette and its standard error for each partition, on the same rows."""
    if not partitions:
        return []
    drawn = np.sort(np.random.default_rng(seed).permutation(len(matrix))[:silhouette_sample])
    widths = silhouette_widths(
        matrix[drawn], [partition.labels[drawn] for partition in partitions], workers=workers
    )
    errors = widths.std(axis=1, ddof=1) / math.sqrt(len(drawn))
    return list(zip(widths.mean(axis=1).tolist(), errors.tolist(), strict=True))


def _judge(
    partition: Partition,
    scores: tuple[float | None, float | None, float],
    silhouette: tuple[float, float],
    least_share: float,
    privacy_floor: int,
) -> Candidate:
    davies_bouldin, calinski_harabasz, seconds = scores
    smallest, rows = int(partition.sizes.min()), int(partition.sizes.sum())
    reason = ""
    if smallest < privacy_floor:
        reason = (
            f"inadmissible: the smallest segment has {smallest} of {rows} customers, "
            f"fewer than the privacy floor of {privacy_floor}"
        )
    elif smallest < least_share * rows:
        reason = (
            f"inadmissible: the smallest segment has {smallest / rows:.2%} of the customers, "
            f"less than the minimum share of {least_share:.2%}"
        )
    return Candidate(
        algorithm="k_means",
        k=len(partition.sizes),
        centroids=partition.centroids,
        labels=partition.labels,
        silhouette=silhouette[0],
        silhouette_error=silhouette[1],
        davies_bouldin=davies_bouldin,
        calinski_harabasz=calinski_harabasz,
        inertia=partition.inertia,
        smallest_share=smallest / rows,
        seconds=partition.seconds + seconds,
        is_admissible=not reason,
        reason=reason,
    )


def _not_fitted(k: int, rows: int, distinct: int) -> Candidate:
    reason = (
        f"not fitted: {k} segments need at least {2 * k} customers, there are {rows}"
        if k > rows // 2
        else f"not fitted: there are only {distinct} distinct customers in these features"
    )
    return Candidate(
        algorithm="k_means",
        k=k,
        centroids=None,
        labels=None,
        silhouette=None,
        silhouette_error=None,
        davies_bouldin=None,
        calinski_harabasz=None,
        inertia=None,
        smallest_share=None,
        seconds=0.0,
        is_admissible=False,
        reason=reason,
    )


def _one_segment(
    matrix: NDArray[np.float64], distinct: int, least_k: int, privacy_floor: int
) -> Candidate:
    rows = len(matrix)
    partition = one_segment(matrix)
    if rows < privacy_floor:
        reason = (
            f"inadmissible: {rows} customers are fewer than the privacy floor of {privacy_floor}"
        )
    elif distinct == 1:
        reason = f"one segment: all {rows} customers are identical in these features"
    else:
        reason = (
            f"one segment: only {distinct} distinct customers among {rows}, "
            f"fewer than the least k of {least_k}"
        )
    return Candidate(
        algorithm="k_means",
        k=1,
        centroids=partition.centroids,
        labels=partition.labels,
        silhouette=None,
        silhouette_error=None,
        davies_bouldin=None,
        calinski_harabasz=None,
        inertia=partition.inertia,
        smallest_share=1.0,
        seconds=partition.seconds,
        is_admissible=rows >= privacy_floor,
        reason=reason,
    )
