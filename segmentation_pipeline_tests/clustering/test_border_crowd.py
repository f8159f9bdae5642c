"""Groups that touch are less crowded where they meet, pieces of a strand are not."""

import numpy as np
import pytest

from segmentation_pipeline.clustering.border_crowd import crowded_border_p
from segmentation_pipeline.clustering.metrics import EUCLIDEAN
from segmentation_pipeline.clustering.structure.border import border_test, dithered_splits
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.validity import neighbourhoods

ROWS = 900


def arc(rng):
    """Two thirds of a circle, evenly filled."""
    angle = rng.uniform(0.0, 4.0 * np.pi / 3.0, ROWS)
    return np.column_stack([np.cos(angle), np.sin(angle)]) + 0.05 * rng.normal(size=(ROWS, 2))


def touching(rng):
    """Three round groups, four standard deviations apart."""
    middles = np.array([[0.0, 0.0], [4.0, 0.0], [2.0, 3.5]])
    return middles[rng.integers(0, 3, ROWS)] + rng.normal(size=(ROWS, 2))


def one_gaussian(rng):
    return rng.normal(size=(ROWS, 2)) * [3.0, 1.0]


def apart(rng):
    return np.where(np.arange(ROWS) % 2, 30.0, 0.0)[:, None] + rng.normal(size=(ROWS, 2))


def p_of(matrix, segments):
    labels = kmeans_labels(matrix, 0, segments)
    return crowded_border_p(matrix, neighbourhoods(matrix, EUCLIDEAN), labels), labels


@pytest.mark.parametrize("seed", range(4))
def test_where_groups_touch_it_is_less_crowded_than_in_their_centres(seed):
    assert p_of(touching(np.random.default_rng(seed)), 3)[0] < 0.001


def test_a_strand_is_as_crowded_where_it_is_cut():
    found = [p_of(arc(np.random.default_rng(seed)), 2)[0] for seed in range(20)]
    # Neighbours share their neighbours, so that p is a little too low: .12 of arcs are below .05.
    assert np.mean(np.array(found) > 0.05) >= 0.75
    assert np.median(found) > 0.5


def test_the_line_between_its_pieces_sees_a_gap_in_a_strand_that_bends():
    matrix = arc(np.random.default_rng(0))
    p, labels = p_of(matrix, 2)
    features = [RawFeature(f"f{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    splits = dithered_splits(
        features, lambda raw: np.column_stack([one.values for one in raw]), seed=0
    )
    line = border_test(matrix, labels, splits, kmeans_labels, seed=0)
    assert line.p < 0.05
    assert line.depth > 0.25
    assert p > 0.5


def test_a_gaussian_is_most_crowded_where_it_is_cut():
    assert p_of(one_gaussian(np.random.default_rng(0)), 2)[0] > 0.99


def test_hardly_anybody_between_is_no_crowd_and_one_segment_has_no_border():
    rng = np.random.default_rng(0)
    matrix = apart(rng)
    assert p_of(matrix, 2)[0] == 0.0
    # Somebody in the middle whose neighbours are near.
    with_few = np.vstack([matrix, 15.0 + 0.01 * rng.normal(size=(12, 2))])
    assert p_of(with_few, 2)[0] == 0.0
    around = neighbourhoods(matrix, EUCLIDEAN)
    assert crowded_border_p(matrix, around, np.zeros(ROWS, np.intp)) == 1.0


def test_a_centre_without_customers_is_no_centre():
    # The first segment lies to both sides of its centroid.
    line = np.concatenate([np.tile([-1.0, 1.0], 100), [2.4, 2.6], np.full(100, 5.0)])
    matrix, labels = line[:, None], np.repeat([0, 1], [201, 101])
    assert crowded_border_p(matrix, neighbourhoods(matrix, EUCLIDEAN), labels) == 1.0
