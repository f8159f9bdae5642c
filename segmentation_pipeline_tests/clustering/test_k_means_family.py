import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.kmeans import fit_partitions, one_segment
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.stability import cluster_stability
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels


def rays(rng, sizes, spread=0.15, features=3):
    """Customers along a few directions, at any distance from the origin."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.eye(len(sizes), features)[labels] + spread * rng.normal(size=(len(labels), features))
    rows *= rng.lognormal(0, 1.5, size=(len(labels), 1))
    order = rng.permutation(len(labels))
    return rows[order], labels[order]


def labels_of(family, fit, rows):
    return family.assigner(fit.arrays, fit.parameters).query(list(rows.T)).own


def test_euclidean_fits_are_those_of_fit_partitions():
    rows = np.random.default_rng(0).normal(size=(400, 3))
    family = KMeansFamily([2, 4], starts=3)
    for fit, partition in zip(
        family.fit(rows, seed=1), fit_partitions(rows, [2, 4], seed=1, n_init=3), strict=True
    ):
        np.testing.assert_array_equal(fit.arrays["prototypes"], partition.centroids)
        np.testing.assert_array_equal(labels_of(family, fit, rows), partition.labels)
        assert fit.figures == {"inertia": partition.inertia}
        assert fit.parameters == {"segments": fit.segments}
        assert (fit.algorithm, fit.metric) == ("k_means", "euclidean")


def test_directions_are_found_by_cosine_and_not_by_euclid():
    rows, planted = rays(np.random.default_rng(1), [100, 300, 200])
    cosine, euclidean = KMeansFamily([3], metric="cosine"), KMeansFamily([3])
    (fit,) = cosine.fit(rows, seed=0)
    assert adjusted_rand_score(planted, labels_of(cosine, fit, rows)) > 0.97
    (other,) = euclidean.fit(rows, seed=0)
    assert adjusted_rand_score(planted, labels_of(euclidean, other, rows)) < 0.5
    prototypes = fit.arrays["prototypes"]
    np.testing.assert_allclose(np.linalg.norm(prototypes, axis=1), 1, atol=1e-15)
    assert prototypes.argmax(axis=1).tolist() == [1, 2, 0]
    distances = Similarity("cosine").pairwise(rows, prototypes).min(axis=1)
    assert fit.figures["inertia"] == pytest.approx(distances.sum(), rel=1e-12)


def test_each_prototype_by_cosine_is_the_mean_direction_of_its_own_customers():
    # No clusters: segments are unequally wide, where means of different lengths matter most.
    rng = np.random.default_rng(2)
    rows = np.array([1.0, 0.5, 0.0, 0.0]) + rng.normal(size=(800, 4))
    family = KMeansFamily([5], metric="cosine")
    (fit,) = family.fit(rows, seed=0)
    labels = labels_of(family, fit, rows)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for label, prototype in enumerate(fit.arrays["prototypes"]):
        mean = units[labels == label].mean(axis=0)
        np.testing.assert_allclose(mean / np.linalg.norm(mean), prototype, atol=1e-12)


def test_customers_without_a_direction_get_a_segment_if_they_are_many():
    rng = np.random.default_rng(3)
    rows, _ = rays(rng, [150, 100], spread=0.05)
    rows = np.concatenate([rows, np.zeros((80, 3))])[rng.permutation(330)]
    family = KMeansFamily([2, 3], metric="cosine")
    two, three = family.fit(rows, seed=0)
    labels = labels_of(family, three, rows)
    assert three.arrays["prototypes"][2].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(labels == 2, (rows == 0).all(axis=1))
    assert two.segments == 2


def test_one_segment_is_a_fit_too():
    rows = np.random.default_rng(4).normal(size=(50, 3)) + 2
    (fit,) = KMeansFamily([1]).fit(rows, seed=0)
    np.testing.assert_array_equal(fit.arrays["prototypes"], one_segment(rows).centroids)
    one, two = KMeansFamily([1, 2], metric="cosine").fit(rows, seed=0)
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(one.arrays["prototypes"][0], mean / np.linalg.norm(mean))
    assert two.segments == 2
    (same,) = KMeansFamily([1]).fit(np.full((20, 2), 0.1), seed=0)
    assert same.arrays["prototypes"].tolist() == [[0.1, 0.1]]
    assert same.figures == {"inertia": 0}


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_too_few_distinct_rows_leave_a_candidate_out(metric):
    rows = np.repeat([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [20, 10, 5], axis=0)
    rows *= np.where(metric == "cosine", np.arange(1.0, 36.0), 1.0)[..., np.newaxis]
    fits = KMeansFamily([2, 3, 4], metric=metric).fit(rows, seed=0)
    assert [fit.segments for fit in fits] == [2, 3]
    assert fits[1].figures["inertia"] == pytest.approx(0, abs=1e-12)
    assert KMeansFamily([4], metric=metric).fit(rows, seed=0) == []


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_workers_change_no_bit_and_the_order_of_customers_no_label(metric):
    rng = np.random.default_rng(5)
    rows, _ = rays(rng, [150, 100, 50])
    family = KMeansFamily([2, 3], metric=metric)
    fits = family.fit(rows, seed=1)
    for one, two in zip(fits, family.fit(rows, seed=1, workers=2), strict=True):
        np.testing.assert_array_equal(one.arrays["prototypes"], two.arrays["prototypes"])
        assert one.figures == two.figures
    order = rng.permutation(len(rows))
    for one, two in zip(fits, family.fit(rows[order], seed=1), strict=True):
        np.testing.assert_array_equal(
            labels_of(family, one, rows)[order], labels_of(family, two, rows[order])
        )


def test_refits_are_those_of_the_structure_statistics_in_the_metric():
    rows, _ = rays(np.random.default_rng(6), [200, 100])
    family = KMeansFamily([2], metric="cosine")
    (fit,) = family.fit(rows, seed=0)
    labels = labels_of(family, fit, rows).astype(np.intp)
    assert cluster_stability(rows, labels, family.refits(fit), seed=0, n_resamples=20).worst > 0.95
    euclidean = KMeansFamily([2])
    (other,) = euclidean.fit(rows, seed=0)
    np.testing.assert_array_equal(euclidean.refits(other)(rows, 3, 2), kmeans_labels(rows, 3, 2))


def model_of(rows, unclipped=None):
    family = KMeansFamily([2])
    (fit,) = family.fit(rows, seed=0)
    assigner = family.assigner(fit.arrays, fit.parameters)
    return make_model(fit, assigner, rows, ["age"], {"seed": 0}, unclipped=unclipped)


def test_the_model_keeps_what_scoring_needs():
    model = model_of(np.array([[float(i)] for i in range(10)] + [[100.0], [101.0]]))
    assert (model.algorithm, model.metric, model.feature_names) == (
        "k_means",
        "euclidean",
        ("age",),
    )
    assert model.arrays["prototypes"].tolist() == [[4.5], [100.5]]
    # Distances .5 1.5 2.5 3.5 4.5, each twice, and .5 .5: of these 12 the ranks 5.5 and 10.945.
    assert model.arrays["distance_percentiles"].tolist() == [[50, 2.5], [99.5, 4.5]]
    assert dict(model.parameters) == {"seed": 0, "segments": 2}


def test_the_reference_distance_is_unclipped_where_the_flag_is():
    clipped = np.array([[0.0], [1.0], [9.0], [10.0]])
    unclipped = np.array([[-20.0], [1.0], [9.0], [10.0]])
    model = model_of(clipped, unclipped)
    assert model.arrays["prototypes"].tolist() == [[0.5], [9.5]]
    assert model.arrays["distance_percentiles"].tolist() == [[50, 0.5], [99.5, 20.5]]
