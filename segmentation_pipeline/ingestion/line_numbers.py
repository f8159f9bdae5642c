"""On which line of its file a loaded row stands: `core.load_lines`, a row per stretch of lines.

A raw table numbers its rows; where records hold line breaks, or blank lines lie between them, lines
run ahead. What is kept is where they begin to: one row of most files. So a row that turns out bad
after it was loaded can be found in its file.
"""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from segmentation_pipeline.ingestion.numbering import Numbering
from segmentation_pipeline.warehouse import Connection, Table, has_table, literal

LOAD_LINES = Table("core", "load_lines")
_TABLE_SQL = (
    f"CREATE TABLE IF NOT EXISTS {LOAD_LINES.sql}"
    " (load_id BIGINT NOT NULL, source_row BIGINT NOT NULL, line BIGINT NOT NULL)"
)
_INCOMING = "incoming_load_lines"


def line_starts(numbering: Numbering) -> list[tuple[int, int]]:
    """Find where a file's lines run ahead of its rows: (source_row, line) of each first row."""
    return list(_changes(numbering))


def note_lines(connection: Connection, load_id: int, starts: Sequence[tuple[int, int]]) -> None:
    """Keep where the rows of a load stand."""
    connection.execute(_TABLE_SQL)
    table = pa.table(
        {
            "source_row": pa.array([row for row, _ in starts], pa.int64()),
            "line": pa.array([line for _, line in starts], pa.int64()),
        }
    )
    connection.register(_INCOMING, table)
    try:
        connection.execute(f"INSERT INTO {LOAD_LINES.sql} SELECT {load_id}, * FROM {_INCOMING}")
    finally:
        connection.unregister(_INCOMING)


def forget_lines(connection: Connection, load_ids: Sequence[int]) -> None:
    """Remove what was kept of loads whose rows go."""
    if load_ids and has_table(connection, LOAD_LINES):
        ids = ", ".join(literal(load_id) for load_id in load_ids)
        connection.execute(f"DELETE FROM {LOAD_LINES.sql} WHERE load_id IN ({ids})")


def with_lines_sql(rows: str) -> str:
    """Write the query of rows (a query with load_id and source_row) with their `line`.

    It is NULL of a load that an earlier release made.
    """
    return _counted_sql(rows, "source_row", "line")


def with_rows_sql(lines: str) -> str:
    """Write the query of lines (a query with load_id and line) with their `source_row`.

    It is NULL of a load that an earlier release made.
    """
    return _counted_sql(lines, "line", "source_row")


def _counted_sql(given: str, known: str, wanted: str) -> str:
    """Count on from the start of a stretch, in which lines and rows go together."""
    return (
        f"SELECT given.*, starts.{wanted} + given.{known} - starts.{known} AS {wanted}"
        f" FROM ({given}) AS given ASOF LEFT JOIN {LOAD_LINES.sql} AS starts"
        f" ON given.load_id = starts.load_id AND given.{known} >= starts.{known}"
    )


def _changes(numbering: Numbering) -> Iterator[tuple[int, int]]:
    # Of stretches that begin with the same row, all but the last are empty: blank lines before it.
    lines = {
        first + before + 1: line
        for first, before, line in zip(
            numbering.first_rows, numbering.rows_before, numbering.lines, strict=True
        )
    }
    ahead = None
    for row, line in lines.items():
        if line - row != ahead:
            ahead = line - row
            yield row, line
