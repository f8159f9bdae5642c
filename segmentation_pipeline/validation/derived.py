"""Expectations of which the suites of several subjects are made.

Names made here hold a double underscore (`age__between`); declared expectations keep theirs.
"""

import datetime as dt
from typing import Any

from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.expectations import RowExpectation
from segmentation_pipeline.validation.expectations import Expectation


def row_floor(minimum: int, description: str) -> Expectation:
    """Ask for a number of rows."""
    return Expectation(
        "table__row_count",
        "row_count_between",
        parameters={"minimum": minimum},
        description=description,
    )


def not_null(column: str, mostly: float, description: str) -> Expectation:
    """Ask for a value, of a share of the rows."""
    return Expectation(
        f"{column}__not_null", "not_null", column, mostly=mostly, description=description
    )


def unique(columns: tuple[str, ...], description: str) -> Expectation:
    """Ask for a key that no two rows share."""
    return Expectation(
        f"{'__'.join(columns)}__unique", "unique", columns=columns, description=description
    )


def possible(
    column: str,
    declared: ColumnSpec,
    latest: dt.date | None,
    mostly: float,
    imputed: float | None = None,
) -> list[Expectation]:
    """Bound a number or a date, if anything bounds it; an imputed constant is always possible."""
    low: Any = declared.minimum
    high: Any = declared.maximum
    if declared.type == "date":
        low, high = declared.earliest, latest
    elif declared.type == "timestamp":
        low = declared.earliest and dt.datetime.combine(declared.earliest, dt.time.min)
        high = latest and dt.datetime.combine(latest, dt.time.max)
    elif imputed is not None:
        low = None if low is None else min(low, imputed)
        high = None if high is None else max(high, imputed)
    bounds = {
        name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None
    }
    if not bounds:
        return []
    return [
        Expectation(
            f"{column}__between",
            "between",
            column,
            parameters=bounds,
            mostly=mostly,
            description="the value is possible",
        )
    ]


def declared_expectation(one: RowExpectation) -> Expectation:
    """Take over what a specification declares."""
    return Expectation(
        one.name,
        "row_predicate",
        parameters={"predicate": one.predicate},
        mostly=share_left(one.maximum_share),
        severity=one.severity,
        description=one.description,
    )


def share_left(share: float) -> float:
    """Compute the share that must hold of the one that need not."""
    # 1 - 0.7 is above 0.3 in binary, and would refuse the very share that is allowed.
    return round(1.0 - share, 12)
