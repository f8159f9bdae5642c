"""Internal scores of partitions: what is measured of every candidate, whatever its family.

They compare candidates of one family, and none of them says whether there are segments at all; that
is asked by `structure`. Which candidate is taken belongs to `choice`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.clustering.workers import Workers

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one partition; None where one is not defined (a single segment, another metric).

    `silhouette` is the mean over a sample, in the metric of the clustering, of the customers in
    segments; `silhouette_error` its standard error, sd / sqrt(rows). `davies_bouldin` and
    `calinski_harabasz` are Euclidean by definition (of cosine, on rows of length 1), and noise has
    no part in them. `segments` are those that have anybody, `smallest_size` is that of the smallest
    of them, of `size` customers.
    """

    silhouette: float | None
    silhouette_error: float | None
    davies_bouldin: float | None
    calinski_harabasz: float | None
    segments: int
    size: int
    smallest_size: int
    noise_share: float

    @property
    def smallest_share(self) -> float:
        """Share of the customers that the smallest segment has."""
        return self.smallest_size / self.size


def score_partitions(
    matrix: Matrix,
    labelings: Sequence[NDArray[np.int32]],
    similarity: Similarity,
    *,
    seed: int,
    silhouette_rows: int,
    workers: int = 1,
) -> list[Scores]:
    """Score partitions of the same rows.

    Args:
        matrix: prepared features, shape (n, d).
        labelings: for each partition labels (n,), 0 to k - 1 and -1 for noise, nobody of a label
            being allowed.
        similarity: the metric of the clustering.
        seed: of the rows on which silhouettes are measured, the same for all partitions.
        silhouette_rows: how many these are.
        workers: threads; they change nothing.

    """
    import sklearn.metrics  # noqa: F401 -- before Workers, which limit the threads of what is loaded

    drawn = np.sort(np.random.default_rng(seed).permutation(len(matrix))[:silhouette_rows])
    widths = silhouette_widths(
        matrix[drawn],
        [labels[drawn] for labels in labelings],
        similarity=similarity,
        workers=workers,
    )
    coordinates = similarity.rows(matrix) if similarity.exponent == 2.0 else None

    def score(index: int) -> Scores:
        labels = labelings[index]
        held = labels != NOISE
        sizes = np.bincount(labels[held])
        sizes = sizes[sizes > 0]
        davies_bouldin, calinski_harabasz = _spread(coordinates, labels, held, len(sizes))
        silhouette, error = _mean(widths[index])
        return Scores(
            silhouette=silhouette if len(sizes) > 1 else None,
            silhouette_error=error if len(sizes) > 1 else None,
            davies_bouldin=davies_bouldin,
            calinski_harabasz=calinski_harabasz,
            segments=len(sizes),
            size=len(labels),
            smallest_size=int(sizes.min()) if len(sizes) else 0,
            noise_share=float(1.0 - held.mean()),
        )

    return Workers(workers).map(score, range(len(labelings)))


def _mean(widths: Matrix) -> tuple[float | None, float | None]:
    known = widths[~np.isnan(widths)]
    if len(known) < 2:
        return None, None
    return float(known.mean()), float(known.std(ddof=1) / math.sqrt(len(known)))


def _spread(
    coordinates: Matrix | None,
    labels: NDArray[np.int32],
    held: NDArray[np.bool_],
    segments: int,
) -> tuple[float | None, float | None]:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    if coordinates is None or not 1 < segments < np.count_nonzero(held):
        return None, None
    rows = coordinates if held.all() else coordinates[held]
    return (
        float(davies_bouldin_score(rows, labels[held])),
        float(calinski_harabasz_score(rows, labels[held])),
    )
