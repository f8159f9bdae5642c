"""K-Means on samples: thousands of small fits, several at once.

scikit-learn's, which fits the segments that are published, spends most of the 2 ms that 1,000
customers take around the iterations. Here all fits on one matrix share their matrix products.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix

N_STARTS = 5
SHORT_RUN = 5
LONG_RUN = 100
TOLERANCE = 1e-3
"""A fit ends when its centroids' squared shifts sum to less than this share of a feature's
variance. Ten times scikit-learn's default: inertia differs by less than a thousandth."""


def kmeans_labels(matrix: Matrix, seed: int, n_clusters: int) -> Labels:
    """Labels 0..k-1 of a partition by K-Means, shape (n,).

    k is `n_clusters`, or the number of distinct customers if that is smaller.
    """
    return kmeans_partitions(matrix, seed, [n_clusters])[0]


def kmeans_partitions(matrix: Matrix, seed: int, ks: Sequence[int]) -> list[Labels]:
    """Labels for each number of clusters, from starts that are the same for all of them.

    Five starts run for five iterations and the best goes on to the end (as the short runs of
    Biernacki, Celeux & Govaert 2003): the inertia of five full runs for a third of their time.
    """
    draws = nested_starts(matrix, seed, max(ks))
    short = _lloyd(matrix, [draw[:k] for k in ks for draw in draws], SHORT_RUN)
    best = [
        min(short[i : i + N_STARTS], key=lambda fit: fit.inertia)
        for i in range(0, len(short), N_STARTS)
    ]
    fits = _lloyd(matrix, [fit.centroids for fit in best], LONG_RUN)
    # A centroid can lose its last customer: the labels that remain are numbered anew.
    return [np.unique(fit.labels, return_inverse=True)[1].astype(np.intp) for fit in fits]


def nested_starts(matrix: Matrix, seed: int, n_clusters: int) -> list[Matrix]:
    """Greedy k-means++ draws of centroids, each shape (<= n_clusters, d).

    The first k rows of a draw are themselves a draw for k clusters, so that one serves every k.
    A draw ends early where no customer differs from all of its rows: there are no more distinct
    customers than that. Arthur & Vassilvitskii 2007; greedy as in scikit-learn.
    """
    squares = np.einsum("ij,ij->i", matrix, matrix)
    # What rounding leaves of a customer's distance to itself.
    negligible = 1e-12 * float(squares.max())
    n_trials = 2 + int(np.log(n_clusters))

    def squared_distances(rows: Labels) -> Matrix:
        distances: Matrix = squares[rows, None] + squares - 2.0 * (matrix[rows] @ matrix.T)
        distances[distances <= negligible] = 0.0
        return distances

    draws = []
    for start in range(N_STARTS):
        rng = np.random.default_rng([seed, start])
        chosen = [int(rng.integers(len(matrix)))]
        nearest = squared_distances(np.array(chosen))[0]
        while len(chosen) < n_clusters and nearest.any():
            cumulated = np.cumsum(nearest)
            trials = np.searchsorted(cumulated, rng.random(n_trials) * cumulated[-1], side="right")
            trials = trials.clip(max=len(matrix) - 1)
            after = np.minimum(nearest, squared_distances(trials))
            best = int(after.sum(axis=1).argmin())
            chosen.append(int(trials[best]))
            nearest = after[best]
        draws.append(matrix[chosen])
    return draws


@dataclass(frozen=True, slots=True, eq=False)
class _Fit:
    """Centroids, the labels that they are the means of, and the inertia up to a constant."""

    centroids: Matrix
    labels: Labels
    inertia: float


def _lloyd(matrix: Matrix, starts: Sequence[Matrix], iterations: int) -> list[_Fit]:
    """Lloyd's algorithm from each start, all of them in step."""
    n_customers = len(matrix)
    everyone = np.arange(n_customers)
    columns = np.ascontiguousarray(matrix.T)
    tolerance = TOLERANCE * float(matrix.var(axis=0).mean())
    fits = [_Fit(start, everyone, np.inf) for start in starts]
    active = list(range(len(starts)))
    for _ in range(iterations):
        stacked = np.vstack([fits[i].centroids for i in active])
        bounds = np.cumsum([0] + [len(fits[i].centroids) for i in active])
        # |x - c|^2 without |x|^2, which is the same for every centroid.
        distances = (-2.0 * stacked) @ columns
        distances += np.einsum("ij,ij->i", stacked, stacked)[:, None]
        nearest = np.empty((len(active), n_customers), dtype=np.intp)
        for labels, (low, high) in zip(nearest, pairwise(bounds), strict=True):
            distances[low:high].argmin(axis=0, out=labels)
        rows = nearest + bounds[:-1, None]
        sizes = np.bincount(rows.ravel(), minlength=len(stacked)).astype(np.float64)[:, None]
        # In the room of the distances, which are no longer needed.
        member = distances
        member.fill(0.0)
        member.ravel()[(rows * n_customers + everyone).ravel()] = 1.0
        means = np.where(sizes > 0.0, member @ matrix / np.maximum(sizes, 1.0), stacked)
        # |x - mean|^2, again without |x|^2.
        inertias = np.add.reduceat(-(sizes * means * means).sum(axis=1), bounds[:-1])
        shifts = np.add.reduceat(((means - stacked) ** 2).sum(axis=1), bounds[:-1])
        for i, (low, high) in enumerate(pairwise(bounds)):
            fits[active[i]] = _Fit(means[low:high], nearest[i], float(inertias[i]))
        active = [i for i, shift in zip(active, shifts, strict=True) if shift > tolerance]
        if not active:
            break
    return fits
