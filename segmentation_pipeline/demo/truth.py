"""The planted truth of a demo home, read back: who moved when, from where to where.

It stands beside the sources, never in them, for tests and benchmarks.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.warehouse import literal, open_in_memory

TRUTH_NAME = "planted_segments.parquet"
"""A row per night, customer and segmentation: `as_of, customer_id, segmentation, segment`."""


@dataclass(frozen=True)
class PlantedMove:
    """A customer who is in another planted segment from a night on than on the night before."""

    segmentation: str
    customer_id: str
    as_of: dt.date
    from_segment: str
    to_segment: str


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
