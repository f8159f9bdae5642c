"""Are the arms as large as planned? If not, who is in which is no accident any more."""

import numpy as np
from scipy import stats

from segmentation_pipeline.errors import MeasurementError

INVALID_BELOW = 0.001
"""p of the sample ratio below which no effect is read (Fabijan et al. 2019, KDD)."""


def sample_ratio_p(treated: int, control: int, hold_out_share: float) -> float:
    """Give the p of so uneven arms, by a chi-square test of the counts against the planned share.

    Args:
        treated: Customers assigned to the treated arm.
        control: Customers held out.
        hold_out_share: The planned share of held out among both, between 0 and 1.

    Raises:
        MeasurementError: nobody was assigned, or the share leaves an arm empty.

    """
    if not 0.0 < hold_out_share < 1.0 or treated + control == 0:
        raise MeasurementError(
            f"arms of {treated} and {control} customers cannot be compared with a hold-out share "
            f"of {hold_out_share}: it must lie between 0 and 1, and somebody must be assigned"
        )
    planned = (treated + control) * np.array([1.0 - hold_out_share, hold_out_share])
    return float(stats.chisquare([treated, control], planned).pvalue)


def attrition_p(missing_treated: int, treated: int, missing_control: int, control: int) -> float:
    """Give the p of so different shares of customers without a value of the KPI, by Fisher's test.

    An arm that loses its customers is as bad as one that was filled wrongly.
    """
    table = [
        [missing_treated, treated - missing_treated],
        [missing_control, control - missing_control],
    ]
    return float(stats.fisher_exact(table).pvalue)
