"""Whether every segment reappears when customers are resampled.

Cluster-wise stability by Jaccard similarity: Hennig 2007, "Cluster-wise assessment of cluster
stability", and `clusterboot` of the R package fpc. Below .6 a segment is not to be trusted,
.6-.75 is doubtful, from .75 it is valid and from .85 highly stable. Stability is not structure:
9 of 12 sets of one correlated Gaussian reached .75.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError

FitPredict = Callable[[Matrix, int, int], Labels]
"""(matrix of shape (n, d), seed, number of segments) -> labels, shape (n,), -1 for noise.

A family that finds its own number of segments may ignore the one it is given. Import the library
that it calls beforehand: threads are limited for libraries that are loaded when work begins.
"""

STABLE = 0.75
N_RESAMPLES = 100
N_SPLITS = 10
BOOTSTRAP_UP_TO = 50


@dataclass(frozen=True, slots=True)
class Stability:
    """Mean Jaccard similarity per segment, by ascending label, and how it was measured."""

    jaccards: tuple[float, ...]
    scheme: Literal["bootstrap", "sample splits"]

    @property
    def worst(self) -> float:
        """The similarity of the least stable segment; 0 where there is none."""
        return min(self.jaccards, default=0.0)

    @property
    def stable(self) -> bool:
        """Whether every segment is valid, at .75."""
        return self.worst >= STABLE


def cluster_stability(
    matrix: Matrix,
    labels: Labels,
    fit_predict: FitPredict,
    *,
    seed: int,
    n_resamples: int = N_RESAMPLES,
    workers: int = 1,
) -> Stability:
    """Jaccard similarity of each segment with its likeness in refits on parts of the customers.

    Up to 50 segments a part is the distinct customers of one bootstrap draw, as in `clusterboot`;
    above, each half of ten random splits, which is cheaper by a factor of five and harder to
    pass. A part that holds nobody of a segment says nothing about it. Customers labelled noise
    are in no segment, but count where a refit puts them into one.

    Args:
        matrix: what is clustered, shape (n, d).
        labels: the partition that is judged, shape (n,).
        fit_predict: refits the same algorithm; called from several threads.
        seed: same seed, same result, whatever `workers` is.
        n_resamples: bootstrap draws.
        workers: threads.

    Raises:
        ClusteringError: if matrix and labels differ in length.

    """
    if len(matrix) != len(labels):
        raise ClusteringError(f"{len(matrix)} customers, but {len(labels)} labels")
    segments = np.unique(labels[labels != NOISE])
    bootstrap = len(segments) <= BOOTSTRAP_UP_TO

    def similarities(draw: int) -> Matrix:
        rng = np.random.default_rng([seed, draw])
        if bootstrap:
            parts = [np.unique(rng.integers(0, len(matrix), len(matrix)))]
        else:
            parts = [np.sort(part) for part in np.array_split(rng.permutation(len(matrix)), 2)]
        refits = [fit_predict(matrix[part], seed + draw, len(segments)) for part in parts]
        return np.array(
            [
                best_jaccards(labels[part], refit, segments)
                for part, refit in zip(parts, refits, strict=True)
            ]
        )

    draws = range(n_resamples if bootstrap else N_SPLITS)
    found = np.vstack(Workers(workers).map(similarities, draws))
    seen = ~np.isnan(found)
    means = np.where(seen, found, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return Stability(
        jaccards=tuple(means.tolist()),
        scheme="bootstrap" if bootstrap else "sample splits",
    )


def best_jaccards(labels: Labels, others: Labels, segments: Labels) -> Matrix:
    """Largest Jaccard similarity of each segment with any of `others`; NaN where it is empty."""
    overlaps = jaccard_matrix(labels, others, segments, np.unique(others[others != NOISE]))
    best = overlaps.max(axis=1, initial=0.0)
    return np.where(np.isin(segments, labels), best, np.nan)


def jaccard_matrix(
    labels: Labels, others: Labels, segments: Labels, other_segments: Labels
) -> Matrix:
    """|A and B| / |A or B| of each segment A in `labels` with each B in `others`.

    >>> first, second = np.array([0, 0, 0, 1]), np.array([5, 5, 7, 7])
    >>> jaccard_matrix(first, second, np.array([0, 1]), np.array([5, 7])).round(2)
    array([[0.67, 0.25],
           [0.  , 0.5 ]])
    """
    a = (labels[:, None] == segments).astype(np.float64)
    b = (others[:, None] == other_segments).astype(np.float64)
    both = a.T @ b
    either = a.sum(axis=0)[:, None] + b.sum(axis=0) - both
    similarity: Matrix = both / np.maximum(either, 1.0)
    return similarity
