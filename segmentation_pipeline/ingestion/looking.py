"""Looks at the sources without loading them: for `segmentation check`, and for a night's date."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from segmentation_pipeline.ingestion.collisions import count_collisions
from segmentation_pipeline.ingestion.files import SourceFile, file_date, source_files
from segmentation_pipeline.ingestion.finding import found_files
from segmentation_pipeline.ingestion.incoming import (
    LEFT_ASIDE,
    ROW_FAILURE,
    VALUE_FAILURES,
    value_column,
)
from segmentation_pipeline.ingestion.keys_sql import VISITOR
from segmentation_pipeline.ingestion.left_aside import leave_rows_aside, refuse_wide_rules
from segmentation_pipeline.ingestion.loading import NO_ENVIRONMENT
from segmentation_pipeline.ingestion.numbering import UnreadableLine, number_rows
from segmentation_pipeline.ingestion.reading import (
    Incoming,
    OpenFile,
    explained,
    open_file,
    read_rows,
    take_rejects,
)
from segmentation_pipeline.ingestion.rejects import refuse_many
from segmentation_pipeline.ingestion.remarks import describe, may_be_remarked
from segmentation_pipeline.ingestion.widening import find_overtaken_rows
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, open_in_memory, quote

_LACKING = "without a customer id or a time"


def check_source(
    home_path: Path,
    name: str,
    source: SourceSpec,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
) -> list[str]:
    """Read a source's files as a night would, and tell in a line each what it would find.

    Writes nothing to the home. Raises SourceError for a file that no night can load.
    """
    told = []
    with _found_files(home_path, name, source, environment) as (connection, files):
        for number, file in enumerate(files):
            with (
                explained(file, source),
                open_file(connection, file, source, number) as opened,
            ):
                said = _describe(connection, file, source, opened, number)
            told.append(f"{name}: {file.name}: {said}")
    return told


def latest_date(
    home: Home,
    not_after: dt.date | None = None,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
) -> dt.date | None:
    """Find the latest date in a home's sources: of an answer, an event or a dated snapshot.

    Dates after `not_after` don't count: one mistyped year would name the night. None where no
    source says its date.
    """
    found = [
        date
        for name, source in home.customers.sources.items()
        for date in _latest_dates(home.path, name, source, not_after, environment)
    ]
    return max(found, default=None)


def _latest_dates(
    home_path: Path,
    name: str,
    source: SourceSpec,
    not_after: dt.date | None,
    environment: Mapping[str, str],
) -> Iterator[dt.date]:
    if source.snapshot_date is not None:
        for path in source_files(home_path, name, source):
            date = file_date(source.snapshot_date.file_name, path)
            if not_after is None or date <= not_after:
                yield date
    if source.time is None:
        return
    day = f"CAST({value_column(source.time)} AS DATE)"
    counted = "true" if not_after is None else f"{day} <= {literal(not_after)}"
    if source.ignore_rows:
        counted = f"{counted} AND {quote(LEFT_ASIDE)} IS NULL"
    with _found_files(home_path, name, source, environment) as (connection, files):
        for number, file in enumerate(files):
            with (
                explained(file, source),
                open_file(connection, file, source, number) as opened,
            ):
                (row,) = connection.execute(
                    f"SELECT max({day}) FILTER (WHERE {counted}) FROM ({opened.typed.sql})"
                ).fetchall()
            if row[0] is not None:
                yield row[0]


@contextmanager
def _found_files(
    home_path: Path, name: str, source: SourceSpec, environment: Mapping[str, str]
) -> Iterator[tuple[Connection, list[SourceFile]]]:
    """Find the files of a source, and open a database in memory to read them one by one.

    What is read of a file is read within `explained`: DuckDB's own messages quote values.
    """
    with (
        TemporaryDirectory() as folder,
        open_in_memory(spill=Path(folder)) as connection,
        found_files(connection, home_path, name, source, environment) as found,
    ):
        yield connection, found


def _describe(
    connection: Connection, file: SourceFile, source: SourceSpec, opened: OpenFile, number: int
) -> str:
    remarks: list[str] = []
    relation = f"({opened.typed.sql})"
    if may_be_remarked(source):
        # These are told by line, so the rows are numbered, as on a night.
        incoming = read_rows(connection, file, opened, number)
        unreadable = incoming.unreadable
        incoming, remarks = _remarks(connection, file, source, incoming, number)
        relation = incoming.relation
    rows, failed = connection.execute(
        f"SELECT count(*), count({quote(ROW_FAILURE)}) FROM {relation}"
    ).fetchall()[0]
    if not may_be_remarked(source):
        unreadable = _unreadable(connection, file, opened, rows)
    rejected = failed + sum(bad.rows for bad in unreadable)
    named = [f"line {bad.line}: {bad.reason}" for bad in unreadable[:5]]
    first_lines = "; ".join([*named, *([f"{failed} {_LACKING}"] if failed else [])])
    refuse_many(source, file.name, rows - failed, rejected, first_lines)
    said = [f"{rows - failed:,} rows", *_describe_ids(connection, source, relation)]
    if rejected:
        said.append(f"{rejected:,} rows cannot be read ({first_lines})")
    if opened.typed.failures:
        said += _describe_values(connection, opened, relation)
    said += remarks
    if opened.ignored:
        said.append(f"undeclared columns ignored: {', '.join(opened.ignored)}")
    return "; ".join(said)


def _unreadable(
    connection: Connection, file: SourceFile, opened: OpenFile, rows: int
) -> Sequence[UnreadableLine]:
    if opened.text is None:
        return ()
    rejects = take_rejects(connection, file, opened)
    return number_rows(file.name, opened.text, rows, rejects).unreadable


def _remarks(
    connection: Connection, file: SourceFile, source: SourceSpec, incoming: Incoming, number: int
) -> tuple[Incoming, list[str]]:
    """Leave rows aside and look for ids and attributes that collide, as a night does."""
    incoming, found = leave_rows_aside(connection, source, incoming, None)
    refuse_wide_rules(source, file.name, found)
    if source.long is not None:
        found += find_overtaken_rows(connection, source.long, incoming, number)
    told = [describe(remark, incoming.rows) for remark in found]
    if source.makes_ids_one:
        collisions, ids = count_collisions(connection, source, incoming, file.name)
        told += [describe(collisions, ids)] if collisions.count else []
    return incoming, told


def _describe_ids(connection: Connection, source: SourceSpec, relation: str) -> list[str]:
    """Tell of how many customers the rows are, where a customer has several."""
    if source.long is None and source.visitors is None:
        return []
    visitors = "0" if source.visitors is None else f"count(DISTINCT {VISITOR})"
    counts = connection.execute(
        f"SELECT count(DISTINCT customer_id), {visitors} FROM {relation}"
        f" WHERE {quote(ROW_FAILURE)} IS NULL"
    ).fetchall()[0]
    of_visitors = "" if source.visitors is None else f"{counts[1]:,} visitors are "
    return [f"{of_visitors}{counts[0]:,} customers"]


def _describe_values(connection: Connection, opened: OpenFile, relation: str) -> list[str]:
    listed = ", ".join(literal(failure.column) for failure in opened.typed.failures)
    counted = connection.execute(
        "SELECT column_name, count(*) FROM (SELECT"
        f" [{listed}][unnest({quote(VALUE_FAILURES)}) + 1] AS column_name"
        f" FROM {relation}"
        f" WHERE {quote(VALUE_FAILURES)} IS NOT NULL AND {quote(ROW_FAILURE)} IS NULL)"
        " WHERE column_name IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [f"{count:,} values of `{column}` cannot be read" for column, count in counted]
