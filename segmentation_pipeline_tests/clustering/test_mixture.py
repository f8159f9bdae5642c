import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from segmentation_pipeline.clustering.gaussian_components import (
    GaussianComponents,
)
from segmentation_pipeline.clustering.kmeans import fit_partitions
from segmentation_pipeline.clustering.mixture import (
    GaussianMixtures,
    are_independent,
    bic,
    comparable_covariances,
    full_factors,
    in_order_of_size,
)
from segmentation_pipeline.clustering.stability import cluster_stability


def crossed(rng, n):
    """Two long ellipses that lie across each other's ends, and a small round one."""
    truth = rng.choice(3, n, p=[0.45, 0.35, 0.2])
    z = rng.normal(size=(n, 2)) * np.array([[3.0, 0.3], [0.3, 3.0], [0.4, 0.4]])[truth]
    return z + np.array([[0, 0], [7, 2], [0, 4]])[truth], truth


def labels(fit, rows):
    return GaussianComponents(fit.arrays).query(list(rows.T)).own


def by_parameters(fits, segments, covariance):
    wanted = {"segments": segments, "covariance": covariance}
    return next(fit for fit in fits if wanted.items() <= fit.parameters.items())


def test_overlapping_ellipses_are_found_by_bic_and_not_by_k_means():
    rng = np.random.default_rng(0)
    rows, truth = crossed(rng, 1500)
    family = GaussianMixtures(range(2, 6))
    fits = family.fit(rows, seed=0)
    best = min(fits, key=lambda fit: fit.figures["bic"])
    assert best.segments == 3
    assert adjusted_rand_score(truth, labels(best, rows)) > 0.95
    (centred,) = fit_partitions(rows, [3], seed=0, n_init=5)
    assert adjusted_rand_score(truth, centred.labels) < 0.85
    found = labels(best, rows).astype(np.intp)
    stability = cluster_stability(rows, found, family.refits(best), seed=0, n_resamples=8)
    assert stability.stable
    # Likelihood of customers it never saw: two components are too few, the fourth brings little.
    fresh, _ = crossed(rng, 1500)
    columns = list(fresh.T)
    gains = {
        k: GaussianComponents(by_parameters(fits, k, "full").arrays).log_likelihoods(columns).mean()
        for k in (2, 3, 4)
    }
    assert gains[3] > gains[2] + 0.1
    assert gains[4] < gains[3] + 0.02


@pytest.mark.parametrize("covariance", ["full", "tied", "diagonal", "spherical"])
def test_shapes_figures_and_order_are_what_they_say(covariance):
    rng = np.random.default_rng(1)
    truth = rng.choice(3, 900, p=[0.2, 0.5, 0.3])
    rows = 9 * np.eye(3)[truth] + rng.normal(size=(900, 3))
    told = []
    family = GaussianMixtures([2, 3], [covariance], starts=4)
    fits = family.fit(rows, seed=0, on_done=told.append)
    assert [fit.parameters for fit in fits] == [
        {"segments": k, "covariance": covariance} for k in (2, 3)
    ]
    assert told == [f"{k} components, {covariance}: best of 4 starts" for k in (2, 3)]
    fit = fits[1]
    assert (fit.algorithm, fit.metric, fit.segments) == ("gaussian_mixture", "euclidean", 3)
    assert adjusted_rand_score(truth, labels(fit, rows)) > 0.99
    np.testing.assert_allclose(fit.arrays["means"], 9 * np.eye(3)[[1, 2, 0]], atol=0.4)
    assert (np.diff(np.bincount(labels(fit, rows))) <= 0).all()

    theirs = GaussianMixture(
        3,
        covariance_type="diag" if covariance == "diagonal" else covariance,
        reg_covar=0.01,
        n_init=3,
        tol=1e-5,
        random_state=0,
    ).fit(rows)
    likelihoods = GaussianComponents(fit.arrays).log_likelihoods(list(rows.T))
    assert fit.figures["log_likelihood"] == likelihoods.mean()
    np.testing.assert_allclose(likelihoods.mean(), theirs.score(rows), atol=1e-4)
    np.testing.assert_allclose(fit.figures["bic"], theirs.bic(rows), rtol=1e-4)
    np.testing.assert_allclose(bic(theirs.score(rows), 900, 3, 3, covariance), theirs.bic(rows))
    arrays = {
        "weights": theirs.weights_,
        "means": theirs.means_,
        "precisions_cholesky": full_factors(theirs.precisions_cholesky_, covariance, 3, 3),
    }
    as_theirs = GaussianComponents(arrays).query(list(rows.T))
    np.testing.assert_array_equal(as_theirs.own, theirs.predict(rows))
    np.testing.assert_allclose(
        as_theirs.probability, theirs.predict_proba(rows).max(axis=1), rtol=1e-9
    )


def test_workers_and_library_threads_change_no_bit():
    rows, _ = crossed(np.random.default_rng(2), 800)
    results = []
    for workers, library_threads in ((1, 1), (2, 1), (2, 2)):
        with threadpool_limits(library_threads):
            family = GaussianMixtures([2, 4], starts=3)
            results.append(family.fit(rows, seed=5, workers=workers))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert (one.parameters, one.figures) == (two.parameters, two.figures)
            for name, array in one.arrays.items():
                np.testing.assert_array_equal(array, two.arrays[name])


def test_another_order_of_the_customers_gives_the_same_segments():
    rng = np.random.default_rng(3)
    rows, _ = crossed(rng, 900)
    order = rng.permutation(900)
    family = GaussianMixtures([3], ["full"])
    (one,), (other,) = family.fit(rows, seed=0), family.fit(rows[order], seed=0)
    np.testing.assert_allclose(one.arrays["means"], other.arrays["means"], atol=0.02)
    assert adjusted_rand_score(labels(one, rows)[order], labels(other, rows[order])) > 0.99


def test_it_is_fitted_on_the_first_rows_only():
    rows, _ = crossed(np.random.default_rng(4), 900)
    (few,) = GaussianMixtures([2], ["full"], rows=500).fit(rows, seed=0)
    (same,) = GaussianMixtures([2], ["full"]).fit(rows[:500], seed=0)
    np.testing.assert_array_equal(few.arrays["means"], same.arrays["means"])


def test_shapes_are_not_compared_on_columns_of_few_values():
    rng = np.random.default_rng(5)
    rows = np.column_stack([rng.normal(size=400), rng.integers(0, 9, 400)])
    stays, reason = comparable_covariances(rows, ["full", "tied", "diagonal"])
    assert stays == ["full"]
    assert reason.startswith("1 of 2 columns have fewer than 10 values")
    assert reason.endswith("tied and diagonal left out")
    assert comparable_covariances(rows, ["spherical"]) == (["spherical"], "")
    assert comparable_covariances(rows[:, :1], ["full", "tied"]) == (["full", "tied"], "")
    fits = GaussianMixtures([2, 3], starts=2).fit(rows, seed=0)
    assert {fit.parameters["covariance"] for fit in fits} == {"full"}
    assert all("fewer than 10 values" in fit.parameters["covariance_reason"] for fit in fits)


def test_dependent_columns_have_no_bic():
    rng = np.random.default_rng(6)
    base = rng.normal(size=(500, 2))
    assert are_independent(base)
    assert are_independent(np.column_stack([base, base[:, 0] + 0.01 * rng.normal(size=500)]))
    one_hot = np.eye(3)[rng.integers(0, 3, 500)]
    assert not are_independent(one_hot)
    assert not are_independent(one_hot.astype(np.float32).astype(np.float64) / np.float32(0.47))
    assert not are_independent(np.column_stack([base, 2 * base[:, 0] - base[:, 1] + 7]))
    assert not are_independent(np.column_stack([base, np.full(500, 0.1)]))
    assert not are_independent(np.zeros((5, 2)))
    fits = GaussianMixtures([2], starts=2).fit(np.column_stack([base, one_hot]), seed=0)
    assert [{*fit.figures} for fit in fits] == [{"log_likelihood"}]


def test_a_component_that_owns_nobody_makes_no_candidate():
    arrays = {
        "weights": np.array([0.5, 0.3, 0.2]),
        "means": np.array([[0.0], [0.0], [9.0]]),
        "precisions_cholesky": np.ones((3, 1, 1)),
    }
    rows = np.array([[0.0], [9.0], [9.1], [8.0]])
    assert in_order_of_size(arrays, rows) is None
    two = {name: array[[0, 2]] for name, array in arrays.items()}
    assert in_order_of_size(two, rows)["means"].ravel().tolist() == [9, 0]
    even = in_order_of_size(two, rows[:2])
    assert even["means"].ravel().tolist() == [0, 9]


def test_more_components_than_distinct_rows_are_left_out():
    rows = np.repeat(np.array([[0.0, 0.0], [5.0, 1.0]]), 20, axis=0)
    family = GaussianMixtures([2, 3], ["full"], starts=2)
    fits = family.fit(rows, seed=0)
    assert [fit.segments for fit in fits] == [2]
    refit = family.refits(fits[0])
    assert adjusted_rand_score(np.repeat([0, 1], 20), refit(rows, 0, 2)) == 1
    assert refit(rows[:5], 0, 2).tolist() == [0] * 5
    assert refit(rows[:1], 0, 2).tolist() == [0]
