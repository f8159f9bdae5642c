"""K-Means as the statistics use it: many small fits, equal starts, no thread of its own."""

import numpy as np

from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix

N_STARTS = 3


def nested_starts(matrix: Matrix, seed: int, n_clusters: int) -> list[Matrix]:
    """Three greedy k-means++ draws of centroids, each shape (<= n_clusters, d).

    The first k rows of a draw are themselves a draw for k clusters, so that one serves every k.
    A draw ends early where no customer differs from all of its rows: there are no more distinct
    customers than that. Greedy k-means++ as in scikit-learn: Arthur & Vassilvitskii 2007.
    """
    squares = np.einsum("ij,ij->i", matrix, matrix)
    # Rounding leaves a customer's distance to itself at about this much.
    negligible = 1e-12 * max(float(squares.max(initial=0.0)), np.finfo(np.float64).tiny)
    n_trials = 2 + int(np.log(max(n_clusters, 1)))

    def squared_distances(rows: Labels) -> Matrix:
        d2 = squares[rows, None] + squares - 2.0 * (matrix[rows] @ matrix.T)
        d2[d2 < negligible] = 0.0
        return d2

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


def lloyd(matrix: Matrix, starts: list[Matrix]) -> Labels:
    """Labels of the start that ends with the smallest inertia, shape (n,)."""
    from sklearn.cluster import KMeans

    models = [KMeans(len(start), init=start, n_init=1).fit(matrix) for start in starts]
    best = min(models, key=lambda model: float(model.inertia_))
    labels: Labels = best.labels_.astype(np.intp)
    return labels


def kmeans_labels(matrix: Matrix, seed: int, n_clusters: int) -> Labels:
    """K-Means labels 0..k-1, shape (n,), for k = n_clusters, or fewer distinct customers."""
    return lloyd(matrix, nested_starts(matrix, seed, n_clusters))
