"""How many customers a strategy could reach tonight, and what keeps it from the others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.measurement.assignments import ASSIGNMENTS, STANDING
from segmentation_pipeline.measurement.experiments import running_experiments
from segmentation_pipeline.measurement.lists import STRATEGY_LISTS
from segmentation_pipeline.segments.suppression import hidden_groups
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_rows

_PARTS = (
    "treated_count",
    "hold_out_count",
    "global_hold_out_count",
    "without_permission_count",
    "capped_count",
    "busy_count",
    "waiting_count",
)
"""Each customer of a strategy is in one of them."""
_SCHEMA = pa.schema(
    {
        "strategy": pa.string(),
        "eligible_count": pa.int64(),
        **dict.fromkeys(_PARTS, pa.int64()),
        "listed_count": pa.int64(),
        "is_suppressed": pa.bool_(),
    }
)


def make_strategy_audience(
    connection: Connection, home: Home, segmentation: str, build: Build
) -> int:
    """Write a segmentation's `strategy_audience`: a row per strategy that is an experiment.

    It counts `STANDING` after the night's draws, and the night's list. Counts below
    the privacy floor are withheld, and as many others as keep them from being computed from
    `eligible_count`. Returns the number of rows.
    """
    strategies = [
        one.strategy
        for one in running_experiments(connection, home)
        if one.segmentation == segmentation
    ]
    smallest_group = home.customers.limits.smallest_group
    rows = [
        _suppressed(row, smallest_group)
        for row in _counted(connection, segmentation, strategies, build)
    ]
    return write_rows(connection, Table(segmentation, "strategy_audience"), _SCHEMA, rows, build)


def _counted(
    connection: Connection, segmentation: str, strategies: Sequence[str], build: Build
) -> Sequence[dict[str, Any]]:
    if not strategies:
        return []
    named = ", ".join(f"({literal(name)})" for name in strategies)
    date = literal(build.as_of)
    found: list[dict[str, Any]] = (
        connection.sql(f"""
        WITH tonight AS (
            FROM {ASSIGNMENTS.sql} WHERE assigned_date = {date}
        ), standing AS (
            SELECT
                s.strategy,
                customers,
                CASE
                    WHEN s.arm IS NOT NULL THEN s.arm || '_count'
                    WHEN a.arm IS NOT NULL THEN a.arm || '_count'
                    WHEN NOT is_permitted THEN 'without_permission_count'
                    WHEN is_capped THEN 'capped_count'
                    WHEN is_busy OR b.customer_id IS NOT NULL THEN 'busy_count'
                    ELSE 'waiting_count'
                END AS part
            FROM {STANDING} s
            LEFT JOIN tonight a ON a.segmentation = s.segmentation
                AND a.strategy = s.strategy AND a.customer_id = s.customer_id
            LEFT JOIN tonight b ON b.customer_id = s.customer_id
            WHERE s.segmentation = {literal(segmentation)}
        ), listed AS (
            SELECT strategy, count(*) AS listed_count
            FROM {STRATEGY_LISTS.sql} WHERE segmentation = {literal(segmentation)} GROUP BY ALL
        )
        SELECT
            strategy,
            coalesce(sum(customers), 0)::BIGINT AS eligible_count,
            {", ".join(f"{_part_sql(name)} AS {name}" for name in _PARTS)},
            coalesce(any_value(listed_count), 0) AS listed_count
        FROM (VALUES {named}) AS experiments(strategy)
        LEFT JOIN standing USING (strategy) LEFT JOIN listed USING (strategy)
        GROUP BY strategy ORDER BY strategy""")
        .to_arrow_table()
        .to_pylist()
    )
    return found


def _part_sql(name: str) -> str:
    return f"coalesce(sum(customers) FILTER (part = {literal(name)}), 0)::BIGINT"


def _suppressed(row: dict[str, Any], smallest_group: int) -> dict[str, Any]:
    counts = np.array([row[name] for name in _PARTS], dtype=np.int64)
    hidden = hidden_groups(counts, smallest_group)
    withheld = [name for name, is_hidden in zip(_PARTS, hidden, strict=True) if is_hidden]
    if 0 < row["listed_count"] < smallest_group:
        withheld.append("listed_count")
    return row | dict.fromkeys(withheld) | {"is_suppressed": bool(withheld)}
