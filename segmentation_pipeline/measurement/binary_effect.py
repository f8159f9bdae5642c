"""The difference of two rates, by Newcombe's interval.

What belongs here: interval and p of a difference of shares of customers, of which the history may
explain a part.
"""

import math

from scipy import optimize, special, stats

MOST_Z = 37.0
"""Beyond it the normal distribution's tail is no number above zero any more."""


def wilson(rate: float, n: float, z: float) -> tuple[float, float]:
    """Give the score interval of a rate of `n` customers, maybe effective ones (Wilson 1927)."""
    middle = rate + z * z / (2 * n)
    half_width = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max((middle - half_width) / scale, 0.0), min((middle + half_width) / scale, 1.0)


def newcombe(
    treated: float, n_treated: float, control: float, n_control: float, *, z: float
) -> tuple[float, float]:
    """Give the interval of a difference of rates, treated minus control.

    Method 10 of Newcombe 1998, Statistics in Medicine 17:873-890: the arms' score intervals, joined
    by their squared distances from the rates. A simple Wald interval covers too little where a rate
    is near 0 or 1 or an arm is small.
    """
    low_treated, high_treated = wilson(treated, n_treated, z)
    low_control, high_control = wilson(control, n_control, z)
    return (
        treated - control - math.hypot(treated - low_treated, high_control - control),
        treated - control + math.hypot(high_treated - treated, control - low_control),
    )


def newcombe_p(treated: float, n_treated: float, control: float, n_control: float) -> float:
    """Give the two-sided p at which Newcombe's interval begins to hold zero."""
    if treated == control:
        return 1.0
    nearer = 0 if treated > control else 1

    def distance(z: float) -> float:
        limits = newcombe(treated, n_treated, control, n_control, z=z)
        return limits[nearer] if nearer == 0 else -limits[nearer]

    if distance(MOST_Z) > 0:
        return 0.0
    return 2 * float(special.ndtr(-optimize.brentq(distance, 0.0, MOST_Z)))


def mid_p(successes_treated: int, n_treated: int, successes_control: int, n_control: int) -> float:
    """Give Fisher's two-sided p, twice the smaller tail, the observed table counted half.

    Lancaster 1961. With one expected success among 200 held out, Newcombe's interval at a corrected
    level is wrong up to twice too often; this is not.
    """
    of_all = stats.hypergeom(
        n_treated + n_control, successes_treated + successes_control, n_control
    )
    here = of_all.pmf(successes_control) / 2
    return float(
        min(
            1.0,
            2 * (of_all.cdf(successes_control - 1) + here),
            2 * (of_all.sf(successes_control) + here),
        )
    )
