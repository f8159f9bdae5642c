"""What an experiment could find, foreseen from its customers' own past."""

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.measurement.arm_values import ArmValues
from segmentation_pipeline.measurement.compared import LEAST_CUSTOMERS
from segmentation_pipeline.measurement.power import planned_standard_error, smallest_detectable

Floats = NDArray[np.float64]

_MOST_CORRELATION = 0.99
"""A past that foretells nearly all would promise what no month keeps."""


def planned_detectable(
    past: ArmValues, segment_id: str | None, *, comparisons: int, has_history: bool
) -> float | None:
    """Foresee the smallest effect that would be found, at 80 % power and 5 % / `comparisons`.

    `past` are the arms as if the experiment had ended on the night of the draw: the KPI just
    before it, adjusted by the window before that where `has_history`. None where an arm has fewer
    than 200 customers with a value, or all have the same.
    """
    rows = past.within(segment_id)
    values = _linearised(past.numerator[rows], past.denominator[rows])
    before = _linearised(past.before[rows], past.before_denominator[rows])
    is_treated, known = past.is_treated[rows], ~np.isnan(values)
    sizes = [int(np.count_nonzero(known & arm)) for arm in (is_treated, ~is_treated)]
    if min(sizes) < LEAST_CUSTOMERS or values[known].std() == 0:
        return None
    both = known & ~np.isnan(before)
    correlation = 0.0
    if has_history and np.count_nonzero(both) >= LEAST_CUSTOMERS and before[both].std() > 0:
        found = float(np.corrcoef(values[both], before[both])[0, 1])
        correlation = min(abs(found), _MOST_CORRELATION)
    error = planned_standard_error(
        float(values[known].std()), *sizes, history_correlation=correlation
    )
    return smallest_detectable(error, comparisons=comparisons)


def _linearised(numerator: Floats, denominator: Floats) -> Floats:
    """Give what a customer adds to a ratio, as the delta method has it; else the values."""
    known = ~np.isnan(denominator)
    total = float(denominator[known].sum())
    if total == 0:
        return numerator
    ratio = float(numerator[known].sum()) / total
    added: Floats = (numerator - ratio * denominator) / (total / np.count_nonzero(known))
    return added
