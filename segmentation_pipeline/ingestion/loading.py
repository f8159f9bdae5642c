"""A source's night: new and changed files go into its raw table, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from segmentation_pipeline.ingestion.declaration import reading_digest
from segmentation_pipeline.ingestion.finding import found_files
from segmentation_pipeline.ingestion.incoming import ROW_FAILURE, value_column
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
    Audit,
    first_lines,
    note_rejected_rows,
    note_rejected_values,
    refuse_many,
)
from segmentation_pipeline.ingestion.tombstones import is_erased_sql
from segmentation_pipeline.ingestion.volumes import record_volume
from segmentation_pipeline.specification.formats import TEXT_FORMATS
from segmentation_pipeline.specification.sources import RowNumberKey, SourceSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    count_rows,
    literal,
    quote,
    record_build,
    rows_in_order,
    transaction,
)

NO_ENVIRONMENT: Mapping[str, str] = {}
"""For callers without databases: the domain never reads the environment by itself."""


@dataclass(frozen=True)
class LoadSummary:
    """What a night did with a source.

    `rows`, `rejected_rows` and `rejected_values` are of all loads in the raw table;
    `ignored_columns` are the undeclared ones of the files loaded now.
    """

    files_loaded: int
    files_skipped: int
    rows: int
    rejected_rows: int
    rejected_values: int
    ignored_columns: tuple[str, ...]


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
            ignored |= dict.fromkeys(_load_file(connection, name, source, planned, build))
        record_build(connection, raw_table(name), build)
        summary = _summarise(connection, name)
        record_volume(connection, name, build, count_rows(connection, raw_table(name)))
    return LoadSummary(len(plan.to_load), plan.skipped, *summary, tuple(ignored))


def _load_file(
    connection: Connection, name: str, source: SourceSpec, planned: PlannedLoad, build: Build
) -> tuple[str, ...]:
    """Load one file; returns the columns it has and nobody declared."""
    started = perf_counter()
    file = planned.file
    load_id = _next_load_id(connection)
    audit = Audit(load_id, name, file.name)
    with explained(file, source), open_file(connection, file, source, load_id) as opened:
        incoming = read_rows(connection, file, opened, load_id)
        rows, erased = _insert_rows(connection, name, source, incoming, load_id)
        readable = rows + erased
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


def _insert_rows(
    connection: Connection, name: str, source: SourceSpec, incoming: Incoming, load_id: int
) -> tuple[int, int]:
    """Insert the readable rows; returns how many, and how many were left out as of erased people.

    They are left out before they are written: what DuckDB deletes stays in its file.
    """
    is_row_number = isinstance(source.key, RowNumberKey)
    key = f"CAST({incoming.source_row} AS VARCHAR)" if is_row_number else "customer_id"
    columns = ", ".join(value_column(column) for column in source.columns)
    readable = f"FROM {incoming.relation} WHERE {quote(ROW_FAILURE)} IS NULL"
    is_erased = None if is_row_number else is_erased_sql(connection, "customer_id")
    wanted = readable if is_erased is None else f"{readable} AND NOT {is_erased}"
    inserted = connection.execute(
        f"INSERT INTO {raw_table(name).sql}"
        f" SELECT {load_id}, {incoming.source_row}, {key}, {columns} {wanted}"
    ).fetchall()
    if is_erased is None:
        return int(inserted[0][0]), 0
    erased = connection.execute(f"SELECT count(*) {readable} AND {is_erased}").fetchall()
    return int(inserted[0][0]), int(erased[0][0])


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
