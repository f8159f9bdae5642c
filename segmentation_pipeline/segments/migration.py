"""`segment_migration`: how many went from where to where in a night, without small groups.

What belongs here: the counts of a night's borders between spells, and which of them are withheld.
Who it was belongs to `movements`.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.segments.movements import changes_sql
from segmentation_pipeline.segments.suppression import hidden_cells
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

Flow = tuple[str | None, str | None, str, int]
"""Segment of the night before, segment of this one, reason, customers."""

_SCHEMA = pa.schema(
    {
        "from_segment_id": pa.string(),
        "to_segment_id": pa.string(),
        "reason": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "is_suppressed": pa.bool_(),
    }
)
_STAYED, _MOVED, _MODEL = "stayed", "moved", "model"


def make_segment_migration(
    connection: Connection, segmentation: str, build: Build, smallest_group: int
) -> int:
    """Write the night's `segment_migration`: customers by segment of last night and of tonight.

    `share` is the part of the segment of last night, NULL of those who entered. The reason of who
    is where they were is `stayed`. Counts from 1 to below `smallest_group` are withheld, and as
    many others as keep them unknown to who knows the sizes of the segments on both nights.
    """
    flows: list[Flow] = connection.execute(
        f"""
        WITH changes AS (
            SELECT from_segment_id, to_segment_id, reason, count(*) AS customers
            FROM ({changes_sql(segmentation, build.as_of)}) GROUP BY ALL
        ), sizes AS (
            SELECT segment_id, count(*) AS customers
            FROM {Table(segmentation, "customer_segments").sql} GROUP BY ALL
        ), arrivals AS (
            SELECT to_segment_id AS segment_id, sum(customers)::BIGINT AS customers
            FROM changes GROUP BY ALL
        )
        FROM changes
        UNION ALL
        SELECT segment_id, segment_id, '{_STAYED}', s.customers - coalesce(a.customers, 0)
        FROM sizes s LEFT JOIN arrivals a USING (segment_id)
        """
    ).fetchall()
    rows = list(migration_rows([flow for flow in flows if flow[3]], smallest_group))
    return write_rows(connection, Table(segmentation, "segment_migration"), _SCHEMA, rows, build)


def migration_rows(flows: Sequence[Flow], smallest_group: int) -> Iterator[dict[str, Any]]:
    """Write the rows of a night's migration, each way once; withheld figures are None.

    A way that nobody went has a row where it is withheld: none would tell that it is empty.
    """
    change = _MODEL if any(reason == _MODEL for *_, reason, _ in flows) else _MOVED
    segments = {one for flow in flows for one in flow[:2] if one is not None}
    # In the place of no segment stands the reason: entered, left or erased.
    pairs = {(origin or reason, target or reason): n for origin, target, reason, n in flows}
    sources, targets = (_in_order({pair[side] for pair in pairs}, segments) for side in (0, 1))
    rows = {name: row for row, name in enumerate(sources)}
    columns = {name: column for column, name in enumerate(targets)}
    counts = np.zeros((len(sources), len(targets)), dtype=np.int64)
    for (origin, target), customers in pairs.items():
        counts[rows[origin], columns[target]] = customers
    # Nobody comes from nowhere and goes there.
    impossible = np.array(
        [[not {origin, target} & segments for target in targets] for origin in sources], dtype=bool
    ).reshape(counts.shape)
    hidden = hidden_cells(counts, smallest_group, has_total_row=False, impossible=impossible)
    for row, column in np.argwhere((counts > 0) | hidden):
        origin, target = sources[row], targets[column]
        reason = _STAYED if origin == target else change
        reason = next((one for one in (origin, target) if one not in segments), reason)
        is_hidden = bool(hidden[row, column])
        share = counts[row, column] / counts[row].sum()
        yield {
            "from_segment_id": origin if origin in segments else None,
            "to_segment_id": target if target in segments else None,
            "reason": reason,
            "customers": None if is_hidden else int(counts[row, column]),
            "share": None if is_hidden or origin not in segments else float(share),
            "is_suppressed": is_hidden,
        }


def _in_order(names: Collection[str], segments: Collection[str]) -> list[str]:
    """Sort the names of a side: segments first, then what stands in the place of one."""
    return sorted(names, key=lambda name: (name not in segments, name))
