"""What an experiment can find: before it begins, and after it found nothing.

What belongs here: arithmetic of power under the normal approximation, two-sided, at the level
alpha / m that the strictest of m comparisons must reach.
"""

import math

from scipy import special

ALPHA = 0.05
POWER = 0.8


def planned_standard_error(
    standard_deviation: float, n_treated: int, n_control: int, *, history_correlation: float = 0.0
) -> float:
    """Foresee the standard error of a difference of means, in the unit of the KPI.

    Args:
        standard_deviation: Of the KPI over customers, as in the past; of the linearised values for
            a ratio, sqrt(p (1 - p)) for a rate.
        n_treated: Customers to be treated.
        n_control: Customers to be held out.
        history_correlation: Of the KPI with its own past; CUPED leaves sqrt(1 - r^2) of the error.

    """
    noise = standard_deviation * math.sqrt(1.0 - history_correlation**2)
    return noise * math.sqrt(1 / n_treated + 1 / n_control)


def power(effect: float, standard_error: float, *, comparisons: int = 1) -> float:
    """Give the chance of finding an `effect` of either sign, at alpha / `comparisons`.

    >>> round(power(2.8, 1.0), 2)
    0.8
    """
    critical = -special.ndtri(ALPHA / comparisons / 2)
    shift = abs(effect) / standard_error
    return float(special.ndtr(shift - critical) + special.ndtr(-shift - critical))


def smallest_detectable(standard_error: float, *, comparisons: int = 1) -> float:
    """Give the effect that is found in 80 of 100 experiments, at alpha / `comparisons`.

    >>> round(smallest_detectable(1.0), 2)
    2.8
    """
    critical = -special.ndtri(ALPHA / comparisons / 2)
    return standard_error * float(critical + special.ndtri(POWER))
