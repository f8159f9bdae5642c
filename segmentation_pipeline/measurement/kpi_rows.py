"""A date's KPIs as rows: figures of each segment and of everybody, small groups withheld.

What belongs here: what the sums of a KPI become when people read them. Which dates are due belongs
to `kpi_inputs`, the formulas to `kpi_intervals`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.measurement.kpi_intervals import (
    Interval,
    change_interval,
    value_interval,
)
from segmentation_pipeline.measurement.kpi_sums import (
    DENOMINATOR,
    DENOMINATOR_BEFORE,
    NUMERATOR,
    NUMERATOR_BEFORE,
    KpiSums,
    total,
)
from segmentation_pipeline.segments.suppression import Hidden, hidden_groups
from segmentation_pipeline.specification.kpis import EVERYBODY, KpiKind

FIGURES_SCHEMA = pa.schema(
    {
        "kpi": pa.string(),
        "kpi_date": pa.date32(),
        "segment_id": pa.string(),
        "customers": pa.int64(),
        "measured_customers": pa.int64(),
        "numerator": pa.float64(),
        "denominator": pa.float64(),
        "value": pa.float64(),
        "lower": pa.float64(),
        "upper": pa.float64(),
        "method": pa.string(),
        "previous_value": pa.float64(),
        "change": pa.float64(),
        "change_lower": pa.float64(),
        "change_upper": pa.float64(),
        "is_suppressed": pa.bool_(),
    }
)
_OF_NOW = (
    "measured_customers", "numerator", "denominator", "value", "lower", "upper", "method",
)  # fmt: skip
_OF_CHANGE = ("previous_value", "change", "change_lower", "change_upper")
_DIGITS = 12


def kpi_rows(
    kind: KpiKind, groups: Mapping[str, KpiSums], smallest_group: int
) -> list[dict[str, Any]]:
    """Tell a KPI of each segment and of everybody, without what would tell of a small group.

    A figure that fewer than `smallest_group` customers make, or that all but so few make if it is a
    share, is withheld, and as many others as keep it from being computed from everybody's.
    """
    if not groups:
        return []
    segments, sums = [*groups], [*groups.values()]
    hidden = _hidden(kind, [(one.measured, one.contributing) for one in sums], smallest_group)
    hidden_before = _hidden(
        kind, [(one.measured_before, one.contributing_before) for one in sums], smallest_group
    )
    rows = []
    for segment_id, one, is_hidden, is_hidden_before in zip(
        [*segments, EVERYBODY], [*sums, total(sums)], hidden, hidden_before, strict=True
    ):
        withheld: tuple[str, ...] = ()
        if is_hidden:
            withheld = (*_OF_NOW, *_OF_CHANGE)
        elif is_hidden_before:
            withheld = _OF_CHANGE
        row = {"segment_id": segment_id, "customers": one.customers, **_figures(kind, one)}
        rows.append(row | dict.fromkeys(withheld) | {"is_suppressed": bool(withheld)})
    return rows


def _hidden(kind: KpiKind, counts: Sequence[tuple[int, int]], smallest_group: int) -> Hidden:
    """Choose the groups to withhold, and last whether everybody is, from (measured, contributing).

    Where few have another figure than 0 the sum is theirs, so they count as a group of their own;
    of a share, those for whom it doesn't hold as well.
    """
    measured, contributing = np.array(counts, dtype=np.int64).T
    told = [contributing, measured - contributing if kind == "binary" else measured]
    few = np.logical_or(*(hidden_groups(one, smallest_group) for one in told))
    is_total_few = any(0 < int(one.sum()) < smallest_group for one in told)
    return np.append(few, is_total_few)


def _figures(kind: KpiKind, group: KpiSums) -> dict[str, Any]:
    sums, now = group.sums, value_interval(kind, group)
    found: dict[str, Any] = {
        "measured_customers": group.measured,
        "numerator": _told(sums[NUMERATOR], 1 / group.numerator_scale),
        "denominator": _told(sums[DENOMINATOR], 1 / group.denominator_scale),
        "method": now.method if now else None,
        **_bounds(now, group.unit, ("value", "lower", "upper")),
        "previous_value": None,
        **_bounds(
            change_interval(kind, group), group.unit, ("change", "change_lower", "change_upper")
        ),
    }
    if group.has_before and sums[DENOMINATOR_BEFORE] > 0:
        before = sums[NUMERATOR_BEFORE] / sums[DENOMINATOR_BEFORE]
        found["previous_value"] = _told(before, group.unit)
    return found


def _bounds(
    interval: Interval | None, unit: float, names: tuple[str, str, str]
) -> dict[str, float | None]:
    if interval is None:
        return dict.fromkeys(names)
    values = (interval.value, interval.lower, interval.upper)
    return {name: _told(value, unit) for name, value in zip(names, values, strict=True)}


def _told(value: float | None, unit: float) -> float | None:
    """Write a figure in its unit, to as many digits as the sums hold."""
    return None if value is None else float(f"{value * unit:.{_DIGITS}g}")
