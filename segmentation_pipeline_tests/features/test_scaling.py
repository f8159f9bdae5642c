import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from segmentation_pipeline.features.scaling import (
    EQUAL_QUARTILES,
    NO_VALUE,
    ONE_VALUE,
    fit_scaling,
)
from segmentation_pipeline.specification.features import Clip

NAN = np.nan


def skewed(n=1001):
    return np.random.default_rng(5).lognormal(3, 1.5, n)


@pytest.mark.parametrize(
    ("scaling", "scaler"),
    [("standard", StandardScaler()), ("min_max", MinMaxScaler()), ("robust", RobustScaler())],
)
def test_scalings_are_those_of_scikit_learn(scaling, scaler):
    x = skewed()
    x[::7] = NAN
    fitted = fit_scaling(x, scaling, None, None)
    expected = scaler.fit_transform(x[:, None])[:, 0]
    np.testing.assert_allclose((x - fitted.centre) / fitted.spread, expected, rtol=0, atol=1e-12)


def test_exact_figures():
    x = np.array([1.0, 2.0, NAN, 3.0, 6.0])
    standard = fit_scaling(x, "standard", None, None)
    assert (standard.centre, standard.spread, standard.fill) == (3.0, np.sqrt(3.5), 3.0)
    min_max = fit_scaling(x, "min_max", None, None)
    assert (min_max.centre, min_max.spread, min_max.fill) == (1.0, 5.0, 3.0)
    robust = fit_scaling(x, "robust", None, None)
    assert (robust.centre, robust.spread, robust.fill) == (2.5, 2.0, 2.5)
    none = fit_scaling(x, "none", None, None)
    assert (none.centre, none.spread, none.fill) == (0.0, 1.0, 3.0)


def test_a_constant_takes_part_like_a_value():
    x = np.array([1.0, NAN, 3.0, NAN])
    fitted = fit_scaling(x, "standard", None, 0.0)
    assert (fitted.centre, fitted.spread, fitted.fill) == (1.0, np.sqrt(1.5), 0.0)
    # Whether there is a value at all may be all that differs.
    assert fit_scaling(np.array([1.0, NAN]), "standard", None, None) == ONE_VALUE
    assert fit_scaling(np.array([1.0, NAN]), "standard", None, 0.0).spread == 0.5


def test_bounds_are_fitted_and_shape_the_rest():
    x = np.arange(101.0)
    by_value = fit_scaling(x, "min_max", Clip(lower=10, upper=30), None)
    assert (by_value.lower, by_value.upper) == (10.0, 30.0)
    assert (by_value.centre, by_value.spread) == (10.0, 20.0)
    by_quantile = fit_scaling(x, "none", Clip(lower_quantile=0.05, upper_quantile=0.9), None)
    assert (by_quantile.lower, by_quantile.upper) == (5.0, 90.0)
    one_side = fit_scaling(x, "none", Clip(upper=30), None)
    assert (one_side.lower, one_side.upper) == (None, 30.0)
    with_outlier = fit_scaling(np.append(x, 1e9), "standard", Clip(upper_quantile=0.99), None)
    assert with_outlier.spread < 31


def test_what_cannot_be_told_apart_is_dropped():
    assert fit_scaling(np.array([]), "standard", None, None) == NO_VALUE
    assert fit_scaling(np.array([NAN, NAN]), "none", None, None) == NO_VALUE
    assert fit_scaling(np.array([NAN, NAN]), "none", None, 5.0) == ONE_VALUE
    assert fit_scaling(np.full(9, 0.1), "standard", None, None) == ONE_VALUE
    assert fit_scaling(np.array([0.3, 0.1 + 0.2]), "standard", None, None) == ONE_VALUE
    assert fit_scaling(np.arange(9.0), "min_max", Clip(lower=20), None) == ONE_VALUE


def test_equal_quartiles_fall_back_to_the_standard_deviation():
    mostly_zero = np.array([0.0] * 9 + [10.0])
    fitted = fit_scaling(mostly_zero, "robust", None, None)
    assert (fitted.centre, fitted.spread) == (0.0, 3.0)
    assert fitted.note == EQUAL_QUARTILES
