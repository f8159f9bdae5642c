"""A ratio of sums (clicks per mail) as one value per customer, who is what was randomised.

What belongs here: the delta method by customer. Clicks pooled over mails, as if each mail had been
randomised, find an effect in half of all A/A tests: a customer's mails are alike.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def linearised(numerator: Floats, denominator: Floats, is_treated: Mask) -> Floats:
    """Give values (n,) whose mean is each arm's ratio R, with the ratio's variance.

    `R + (numerator - R * denominator) / mean denominator`, R and mean of the customer's own arm:
    the delta method (Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric Analytics").
    Both denominators have sums above zero.
    """
    values = np.empty_like(numerator)
    for arm in (is_treated, ~is_treated):
        ratio = numerator[arm].sum() / denominator[arm].sum()
        values[arm] = ratio + (numerator[arm] - ratio * denominator[arm]) / denominator[arm].mean()
    return values


def linearised_alike(numerator: Floats, denominator: Floats, is_treated: Mask) -> Floats:
    """Give values (n,) by one ratio for both arms; their means differ exactly as the ratios do.

    Values to permute must not depend on who is in which arm. These do by a common factor only, to
    which a studentised test is blind: with R of all customers, arms' means of `numerator - R *
    denominator` differ by (R_t - R_c) * D_t * D_c / D, where D are mean denominators.
    """
    ratio = numerator.sum() / denominator.sum()
    of_all, treated, control = (
        float(denominator[rows].mean())
        for rows in (np.ones_like(is_treated), is_treated, ~is_treated)
    )
    return np.asarray(ratio + (numerator - ratio * denominator) * of_all / (treated * control))
