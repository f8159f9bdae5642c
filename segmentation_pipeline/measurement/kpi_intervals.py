"""How sure a group's KPI is, and its change: intervals from exact sums, by the KPI's kind.

What belongs here: the formulas. All of them need sums over customers and no sample of them, so that
a group of a hundred million costs no more than one of ten. Figures are in the sums' own unit.

A mean that few customers make most of has no t interval that holds: of log-normal values, 70 % of
them zeros, it covers 86 % at 30 customers and 90 % at 100, and nearly always misses upwards. Hall's
transformation takes the third moment into account and covers 96 and 94 %, as the bootstrap-t does
(95 and 94 %) from all values (benchmarks/results/kpi_intervals.md). So kind heavy always has it,
and kind mean where the skewness is above 3.
"""

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from segmentation_pipeline.measurement.kpi_sums import (
    CUBE,
    CUBE_OF_CHANGE,
    DENOMINATOR,
    DENOMINATOR_BEFORE,
    NUMERATOR,
    NUMERATOR_BEFORE,
    KpiSums,
)
from segmentation_pipeline.specification.kpis import KpiKind

Method = Literal["wilson", "t", "skewness_adjusted_t", "delta"]
SKEWED = 3.0
"""Beyond it no mean has a t interval, whatever its kind."""
_TAIL = 0.975
_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval, without bounds where too little is known."""

    value: float
    lower: float | None
    upper: float | None
    method: Method


def value_interval(kind: KpiKind, group: KpiSums) -> Interval | None:
    """Tell a group's KPI; None where nobody has a value, or there is nothing to divide by."""
    sums = group.sums
    if sums[DENOMINATOR] <= 0:
        return None
    value = sums[NUMERATOR] / sums[DENOMINATOR]
    if kind == "ratio":
        squares = _residual_squares(sums[NUMERATOR], sums[DENOMINATOR], sums["nn"], sums["nd"],
                                    sums["dd"])  # fmt: skip
        error = math.sqrt(squares) / sums[DENOMINATOR]
        return _with_error(value, error, group.measured, "delta")
    if kind == "binary":
        share = value / group.numerator_scale
        lower, upper = wilson(share, group.measured)
        scale = group.numerator_scale
        return Interval(value, lower * scale, upper * scale, "wilson")
    moments = (sums[NUMERATOR], sums["nn"], sums[CUBE])
    return mean_interval(group.measured, *moments, is_heavy=kind == "heavy")


def change_interval(kind: KpiKind, group: KpiSums) -> Interval | None:
    """Tell how a group's KPI differs from that of the same customers in the window before.

    The two figures are of the same customers, so the interval is of their differences. None where
    either figure is lacking.
    """
    sums = group.sums
    if not group.has_before or sums[DENOMINATOR] <= 0 or sums[DENOMINATOR_BEFORE] <= 0:
        return None
    are_pairs = sums["dd"] == sums["ee"] == sums["de"]
    if kind == "ratio" or not are_pairs:
        return _change_of_quotients(group)
    if kind == "binary":
        return _change_of_shares(group)
    first = sums[NUMERATOR] - sums[NUMERATOR_BEFORE]
    second = sums["nn"] - 2 * sums["np"] + sums["pp"]
    third = sums[CUBE_OF_CHANGE]
    return mean_interval(group.measured, first, second, third, is_heavy=kind == "heavy")


def wilson(share: float, customers: int) -> tuple[float, float]:
    """Compute Wilson's score interval of a share (Wilson 1927).

    >>> tuple(round(bound, 4) for bound in wilson(0.0, 10))
    (0.0, 0.2775)
    """
    weight = _Z * _Z / customers
    centre = (share + weight / 2) / (1 + weight)
    half = math.sqrt(weight * (share * (1 - share) + weight / 4)) / (1 + weight)
    # Of 0 and of 1 the bound is exact, and rounding would put it beyond.
    lower = 0.0 if share == 0 else max(centre - half, 0.0)
    upper = 1.0 if share == 1 else min(centre + half, 1.0)
    return lower, upper


def mean_interval(
    customers: int, first: int, second: int, third: int, *, is_heavy: bool
) -> Interval:
    """Tell a mean from the sums of values, squares and cubes; by Student's t, or by Hall's.

    Hall (1992, Journal of the Royal Statistical Society B 54): with skewness g and
    U = (mean - mu) / s, the transformed T = U + g U^2 / 3 + g^2 U^3 / 27 + g / (6 n) is symmetric
    to a higher order than U, and has an inverse. Its quantiles are taken as t's, for small n.
    """
    mean = first / customers
    if customers < 2:
        return Interval(mean, None, None, "skewness_adjusted_t" if is_heavy else "t")
    squares = customers * second - first * first
    if squares <= 0:
        return Interval(mean, mean, mean, "skewness_adjusted_t" if is_heavy else "t")
    cubes = customers * customers * third - 3 * customers * first * second + 2 * first**3
    skewness = (cubes / customers**3) / (squares / customers**2) ** 1.5
    deviation = math.sqrt(squares / (customers * (customers - 1)))
    quantile = float(stdtrit(customers - 1, _TAIL)) / math.sqrt(customers)
    if not is_heavy and abs(skewness) <= SKEWED:
        return Interval(mean, mean - quantile * deviation, mean + quantile * deviation, "t")
    below = _untransformed(quantile, skewness, customers)
    above = _untransformed(-quantile, skewness, customers)
    bounds = (mean - below * deviation, mean - above * deviation)
    return Interval(mean, *bounds, "skewness_adjusted_t")


def newcombe_paired(both: float, now: float, before: float, neither: float) -> tuple[float, float]:
    """Compute the interval of a difference of two shares of the same customers.

    Newcombe (1998, Statistics in Medicine 17, 2635-2650), method 10: Wilson's bounds of each, and
    the correlation of the two. `now` and `before` are the customers for whom it holds only then.

    >>> tuple(round(bound, 4) for bound in newcombe_paired(36, 12, 2, 0))
    (0.0569, 0.3404)
    """
    customers = both + now + before + neither
    share, share_before = (both + now) / customers, (both + before) / customers
    (lower, upper), (lower_before, upper_before) = (
        wilson(share, int(customers)),
        wilson(share_before, int(customers)),
    )
    product = (both + now) * (before + neither) * (both + before) * (now + neither)
    excess = both * neither - now * before
    if excess > 0:
        excess = max(excess - customers / 2, 0.0)
    correlation = excess / math.sqrt(product) if product else 0.0
    down, up = share - lower, upper - share
    down_before, up_before = share_before - lower_before, upper_before - share_before
    change = share - share_before
    return (
        change - math.sqrt(down**2 - 2 * correlation * down * up_before + up_before**2),
        change + math.sqrt(up**2 - 2 * correlation * up * down_before + down_before**2),
    )


def _change_of_shares(group: KpiSums) -> Interval:
    sums, scale = group.sums, group.numerator_scale
    both = sums["np"] / scale**2
    now, before = sums[NUMERATOR] / scale - both, sums[NUMERATOR_BEFORE] / scale - both
    bounds = newcombe_paired(both, now, before, group.measured - both - now - before)
    change = (sums[NUMERATOR] - sums[NUMERATOR_BEFORE]) / sums[DENOMINATOR]
    return Interval(change, bounds[0] * scale, bounds[1] * scale, "wilson")


def _change_of_quotients(group: KpiSums) -> Interval:
    """Tell the difference of two quotients by the delta method, customer by customer.

    A customer's part in it is (n - R d) / sum(d) - (p - R' e) / sum(e); such parts sum to 0.
    """
    sums = group.sums
    now, under = sums[NUMERATOR], sums[DENOMINATOR]
    before, under_before = sums[NUMERATOR_BEFORE], sums[DENOMINATOR_BEFORE]
    own = _residual_squares(now, under, sums["nn"], sums["nd"], sums["dd"])
    own_before = _residual_squares(before, under_before, sums["pp"], sums["pe"], sums["ee"])
    # Each residual is multiplied by its sum of denominators, so that all are whole numbers.
    shared = (
        under * under_before * sums["np"]
        - under * before * sums["ne"]
        - now * under_before * sums["dp"]
        + now * before * sums["de"]
    ) / (under * under_before)
    squares = own / under**2 + own_before / under_before**2
    variance = max(squares - 2 * shared / (under * under_before), 0.0)
    change = now / under - before / under_before
    customers = min(group.measured, group.measured_before)
    return _with_error(change, math.sqrt(variance), customers, "delta")


def _residual_squares(numerator: int, denominator: int, nn: int, nd: int, dd: int) -> float:
    """Sum (n - R d)^2, with R = numerator / denominator."""
    squares = denominator**2 * nn - 2 * numerator * denominator * nd + numerator**2 * dd
    return max(squares / denominator**2, 0.0)


def _with_error(value: float, error: float, customers: int, method: Method) -> Interval:
    """Put an interval around an estimate, with Bessel's correction; none around one customer's."""
    if customers < 2:
        return Interval(value, None, None, method)
    half = float(stdtrit(customers - 1, _TAIL)) * error * math.sqrt(customers / (customers - 1))
    return Interval(value, value - half, value + half, method)


def _untransformed(transformed: float, skewness: float, customers: int) -> float:
    """Invert Hall's transformation; without skewness it changes nothing."""
    if skewness == 0:
        return transformed
    shifted = 1 + skewness * (transformed - skewness / (6 * customers))
    return 3 / skewness * (math.cbrt(shifted) - 1)
