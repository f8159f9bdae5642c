"""What could not be read, noted by file, line and reason, and refused above the declared share.

Never a value: `core.rejected_rows` outlives the rows, and is shown.
"""

from collections.abc import Sequence

import pyarrow as pa

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.audit import Audit
from segmentation_pipeline.ingestion.incoming import ROW_FAILURE, VALUE_FAILURES, ValueFailure
from segmentation_pipeline.ingestion.loads import REJECTED_ROWS
from segmentation_pipeline.ingestion.numbering import UnreadableLine
from segmentation_pipeline.ingestion.reading import Incoming
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

_NAMED_LINES = 5


def note_rejected_rows(connection: Connection, audit: Audit, incoming: Incoming, rows: int) -> int:
    """Note the rows of a file that were left out of the `rows` loaded; returns their number."""
    if incoming.unreadable:
        _note_unreadable_lines(connection, audit, incoming.unreadable)
    if rows < incoming.rows:
        connection.execute(
            f"INSERT INTO {REJECTED_ROWS.sql} SELECT {audit.sql}, {incoming.line}, NULL,"
            f" {quote(ROW_FAILURE)} FROM {incoming.relation}"
            f" WHERE {quote(ROW_FAILURE)} IS NOT NULL"
        )
    return sum(bad.rows for bad in incoming.unreadable) + incoming.rows - rows


def note_rejected_values(
    connection: Connection,
    audit: Audit,
    incoming: Incoming,
    rows: int,
    failures: Sequence[ValueFailure],
) -> int:
    """Note the values of the `rows` loaded that could not be read; returns their number.

    Of a Parquet file, this reads once more the columns that can fail, and them alone.
    """
    if not failures:
        return 0
    is_loaded = "true" if rows == incoming.rows else f"{quote(ROW_FAILURE)} IS NULL"
    columns = ", ".join(literal(failure.column) for failure in failures)
    reasons = ", ".join(literal(failure.reason) for failure in failures)
    inserted = connection.execute(
        f"INSERT INTO {REJECTED_ROWS.sql}"
        f" SELECT {audit.sql}, line, [{columns}][failure + 1], [{reasons}][failure + 1]"
        f" FROM (SELECT {incoming.line} AS line, unnest({quote(VALUE_FAILURES)}) AS failure"
        f" FROM {incoming.relation}"
        f" WHERE {quote(VALUE_FAILURES)} IS NOT NULL AND {is_loaded})"
        " WHERE failure IS NOT NULL"
    )
    return int(inserted.fetchall()[0][0])


def refuse_many(
    source: SourceSpec, file_name: str, rows: int, rejected: int, first_lines: str
) -> None:
    """Stop where the share of a file's rows that cannot be read is above the declared one.

    It is a share of the file, so that a file is judged alike on whichever night it is loaded.
    """
    if rows + rejected == 0:
        if source.minimum_rows == 0:
            return
        raise SourceError(
            f"{file_name}: all of its rows were left aside (`ignore_rows`, or attributes that "
            "nobody declared); the night needs the real rows"
        )
    if rows == 0 or rejected / (rows + rejected) > source.maximum_rejected_share:
        share = rejected / (rows + rejected)
        raise SourceError(
            f"{file_name}: {rejected} of {rows + rejected} rows cannot be read ({share:.2%}; "
            f"`maximum_rejected_share` allows {source.maximum_rejected_share:.2%}): {first_lines}"
        )


def first_lines(connection: Connection, load_id: int) -> str:
    """Tell the first lines that were noted of a load, and why."""
    found = connection.execute(
        f"SELECT line, reason FROM {REJECTED_ROWS.sql} WHERE load_id = ? AND column_name IS NULL"
        f" ORDER BY line LIMIT {_NAMED_LINES}",
        [load_id],
    ).fetchall()
    return "; ".join(f"line {line}: {reason}" for line, reason in found)


def _note_unreadable_lines(
    connection: Connection, audit: Audit, unreadable: Sequence[UnreadableLine]
) -> None:
    lines = pa.table(
        {
            "line": pa.array([bad.line for bad in unreadable], pa.int64()),
            "reason": pa.array([bad.reason for bad in unreadable], pa.string()),
        }
    )
    connection.register("unreadable_lines", lines)
    try:
        connection.execute(
            f"INSERT INTO {REJECTED_ROWS.sql}"
            f" SELECT {audit.sql}, line, NULL, reason FROM unreadable_lines"
        )
    finally:
        connection.unregister("unreadable_lines")
