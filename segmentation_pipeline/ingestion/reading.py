"""One file, opened as declared: the relation of its typed rows, numbered."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.csv_text import CsvText, folder_for_copies, verified_csv
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.ingestion.finding import copies_folder
from segmentation_pipeline.ingestion.headers import match_columns, match_header
from segmentation_pipeline.ingestion.incoming import ROW_NUMBER, FileColumn, TypedRows
from segmentation_pipeline.ingestion.line_numbers import line_starts
from segmentation_pipeline.ingestion.lines import fixed_width_columns, ndjson_columns
from segmentation_pipeline.ingestion.long_rows import as_in_file, typed_sql
from segmentation_pipeline.ingestion.numbering import (
    OPEN_QUOTE,
    Numbering,
    UnreadableLine,
    number_rows,
)
from segmentation_pipeline.ingestion.scanning_sql import (
    LONGEST_LINE_BYTES,
    MOST_REJECTS,
    path_sql,
    read_csv_sql,
)
from segmentation_pipeline.ingestion.sheets import SHEET_ROW, copy_sheet
from segmentation_pipeline.ingestion.texts import with_iso_formats
from segmentation_pipeline.specification.formats import TEXT_FORMATS
from segmentation_pipeline.specification.keys import KeyExpression
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, DatabaseError, quote

_REASONS = {
    "MISSING COLUMNS": "too few values",
    "TOO MANY COLUMNS": "too many values",
    "UNQUOTED VALUE": OPEN_QUOTE,
    "LINE SIZE OVER MAXIMUM": f"longer than {LONGEST_LINE_BYTES} bytes",
}


_BUCKET_BITS = 10
_POSITION, _SOURCE_ROW, _SOURCE_LINE = (
    quote(name) for name in ("row position", "source row", "source line")
)


@dataclass(frozen=True)
class OpenFile:
    """A file that is as declared so far: its header matches, its bytes are whole.

    `rows` is what a Parquet file says of itself, `lines_before` how many rows of a sheet come
    before the first; `text` and `rejects` (the name of the table of what DuckDB's parser rejects)
    are those of a text file.
    """

    typed: TypedRows
    ignored: tuple[str, ...]
    rows: int | None = None
    lines_before: int = 0
    text: CsvText | None = None
    rejects: str = ""


@dataclass(frozen=True)
class Incoming:
    """A file's rows, numbered: the relation has the columns of `typed_rows_sql`.

    `rows` are those that could be parted into values, `unreadable` the lines that could not.
    `source_row` and `line` are SQL expressions over the relation; `starts` are the rows and lines
    from which lines run ahead of rows (see `line_numbers`).
    """

    relation: str
    source_row: str
    line: str
    rows: int
    unreadable: Sequence[UnreadableLine]
    starts: Sequence[tuple[int, int]]


@contextmanager
def open_file(
    connection: Connection, file: SourceFile, source: SourceSpec, number: int
) -> Iterator[OpenFile]:
    """Open a file as declared, without reading its rows; SourceError where it is not so.

    `number` makes the names of temporary tables unique.
    """
    copies = copies_folder(connection)
    if source.format in ("parquet", "database"):
        yield _open_parquet(connection, file, source)
        return
    if source.format == "excel":
        with folder_for_copies(copies) as folder:
            yield _open_sheet(file, source, folder)
        return
    with verified_csv(file, source, copies) as text:
        yield _open_text(connection, file, source, text, f"rejects_{number}")


def read_rows(connection: Connection, file: SourceFile, opened: OpenFile, number: int) -> Incoming:
    """Read an opened file's rows: a Parquet file's where they are, a CSV file's into a table.

    The temporary table is in the file's order if `preserve_insertion_order` is set; `forget_rows`
    drops it.
    """
    if opened.text is None:
        row = f"{quote(ROW_NUMBER)} + 1"
        line = f"{row} + {opened.lines_before}"
        starts = [(1, 1 + opened.lines_before)]
        return Incoming(f"({opened.typed.sql})", row, line, opened.rows or 0, (), starts)
    table = quote(f"incoming_{number}")
    made = connection.execute(f"CREATE TEMP TABLE {table} AS {opened.typed.sql}")
    rows = int(made.fetchall()[0][0])
    # Within a transaction, the rowid of a new table does not begin at 0.
    first = connection.execute(f"SELECT coalesce(min(rowid), 0) FROM {table}").fetchall()[0][0]
    position = f"(rowid - {first})"
    rejects = take_rejects(connection, file, opened)
    numbered = number_rows(file.name, opened.text, rows, rejects)
    numbering = numbered.numbering
    starts = line_starts(numbering)
    if len(numbering.first_rows) == 1:
        source_row = f"{position} + {numbering.rows_before[0] + 1}"
        line = f"{position} + {numbering.lines[0]}"
        return Incoming(table, source_row, line, rows, numbered.unreadable, starts)
    _write_stretches(connection, numbering, rows, number)
    # A hash join on a thousand rows' bucket: an ASOF join would sort all rows.
    relation = (
        f"(SELECT *, {_POSITION} + 1 + {quote('rows before')} AS {_SOURCE_ROW},"
        f" {_POSITION} - {quote('first row')} + {quote('first line')} AS {_SOURCE_LINE}"
        f" FROM (SELECT *, {position} AS {_POSITION} FROM {table})"
        f" JOIN {quote(f'stretches_{number}')} ON {_POSITION} >> {_BUCKET_BITS} = bucket"
        f" AND {_POSITION} >= {quote('first row')} AND {_POSITION} < {quote('next row')})"
    )
    return Incoming(relation, _SOURCE_ROW, _SOURCE_LINE, rows, numbered.unreadable, starts)


@contextmanager
def explained(file: SourceFile, source: SourceSpec) -> Iterator[None]:
    """Turn DuckDB's refusal of a file into a SourceError without its text, which quotes values.

    Lack of memory or disk is no fault of the file, and stays what it is.
    """
    try:
        yield
    except DatabaseError as error:
        kind = type(error).__name__
        if kind in ("OutOfMemoryException", "IOException"):
            raise
        cause = "is it complete, and of the declared `format`?"
        if kind == "BinderException" and isinstance(source.key, KeyExpression):
            cause = "the expression of its `key` takes columns for what they are not: all are texts"
        if source.format in TEXT_FORMATS and kind == "InvalidInputException":
            cause = (
                "do its lines end in more than one way, or does a carriage return stand in a value "
                "without quotation marks?"
            )
        raise SourceError(f"{file.name}: DuckDB cannot read it ({kind}); {cause}") from None


def forget_rows(connection: Connection, number: int) -> None:
    """Drop what `read_rows` made."""
    connection.execute(f"DROP TABLE IF EXISTS {quote(f'incoming_{number}')}")
    connection.execute(f"DROP TABLE IF EXISTS {quote(f'stretches_{number}')}")


def take_rejects(
    connection: Connection, file: SourceFile, opened: OpenFile
) -> list[tuple[int, str]]:
    """Take what DuckDB's parser rejected: the records' numbers and why, in order; drop its tables.

    A record can be rejected for several reasons at once: one of them is told. Raises SourceError
    where there are more than can be noted.
    """
    table = quote(opened.rejects)
    faults = int(connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])
    if faults >= MOST_REJECTS:
        raise SourceError(
            f"{file.name}: more than {MOST_REJECTS} faults in its lines; is it what was declared?"
        )
    found = connection.execute(
        f"SELECT line, min(CAST(error_type AS VARCHAR)) FROM {table} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"DROP TABLE {quote(opened.rejects + '_scan')}")
    return [(int(record), _REASONS.get(kind, kind.lower())) for record, kind in found]


def _open_text(
    connection: Connection, file: SourceFile, source: SourceSpec, text: CsvText, rejects: str
) -> OpenFile:
    """Open a verified text file: find its columns, and write the scan that types its rows."""
    scan = read_csv_sql(text, rejects)
    in_file = as_in_file(source)
    if source.format == "csv":
        matched = match_columns(file.name, text.header, text.columns, in_file)
        columns = {name: FileColumn(f"c{at}") for name, at in matched.positions.items()}
        typed = typed_sql(source, columns, scan)
        return OpenFile(typed, matched.ignored, text=text, rejects=rejects)
    if source.format == "ndjson":
        found = ndjson_columns(connection, file.name, in_file, scan, read_csv_sql(text, None))
    else:
        if text.header:
            match_header(file.name, text.header, source)
        found = fixed_width_columns(source, scan)
    typed = typed_sql(source, found.columns, found.origin, shape=found.shape)
    return OpenFile(typed, found.ignored, text=text, rejects=rejects)


def _open_sheet(file: SourceFile, source: SourceSpec, folder: Path) -> OpenFile:
    sheet = copy_sheet(file, source, folder)
    matched = match_columns(file.name, sheet.header, sheet.columns, as_in_file(source))
    columns = {name: FileColumn(f"c{at}") for name, at in matched.positions.items()}
    typed = typed_sql(
        with_iso_formats(source),
        columns,
        f"read_parquet({path_sql(sheet.path)}, hive_partitioning = false)",
        row_number=f"{quote(SHEET_ROW)} - {sheet.first_row}",
    )
    return OpenFile(typed, matched.ignored, rows=sheet.rows, lines_before=sheet.first_row - 1)


def _open_parquet(connection: Connection, file: SourceFile, source: SourceSpec) -> OpenFile:
    try:
        metadata = pq.read_metadata(file.path)
        names = metadata.schema.to_arrow_schema().names
    except (pa.ArrowException, OSError):
        raise SourceError(
            f"{file.name}: it is no Parquet file, or was cut short; fetch it again, or correct "
            "`format`"
        ) from None
    if metadata.num_rows == 0:
        raise SourceError(f"{file.name}: it has no row; the night needs the real rows")
    matched = match_header(file.name, names, as_in_file(source))
    options = f"{path_sql(file.path)}, binary_as_string = true, hive_partitioning = false"
    described = connection.execute(f"DESCRIBE FROM read_parquet({options})").fetchall()
    columns = {
        name: FileColumn(quote(described[at][0]), described[at][1])
        for name, at in matched.positions.items()
    }
    origin = f"read_parquet({options}, file_row_number = true)"
    declared = with_iso_formats(source) if source.format == "database" else source
    typed = typed_sql(declared, columns, origin, row_number="file_row_number")
    return OpenFile(typed, matched.ignored, rows=metadata.num_rows)


def _write_stretches(connection: Connection, numbering: Numbering, rows: int, number: int) -> None:
    stretches = pa.table(
        {
            "first row": pa.array(numbering.first_rows, pa.int64()),
            "next row": pa.array([*numbering.first_rows[1:], rows], pa.int64()),
            "rows before": pa.array(numbering.rows_before, pa.int64()),
            "first line": pa.array(numbering.lines, pa.int64()),
        }
    )
    connection.register("stretches_of_rows", stretches)
    try:
        connection.execute(
            f"CREATE TEMP TABLE {quote(f'stretches_{number}')} AS"
            f" SELECT *, unnest(range({quote('first row')} >> {_BUCKET_BITS},"
            f" ({quote('next row')} - 1 >> {_BUCKET_BITS}) + 1)) AS bucket"
            f" FROM stretches_of_rows WHERE {quote('next row')} > {quote('first row')}"
        )
    finally:
        connection.unregister("stretches_of_rows")
