"""What a night changed: who entered and left each segment.

What belongs here: the tables of one night, read off the borders between two spells of
`segment_history`. Stayers are never listed: they are counted by subtraction.
"""

import datetime as dt

from segmentation_pipeline.segments.history import ERASED, create_history, update_history
from segmentation_pipeline.segments.hysteresis import HoldKind
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    transaction,
    write_table,
)


def record_night(
    connection: Connection, segmentation: str, night: Night, build: Build, *, hold: HoldKind
) -> NightChanges:
    """Bring the history up to tonight's `customer_segments`, and keep the night with its changes.

    One transaction. A date that is run again replaces what it said before; `segment_movements` and
    `segment_migration` are made after it.
    """
    create_history(connection, segmentation)
    with transaction(connection):
        update_history(connection, segmentation, night, build, keeps_pending=hold == "nights")
        changes = _count_changes(connection, segmentation, night.as_of)
        keep_night(connection, segmentation, night, changes)
    return changes


def make_segment_movements(connection: Connection, segmentation: str, build: Build) -> int:
    """Write the night's `segment_movements`: a row for each customer who changed segment.

    `from_segment_id` is NULL of those who entered, `to_segment_id` of those who left. Whoever was
    erased is not listed.
    """
    query = (
        "SELECT customer_id, from_segment_id, to_segment_id, reason"
        f" FROM ({changes_sql(segmentation, build.as_of)}) WHERE reason <> {literal(ERASED)}"
    )
    return write_table(connection, Table(segmentation, "segment_movements"), query, build)


def _count_changes(connection: Connection, segmentation: str, as_of: dt.date) -> NightChanges:
    counts = dict(
        connection.execute(
            f"SELECT reason, count(*) FROM ({changes_sql(segmentation, as_of)}) GROUP BY reason"
        ).fetchall()
    )
    customers, held = connection.execute(
        "SELECT count(*), count(*) FILTER (segment_id <> raw_segment_id)"
        f" FROM {Table(segmentation, 'customer_segments').sql}"
    ).fetchall()[0]
    return NightChanges(
        customers=customers,
        entered_count=counts.get("entered", 0),
        left_count=counts.get("left", 0),
        moved_count=counts.get("moved", 0),
        model_count=counts.get("model", 0),
        erased_count=counts.get(ERASED, 0),
        held_count=held,
    )


def changes_sql(segmentation: str, as_of: dt.date) -> str:
    """Write the SELECT of who is in another segment from a date on; also of who came or went."""
    history, date = Table(segmentation, "segment_history").sql, literal(as_of)
    return (
        "SELECT customer_id, e.segment_id AS from_segment_id, b.segment_id AS to_segment_id,"
        " coalesce(b.reason, e.end_reason) AS reason"
        f" FROM (FROM {history} WHERE valid_to = {date}) e"
        f" FULL JOIN (FROM {history} WHERE valid_from = {date}) b USING (customer_id)"
    )
