"""A source's night: new and changed files go into its raw table, in one transaction."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from segmentation_pipeline.ingestion.audit import Audit
from segmentation_pipeline.ingestion.collisions import count_collisions
from segmentation_pipeline.ingestion.declaration import reading_digest
from segmentation_pipeline.ingestion.finding import found_files
from segmentation_pipeline.ingestion.incoming import ROW_FAILURE, value_column
from segmentation_pipeline.ingestion.keys_sql import VISITOR
from segmentation_pipeline.ingestion.left_aside import leave_rows_aside, refuse_wide_rules
from segmentation_pipeline.ingestion.line_numbers import note_lines
from segmentation_pipeline.ingestion.loads import (
    SOURCE_LOADS,
    PlannedLoad,
    align_raw_table,
    current_loads,
    forget_loads,
    make_audit_tables,
    plan_loads,
    raw_table,
)
from segmentation_pipeline.ingestion.reading import (
    Incoming,
    explained,
    forget_rows,
    open_file,
    read_rows,
)
from segmentation_pipeline.ingestion.rejects import (
    first_lines,
    note_rejected_rows,
    note_rejected_values,
    refuse_many,
)
from segmentation_pipeline.ingestion.remarks import describe, may_be_remarked, note_remarks
from segmentation_pipeline.ingestion.tombstones import (
    is_erased_sql,
    remember_visitors,
    tables_with,
)
from segmentation_pipeline.ingestion.volumes import record_volume
from segmentation_pipeline.ingestion.widening import (
    find_overtaken_rows,
    forget_wide_rows,
    wide_rows_sql,
)
from segmentation_pipeline.specification.formats import TEXT_FORMATS
from segmentation_pipeline.specification.keys import RowNumberKey
from segmentation_pipeline.specification.source_checks import VISITOR_KEY
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    checkpoint,
    count_rows,
    generated_columns,
    literal,
    quote,
    record_build,
    rows_in_order,
    transaction,
)

_IS_READABLE = f"{quote(ROW_FAILURE)} IS NULL"
NO_ENVIRONMENT: Mapping[str, str] = {}
"""For callers without databases: the domain never reads the environment by itself."""


@dataclass(frozen=True)
class LoadSummary:
    """What a night did with a source.

    `rows`, `rejected_rows` and `rejected_values` are of all loads in the raw table;
    `ignored_columns` are the undeclared ones of the files loaded now, `remarks` what else their
    declaration did: rows left aside, ids that were written in several ways.
    """

    files_loaded: int
    files_skipped: int
    rows: int
    rejected_rows: int
    rejected_values: int
    ignored_columns: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def load_source(
    connection: Connection,
    home_path: Path,
    name: str,
    source: SourceSpec,
    build: Build,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
) -> LoadSummary:
    """Bring `raw.raw_<name>` up to date with the source's files, and record it for this night.

    Files whose digest and declaration are unchanged are skipped. All others are loaded in one
    transaction: a file that cannot be loaded as declared leaves everything as it was.
    `environment` is where the URL of a database is looked up.

    Raises:
        SourceError: there is no file (or no database), or one is empty, damaged, not as declared,
            or has more unreadable rows than `maximum_rejected_share`.

    """
    ignored: dict[str, None] = {}
    remarks: list[str] = []
    with (
        found_files(connection, home_path, name, source, environment) as files,
        # A row of a text file is numbered by its position; Parquet rows know their numbers.
        rows_in_order(connection, is_kept=source.format in TEXT_FORMATS),
        transaction(connection),
    ):
        make_audit_tables(connection)
        current = current_loads(connection, name)
        plan = plan_loads(name, source, files, current, build.as_of)
        forget_loads(connection, name, plan.outdated, current)
        align_raw_table(connection, name, source)
        for planned in plan.to_load:
            ignored |= dict.fromkeys(_load_file(connection, name, source, planned, build, remarks))
        record_build(connection, raw_table(name), build)
        summary = _summarise(connection, name)
        record_volume(connection, name, build, count_rows(connection, raw_table(name)))
    checkpoint(connection)
    return LoadSummary(len(plan.to_load), plan.skipped, *summary, tuple(ignored), tuple(remarks))


def _load_file(
    connection: Connection,
    name: str,
    source: SourceSpec,
    planned: PlannedLoad,
    build: Build,
    remarks: list[str],
) -> tuple[str, ...]:
    """Load one file; returns the columns it has and nobody declared, and adds to the remarks."""
    started = perf_counter()
    file = planned.file
    load_id = _next_load_id(connection)
    audit = Audit(load_id, name, file.name)
    with explained(file, source), open_file(connection, file, source, load_id) as opened:
        incoming = read_rows(connection, file, opened, load_id)
        note_lines(connection, load_id, incoming.starts)
        incoming = _remarked(connection, audit, source, incoming, planned.snapshot_date, remarks)
        rows, readable = _insert_rows(connection, audit, source, incoming, build)
        rejected_rows = note_rejected_rows(connection, audit, incoming, readable)
        refuse_many(source, file.name, readable, rejected_rows, first_lines(connection, load_id))
        rejected_values = note_rejected_values(
            connection, audit, incoming, readable, opened.typed.failures
        )
        forget_rows(connection, load_id)
    file.require_unchanged()
    connection.execute(
        f"INSERT INTO {SOURCE_LOADS.sql} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            load_id,
            name,
            source.kind,
            file.name,
            file.digest,
            reading_digest(source),
            file.bytes,
            rows,
            rejected_rows,
            rejected_values,
            perf_counter() - started,
            build.as_of,
            build.run_id,
            planned.snapshot_date,
        ],
    )
    return opened.ignored


def _remarked(
    connection: Connection,
    audit: Audit,
    source: SourceSpec,
    incoming: Incoming,
    snapshot_date: dt.date | None,
    told: list[str],
) -> Incoming:
    """Take out the rows that are no data, and look whether ids collide; notes and tells both."""
    if not may_be_remarked(source):
        return incoming
    incoming, remarks = leave_rows_aside(connection, source, incoming, snapshot_date)
    refuse_wide_rules(source, audit.file, remarks)
    if source.long is not None:
        remarks += find_overtaken_rows(connection, source.long, incoming, audit.load_id)
    told += [f"{audit.file}: {describe(remark, incoming.rows)}" for remark in remarks]
    if source.makes_ids_one:
        collisions, ids = count_collisions(connection, source, incoming, audit.file)
        remarks.append(collisions)
        told += [f"{audit.file}: {describe(collisions, ids)}"] if collisions.count else []
    note_remarks(connection, audit, remarks)
    return incoming


def _insert_rows(
    connection: Connection, audit: Audit, source: SourceSpec, incoming: Incoming, build: Build
) -> tuple[int, int]:
    """Insert the readable rows; returns how many, and how many of the file's rows are readable.

    Those of erased people are left out before they are written: what DuckDB deletes stays in its
    file.
    """
    is_row_number = isinstance(source.key, RowNumberKey)
    ids = f"CAST({incoming.source_row} AS VARCHAR)" if is_row_number else "customer_id"
    if source.visitors is not None:
        ids = f"{ids}, {VISITOR}"
    table = raw_table(audit.source)
    given = generated_columns(connection, table)
    stored = [column for column in source.columns if column not in given]
    names = ", ".join(map(quote, ("load_id", "source_row", *source.id_columns, *stored)))
    columns = "".join(f", {value_column(column)}" for column in stored)
    row, readable = incoming.source_row, f"FROM {incoming.relation} WHERE {_IS_READABLE}"
    wanted = readable
    if source.long is not None:
        wide = wide_rows_sql(source, incoming, audit.load_id)
        row, wanted = "source_row", f"FROM ({wide}) WHERE true"
    is_erased = None if is_row_number else _is_erased_sql(connection, source)
    kept = wanted if is_erased is None else f"{wanted} AND NOT ({is_erased})"
    inserted = connection.execute(
        f"INSERT INTO {table.sql} ({names}) SELECT {audit.load_id}, {row}, {ids}{columns} {kept}"
    ).fetchall()
    rows = int(inserted[0][0])
    if source.long is not None:
        forget_wide_rows(connection, audit.load_id)
        return rows, _count(connection, readable)
    if is_erased is None:
        return rows, rows
    if source.visitors is not None:
        _erase_visitors(connection, readable, build)
    return rows, rows + _count(connection, f"{readable} AND ({is_erased})")


def _is_erased_sql(connection: Connection, source: SourceSpec) -> str | None:
    """Write that a row is of an erased customer, or of a visitor who was one."""
    if source.identity is not None:
        return is_erased_sql(connection, "customer_id", is_visitor=True)
    is_erased = is_erased_sql(connection, "customer_id")
    if is_erased is None or source.visitors is None:
        return is_erased
    return f"{is_erased} OR {is_erased_sql(connection, VISITOR, is_visitor=True)}"


def _erase_visitors(connection: Connection, readable: str, build: Build) -> None:
    """Take out the events of visitors whom a map names as an erased customer since.

    Were the row only left out, those events could be taken for another customer's of the visitor.
    """
    is_erased = is_erased_sql(connection, "customer_id")
    visitors = f"SELECT {VISITOR} {readable} AND {is_erased}"
    if not remember_visitors(connection, visitors, build.as_of):
        return
    is_visitor = is_erased_sql(connection, quote(VISITOR_KEY), is_visitor=True)
    for table in tables_with(connection, VISITOR_KEY):
        connection.execute(f"DELETE FROM {table.sql} WHERE {is_visitor}")


def _count(connection: Connection, rows: str) -> int:
    return int(connection.execute(f"SELECT count(*) {rows}").fetchall()[0][0])


def _next_load_id(connection: Connection) -> int:
    newest = connection.execute(f"SELECT coalesce(max(load_id), 0) FROM {SOURCE_LOADS.sql}")
    return int(newest.fetchall()[0][0]) + 1


def _summarise(connection: Connection, name: str) -> tuple[int, int, int]:
    ids = ", ".join(literal(load.load_id) for load in current_loads(connection, name)) or "NULL"
    rows, rejected_rows, rejected_values = connection.execute(
        "SELECT coalesce(sum(rows), 0), coalesce(sum(rejected_rows), 0),"
        f" coalesce(sum(rejected_values), 0) FROM {SOURCE_LOADS.sql} WHERE load_id IN ({ids})"
    ).fetchall()[0]
    return int(rows), int(rejected_rows), int(rejected_values)
