import numpy as np
import pytest

from segmentation_pipeline.measurement.history_adjustment import (
    history_columns,
    residuals,
    without_history,
)

N = 1000
RNG = np.random.default_rng(1)
PAST = RNG.standard_normal(N)
IS_TREATED = RNG.random(N) < 0.7
AFTER = 5.0 + 2.0 * PAST + RNG.standard_normal(N) + 0.3 * IS_TREATED


def difference(values):
    return values[IS_TREATED].mean() - values[~IS_TREATED].mean()


def test_the_arms_differ_by_what_least_squares_on_arm_and_past_gives():
    columns = history_columns([PAST])
    design = np.column_stack([np.ones(N), IS_TREATED, PAST])

    adjusted = without_history(AFTER, columns, IS_TREATED)

    assert difference(adjusted) == pytest.approx(np.linalg.lstsq(design, AFTER)[0][1])
    assert adjusted.mean() == pytest.approx(AFTER.mean())


def test_the_variance_shrinks_by_the_share_that_the_past_explains():
    """Deng et al. 2013, equation 5: var(Y - theta X) = var(Y) (1 - r^2)."""
    left = residuals(AFTER, history_columns([PAST]))

    explained = np.corrcoef(AFTER, PAST)[0, 1] ** 2
    assert left.var() == pytest.approx(AFTER.var() * (1 - explained))
    assert explained > 0.7


def test_a_missing_past_is_the_mean_with_an_indicator():
    past = np.where(RNG.random(N) < 0.4, np.nan, PAST)
    is_known = ~np.isnan(past)
    after = AFTER + 10.0 * ~is_known
    filled = np.where(is_known, past, past[is_known].mean())
    design = np.column_stack([np.ones(N), IS_TREATED, filled, is_known])

    adjusted = without_history(after, history_columns([past]), IS_TREATED)

    assert difference(adjusted) == pytest.approx(np.linalg.lstsq(design, after)[0][1])


def test_two_figures_missing_for_the_same_customers():
    is_known = RNG.random(N) < 0.5
    past, other = np.where(is_known, PAST, np.nan), np.where(is_known, PAST**2, np.nan)

    columns = history_columns([past, other])

    adjusted = without_history(AFTER, columns, IS_TREATED)
    assert columns.shape == (N, 4)
    assert np.isfinite(adjusted).all()
    assert adjusted.var() < AFTER.var()


@pytest.mark.parametrize(
    "before",
    [[], [np.full(N, np.nan)], [np.where(np.arange(N) < 150, PAST, np.nan)], [np.full(N, 0.1)]],
    ids=["none", "all missing", "too few", "all the same"],
)
def test_where_there_is_no_past_to_use(before):
    assert history_columns(before) is None


def test_who_joined_late_is_told_apart_even_if_the_known_past_is_all_the_same():
    columns = history_columns([np.where(np.arange(N) < 400, 2.0, np.nan)])

    assert columns.shape == (N, 1)
