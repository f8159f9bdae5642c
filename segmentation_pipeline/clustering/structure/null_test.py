"""Whether features combine beyond what their correlations explain.

In the spirit of Senbabaoglu, Michailidis & Li 2014 (doi 10.1038/srep06207): compare with data
that keep everything but the groups. A small p is never enough alone. Heavy tails and curved
continua are no Gaussian either and are rejected too, and z grows with the number of customers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.clustering.structure.kmeans import kmeans_partitions
from segmentation_pipeline.clustering.structure.null_model import fit_null
from segmentation_pipeline.clustering.structure.raw_features import Matrix, Prepare, RawFeature
from segmentation_pipeline.clustering.structure.silhouette import (
    euclidean_distances,
    mean_silhouettes,
)
from segmentation_pipeline.clustering.structure.threads import map_in_threads

N_DRAWS = 199
RESOLUTION = 1e-5
"""Silhouettes that differ by less are equal: the null of a single feature is that feature in
another order, where only rounding differs."""


@dataclass(frozen=True, slots=True)
class NullComparison:
    """The silhouette of k segments against the null: z and p are of K-Means at that k."""

    silhouette: float
    z: float
    p: float


@dataclass(frozen=True, slots=True)
class NullTest:
    """Comparisons by number of segments, from `n_draws` draws of the null on `n_customers`."""

    by_n_segments: dict[int, NullComparison]
    n_draws: int
    n_customers: int
    spearman_gap: float


def null_test(
    features: Sequence[RawFeature],
    prepare: Prepare,
    *,
    seed: int,
    ks: Sequence[int] = range(2, 9),
    n_draws: int = N_DRAWS,
    n_jobs: int = 1,
) -> NullTest:
    """Compare K-Means silhouettes with those of data without segments.

    z_k = (S_k - mean) / sd over the draws; p_k = (1 + #{draws whose largest z over all k is at
    least z_k}) / (draws + 1), so that trying several k costs nothing. Data and null have the same
    starts of K-Means. Time and memory grow with the square of the customers: pass at most 1,000.
    """
    n_customers = len(features[0].values)
    if not ks:
        return NullTest({}, n_draws=0, n_customers=n_customers, spearman_gap=0.0)
    null = fit_null(features, seed=seed)

    def silhouettes(draw: int) -> Matrix:
        sample = features if draw == 0 else null.draw(np.random.default_rng([seed, draw]))
        matrix = prepare(sample)
        partitions = kmeans_partitions(matrix, seed, ks)
        return mean_silhouettes(euclidean_distances(matrix), partitions)

    scores = np.array(map_in_threads(silhouettes, range(n_draws + 1), n_jobs=n_jobs))
    observed, drawn = scores[0], scores[1:]
    mean, spread = drawn.mean(axis=0), np.maximum(drawn.std(axis=0, ddof=1), RESOLUTION)
    z = (observed - mean) / spread
    largest = ((drawn - mean) / spread).max(axis=1)
    exceeding = (largest[:, None] >= z - RESOLUTION / spread).sum(axis=0)
    p = (1 + exceeding) / (n_draws + 1)
    return NullTest(
        by_n_segments={
            k: NullComparison(float(observed[i]), float(z[i]), float(p[i]))
            for i, k in enumerate(ks)
        },
        n_draws=n_draws,
        n_customers=n_customers,
        spearman_gap=null.spearman_gap,
    )
