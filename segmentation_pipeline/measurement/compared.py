"""The customers who are compared: an arm as it was assigned, and both arms with a value and a past.

What belongs here: which customers count, and which figures are refused. What is computed from them
belongs to `effects`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import MeasurementError
from segmentation_pipeline.measurement.history_adjustment import history_columns
from segmentation_pipeline.measurement.sample_ratio import attrition_p
from segmentation_pipeline.specification.kpis import KpiKind

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_CUSTOMERS = 200
"""Customers with a value, in each arm, below whom nothing is said."""


@dataclass(frozen=True, eq=False)
class Arm:
    """One arm: a row per customer assigned to it, reached or not.

    A customer whose numerator (or denominator) is NaN has no value and is left out.
    """

    numerator: Floats
    """(n,) the KPI in the window of the experiment; 0 or 1 if it is binary."""
    denominator: Floats | None = None
    """(n,) of a ratio, at least 0."""
    before: Floats | None = None
    """(n,) the KPI (a ratio's numerator) in a window that ended at eligibility; NaN: no past."""
    before_denominator: Floats | None = None
    """(n,) of a ratio, in the same window; NaN: no past."""


@dataclass(frozen=True, eq=False)
class Measured:
    """Both arms' customers who have a value, and what their past tells."""

    numerator: Floats
    denominator: Floats | None
    is_treated: Mask
    columns: Floats | None
    attrition_p: float

    @property
    def has_enough(self) -> bool:
        """Whether each arm has so many customers that something may be said."""
        n_treated = int(np.count_nonzero(self.is_treated))
        return min(n_treated, self.is_treated.size - n_treated) >= LEAST_CUSTOMERS


def measured_customers(treated: Arm, control: Arm, kind: KpiKind) -> Measured:
    """Put together the customers of both arms, the treated first, without those who have no value.

    Raises:
        MeasurementError: figures that the kind cannot have, or arms of differing lengths.

    """
    numerator = np.concatenate([treated.numerator, control.numerator])
    is_treated = np.arange(numerator.size) < treated.numerator.size
    denominator = _joined(treated, control, "denominator")
    if (kind == "ratio") != (denominator is not None):
        raise MeasurementError(f"denominators belong to a ratio, and this KPI is of kind {kind}")
    has_value = ~np.isnan(numerator)
    if denominator is not None:
        has_value &= ~np.isnan(denominator)
    before = [_joined(treated, control, name) for name in ("before", "before_denominator")]
    missing = [int(np.count_nonzero(~has_value[arm])) for arm in (is_treated, ~is_treated)]
    measured = Measured(
        numerator=numerator[has_value],
        denominator=None if denominator is None else denominator[has_value],
        is_treated=is_treated[has_value],
        columns=history_columns([past[has_value] for past in before if past is not None]),
        attrition_p=attrition_p(
            missing[0], treated.numerator.size, missing[1], control.numerator.size
        ),
    )
    if not np.isfinite(measured.numerator).all():
        raise MeasurementError("a KPI holds an infinite value; its effect cannot be measured")
    if kind == "binary" and not np.isin(measured.numerator, (0.0, 1.0)).all():
        raise MeasurementError("a KPI of kind binary holds values other than 0 and 1")
    if (
        measured.denominator is not None
        and not ((measured.denominator >= 0) & np.isfinite(measured.denominator)).all()
    ):
        raise MeasurementError("a ratio's denominators hold values below 0, or infinite ones")
    return measured


def _joined(treated: Arm, control: Arm, name: str) -> Floats | None:
    arms = [getattr(arm, name) for arm in (treated, control)]
    if all(figures is None for figures in arms):
        return None
    if any(
        figures is None or figures.shape != arm.numerator.shape
        for figures, arm in zip(arms, (treated, control), strict=True)
    ):
        raise MeasurementError(f"`{name}` needs one figure for each customer of both arms")
    return np.concatenate(arms).astype(np.float64)
