"""CUPED: what customers did before they were assigned explains a part of what they do after.

What belongs here: the columns that tell the past, and taking out of a KPI what they explain. The
past ends at eligibility, so no treatment has touched it, and the difference of the arms stays what
it is; only its noise shrinks, by the share that the past explains.
(Deng, Xu, Kohavi, Walker 2013, "Improving the Sensitivity of Online Controlled Experiments".)
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST_WITH_HISTORY = 200
"""Customers with a past, of both arms, below whom a regression on it would be led by a few."""


def history_columns(before: list[Floats]) -> Floats | None:
    """Make columns (n, k) of mean 0 and variance 1 from figures (n,) of the time before, or None.

    A missing past (NaN) becomes the mean of the known ones, and a column of its own says who has
    none: customers who joined late differ from others. None where too few have a past, or all the
    same.
    """
    columns: list[Floats] = []
    for figures in before:
        is_known = ~np.isnan(figures)
        if np.count_nonzero(is_known) < LEAST_WITH_HISTORY:
            continue
        columns.append(np.where(is_known, figures, figures[is_known].mean()))
        columns.append(is_known.astype(np.float64))
    kept: list[Floats] = []
    for column in columns:
        spread = float(column.std())
        # A constant's spread is its rounding; it would be blown up to variance 1.
        if spread > 1e-12 * max(1.0, float(np.abs(column).max())):
            kept.append((column - column.mean()) / spread)
    return np.column_stack(kept) if kept else None


def without_history(values: Floats, columns: Floats, is_treated: Mask) -> Floats:
    """Take out of `values` (n,) what `columns` (n, k) explain; the mean of all stays as it was.

    One slope for both arms, from deviations within them: it then holds nothing of the effect, and
    the arms' means differ by the effect that least squares on arm and history gives.
    """
    own_values, own_columns = values.copy(), columns.copy()
    for arm in (is_treated, ~is_treated):
        own_values[arm] -= own_values[arm].mean()
        own_columns[arm] -= own_columns[arm].mean(axis=0)
    return np.asarray(values - columns @ _slopes(own_values, own_columns))


def residuals(values: Floats, columns: Floats | None) -> Floats:
    """Give what is left of `values` (n,) after a constant and `columns` (n, k), blind to arms."""
    centred = values - values.mean()
    return centred if columns is None else np.asarray(centred - columns @ _slopes(centred, columns))


def _slopes(values: Floats, columns: Floats) -> Floats:
    # The pseudo-inverse: two figures may be missing for the same customers, and the columns equal.
    return np.asarray(np.linalg.pinv(columns.T @ columns, hermitian=True) @ (columns.T @ values))
