from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segmentation_pipeline.errors import MeasurementError
from segmentation_pipeline.measurement.binary_effect import mid_p, newcombe_p
from segmentation_pipeline.measurement.compared import Arm
from segmentation_pipeline.measurement.effects import estimate_effect, skewness_of

N_TREATED, N_CONTROL = 700, 300
N = N_TREATED + N_CONTROL


def arms(numerator, denominator=None, before=None, before_denominator=None):
    figures = (numerator, denominator, before, before_denominator)
    halves = [(None, None) if f is None else (f[:N_TREATED], f[N_TREATED:]) for f in figures]
    return Arm(*(half[0] for half in halves)), Arm(*(half[1] for half in halves))


def effect_of(treated, control, kind, *, comparisons=1):
    return estimate_effect(treated, control, kind=kind, comparisons=comparisons, seed=3)


def made(kind, rng, *, share_of_effect=0.0):
    """One experiment with a past, of which a fifth of the customers have none."""
    lively = rng.gamma(2.0, 0.5, N)
    lift = 1.0 + share_of_effect * (np.arange(N) < N_TREATED)
    unknown = rng.random(N) < 0.2
    if kind == "binary":
        rates = np.clip(0.25 * lively, 0.0, 0.75)
        past = (rng.random(N) < rates).astype(float)
        return arms((rng.random(N) < rates * lift).astype(float), None, hide(past, unknown))
    if kind == "mean":
        past = rng.poisson(6 * lively).astype(float)
        return arms(rng.poisson(6 * lively * lift).astype(float), None, hide(past, unknown))
    if kind == "ratio":
        mails, before = rng.poisson(5 * lively), rng.poisson(5 * lively)
        interest = rng.beta(2, 6, N)
        clicks = rng.binomial(mails, interest * lift).astype(float)
        clicked = rng.binomial(before, interest).astype(float)
        return arms(
            clicks, mails.astype(float), hide(clicked, unknown), hide(before * 1.0, unknown)
        )
    buys = rng.random((2, N)) < 0.3
    spent = np.exp(rng.normal(2.0, 1.0, (2, N)) + lively) * buys
    return arms(spent[0] * lift, None, hide(spent[1], unknown))


def hide(past, unknown):
    return np.where(unknown, np.nan, past)


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("binary", "Newcombe"),
        ("mean", "Welch"),
        ("ratio", "delta method"),
        ("heavy", "studentised permutation"),
    ],
)
def test_each_kind_has_its_method(kind, method):
    treated, control = made(kind, np.random.default_rng(1))

    effect = effect_of(treated, control, kind)

    assert effect.method == method
    assert effect.uses_history
    assert effect.treated_mean - effect.control_mean == pytest.approx(effect.effect)
    assert effect.relative_effect == pytest.approx(effect.effect / effect.control_mean)
    assert effect.lower < effect.effect < effect.upper
    assert (effect.winsorised_effect is not None) == (kind == "heavy")
    assert effect.attrition_p == 1.0
    assert effect == effect_of(treated, control, kind)


@pytest.mark.parametrize("kind", ["binary", "mean", "ratio"])
def test_the_past_makes_the_interval_narrower(kind):
    with_past = made(kind, np.random.default_rng(2))
    without = [replace(arm, before=None, before_denominator=None) for arm in with_past]

    adjusted, plain = effect_of(*with_past, kind), effect_of(*without, kind)

    assert not plain.uses_history
    assert adjusted.upper - adjusted.lower < 0.99 * (plain.upper - plain.lower)
    assert adjusted.smallest_detectable < plain.smallest_detectable


@pytest.mark.parametrize("kind", ["binary", "mean", "ratio", "heavy"])
def test_no_effect_is_covered_and_seldom_won(kind):
    covered = won = 0
    for seed in range(200):
        effect = effect_of(*made(kind, np.random.default_rng([seed, 77])), kind)
        covered += effect.lower <= 0.0 <= effect.upper
        won += effect.p_value <= 0.05

    # 190 and 10 expected; the bounds are three standard errors away
    assert 181 <= covered <= 199
    assert won <= 19


@pytest.mark.parametrize(("kind", "truth"), [("mean", 6 * 0.3), ("binary", None)])
def test_a_planted_effect_is_covered_and_found(kind, truth):
    if truth is None:  # the mean of min(.25 x, .75) for x gamma(2, .5), and of the same times 1.3
        lively = np.random.default_rng(0).gamma(2.0, 0.5, 2_000_000)
        truth = float((np.clip(0.25 * lively, 0.0, 0.75) * 0.3).mean())
    covered = found = 0
    for seed in range(200):
        experiment = made(kind, np.random.default_rng([seed, 78]), share_of_effect=0.3)
        effect = effect_of(*experiment, kind)
        covered += effect.lower <= truth <= effect.upper
        found += effect.p_value <= 0.05

    assert 181 <= covered <= 199
    assert found >= 100


def test_skewed_means_and_ratios_are_permuted():
    values = np.where(np.arange(N) % 50 == 0, 100.0 + np.arange(N), 0.0)

    mean = effect_of(*arms(values), "mean")
    ratio = effect_of(*arms(values, np.ones(N)), "ratio")

    assert mean.method == ratio.method == "studentised permutation"
    assert mean.winsorised_effect is not None
    assert ratio.winsorised_effect is None
    assert ratio.effect == pytest.approx(mean.effect)
    assert ratio.p_value == pytest.approx(mean.p_value)


def test_skewness_is_scipy_s():
    values = np.random.default_rng(4).exponential(size=500)

    assert skewness_of(values - values.mean()) == pytest.approx(stats.skew(values))


def test_a_ratio_is_one_of_sums_and_not_a_mean_of_ratios():
    clicks, mails = np.arange(N) % 3 + 0.0, np.arange(N) % 4 + 2.0
    sums = [(clicks[rows].sum(), mails[rows].sum()) for rows in (slice(700), slice(700, None))]

    effect = effect_of(*arms(clicks, mails), "ratio")

    assert effect.treated_mean == pytest.approx(sums[0][0] / sums[0][1])
    assert effect.control_mean == pytest.approx(sums[1][0] / sums[1][1])


def test_a_few_who_leave_their_habit_are_permuted_too():
    """What is left after the past is skewed, though the KPI is not."""
    past = np.arange(N) % 10 + 1.0
    values = past + np.where(np.arange(N) % 50 == 7, 5.0, 0.0)

    effect = effect_of(*arms(values, None, past), "mean")

    assert effect.method == "studentised permutation"
    assert effect_of(*arms(values), "mean").method == "Welch"


def test_a_past_that_foretells_everything_is_not_used():
    values = np.arange(N) % 10 + 1.0

    effect = effect_of(*arms(values, None, values), "mean")

    assert not effect.uses_history
    assert effect == effect_of(*arms(values), "mean")


def test_more_comparisons_ask_for_a_larger_effect():
    treated, control = made("mean", np.random.default_rng(5))

    one, six = (effect_of(treated, control, "mean", comparisons=m) for m in (1, 6))

    assert six.smallest_detectable / one.smallest_detectable == pytest.approx(3.48 / 2.80, abs=0.01)
    assert (six.lower, six.p_value) == (one.lower, one.p_value)


@pytest.mark.parametrize(
    ("treated", "control", "kind"),
    [
        (Arm(np.ones(500)), Arm(np.zeros(199)), "binary"),
        (Arm(np.arange(500.0)), Arm(np.where(np.arange(300) < 150, np.nan, 1.0)), "mean"),
        (Arm(np.ones(500)), Arm(np.ones(300)), "mean"),
        (Arm(np.zeros(500)), Arm(np.zeros(300)), "binary"),
        (Arm(np.zeros(500), np.ones(500)), Arm(np.zeros(300), np.zeros(300)), "ratio"),
        (Arm(np.zeros(500), np.ones(500)), Arm(np.zeros(300), np.ones(300)), "ratio"),
    ],
    ids=["few", "few with a value", "same", "nobody", "no denominators", "no clicks"],
)
def test_where_nothing_can_be_said(treated, control, kind):
    assert effect_of(treated, control, kind) is None


def test_everybody_against_nobody_is_an_effect():
    effect = effect_of(Arm(np.ones(500)), Arm(np.zeros(300)), "binary")

    assert effect.effect == 1.0
    assert 0.98 < effect.lower < effect.upper <= 1.0
    assert effect.relative_effect is None


def test_a_rate_that_hardly_anybody_has_is_held_to_fisher_s_test_too():
    treated, control = np.arange(1800) < 9, np.arange(200) < 5

    effect = effect_of(Arm(treated * 1.0), Arm(control * 1.0), "binary")

    assert effect.p_value == mid_p(9, 1800, 5, 200)
    assert effect.p_value > 1.2 * newcombe_p(9 / 1800, 1800, 5 / 200, 200)


def test_customers_without_a_value_are_left_out_and_told_if_one_arm_has_more():
    values = np.arange(N) % 10 + 0.0
    treated, control = arms(np.where(np.arange(N) % 7 == 0, np.nan, values))
    kept = [Arm(arm.numerator[~np.isnan(arm.numerator)]) for arm in (treated, control)]
    expected = effect_of(*kept, "mean")

    effect = effect_of(treated, control, "mean")
    lossy = effect_of(*arms(np.where(np.arange(N) < 200, np.nan, values)), "mean")

    assert replace(effect, attrition_p=1.0) == expected
    assert effect.attrition_p > 0.5
    assert lossy.attrition_p < 1e-9


@pytest.mark.parametrize(
    ("treated", "control", "kind", "message"),
    [
        (Arm(np.full(300, 2.0)), Arm(np.zeros(300)), "binary", "other than 0 and 1"),
        (Arm(np.full(300, np.inf)), Arm(np.zeros(300)), "mean", "infinite"),
        (Arm(np.ones(300)), Arm(np.ones(300)), "ratio", "kind ratio"),
        (Arm(np.ones(300), np.ones(300)), Arm(np.ones(300), np.ones(300)), "mean", "kind mean"),
        (Arm(np.ones(300), -np.ones(300)), Arm(np.ones(300), np.ones(300)), "ratio", "below 0"),
        (Arm(np.ones(300), None, np.ones(5)), Arm(np.ones(300)), "mean", "`before` needs one"),
        (
            Arm(np.ones(300), None, np.ones(300)),
            Arm(np.ones(300), None, np.ones(299)),
            "mean",
            "`before` needs one",
        ),
    ],
)
def test_figures_that_a_kind_cannot_have_are_refused(treated, control, kind, message):
    with pytest.raises(MeasurementError, match=message):
        effect_of(treated, control, kind)
