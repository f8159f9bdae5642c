import numpy as np
import pytest

from segmentation_pipeline.clustering.stability import (
    best_jaccards,
    cluster_stability,
    jaccard_matrix,
)
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.errors import ClusteringError


def test_jaccard_is_overlap_over_union():
    labels, others = np.array([0, 0, 0, 1, -1]), np.array([5, 5, 7, 7, 7])
    found = jaccard_matrix(labels, others, np.array([0, 1]), np.array([5, 7]))
    np.testing.assert_allclose(found, [[2 / 3, 1 / 5], [0, 1 / 3]])


def test_a_segment_is_matched_with_its_likeness_and_an_empty_one_with_nothing():
    labels, others = np.array([0, 0, 0, 2]), np.array([5, 5, 7, 7])
    np.testing.assert_allclose(
        best_jaccards(labels, others, np.array([0, 1, 2])), [2 / 3, np.nan, 1 / 2]
    )
    assert best_jaccards(labels, np.full(4, -1), np.array([0, 2])).tolist() == [0.0, 0.0]


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    return np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])[np.arange(150) % 3] + rng.normal(
        size=(150, 2)
    )


def test_separated_segments_reappear_exactly(blobs):
    labels = kmeans_labels(blobs, 0, 3)
    found = cluster_stability(blobs, labels, kmeans_labels, seed=0, n_resamples=20)
    assert found.scheme == "bootstrap"
    assert found.jaccards == (1.0, 1.0, 1.0)
    assert found.stable


def test_a_circle_cut_into_five_does_not(blobs):
    matrix = np.random.default_rng(1).normal(size=(300, 2))
    found = cluster_stability(
        matrix, kmeans_labels(matrix, 0, 5), kmeans_labels, seed=0, n_resamples=20
    )
    assert len(found.jaccards) == 5
    assert found.worst < 0.6
    assert not found.stable


def test_only_the_segment_that_is_cut_anew_loses():
    rng = np.random.default_rng(2)
    crowd, apart = rng.normal(size=(200, 2)) * [1.0, 1.0], rng.normal(size=(60, 2)) + 12.0
    matrix = np.r_[crowd, apart]
    labels = kmeans_labels(matrix, 0, 4)
    found = cluster_stability(matrix, labels, kmeans_labels, seed=0, n_resamples=30)
    assert found.jaccards[labels[-1]] > 0.95
    assert min(found.jaccards) < 0.75


def test_any_family_and_its_noise(blobs):
    def left_half_is_noise(matrix, seed, k):
        return np.where(matrix[:, 0] < 4.5, -1, 0)

    labels = left_half_is_noise(blobs, 0, 1)
    assert cluster_stability(blobs, labels, left_half_is_noise, seed=0).jaccards == (1.0,)
    nobody = np.full(len(blobs), -1)
    assert not cluster_stability(blobs, nobody, left_half_is_noise, seed=0, n_resamples=2).stable


def test_above_fifty_segments_halves_are_compared():
    rng = np.random.default_rng(3)
    truth = np.repeat(np.arange(51), 20)
    matrix = np.column_stack([truth * 10.0, np.zeros(len(truth))]) + rng.uniform(
        size=(len(truth), 2)
    )

    def nearest_ten(rows, seed, k):
        assert 480 < len(rows) < 540
        return np.floor(rows[:, 0] / 10.0).astype(int)

    found = cluster_stability(matrix, truth, nearest_ten, seed=0)
    assert found.scheme == "sample splits"
    assert found.jaccards == (1.0,) * 51


def test_threads_do_not_change_a_figure(blobs):
    labels = kmeans_labels(blobs, 0, 5)
    found = [
        cluster_stability(blobs, labels, kmeans_labels, seed=7, n_resamples=12, workers=workers)
        for workers in (1, 2)
    ]
    assert found[0] == found[1]


def test_labels_must_be_of_the_same_customers(blobs):
    with pytest.raises(ClusteringError, match="150 customers, but 3 labels"):
        cluster_stability(blobs, np.arange(3), kmeans_labels, seed=0)
