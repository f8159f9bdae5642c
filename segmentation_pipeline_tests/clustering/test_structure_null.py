from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import silhouette_score

from segmentation_pipeline.clustering.structure.null_model import fit_null
from segmentation_pipeline.clustering.structure.null_test import _mean_silhouettes, null_test
from segmentation_pipeline.clustering.structure.raw_features import RawFeature


def columns(features):
    return np.column_stack([feature.values for feature in features])


def numbers(matrix, kind="continuous"):
    return [RawFeature(f"x{i}", column, kind) for i, column in enumerate(matrix.T)]


@pytest.fixture
def survey():
    """A trend behind numbers, counts, levels and roles; two answers that are missing together."""
    rng = np.random.default_rng(0)
    trend = rng.normal(size=600)
    near = [trend + rng.normal(size=600) for _ in range(6)]
    role = np.array(["nurse", "resident", "surgeon", "chief"], dtype=object)[
        np.searchsorted([-1.0, 0.5, 1.5], near[3])
    ]
    silent = near[5] > 1.0
    return [
        RawFeature("revenue", np.exp(near[0]), "continuous"),
        RawFeature("visits", np.floor(np.exp(near[1])), "integer"),
        RawFeature("attitude", np.clip(np.round(near[2]), -1.0, 1.0), "ordinal"),
        RawFeature("role", role, "categorical"),
        RawFeature("age", np.where(silent, np.nan, near[4]), "continuous"),
        RawFeature(
            "region", np.where(silent, None, rng.choice(["north", "south"], 600)), "categorical"
        ),
        RawFeature("constant", np.full(600, 7.0), "continuous"),
        RawFeature("empty", np.full(600, np.nan), "continuous"),
    ]


def test_each_feature_keeps_its_values_exactly(survey):
    drawn = fit_null(survey, seed=1).draw(np.random.default_rng(2))
    for before, after in zip(survey, drawn, strict=True):
        assert (before.name, before.kind) == (after.name, after.kind)
        assert sorted(map(str, before.values)) == sorted(map(str, after.values))
        if before.name in {"revenue", "visits", "role"}:
            assert before.values.tolist() != after.values.tolist()


def test_spearman_correlations_are_those_of_the_data(survey):
    null = fit_null(survey, seed=1)
    assert null.spearman_gap < 0.02
    observed = spearmanr(columns(survey[:3])).statistic
    draws = [columns(null.draw(np.random.default_rng(i))[:3]) for i in range(50)]
    drawn = np.mean([spearmanr(draw).statistic for draw in draws], axis=0)
    np.testing.assert_allclose(drawn, observed, atol=0.02)


def test_categories_are_ordered_by_the_trend_of_the_other_features(survey):
    drawn = fit_null(survey, seed=1).draw(np.random.default_rng(3))
    revenue, role = np.log(drawn[0].values), drawn[3].values
    means = [revenue[role == name].mean() for name in ("nurse", "resident", "surgeon", "chief")]
    assert all(lower < higher for lower, higher in pairwise(means))


def test_customers_who_lack_one_answer_lack_the_other(survey):
    age, region = fit_null(survey, seed=1).draw(np.random.default_rng(4))[4:6]
    assert age.missing().tolist() == region.missing().tolist()
    assert 0 < age.missing().sum() < 600


def test_features_that_are_copies_stay_copies():
    values = np.random.default_rng(5).normal(size=200)
    features = numbers(np.column_stack([values, values, np.exp(-values)]))
    first, second, third = fit_null(features, seed=0).draw(np.random.default_rng(0))
    assert first.values.tolist() == second.values.tolist()
    np.testing.assert_allclose(third.values, np.exp(-first.values))


def test_same_seed_same_draw(survey):
    first, second = (fit_null(survey, seed=1).draw(np.random.default_rng(9)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.values, other.values)


def test_silhouettes_equal_scikit_learn():
    rng = np.random.default_rng(6)
    matrix = rng.normal(size=(80, 3)) + 100.0
    partitions = [rng.integers(0, k, 80) for k in (2, 3, 5)]
    expected = [silhouette_score(matrix, labels) for labels in partitions]
    np.testing.assert_allclose(_mean_silhouettes(matrix, partitions), expected, atol=2e-5)
    alone = np.r_[0, np.ones(79, dtype=int)]
    both = _mean_silhouettes(matrix, [alone, np.zeros(80, dtype=int)])
    np.testing.assert_allclose(both, [silhouette_score(matrix, alone), 0.0], atol=2e-5)


def test_groups_combine_beyond_correlation():
    rng = np.random.default_rng(7)
    centroids = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]])
    features = numbers(centroids[rng.integers(0, 3, 300)] + rng.normal(size=(300, 2)))
    test = null_test(features, columns, seed=0, ks=(2, 3), n_draws=99)
    assert test.by_n_segments[3].p == 0.01
    assert test.by_n_segments[3].z > 5.0


@pytest.mark.parametrize("d", [2, 5])
def test_a_correlated_gaussian_does_not(d):
    rng = np.random.default_rng(d)
    features = numbers(rng.normal(size=(300, d)) @ rng.normal(size=(d, d)))
    test = null_test(features, columns, seed=0, ks=(2, 3, 4), n_draws=99)
    assert all(comparison.p > 0.05 for comparison in test.by_n_segments.values())


def test_one_feature_alone_never_does_however_far_its_values_are_apart():
    rng = np.random.default_rng(8)
    values = np.r_[rng.normal(size=150), rng.normal(size=150) + 20.0]
    role = np.array(["nurse", "surgeon"], dtype=object)[rng.integers(0, 2, 300)]
    test = null_test(numbers(values[:, None]), columns, seed=0, ks=(2, 3), n_draws=99)
    assert test.by_n_segments[2].p == 1.0
    only_role = null_test(
        [RawFeature("role", role, "categorical")],
        lambda f: (f[0].values == "nurse")[:, None].astype(float),
        seed=0,
        ks=(2,),
        n_draws=99,
    )
    assert only_role.by_n_segments[2].p == 1.0


def test_threads_do_not_change_a_figure(survey):
    matrix = numbers(np.random.default_rng(1).normal(size=(120, 3)))
    tests = [null_test(matrix, columns, seed=3, ks=(2, 4), n_draws=30, workers=w) for w in (1, 2)]
    assert tests[0] == tests[1]


def test_no_number_of_segments_no_comparison():
    assert null_test(numbers(np.eye(2)), columns, seed=0, ks=()).by_n_segments == {}
