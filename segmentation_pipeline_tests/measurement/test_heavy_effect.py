import time
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from segmentation_pipeline.measurement import heavy_effect
from segmentation_pipeline.measurement.heavy_effect import control_sums, permutation, winsorised

TREATED = np.array([3.1, 0.0, 9.4, 2.2, 7.0, 5.5])
CONTROL = np.array([0.4, 1.2, 0.0, 3.0])
VALUES = np.concatenate([TREATED, CONTROL])
IS_TREATED = np.arange(10) < 6


def purchases(rng, n):
    """70 % zeros, the rest log-normal."""
    return np.where(rng.random(n) < 0.3, np.exp(rng.normal(4.0, 1.2, n)), 0.0)


def compared(values, is_treated, columns=None, *, seed=1, comparisons=1):
    return permutation(values, is_treated, columns, alpha=0.05, comparisons=comparisons, seed=seed)


def exact_tails(values):
    """All 210 ways to choose the control arm, by scipy's statistic."""

    def statistic(control):
        rest = np.setdiff1d(np.arange(10), control)
        return stats.ttest_ind(values[rest], values[list(control)], equal_var=False).statistic

    observed = statistic((6, 7, 8, 9))
    drawn = np.array([statistic(control) for control in combinations(range(10), 4)])
    return np.mean(drawn <= observed + 1e-9), np.mean(drawn >= observed - 1e-9)


# The control varies less: here the difference of means alone would say p = .66 instead of .49.
UNEQUAL = np.array([-2.7, -7.1, 9.6, 11.3, 10.3, 3.3, 2.0, 1.9, 2.4, 2.3])


@pytest.mark.parametrize("values", [VALUES, UNEQUAL], ids=["alike", "unequal variances"])
def test_p_is_that_of_all_permutations(values):
    found = compared(values, IS_TREATED)

    assert found.p_value == pytest.approx(2 * min(exact_tails(values)), abs=0.005)
    assert found.effect == pytest.approx(values[:6].mean() - values[6:].mean())
    expected = stats.ttest_ind(values[:6], values[6:], equal_var=False)
    assert found.standard_error == pytest.approx(found.effect / expected.statistic)


def test_the_interval_holds_what_all_permutations_do_not_refuse():
    found = compared(VALUES, IS_TREATED)

    for limit, outwards in ((found.lower, -1), (found.upper, 1)):
        within = VALUES - (limit - outwards * 0.15) * IS_TREATED
        beyond = VALUES - (limit + outwards * 0.15) * IS_TREATED
        # 5 of 210 ways are .0238: the tail falls from one way to the next, to about .025
        assert 0.035 > min(exact_tails(within)) > min(exact_tails(beyond)) > 0.015


def test_draws_have_the_arm_s_size_and_the_hypergeometric_s_spread():
    n = 700
    is_control = np.arange(n) < 70
    columns = np.stack([np.ones(n), np.arange(n) < 350]).astype(float)

    sums = control_sums(columns, is_control, 20_000, np.random.default_rng(2))

    assert sums[:, 0] == pytest.approx([70, 70])
    assert sums[0] == pytest.approx(np.full(20_000, 70.0))
    expected = stats.hypergeom(700, 350, 70)
    assert sums[1].mean() == pytest.approx(expected.mean(), abs=0.1)
    assert sums[1].std() == pytest.approx(expected.std(), rel=0.03)
    assert len(np.unique(np.round(sums[1]))) > 20


def test_blocks_add_up(monkeypatch):
    monkeypatch.setattr(heavy_effect, "BLOCK", 64)
    rng = np.random.default_rng(4)
    columns, is_control = rng.standard_normal((2, 1000)), rng.random(1000) < 0.2

    sums = control_sums(columns, is_control, 3000, np.random.default_rng(2))

    assert sums[:, 0] == pytest.approx(columns[:, is_control].sum(axis=1))
    n_control = is_control.sum()
    spread = columns.std(axis=1) * np.sqrt(n_control * (1 - n_control / 1000))
    assert sums.std(axis=1) == pytest.approx(spread, rel=0.06)


def test_the_interval_moves_with_the_treated_and_the_unit():
    rng = np.random.default_rng(6)
    values, is_treated = purchases(rng, 3000), rng.random(3000) < 0.9
    found = compared(values, is_treated)

    moved = compared(values + 50.0 * is_treated, is_treated)
    scaled = compared(values * 100, is_treated)

    assert (moved.lower, moved.upper) == pytest.approx((found.lower + 50, found.upper + 50))
    assert moved.p_value < 0.001 < found.p_value
    assert (scaled.lower, scaled.upper) == pytest.approx((found.lower * 100, found.upper * 100))


def test_history_gives_the_least_squares_effect_and_a_narrower_interval():
    rng = np.random.default_rng(8)
    past, is_treated = rng.standard_normal(2000), rng.random(2000) < 0.7
    values = 3.0 * past + purchases(rng, 2000) / 50 + 0.5 * is_treated
    columns = ((past - past.mean()) / past.std())[:, None]
    design = np.column_stack([np.ones(2000), is_treated, past])

    found = compared(values, is_treated, columns)
    plain = compared(values, is_treated)

    assert found.effect == pytest.approx(np.linalg.lstsq(design, values)[0][1])
    assert found.upper - found.lower < 0.75 * (plain.upper - plain.lower)
    assert found.lower < 0.5 < found.upper


def test_same_seed_same_figures():
    rng = np.random.default_rng(9)
    values, is_treated = purchases(rng, 900), rng.random(900) < 0.7

    assert compared(values, is_treated) == compared(values, is_treated)
    other = compared(values, is_treated, seed=2)
    assert other.p_value == pytest.approx(compared(values, is_treated).p_value, abs=0.02)


def test_many_comparisons_can_still_be_won():
    values = np.concatenate([np.arange(400) % 7 + 4.0, np.arange(400) % 7])

    found = compared(values, np.arange(800) < 400, comparisons=200)

    assert found.p_value < 0.05 / 200


def test_a_large_buyer_in_the_small_arm_wins_no_more_often_than_it_may():
    false_wins = {"welch": 0, "permutation": 0}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = np.where(rng.random(2500) < 0.05, np.exp(rng.normal(0.0, 2.0, 2500)), 0.0)
        is_treated = np.arange(2500) < 2250
        welch_p = stats.ttest_ind(values[is_treated], values[~is_treated], equal_var=False).pvalue
        false_wins["welch"] += welch_p <= 0.05
        false_wins["permutation"] += compared(values, is_treated, seed=seed).p_value <= 0.05

    # 10 expected of an exact test, 19 is three standard errors more
    assert false_wins["permutation"] <= 19
    assert false_wins["welch"] > 30


def test_fifty_thousand_per_arm_take_less_than_three_seconds():
    rng = np.random.default_rng(10)
    values = purchases(rng, 100_000)
    start = time.process_time()

    compared(values, np.arange(100_000) < 50_000)

    assert time.process_time() - start < 3.0


def test_memory_follows_the_customers_and_not_customers_times_draws():
    rng = np.random.default_rng(11)
    values, is_treated = purchases(rng, 1_000_000), np.arange(1_000_000) < 900_000
    tracemalloc.start()

    found = compared(values, is_treated)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150 * 1_000_000
    assert found.lower < 0.0 < found.upper


def test_winsorised_values_keep_to_the_percentiles():
    values = np.arange(1000.0)
    values[-1] = 1e9

    found = winsorised(values)

    assert (found.min(), found.max()) == pytest.approx(tuple(np.percentile(values, [1, 99])))
    assert found[500] == 500.0
