"""The choice itself: one planted shape for each family, which wins it with default settings.

The benchmark `planted_shapes` has twenty seeds of each at three levels of noise.
"""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.autoencoder import AutoencoderFamily
from segmentation_pipeline.clustering.choice import choose_among_families
from segmentation_pipeline.clustering.dbscan import DBSCAN
from segmentation_pipeline.clustering.evidence import gather_evidence, share_sample
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.mixture import GaussianMixtures
from segmentation_pipeline.clustering.structure.border import dithered_splits
from segmentation_pipeline.clustering.structure.raw_features import RawFeature

ROWS = 500
KS = range(2, 5)
PRIVACY_FLOOR = 10


def round_clusters(rng):
    truth = rng.integers(0, 3, ROWS)
    return np.array([[0.0, 0.0], [6.0, 0.0], [3.0, 5.0]])[truth] + rng.normal(size=(ROWS, 2)), truth


def moons(rng):
    truth, angle = rng.integers(0, 2, ROWS), rng.uniform(0.0, np.pi, ROWS)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)])
    matrix = np.where(truth[:, None] == 0, upper, lower)
    return matrix + 0.07 * rng.normal(size=(ROWS, 2)), truth


def ellipses(rng):
    truth = rng.integers(0, 3, ROWS)
    lengths = np.array([[5.0, 0.6], [0.6, 5.0], [5.0, 0.6]])
    middles = np.array([[0.0, 0.0], [10.0, 4.0], [0.0, 4.0]])
    return middles[truth] + lengths[truth] * rng.normal(size=(ROWS, 2)), truth


def heavy_tails(rng):
    truth = rng.integers(0, 3, ROWS)
    spread = np.sqrt(rng.chisquare(1.25, (ROWS, 1)) / 1.25)
    middles = np.array([[0.0, 0.0], [24.0, 0.0], [12.0, 21.0]])
    return middles[truth] + rng.normal(size=(ROWS, 2)) / spread, truth


def strands(rng):
    """Two strands of one curved manifold; `benchmarks/curved_manifold.py` says what they mean."""
    truth = (rng.uniform(size=ROWS) > 0.6).astype(int)
    taste = 2.0 * truth - 1.0 + 0.15 * rng.standard_normal(ROWS)
    shift = np.where(np.arange(24) * 4 // 24 % 2 == 0, 0.4, -0.4) * taste[:, None]
    place = rng.uniform(-1.0, 1.0, (ROWS, 1)) - np.linspace(-1.0, 1.0, 24)
    return np.tanh(4.0 * (place - shift)) + 0.3 * rng.standard_normal((ROWS, 24)), truth


def one_gaussian(rng):
    return rng.normal(size=(ROWS, 3)) @ rng.normal(size=(3, 3)), np.zeros(ROWS)


FAMILIES = (KMeansFamily(KS), KMedoids(KS), GaussianMixtures(KS), DBSCAN())


def choice_on(matrix, families=FAMILIES):
    features = [RawFeature(f"f{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    splits = dithered_splits(
        features, lambda found: np.column_stack([one.values for one in found]), seed=0
    )
    sample = share_sample(matrix, Similarity("euclidean"), splits, seed=0)
    found = []
    for family in families:
        for fit in family.fit(matrix, seed=0):
            labels = family.assigner(fit.arrays, fit.parameters).query(list(matrix.T)).own
            smallest = np.bincount(labels[labels >= 0]).min()
            found.append(
                gather_evidence(
                    sample,
                    family.algorithm,
                    fit.parameters,
                    labels,
                    family.refits(fit),
                    reason="inadmissible: too small" if smallest < PRIVACY_FLOOR else "",
                )
            )
    return choose_among_families(found)


@pytest.mark.parametrize(
    ("draw", "right"),
    [
        (round_clusters, "k_means"),
        (moons, "dbscan"),
        (ellipses, "gaussian_mixture"),
        (heavy_tails, "k_medoids"),
        (one_gaussian, "k_means"),
    ],
)
def test_each_shape_is_won_by_its_family(draw, right):
    matrix, truth = draw(np.random.default_rng(0))
    choice = choice_on((matrix - matrix.mean(axis=0)) / matrix.std(axis=0))
    assert choice.chosen.algorithm == right
    assert sum(reason.startswith("chosen") for reason in choice.reasons) == 1
    assert all(choice.reasons)
    if draw is not one_gaussian:
        assert adjusted_rand_score(truth, choice.chosen.labels) >= 0.9


def test_a_curved_manifold_is_won_by_the_autoencoder():
    matrix, truth = strands(np.random.default_rng(0))
    scaled = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    chosen = choice_on(scaled, (KMeansFamily(KS), AutoencoderFamily(KS))).chosen
    assert chosen.algorithm == "autoencoder"
    assert adjusted_rand_score(truth, chosen.labels) >= 0.9
