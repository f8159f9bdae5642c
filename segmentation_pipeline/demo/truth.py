"""The planted truth of a demo home, read back: who moved when, from where to where.

It stands beside the sources, never in them, for tests and benchmarks.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.warehouse import literal, open_in_memory

TRUTH_NAME = "planted_segments.parquet"
"""A row per night, customer and segmentation (see `truth_rows.truth_sql`)."""


@dataclass(frozen=True)
class PlantedMove:
    """A customer who is in another planted segment from a night on than on the night before."""

    segmentation: str
    customer_id: str
    as_of: dt.date
    from_segment: str
    to_segment: str


@dataclass(frozen=True)
class ClearMove:
    """A customer whose expected features are clearly in another segment than they clearly were."""

    segmentation: str
    customer_id: str
    as_of: dt.date
    """The first night on which they clearly are in the new one."""
    nights: int
    """Since the last night on which they clearly were in the old one; 1: it shows at once."""
    from_segment: str
    to_segment: str


def clear_moves(home: Path) -> list[ClearMove]:
    """List all moves that are over by the last night, by segmentation, night and customer."""
    query = f"""
        SELECT segmentation, customer_id, as_of, as_of - since AS nights, before, expected_segment
        FROM (
            SELECT
                *, lag(expected_segment) OVER one AS before, lag(as_of) OVER one AS since
            FROM read_parquet({literal(str(home / TRUTH_NAME))})
            WHERE border_segment IS NULL
            WINDOW one AS (PARTITION BY segmentation, customer_id ORDER BY as_of)
        )
        WHERE expected_segment <> before
        ORDER BY segmentation, as_of, customer_id"""
    with open_in_memory() as connection:
        return [ClearMove(*row) for row in connection.execute(query).fetchall()]


def planted_moves(home: Path) -> list[PlantedMove]:
    """List all moves of a demo home, by segmentation, night and customer."""
    query = f"""
        SELECT segmentation, customer_id, as_of, segment_before, segment
        FROM (
            SELECT *, lag(segment) OVER (
                PARTITION BY segmentation, customer_id ORDER BY as_of
            ) AS segment_before
            FROM read_parquet({literal(str(home / TRUTH_NAME))})
        )
        WHERE segment <> segment_before
        ORDER BY segmentation, as_of, customer_id"""
    with open_in_memory() as connection:
        return [PlantedMove(*row) for row in connection.execute(query).fetchall()]
