import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.assignment import query_slices
from segmentation_pipeline.clustering.autoencoder import AutoencoderFamily
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.kmeans import fit_partitions
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.workers import Workers


def strands(n, seed, noise=0.3):
    """Two strands of one curved manifold (benchmarks/curved_manifold.py says what they mean)."""
    rng = np.random.default_rng(seed)
    truth = (rng.uniform(size=n) > 0.6).astype(int)
    place = rng.uniform(-1, 1, n)
    taste = 2.0 * truth - 1 + 0.15 * rng.standard_normal(n)
    shift = np.where(np.arange(24) * 4 // 24 % 2 == 0, 0.4, -0.4)
    rows = np.tanh(4 * (place[:, None] - np.linspace(-1, 1, 24) - shift * taste[:, None]))
    rows += noise * rng.standard_normal(rows.shape)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0), truth


@pytest.fixture(scope="module")
def fitted():
    rows, truth = strands(1500, 0)
    family = AutoencoderFamily([2, 3], starts=3)
    return rows, truth, family, family.fit(rows, seed=0)


def labels_of(family, fit, rows):
    return family.assigner(fit.arrays, fit.parameters).query(list(rows.T)).own


def test_strands_of_a_manifold_are_found_and_k_means_cuts_them(fitted):
    rows, truth, family, (two, three) = fitted
    labels = labels_of(family, two, rows)
    assert adjusted_rand_score(truth, labels) > 0.95
    others, other_truth = strands(1500, 1)
    assert adjusted_rand_score(other_truth, labels_of(family, two, others)) > 0.9
    plain = KMeansFamily([2], starts=3)
    (cut,) = plain.fit(rows, seed=0)
    assert abs(adjusted_rand_score(truth, labels_of(plain, cut, rows))) < 0.05
    assert np.bincount(labels).argmax() == 0
    assert (two.segments, three.segments) == (2, 3)
    assert two.parameters == {"segments": 2, "latent": 2, "hidden": 32}
    assert (two.algorithm, two.metric) == ("autoencoder", "euclidean")


def test_segments_are_those_of_k_means_on_latent_vectors(fitted):
    rows, _, family, fits = fitted
    assigner = family.assigner(fits[0].arrays, fits[0].parameters)
    latent = assigner.latent_vectors(list(rows.T))
    assert latent.shape == (1500, 2)
    # Whitened on the 1,200 rows that it was trained on.
    np.testing.assert_allclose(latent[:1200].mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.cov(latent[:1200].T, bias=True), np.eye(2), atol=1e-9)
    partitions = fit_partitions(np.ascontiguousarray(latent), [2, 3], seed=0, n_init=3)
    for fit, partition in zip(fits, partitions, strict=True):
        np.testing.assert_array_equal(fit.arrays["prototypes"], partition.centroids)
        np.testing.assert_array_equal(labels_of(family, fit, rows), partition.labels)
        assert fit.figures["inertia"] == partition.inertia
        # One network for every number of segments.
        np.testing.assert_array_equal(
            fit.arrays["encoder_0_weights"], fits[0].arrays["encoder_0_weights"]
        )
    found = assigner.query(list(rows.T))
    between = np.diff(fits[0].arrays["prototypes"], axis=0)
    own, second = (
        np.linalg.norm(latent - fits[0].arrays["prototypes"][labels], axis=1)
        for labels in (found.own, found.runner_up)
    )
    np.testing.assert_allclose(found.distance, own, atol=1e-12)
    np.testing.assert_allclose(found.margin, (second**2 - own**2) / (between**2).sum(), atol=1e-9)
    np.testing.assert_array_equal(assigner.distances(list(rows.T), found.own), found.distance)
    assert assigner.segments == 2
    assert assigner.nearest(list(rows.T)).own.tolist() == found.own.tolist()


def test_the_reconstruction_error_is_the_share_of_held_out_variance_that_is_lost(fitted):
    rows, _, family, fits = fitted
    assigner = family.assigner(fits[0].arrays, fits[0].parameters)
    held_out = list(rows[1200:].T)
    lost = ((rows[1200:] - assigner.reconstruct(held_out)) ** 2).sum(axis=1)
    np.testing.assert_allclose(assigner.reconstruction_errors(held_out), np.sqrt(lost), rtol=1e-12)
    variance = ((rows[1200:] - rows[:1200].mean(axis=0)) ** 2).sum()
    error = fits[0].figures["reconstruction_error"]
    assert error == pytest.approx(lost.sum() / variance, rel=1e-12)
    # The noise is about .18 of the variance, and what two numbers can't tell.
    assert 0.13 < error < 0.25
    odd = np.full((1, 24), 3.0) * np.where(np.arange(24) % 2, 1, -1)
    assert assigner.reconstruction_errors(list(odd.T))[0] > 3 * np.sqrt(np.median(lost))


def test_workers_and_memory_layout_change_no_bit(fitted):
    rows, _, family, fits = fitted
    again = AutoencoderFamily([2, 3], starts=3).fit(np.asfortranarray(rows), seed=0, workers=2)
    for one, other in zip(fits, again, strict=True):
        assert one.figures == other.figures
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name])
    (other_seed, _) = family.fit(rows, seed=1)
    assert other_seed.figures != fits[0].figures


def test_assignment_depends_on_the_row_alone(fitted):
    rows, _, family, fits = fitted
    assigner = family.assigner(fits[1].arrays, fits[1].parameters)
    many = np.tile(rows, (30, 1)).astype(np.float32)
    whole = assigner.query(list(many.T))
    sliced = [query_slices(assigner.query, list(many.T), Workers(n)) for n in (1, 2)]
    order = np.random.default_rng(0).permutation(len(rows))
    shuffled = assigner.query(list(many[order].T))
    for name in ("own", "runner_up", "distance", "margin"):
        for part in sliced:
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(whole, name)[order])
    for size in (1, 7, 1000):
        for start in range(0, min(1500, 200 * size), size):
            part = assigner.query(list(many[start : start + size].T))
            np.testing.assert_array_equal(part.distance, whole.distance[start : start + size])


def test_it_survives_the_folder(fitted, tmp_path):
    rows, _, family, fits = fitted
    names = tuple(f"f{i}" for i in range(24))
    model = SegmentModel("autoencoder", "euclidean", names, fits[1].arrays, fits[1].parameters)
    digest = save_model(model, tmp_path / "model")
    read = load_model(tmp_path / "model", digest)
    np.testing.assert_array_equal(
        family.assigner(read.arrays, read.parameters).query(list(rows.T)).distance,
        family.assigner(fits[1].arrays, fits[1].parameters).query(list(rows.T)).distance,
    )


def test_refits_train_anew_and_are_remembered(fitted):
    rows, truth, _, fits = fitted
    family = AutoencoderFamily([2, 3], starts=3)
    fit_predict = family.refits(fits[0])
    part = rows[::2]
    (labels,) = Workers(1).map(lambda k: fit_predict(part, 5, k), [2])
    assert adjusted_rand_score(truth[::2], labels) > 0.9
    assert len(family._remembered) == 1
    (again,) = Workers(2).map(lambda k: fit_predict(part.copy(), 5, k), [3])
    assert len(family._remembered) == 1
    assert len(np.unique(again)) == 3
    fresh = AutoencoderFamily([2]).refits(fits[0])
    (same,) = Workers(2).map(lambda k: fresh(part, 5, k), [2])
    np.testing.assert_array_equal(same, labels)


def test_what_cannot_be_fitted_is_left_out():
    rows = np.random.default_rng(0).normal(size=(40, 2))
    assert AutoencoderFamily([2]).fit(rows[:19], seed=0) == []
    few = np.repeat([[0.0, 1.0], [1.0, 0.0], [5.0, 5.0]], 10, axis=0)
    fits = AutoencoderFamily([2, 3, 4], starts=2).fit(few, seed=0)
    assert [fit.segments for fit in fits] == [2, 3]
    assert fits[1].figures["inertia"] == pytest.approx(0, abs=1e-12)
    same = np.full((30, 2), 0.1)
    (one,) = AutoencoderFamily([1, 2]).fit(same, seed=0)
    assert one.segments == 1
    assert one.figures["inertia"] == pytest.approx(0, abs=1e-20)


def test_one_feature_and_large_numbers_are_no_obstacle():
    rng = np.random.default_rng(1)
    truth = np.arange(200) % 2
    column = 1e6 + 1e4 * truth + rng.normal(size=200) * 500
    family = AutoencoderFamily([2], latent=1, starts=2)
    (fit,) = family.fit(column[:, np.newaxis], seed=0)
    assert adjusted_rand_score(truth, labels_of(family, fit, column[:, np.newaxis])) == 1
    assert fit.figures["reconstruction_error"] < 0.05
