import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from segmentation_pipeline.clustering import kmeans as kmeans_module
from segmentation_pipeline.clustering.kmeans import fit_partitions, one_segment


def blobs(rng, sizes, features=4, distance=12.0):
    """Well separated round clusters; rows shuffled, as a hash of ids would."""
    centres = distance * np.eye(len(sizes), features)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = centres[labels] + rng.normal(size=(len(labels), features))
    order = rng.permutation(len(labels))
    return rows[order], labels[order]


def test_planted_segments_come_out_in_canonical_order():
    rows, planted = blobs(np.random.default_rng(0), [100, 300, 200])
    (found,) = fit_partitions(rows, [3], seed=1, n_init=10)
    assert found.sizes.tolist() == [300, 200, 100]
    assert adjusted_rand_score(planted, found.labels) == 1
    for label, blob in enumerate([1, 2, 0]):
        mean = rows[planted == blob].mean(axis=0)
        np.testing.assert_allclose(found.centroids[label], mean, rtol=0, atol=1e-12)


def test_segments_of_equal_size_are_ordered_by_coordinates():
    rows = np.array([[5.0, 1.0], [5.0, 0.0], [1.0, 9.0], [1.0, 9.5]])
    (found,) = fit_partitions(rows, [4], seed=1, n_init=10)
    assert found.centroids.tolist() == [[1, 9], [1, 9.5], [5, 0], [5, 1]]


def test_another_order_of_the_customers_gives_the_same_segments():
    rng = np.random.default_rng(2)
    rows, _ = blobs(rng, [150, 150, 100, 50])
    order = rng.permutation(len(rows))
    (one,) = fit_partitions(rows, [4], seed=1, n_init=10)
    (other,) = fit_partitions(rows[order], [4], seed=1, n_init=10)
    np.testing.assert_array_equal(other.labels, one.labels[order])
    np.testing.assert_allclose(other.centroids, one.centroids, atol=1e-12)


def test_workers_and_library_threads_change_no_bit():
    rng = np.random.default_rng(3)
    # One cloud without clusters: many iterations, borders through dense places.
    rows = rng.normal(size=(6000, 8))
    results = []
    for workers, library_threads in ((1, 1), (2, 1), (1, 2), (2, 2)):
        with threadpool_limits(library_threads):
            results.append(fit_partitions(rows, [3, 7], seed=5, n_init=4, workers=workers))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one.centroids, two.centroids)
            np.testing.assert_array_equal(one.labels, two.labels)
            assert one.inertia == two.inertia


def test_it_is_as_good_as_scikit_learn_s(monkeypatch):
    rng = np.random.default_rng(4)
    rows, _ = blobs(rng, [400] * 6, features=6, distance=3.0)
    theirs = KMeans(6, n_init=10, random_state=0).fit(rows).inertia_
    (ours,) = fit_partitions(rows, [6], seed=0, n_init=10)
    assert ours.inertia == pytest.approx(theirs, rel=1e-4)
    # Starts on a third of the rows, the best of them finished on all.
    monkeypatch.setattr(kmeans_module, "_START_ROWS", 800)
    monkeypatch.setattr(kmeans_module, "_START_ROWS_PER_SEGMENT", 10)
    (sampled,) = fit_partitions(rows, [6], seed=0, n_init=10)
    assert sampled.inertia == pytest.approx(theirs, rel=1e-3)
    assert sampled.labels.shape == (2400,)


def test_starts_see_the_few_who_differ(monkeypatch):
    monkeypatch.setattr(kmeans_module, "_START_ROWS", 50)
    monkeypatch.setattr(kmeans_module, "_START_ROWS_PER_SEGMENT", 1)
    rows = np.zeros((5000, 2))
    rows[[70, 4000]] = [3.0, 0.0]
    rows[[900, 901, 902]] = [0.0, 5.0]
    (found,) = fit_partitions(rows, [3], seed=1, n_init=10)
    assert found.sizes.tolist() == [4995, 3, 2]
    assert found.inertia == pytest.approx(0, abs=1e-20)


def test_every_fit_is_told():
    told = []
    rows = np.random.default_rng(0).normal(size=(40, 2))
    fit_partitions(rows, [2, 3], seed=0, n_init=2, on_done=told.append)
    assert told == [
        "k = 2: start 1 of 2",
        "k = 2: start 2 of 2",
        "k = 3: start 1 of 2",
        "k = 3: start 2 of 2",
        "k = 2: best start on all rows",
        "k = 3: best start on all rows",
    ]


def test_one_segment_of_identical_customers_has_no_spread():
    found = one_segment(np.full((20, 2), 0.1))
    assert found.centroids.tolist() == [[0.1, 0.1]]
    assert found.labels.tolist() == [0] * 20
    assert found.inertia == 0
