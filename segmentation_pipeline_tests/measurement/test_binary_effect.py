import math

import pytest
from scipy import stats

from segmentation_pipeline.measurement.binary_effect import mid_p, newcombe, newcombe_p, wilson


@pytest.mark.parametrize(
    ("treated", "control", "expected"),
    [
        ((56, 70), (48, 80), (0.0524, 0.3339)),
        ((9, 10), (3, 10), (0.1705, 0.8090)),
        ((6, 7), (2, 7), (0.0582, 0.8062)),
        ((5, 56), (0, 29), (-0.0381, 0.1926)),
        ((0, 10), (0, 20), (-0.1611, 0.2775)),
        ((0, 10), (0, 10), (-0.2775, 0.2775)),
        ((10, 10), (0, 20), (0.6791, 1.0)),
        ((10, 10), (0, 10), (0.6075, 1.0)),
    ],
)
def test_the_intervals_of_newcombe_s_table(treated, control, expected):
    """Newcombe 1998, table II, method 10."""
    z = stats.norm.isf(0.025)

    interval = newcombe(
        treated[0] / treated[1], treated[1], control[0] / control[1], control[1], z=z
    )

    assert interval == pytest.approx(expected, abs=5e-5)


def test_the_score_interval_is_scipy_s():
    expected = stats.binomtest(15, 148).proportion_ci(0.95, "wilson")

    assert wilson(15 / 148, 148, stats.norm.isf(0.025)) == pytest.approx(tuple(expected))


@pytest.mark.parametrize(("treated", "control"), [(0.3, 0.2), (0.2, 0.3), (0.0, 0.01), (1.0, 0.98)])
def test_p_is_where_the_interval_begins_to_hold_zero(treated, control):
    p = newcombe_p(treated, 700, control, 300)
    interval = newcombe(treated, 700, control, 300, z=float(stats.norm.isf(p / 2)))

    nearer = min(abs(limit) for limit in interval)
    assert nearer == pytest.approx(0.0, abs=1e-9)
    assert 0 < p < 1


def test_equal_rates_and_certain_differences():
    assert newcombe_p(0.2, 500, 0.2, 300) == 1.0
    assert newcombe_p(0.9, 5e6, 0.1, 5e6) == 0.0


def test_mid_p_counts_the_observed_table_half():
    # 3 of 10 against 0 of 4: of the C(14, 3) = 364 ways to place three successes, C(10, 3) = 120
    # leave none to the control.
    assert mid_p(3, 10, 0, 4) == pytest.approx(2 * (120 / 364) / 2)
    assert mid_p(0, 10, 3, 4) == pytest.approx(2 * (4 / 364) / 2)
    assert mid_p(5, 10, 2, 4) == 1.0


def test_rare_successes_in_a_small_hold_out_win_no_more_often_than_they_may():
    """9 successes expected among 1,800 treated, one among 200 held out, at a corrected level."""
    level, rate, total = 0.005, 0.005, 0.0
    by_interval = 0.0
    for treated in range(30):
        for control in range(9):
            chance = stats.binom.pmf(treated, 1800, rate) * stats.binom.pmf(control, 200, rate)
            interval_p = newcombe_p(treated / 1800, 1800, control / 200, 200)
            by_interval += chance * (interval_p <= level)
            total += chance * (max(interval_p, mid_p(treated, 1800, control, 200)) <= level)

    assert total <= level
    assert by_interval > 1.3 * level
    assert math.isfinite(total)
