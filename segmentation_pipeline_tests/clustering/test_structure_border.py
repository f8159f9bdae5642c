import numpy as np
import pytest

from segmentation_pipeline.clustering.structure.border import (
    UNSEPARATED,
    _worst_pair,
    _zone_counts,
    border_test,
    centres_of,
    dithered_splits,
    neighbouring_pairs,
)
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels


def columns(features):
    return np.column_stack([feature.values for feature in features])


def judged(matrix, k, kind="continuous", fit_predict=kmeans_labels, workers=1):
    features = [RawFeature(f"x{i}", column, kind) for i, column in enumerate(matrix.T)]
    splits = dithered_splits(features, columns, seed=0)
    labels = kmeans_labels(matrix, 0, k)
    return border_test(matrix, labels, splits, fit_predict, seed=0, workers=workers)


@pytest.mark.parametrize(
    ("centroids", "pairs"),
    [
        ([[0.0], [1.0], [2.5]], [(0, 1), (1, 2)]),
        ([[0.0, 0.0], [2.0, 0.0], [1.0, 1.1]], [(0, 1), (0, 2), (1, 2)]),
        ([[0.0, 0.0], [2.0, 0.0], [1.0, 0.9]], [(0, 2), (1, 2)]),
        # On a square the other two corners are as near to the middle, not nearer.
        (
            [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
            [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)],
        ),
    ],
)
def test_neighbours_have_no_third_centroid_between_them(centroids, pairs):
    assert [tuple(pair) for pair in neighbouring_pairs(np.array(centroids)).tolist()] == pairs


def test_customers_are_counted_at_the_border_and_at_both_centres():
    centroids = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 40.0]])
    # t = (x - 2) / 2; the last customer belongs to the third segment.
    customers = [
        [0.0, 1.0],
        [0.4, 9.0],
        [0.6, 0.0],
        [1.6, 0.0],
        [2.4, 0.0],
        [3.8, 0.0],
        [2.0, 39.0],
    ]
    counts = _zone_counts(np.array(customers), centroids, np.array([[0, 1]]))
    assert counts.tolist() == [[2, 2, 1]]


def test_p_and_depth_are_those_of_the_worst_pair():
    counts = np.array([[2, 10, 30], [0, 10, 10], [1, 5, 0]])
    everybody = np.array([True, True, False])
    p, depth = _worst_pair(counts[:2], everybody[:2])
    assert p == pytest.approx((1 + 12 + 66) / 2**12)
    assert depth == pytest.approx(0.8)
    # Segments that half the customers don't bring back.
    assert _worst_pair(counts, everybody) == (1.0, 0.0)
    # Nobody at one of the centres: no depth to speak of, and P(X <= 1 | 1 trial) = 1.
    assert _worst_pair(counts[2:], np.array([True])) == (1.0, 0.0)


def test_planted_segments_are_separated():
    rng = np.random.default_rng(0)
    centroids = np.array([[0.0, 0.0, 0.0], [6.0, 0.0, 0.0], [0.0, 6.0, 0.0]])
    matrix = centroids[rng.integers(0, 3, 600)] + rng.normal(size=(600, 3))
    border = judged(matrix, 3)
    assert border.separates(7)
    assert border.depth > 0.8
    # One segment too many cuts a group: no border there.
    assert not judged(matrix, 4).separates(7)


def test_a_gaussian_is_fullest_at_the_border():
    rng = np.random.default_rng(1)
    border = judged(rng.normal(size=(600, 2)) * [4.0, 1.0], 2)
    assert border.p > 0.99
    assert border.depth < -0.3


def test_an_arc_is_not_separated_although_its_middle_looks_emptier():
    rng = np.random.default_rng(6)
    angle = rng.uniform(0.0, 1.35 * np.pi, 2000)
    arc = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.15 * rng.normal(size=(2000, 2))
    border = judged(arc, 2)
    assert border.p < 0.001
    assert 0.2 < border.depth < 0.5
    assert not border.separates(1)


def test_the_empty_space_between_two_counts_is_no_border():
    """All customers have 2 or 3 visits: between the two there is nobody, and nothing to see."""
    visits = np.random.default_rng(2).integers(2, 4, (900, 1)).astype(float)
    assert judged(visits, 2, kind="continuous").separates(7)
    assert not judged(visits, 2, kind="integer").separates(7)
    assert not judged(visits, 2, kind="ordinal").separates(7)


def test_segments_that_a_half_does_not_bring_back_are_not_separated():
    rng = np.random.default_rng(3)
    matrix = np.r_[rng.normal(size=(100, 2)), rng.normal(size=(100, 2)) + 9.0]

    def arbitrary(rows, seed, k):
        return np.random.default_rng(seed).integers(0, k, len(rows))

    assert judged(matrix, 2).p < 1e-6
    assert judged(matrix, 2, fit_predict=arbitrary).p == 1.0


def test_too_few_customers_cannot_be_separated():
    matrix = np.r_[np.zeros((6, 1)), np.ones((100, 1))] + np.arange(106.0)[:, None] / 1e4
    assert judged(matrix, 2) == UNSEPARATED
    assert judged(matrix, 1) == UNSEPARATED


def test_noise_places_no_centroid():
    rng = np.random.default_rng(4)
    matrix = np.r_[rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 8.0, [[400.0, 400.0]]]

    def with_noise(rows, seed, k):
        far = rows[:, 0] > 100.0
        labels = np.full(len(rows), -1)
        labels[~far] = kmeans_labels(rows[~far], seed, k)
        return labels

    features = [RawFeature(f"x{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    splits = dithered_splits(features, columns, seed=0)
    assert border_test(matrix, with_noise(matrix, 0, 2), splits, with_noise, seed=0).separates(7)


def test_outliers_pull_means_and_not_medians():
    """Two groups, each with a twentieth of its customers very far out, on either side."""
    rng = np.random.default_rng(7)
    matrix = np.r_[rng.normal(size=(300, 2)), rng.normal([12.0, 0.0], size=(300, 2))]
    matrix[:15, 1] += 2_000.0
    matrix[300:315, 1] -= 2_000.0
    truth = np.repeat([0, 1], 300)
    medians = centres_of(matrix, truth, np.arange(2), "median")
    assert np.abs(medians - [[0.0, 0.0], [12.0, 0.0]]).max() < 0.3
    assert centres_of(matrix, truth, np.arange(2), "mean")[0, 1] > 90.0

    def nearest(rows, seed, k):
        return (rows[:, 0] > 6.0).astype(np.intp)

    features = [RawFeature(f"x{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    splits = dithered_splits(features, columns, seed=0)
    by_mean, by_median = (
        border_test(matrix, truth, splits, nearest, seed=0, centre=centre)
        for centre in ("mean", "median")
    )
    assert not by_mean.separates(7)
    assert by_median.separates(7)
    assert by_median.depth > 0.9


def test_between_centres_at_the_same_place_everybody_is_at_the_border():
    matrix = np.zeros((9, 2))
    assert _zone_counts(matrix, np.zeros((2, 2)), np.array([[0, 1]])).tolist() == [[9, 0, 0]]


def test_threads_do_not_change_a_figure():
    matrix = np.random.default_rng(5).normal(size=(200, 3))
    assert judged(matrix, 3) == judged(matrix, 3, workers=2)
