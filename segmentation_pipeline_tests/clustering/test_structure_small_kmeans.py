import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.structure.small_kmeans import (
    kmeans_labels,
    kmeans_partitions,
    nested_starts,
)


def inertia(matrix, labels):
    return sum(
        ((matrix[labels == k] - matrix[labels == k].mean(axis=0)) ** 2).sum() for k in set(labels)
    )


@pytest.fixture
def blobs():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 5, 400)
    return rng.normal(size=(5, 4))[truth] * 8.0 + rng.normal(size=(400, 4)) * 0.5, truth


def test_planted_segments_are_found(blobs):
    matrix, truth = blobs
    assert adjusted_rand_score(truth, kmeans_labels(matrix, 0, 5)) == 1.0


@pytest.mark.parametrize("k", [2, 5, 8])
def test_inertia_is_that_of_scikit_learn_where_there_is_no_structure(k):
    matrix = np.random.default_rng(2).normal(size=(500, 6))
    expected = KMeans(k, n_init=10, random_state=0).fit(matrix).inertia_
    assert inertia(matrix, kmeans_labels(matrix, 0, k)) < 1.02 * expected


def test_a_shifted_matrix_gives_the_same_labels(blobs):
    matrix, _ = blobs
    moved = kmeans_labels(matrix + 1000.0, 0, 5)
    assert adjusted_rand_score(moved, kmeans_labels(matrix, 0, 5)) == 1.0


def test_several_k_share_their_starts(blobs):
    matrix, _ = blobs
    together = kmeans_partitions(matrix, 3, [2, 5])
    starts = nested_starts(matrix, 3, 5)
    assert [len(np.unique(labels)) for labels in together] == [2, 5]
    for start, shorter in zip(starts, nested_starts(matrix, 3, 4), strict=True):
        assert start.shape == (5, 4)
        assert shorter.shape == (4, 4)


def test_there_are_no_more_segments_than_distinct_customers():
    matrix = np.repeat([[0.0, 0.0], [1.0, 0.0], [0.1, 0.7]], 7, axis=0)
    labels = kmeans_labels(matrix, 0, 8)
    assert labels.max() == 2
    assert adjusted_rand_score(labels, np.repeat([0, 1, 2], 7)) == 1.0
    assert kmeans_labels(np.full((6, 3), 0.1), 0, 4).tolist() == [0] * 6
    assert kmeans_labels(np.ones((1, 2)), 0, 3).tolist() == [0]
