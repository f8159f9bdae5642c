"""Intervals of KPIs are those of the books, from sums that are the same to the last bit."""

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from segmentation_pipeline.measurement.kpi_intervals import (
    change_interval,
    mean_interval,
    newcombe_paired,
    value_interval,
    wilson,
)
from segmentation_pipeline.measurement.kpi_sums import KpiColumns, sums_by_segment, total
from segmentation_pipeline.warehouse import open_in_memory


def measure(kind, *, threads=1, **parts):
    """Columns n, d, p, e of customers, and of which segment they are -> sums of KPI `k`."""
    names = {name: name if name in parts else None for name in "ndpe"}
    with open_in_memory(threads=threads) as connection:
        size = len(parts["n"])
        given = {"segment_id": ["s"] * size} | parts
        connection.register("given", pa.table(given))
        connection.execute("CREATE TABLE people AS FROM given")
        columns = KpiColumns(names["n"], names["d"], names["p"], names["e"])
        return sums_by_segment(connection, "people", {"k": columns})["k"]


def interval(found, unit):
    return tuple(None if x is None else x * unit for x in (found.value, found.lower, found.upper))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_a_share_has_wilson_s_interval():
    """By Newcombe (1998, Statistics in Medicine 17, 857-872), table I, method 3."""
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1.0, 29) == pytest.approx((0.8830, 1.0), abs=5e-5)

    group = measure("binary", n=[1.0] * 15 + [0.0] * 133 + [None] * 9)["s"]
    found = value_interval("binary", group)
    assert (group.customers, group.measured, group.contributing) == (157, 148, 15)
    assert interval(found, group.unit) == pytest.approx((15 / 148, 0.0624, 0.1605), abs=5e-5)


def test_the_difference_of_two_shares_of_the_same_customers():
    """By Newcombe (1998, Statistics in Medicine 17, 2635-2650), method 10."""
    assert newcombe_paired(36, 12, 2, 0) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert newcombe_paired(0, 0, 0, 54) == pytest.approx((-0.0664, 0.0664), abs=5e-5)

    now = [1.0] * 48 + [0.0] * 2
    before = [1.0] * 36 + [0.0] * 12 + [1.0] * 2
    group = measure("binary", n=now, p=before)["s"]
    found = interval(change_interval("binary", group), group.unit)
    assert found == pytest.approx((0.2, 0.0569, 0.3404), abs=5e-5)


def test_a_mean_has_student_s_interval(rng):
    values, before = rng.normal(5, 2, 40), rng.normal(4, 2, 40)

    group = measure("mean", n=values, p=before)["s"]

    for found, given in (
        (value_interval("mean", group), values),
        (change_interval("mean", group), values - before),
    ):
        low, high = stats.t.interval(0.95, 39, given.mean(), given.std(ddof=1) / math.sqrt(40))
        assert interval(found, group.unit) == pytest.approx((given.mean(), low, high), rel=1e-9)
        assert found.method == "t"


def test_a_heavy_mean_has_the_interval_that_its_skewness_asks_for(rng):
    values = np.exp(rng.standard_normal(50))
    g = stats.skew(values)
    bounds = []
    for t in stats.t.ppf([0.975, 0.025], 49) / math.sqrt(50):
        inverse = 3 / g * (np.cbrt(1 + g * (t - g / 300)) - 1)
        bounds.append(values.mean() - inverse * values.std(ddof=1))

    group = measure("heavy", n=values)["s"]
    found = value_interval("heavy", group)

    assert found.method == "skewness_adjusted_t"
    assert interval(found, group.unit) == pytest.approx((values.mean(), *bounds), rel=1e-5)


def test_a_mean_of_skewed_values_is_heavy_whatever_it_is_called():
    group = measure("mean", n=[0.0] * 99 + [1.0])["s"]

    assert value_interval("mean", group).method == "skewness_adjusted_t"
    assert mean_interval(3, 9, 27, 81, is_heavy=False).lower * 1.0 == 3.0  # nothing varies


def test_heavy_intervals_cover_where_student_s_do_not(rng):
    """Log-normal values, 70 % of them zeros: what revenue looks like. 1,000 draws each."""
    true = 0.3 * math.exp(0.5)
    covered = {True: 0, False: 0}
    for _ in range(1000):
        values = np.where(rng.random(100) < 0.7, 0, np.exp(rng.standard_normal(100)))
        scaled = np.round(values * 2**20).astype(object)
        sums = [int(np.sum(scaled**power)) for power in (1, 2, 3)]
        found = mean_interval(100, *sums, is_heavy=True)
        student = stats.t.interval(0.95, 99, values.mean(), stats.sem(values))
        covered[True] += found.lower <= true * 2**20 <= found.upper
        covered[False] += student[0] <= true <= student[1]

    assert covered[True] >= 925
    assert covered[False] <= 920


def test_a_ratio_has_the_interval_of_the_delta_method(rng):
    mails = rng.poisson(3, 60).astype(float)
    clicks = rng.binomial(mails.astype(int), 0.3).astype(float)
    group = measure("ratio", n=clicks, d=mails)["s"]
    ratio = clicks.sum() / mails.sum()
    counting = int((mails > 0).sum())
    error = np.sqrt(
        ((clicks - ratio * mails) ** 2).sum() * counting / (counting - 1) / mails.sum() ** 2
    )
    half = stats.t.ppf(0.975, counting - 1) * error

    found = value_interval("ratio", group)

    assert group.measured == group.contributing == counting
    assert interval(found, group.unit) == pytest.approx((ratio, ratio - half, ratio + half))


def test_the_change_of_a_ratio_agrees_with_leaving_out_one_customer_at_a_time(rng):
    size = 400
    mails, before = (rng.poisson(4, size).astype(float) for _ in range(2))
    taste = rng.beta(2, 5, size)
    clicks, clicks_before = (rng.binomial(m.astype(int), taste) * 1.0 for m in (mails, before))
    group = measure("ratio", n=clicks, d=mails, p=clicks_before, e=before)["s"]

    def change(keep):
        now = clicks[keep].sum() / mails[keep].sum()
        return now - clicks_before[keep].sum() / before[keep].sum()

    left_out = [change(np.arange(size) != one) for one in range(size)]
    error = math.sqrt((size - 1) * np.var(left_out))
    found = interval(change_interval("ratio", group), group.unit)

    assert found[0] == pytest.approx(change(slice(None)))
    assert (found[2] - found[1]) / 2 / 1.966 == pytest.approx(error, rel=0.02)


def test_where_some_have_no_value_the_change_is_that_of_the_two_means():
    group = measure("binary", n=[1.0, 1.0, 0.0, None], p=[0.0, None, 0.0, 1.0])["s"]

    found = change_interval("binary", group)

    assert found.method == "delta"
    assert found.value * group.unit == pytest.approx(2 / 3 - 1 / 3)


@pytest.mark.parametrize("kind", ["binary", "mean", "ratio", "heavy"])
def test_nobody_and_one_customer(kind):
    ratio = {"d": [0.0], "e": [0.0]} if kind == "ratio" else {}
    group = measure(kind, n=[None], p=[None], **ratio)["s"]
    assert value_interval(kind, group) is None
    assert change_interval(kind, group) is None

    ratio = {"d": [1.0], "e": [1.0]} if kind == "ratio" else {}
    group = measure(kind, n=[1.0], p=[0.0], **ratio)["s"]
    found = value_interval(kind, group)
    assert found.value * group.unit == 1
    assert (found.lower is None) == (kind != "binary")


def test_sums_do_not_depend_on_threads_or_order_and_add_up(rng):
    size = 20_000
    values = np.exp(2 * rng.standard_normal(size))
    days = rng.poisson(3, size).astype(float)
    segments = rng.choice(["a", "b", "c"], size)
    order = rng.permutation(size)

    def parts(rows):
        return {"segment_id": segments[rows], "n": values[rows], "d": days[rows],
                "p": values[rows][::-1], "e": days[rows]}  # fmt: skip

    straight = parts(np.arange(size))
    one = measure("ratio", **straight)
    two = measure("ratio", threads=2, **{name: column[order] for name, column in straight.items()})

    assert one == two
    together = total([*one.values()])
    assert together.customers == size
    assert together.sums["n"] / together.numerator_scale == pytest.approx(values.sum(), rel=1e-11)
