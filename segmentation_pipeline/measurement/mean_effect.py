"""The difference of two arms' means by Welch's test, for values whose tails are not heavy.

What belongs here: interval and p of a difference of means from one value per customer. A ratio
comes here too, once it is linearised by customer; what the history explains is taken out before.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """What a test says of treated against control, in the unit of the KPI."""

    effect: float
    lower: float
    upper: float
    p_value: float
    standard_error: float


def welch(values: Floats, is_treated: Mask, *, alpha: float) -> Comparison:
    """Compare means (treated minus control) of `values` (n,) without assuming equal variances.

    The interval covers with 1 - `alpha`, p is two-sided. Degrees of freedom by Welch (1947),
    Biometrika 34, as `scipy.stats.ttest_ind(equal_var=False)`. Values vary in at least one arm.
    """
    treated, control = values[is_treated], values[~is_treated]
    variances = (
        float(treated.var(ddof=1)) / treated.size,
        float(control.var(ddof=1)) / control.size,
    )
    effect = float(treated.mean() - control.mean())
    error = math.sqrt(sum(variances))
    freedom = sum(variances) ** 2 / (
        variances[0] ** 2 / (treated.size - 1) + variances[1] ** 2 / (control.size - 1)
    )
    half_width = float(special.stdtrit(freedom, 1 - alpha / 2)) * error
    return Comparison(
        effect=effect,
        lower=effect - half_width,
        upper=effect + half_width,
        p_value=2 * float(special.stdtr(freedom, -abs(effect) / error)),
        standard_error=error,
    )
