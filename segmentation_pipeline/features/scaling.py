"""The scaling of one column: bounds, centre and spread of the values there are."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.specification.features import Clip, Scaling

Numbers = NDArray[np.float64]

NO_VALUE = "no customer has a value"
ONE_VALUE = "all customers have the same value"
EQUAL_QUARTILES = "its quartiles are equal: scaled by the standard deviation instead"


@dataclass(frozen=True, slots=True)
class FittedScaling:
    """(clip(fill(x)) - centre) / spread, everything in the unit of x."""

    centre: float
    spread: float
    lower: float | None
    upper: float | None
    fill: float
    note: str | None = None
    """What to know about it."""


def fit_scaling(
    x: Numbers,
    scaling: Scaling,
    clip: Clip | None,
    constant: float | None,
    *,
    keeps_one_value: bool = False,
) -> FittedScaling | str:
    """Fit one column, shape (n,), NaN where missing; the reason, where it cannot enter a distance.

    Missing values first become `constant`, if there is one; else they play no part here, and are
    filled by the centre: the median with robust scaling, the mean otherwise.

    - `standard`: mean and population standard deviation;
    - `min_max`: minimum and range, so that values lie between 0 and 1;
    - `robust`: median and interquartile range (linear quantiles); where that is 0, as for counts
      that are mostly 0, the standard deviation, since a spread of 1 would let the unit decide;
    - `none`: 0 and 1.

    A single value has no spread: it is refused, or with `keeps_one_value` 0 for all customers.
    """
    values = x[~np.isnan(x)] if constant is None else np.where(np.isnan(x), constant, x)
    if not len(values):
        return NO_VALUE
    lower, upper = _bounds(values, clip)
    values = np.clip(
        values, -math.inf if lower is None else lower, math.inf if upper is None else upper
    )
    mean, deviation = float(values.mean()), float(values.std())
    # What is left of a constant after rounding is no spread (as in scikit-learn's scalers).
    if deviation <= 10 * np.finfo(np.float64).eps * float(np.abs(values).max()):
        if not keeps_one_value:
            return ONE_VALUE
        value = float(values[0])
        fill = value if constant is None else constant
        return FittedScaling(value, 1.0, lower, upper, fill, ONE_VALUE)
    fill = mean if constant is None else constant
    match scaling:
        case "standard":
            return FittedScaling(mean, deviation, lower, upper, fill)
        case "min_max":
            smallest, spread = float(values.min()), float(np.ptp(values))
            return FittedScaling(smallest, spread, lower, upper, fill)
        case "robust":
            first, median, third = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
            fill = median if constant is None else constant
            if third > first:
                return FittedScaling(median, third - first, lower, upper, fill)
            return FittedScaling(median, deviation, lower, upper, fill, EQUAL_QUARTILES)
        case "none":
            return FittedScaling(0.0, 1.0, lower, upper, fill)


def _bounds(values: Numbers, clip: Clip | None) -> tuple[float | None, float | None]:
    if clip is None:
        return None, None
    lower, upper = clip.lower, clip.upper
    if clip.lower_quantile is not None:
        lower = float(np.quantile(values, clip.lower_quantile))
    if clip.upper_quantile is not None:
        upper = float(np.quantile(values, clip.upper_quantile))
    return lower, upper
