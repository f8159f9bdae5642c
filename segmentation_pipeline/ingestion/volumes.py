"""How many rows a source usually has, by which a night tells that one was cut short.

Of a CRM table these are the rows of its snapshots before the one in force; of streams and surveys
the rows that the raw table had on the nights before.
"""

import datetime as dt
import statistics

from segmentation_pipeline.ingestion.loads import SOURCE_LOADS, raw_table
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, has_table

_VOLUMES = Table("core", "source_volumes")
_EARLIER = 7
"""The median is of so many snapshots or nights: a week."""
_VOLUMES_SQL = f"""
CREATE TABLE IF NOT EXISTS {_VOLUMES.sql} (
    source VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    rows BIGINT NOT NULL,
    PRIMARY KEY (source, as_of)
)
"""


def record_volume(connection: Connection, name: str, build: Build, rows: int) -> None:
    """Note how many rows a source's raw table has on a night."""
    connection.execute(_VOLUMES_SQL)
    connection.execute(
        f"INSERT OR REPLACE INTO {_VOLUMES.sql} VALUES (?, ?, ?)", [name, build.as_of, rows]
    )


def lower_volumes(connection: Connection, name: str, rows: int) -> None:
    """Take rows that are no longer kept off the nights' counts: that they went is no loss."""
    connection.execute(_VOLUMES_SQL)
    connection.execute(
        f"UPDATE {_VOLUMES.sql} SET rows = greatest(rows - ?, 0) WHERE source = ?", [rows, name]
    )


def usual_rows(
    connection: Connection, name: str, source: SourceSpec, as_of: dt.date, load_id: int | None
) -> float | None:
    """Find the median of the rows before a night; None where there were no nights or snapshots.

    `load_id` is the snapshot in force of a CRM source. Nights that come later don't count, so that
    a date run again is judged as it was.
    """
    if source.kind == "crm":
        query = (
            f"SELECT rows FROM {SOURCE_LOADS.sql} WHERE source = ? AND snapshot_date < ("
            f"SELECT snapshot_date FROM {SOURCE_LOADS.sql} WHERE load_id = ?) AND load_id IN ("
            f"SELECT DISTINCT load_id FROM {raw_table(name).sql})"
            " ORDER BY snapshot_date DESC LIMIT ?"
        )
        found = connection.execute(query, [name, load_id, _EARLIER]).fetchall()
    elif not has_table(connection, _VOLUMES):
        return None
    else:
        query = (
            f"SELECT rows FROM {_VOLUMES.sql} WHERE source = ? AND as_of < ?"
            " ORDER BY as_of DESC LIMIT ?"
        )
        found = connection.execute(query, [name, as_of, _EARLIER]).fetchall()
    return statistics.median(rows for (rows,) in found) if found else None
