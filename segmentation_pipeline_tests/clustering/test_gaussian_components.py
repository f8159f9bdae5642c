import numpy as np
import pytest
from scipy.stats import multivariate_normal

from segmentation_pipeline.clustering import gaussian_components as components_module
from segmentation_pipeline.clustering.gaussian_components import (
    GaussianComponents,
    sample,
)
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError


def mixture(rng, k=4, features=3, spread=3.0):
    """Arrays of a random mixture, and its covariances."""
    roots = rng.normal(size=(k, features, features)) + np.eye(features)
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(features)
    # U U' is the precision where U is the transposed inverse of the lower Cholesky factor.
    factors = np.linalg.inv(np.linalg.cholesky(covariances)).transpose(0, 2, 1)
    arrays = {
        "weights": rng.dirichlet(np.full(k, 5.0)),
        "means": spread * rng.normal(size=(k, features)),
        "precisions_cholesky": np.triu(factors),
    }
    return arrays, covariances


def values_of(found):
    return [found.own, found.runner_up, found.distance, found.margin, found.probability]


def test_two_unit_gaussians_by_hand():
    arrays = {
        "weights": np.array([0.5, 0.5]),
        "means": np.array([[0.0], [4.0]]),
        "precisions_cholesky": np.ones((2, 1, 1)),
    }
    found = GaussianComponents(arrays).query([np.array([0.0, 2.0, 3.0])])
    # Half way, both are as probable, and the lowest label counts.
    assert found.own.tolist() == [0, 0, 1]
    assert found.runner_up.tolist() == [1, 1, 0]
    assert found.distance.tolist() == [0, 2, 1]
    odds = np.exp([8.0, 0.0, 4.0])
    np.testing.assert_allclose(found.probability, odds / (1 + odds), rtol=1e-14)
    np.testing.assert_allclose(found.margin, (odds - 1) / (1 + odds), rtol=1e-14)
    labels = np.array([1, 1, 0], dtype=np.int32)
    columns = [np.array([0.0, 2.0, 3.0], dtype=np.float32)]
    assert GaussianComponents(arrays).distances(columns, labels).tolist() == [4, 2, 3]


def test_densities_are_scipy_s():
    rng = np.random.default_rng(0)
    arrays, covariances = mixture(rng)
    rows = 4 * rng.normal(size=(500, 3))
    densities = np.array(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(rows)
            for weight, mean, covariance in zip(
                arrays["weights"], arrays["means"], covariances, strict=True
            )
        ]
    )
    total = np.logaddexp.reduce(densities, axis=0)
    posteriors = np.sort(np.exp(densities - total), axis=0)[::-1]
    assigner = GaussianComponents(arrays)
    found = assigner.query(list(rows.T))
    order = np.argsort(-densities, axis=0)
    np.testing.assert_array_equal(found.own, order[0])
    np.testing.assert_array_equal(found.runner_up, order[1])
    np.testing.assert_allclose(found.probability, posteriors[0], atol=1e-12)
    np.testing.assert_allclose(found.margin, posteriors[0] - posteriors[1], atol=1e-12)
    deviations = rows - arrays["means"][found.own]
    squared = np.einsum(
        "ni,nij,nj->n", deviations, np.linalg.inv(covariances)[found.own], deviations
    )
    np.testing.assert_allclose(found.distance, np.sqrt(squared), rtol=1e-9)
    np.testing.assert_array_equal(assigner.distances(list(rows.T), found.own), found.distance)
    np.testing.assert_allclose(assigner.log_likelihoods(list(rows.T)), total, rtol=1e-12)
    for one, other in zip(values_of(found), values_of(assigner.nearest(list(rows.T))), strict=True):
        np.testing.assert_array_equal(one, other)


def test_far_away_the_logarithms_hold():
    arrays, _ = mixture(np.random.default_rng(1))
    far = [np.array([1e5, -1e5]), np.zeros(2), np.zeros(2)]
    found = GaussianComponents(arrays).query(far)
    assert np.isfinite(found.distance).all()
    np.testing.assert_allclose(found.probability, 1)
    assert (GaussianComponents(arrays).log_likelihoods(far) < -1e6).all()


@pytest.mark.parametrize("features", [1, 5, 12])
def test_order_batches_and_threads_change_no_bit(features, monkeypatch):
    rng = np.random.default_rng(2)
    arrays, _ = mixture(rng, k=5, features=features, spread=1.0)
    assigner = GaussianComponents(arrays)
    rows = (2 * rng.normal(size=(3000, features))).astype(np.float32)
    whole = values_of(assigner.query(list(rows.T)))
    order = rng.permutation(len(rows))
    for one, other in zip(whole, values_of(assigner.query(list(rows[order].T))), strict=True):
        np.testing.assert_array_equal(one[order], other)
    monkeypatch.setattr(components_module, "_FEWEST_BLOCK_ROWS", 130)
    monkeypatch.setattr(components_module, "_BLOCK_VALUES", 130)
    for batch, threads in ((1, 1), (7, 2), (1000, 1), (1000, 2)):
        parts = Workers(threads).map(
            lambda start, batch=batch: values_of(
                assigner.query(list(rows[start : start + batch].T))
            ),
            range(0, 200 if batch == 1 else len(rows), batch),
        )
        for one, pieces in zip(whole, zip(*parts, strict=True), strict=True):
            together = np.concatenate(pieces)
            np.testing.assert_array_equal(one[: len(together)], together)


def test_one_component_has_no_runner_up():
    arrays, _ = mixture(np.random.default_rng(3), k=1)
    found = GaussianComponents(arrays).query(list(np.zeros((3, 2))))
    assert (found.own.tolist(), found.runner_up.tolist()) == ([0, 0], [-1, -1])
    assert found.probability.tolist() == [1, 1]
    assert np.isnan(found.margin).all()


def test_rows_that_are_not_finite_have_no_distance():
    arrays, _ = mixture(np.random.default_rng(4))
    columns = [np.array([np.nan, np.inf, 1e200, 0.0]), np.zeros(4), np.zeros(4)]
    found = GaussianComponents(arrays).query(columns)
    assert np.isfinite(found.distance).tolist() == [False, False, False, True]
    assert set(found.own.tolist()) <= {0, 1, 2, 3}


def test_no_rows_give_no_labels():
    arrays, _ = mixture(np.random.default_rng(5))
    found = GaussianComponents(arrays).query([np.empty(0, np.float32)] * 3)
    assert [len(values) for values in values_of(found)] == [0] * 5


def test_new_points_have_the_mixture_s_moments():
    rng = np.random.default_rng(6)
    arrays, covariances = mixture(rng)
    points, labels = sample(arrays, 40_000, seed=1)
    assert points.shape == (40_000, 3)
    for component in range(4):
        drawn = points[labels == component]
        assert len(drawn) / 40_000 == pytest.approx(arrays["weights"][component], abs=0.01)
        scale = np.sqrt(np.diag(covariances[component]))
        np.testing.assert_allclose(
            (drawn.mean(axis=0) - arrays["means"][component]) / scale, 0, atol=0.05
        )
        np.testing.assert_allclose(
            np.cov(drawn.T) / np.outer(scale, scale),
            covariances[component] / np.outer(scale, scale),
            atol=0.06,
        )
    again, same_labels = sample(arrays, 40_000, seed=1)
    np.testing.assert_array_equal(points, again)
    np.testing.assert_array_equal(labels, same_labels)
    assert not np.array_equal(points, sample(arrays, 40_000, seed=2)[0])


def test_a_model_from_disk_assigns_alike(tmp_path):
    rng = np.random.default_rng(7)
    arrays, _ = mixture(rng)
    model = SegmentModel("gaussian_mixture", "euclidean", ("a", "b", "c"), arrays, {"segments": 4})
    read = load_model(tmp_path / "m", save_model(model, tmp_path / "m"))
    columns = list((3 * rng.normal(size=(3, 400))).astype(np.float32))
    for one, other in zip(
        values_of(GaussianComponents(arrays).query(columns)),
        values_of(GaussianComponents(read.arrays).query(columns)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", np.array([0.5, 0.5]), "no mixture"),
        ("means", np.zeros((4, 2)), "no mixture"),
        ("weights", np.array([0.5, 0.5, 0.5, 0.0]), "no densities"),
        ("means", np.full((4, 3), np.nan), "no densities"),
        ("precisions_cholesky", np.zeros((4, 3, 3)), "no densities"),
        ("precisions_cholesky", np.ones((4, 3, 3)), "no densities"),
    ],
)
def test_arrays_without_a_density_are_refused(name, value, message):
    arrays, _ = mixture(np.random.default_rng(8))
    with pytest.raises(ClusteringError, match=message):
        GaussianComponents({**arrays, name: value})
