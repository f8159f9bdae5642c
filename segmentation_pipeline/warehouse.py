"""The working DuckDB of a home: the only module that opens DuckDB, and the names of what is in it.

What belongs here: connections, quoting, and the build record that every work table carries. What a
table means belongs to the room that makes it; what readers get belongs to `publication`.
"""

import datetime as dt
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from segmentation_pipeline.errors import PipelineError, StaleUpstreamError

Connection = duckdb.DuckDBPyConnection
DatabaseError = duckdb.Error

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CORE_SQL = """
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS core;
CREATE TABLE IF NOT EXISTS core.builds (
    table_name VARCHAR PRIMARY KEY,
    as_of DATE NOT NULL,
    run_id VARCHAR NOT NULL,
    rows BIGINT NOT NULL
);
"""


@dataclass(frozen=True)
class Build:
    """What a night is: the business date it is for, and the run that works on it."""

    as_of: dt.date
    run_id: str


@dataclass(frozen=True, order=True)
class Table:
    """A work table: `schema` is raw, core or the name of a segmentation."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        """The quoted name, for generated SQL."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def quote(identifier: str) -> str:
    """Quote an identifier for SQL; the one place where names enter generated SQL.

    >>> quote("order")
    '"order"'
    >>> quote('a"b')
    '"a""b"'
    """
    if not identifier or "\0" in identifier:
        raise PipelineError("an SQL identifier is empty or holds a NUL character")
    return '"' + identifier.replace('"', '""') + '"'


def literal(value: str | float | bool | dt.date | None) -> str:
    """Write a value as an SQL literal, where a statement cannot bind it (views, COPY, DDL).

    Floats are written in scientific notation, which DuckDB reads as DOUBLE to the last bit; a plain
    `0.1` would be a DECIMAL.

    >>> literal("it's"), literal(None), literal(3), literal(0.1)
    ("'it''s'", 'NULL', '3', '1.00000000000000006e-01')
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return str(value)
        case float():
            if not math.isfinite(value):
                return f"'{value}'::DOUBLE"
            return f"{value:.17e}"
        case dt.date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return "'" + value.replace("'", "''") + "'"


def is_plain_identifier(name: str) -> bool:
    """Whether a name can be a schema, table or column of ours (letters, digits, underscores)."""
    return _IDENTIFIER.fullmatch(name) is not None


@contextmanager
def open_warehouse(
    path: Path, *, memory_limit: str = "1GB", threads: int | None = None, read_only: bool = False
) -> Iterator[Connection]:
    """Open a DuckDB file for the length of a `with` block, and always close it.

    Extensions are neither installed nor loaded (offline, private), what does not fit in
    `memory_limit` spills into a folder beside the file. One of an earlier release is brought up to
    this one; one of a later release is refused, unless it is only read.
    """
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        "autoinstall_known_extensions": False,
        "temp_directory": str(path.with_suffix(".spill")),
        "preserve_insertion_order": False,
    }
    if threads is not None:
        config["threads"] = threads
    connection = duckdb.connect(str(path), read_only=read_only, config=config)
    try:
        # What a time with a zone becomes must not depend on where the machine stands.
        connection.execute("SET TimeZone = 'UTC'")
        if not read_only:
            # Its steps are written with the functions of this module.
            from segmentation_pipeline.migrations import migrate

            migrate(connection)
            connection.execute(_CORE_SQL)
        yield connection
    finally:
        connection.close()


@contextmanager
def open_in_memory(
    *, memory_limit: str = "1GB", threads: int | None = None, spill: Path | None = None
) -> Iterator[Connection]:
    """Open a DuckDB that lives only as long as the `with` block."""
    config: dict[str, Any] = {"memory_limit": memory_limit, "autoinstall_known_extensions": False}
    if threads is not None:
        config["threads"] = threads
    if spill is not None:
        config["temp_directory"] = str(spill)
    connection = duckdb.connect(":memory:", config=config)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def rows_in_order(connection: Connection, *, is_kept: bool) -> Iterator[None]:
    """Say for the length of a `with` block whether rows keep the order that they stand in.

    Kept order costs memory where much is computed, and saves a sort where a table is copied. Set it
    outside of a transaction: one that failed takes no statement but ROLLBACK.
    """
    (before,) = connection.execute("SELECT current_setting('preserve_insertion_order')").fetchall()
    connection.execute(f"SET preserve_insertion_order = {literal(is_kept)}")
    try:
        yield
    finally:
        connection.execute(f"SET preserve_insertion_order = {literal(bool(before[0]))}")


def checkpoint(connection: Connection, database: str | None = None) -> None:
    """Let a database be read as it was written; due after a transaction that kept rows in order.

    Where such a transaction of DuckDB 2.0 put nothing into a table, and then more than a row group
    (122,880 rows), these aren't read in this process, though they are counted and in the file. A
    checkpoint makes them seen; in between, trust no SELECT from that table. `database` is an
    attached one, the warehouse if None. Found where an audit compared a Parquet copy with a count.
    """
    connection.execute("CHECKPOINT" if database is None else f"CHECKPOINT {quote(database)}")


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what the block did, or undo all of it when the block raises."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def write_table(connection: Connection, table: Table, query: str, build: Build) -> int:
    """Replace a work table by the result of a query, with its build record, in one transaction.

    Returns the number of rows.
    """
    with transaction(connection):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}")
        drop_relation(connection, table)
        connection.execute(f"CREATE TABLE {table.sql} AS {query}")
        return record_build(connection, table, build)


def write_view(connection: Connection, table: Table, query: str, build: Build, rows: int) -> int:
    """Replace a work table by a view of a query, for matrices too large to be stored."""
    with transaction(connection):
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(table.schema)}")
        drop_relation(connection, table)
        connection.execute(f"CREATE VIEW {table.sql} AS {query}")
        return record_build(connection, table, build, rows)


def write_batches(
    connection: Connection,
    table: Table,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    build: Build,
) -> int:
    """Replace a work table by a stream of Arrow batches; nothing is held but the batch at hand.

    The batches must come from another cursor than `connection` when they are read from DuckDB.
    """
    reader = pa.RecordBatchReader.from_batches(schema, batches)
    connection.register("incoming_batches", reader)
    try:
        return write_table(connection, table, "SELECT * FROM incoming_batches", build)
    finally:
        connection.unregister("incoming_batches")


def write_rows(
    connection: Connection,
    table: Table,
    schema: pa.Schema,
    rows: Sequence[dict[str, Any]],
    build: Build,
) -> int:
    """Replace a small work table by rows made in Python, typed by `schema`."""
    frame = pa.Table.from_pylist(list(rows), schema=schema)
    return write_batches(connection, table, schema, frame.to_batches(), build)


def read_batches(connection: Connection, query: str, rows: int = 131_072) -> pa.RecordBatchReader:
    """Stream a query's result as Arrow batches of at most about `rows` rows.

    `connection.execute(...)` would hold the whole result in DuckDB 2.0, ignoring the memory limit;
    a relation's reader streams.
    """
    return connection.sql(query).to_arrow_reader(rows)


def drop_relation(connection: Connection, table: Table) -> None:
    """Drop a table or view of that name, whichever there is."""
    # Views alone are looked through: to list all tables, too, takes five times as long.
    is_view = connection.execute(
        "SELECT 1 FROM duckdb_views() WHERE database_name = current_database()"
        " AND schema_name = ? AND view_name = ?",
        [table.schema, table.name],
    ).fetchall()
    connection.execute(f"DROP {'VIEW' if is_view else 'TABLE'} IF EXISTS {table.sql}")


def record_build(
    connection: Connection, table: Table, build: Build, rows: int | None = None
) -> int:
    """Note for which date and by which run a table was made; returns its rows."""
    if rows is None:
        rows = count_rows(connection, table)
    values = [build.as_of, build.run_id, rows, str(table)]
    # In nearly all nights there is one: INSERT OR REPLACE takes three times as long.
    ((updated,),) = connection.execute(
        "UPDATE core.builds SET as_of = ?, run_id = ?, rows = ? WHERE table_name = ?", values
    ).fetchall()
    if not updated:
        connection.execute(
            "INSERT INTO core.builds (as_of, run_id, rows, table_name) VALUES (?, ?, ?, ?)", values
        )
    return rows


def has_table(connection: Connection, table: Table) -> bool:
    """Whether there is a table or view of that name."""
    return bool(
        connection.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database()"
            " AND table_schema = ? AND table_name = ?",
            [table.schema, table.name],
        ).fetchall()
    )


def count_rows(connection: Connection, table: Table) -> int:
    """Count the rows of a table."""
    return int(connection.execute(f"SELECT count(*) FROM {table.sql}").fetchall()[0][0])


def read_build(connection: Connection, table: Table) -> Build | None:
    """For which date and by which run a table was made; None if it was never made."""
    return read_builds(connection, [table]).get(table)


def read_builds(connection: Connection, tables: Iterable[Table]) -> dict[Table, Build]:
    """For which date and by which run tables were made; those that were never made are left out."""
    by_name = {str(table): table for table in tables}
    found = connection.execute(
        "SELECT table_name, as_of, run_id FROM core.builds"
        " WHERE list_contains(?::VARCHAR[], table_name)",
        [list(by_name)],
    ).fetchall()
    return {by_name[name]: Build(as_of, run_id) for name, as_of, run_id in found}


def require_builds(
    connection: Connection, tables: Iterable[Table], as_of: dt.date
) -> dict[Table, Build]:
    """Refuse to read tables that were made for another date than `as_of`, or never.

    Returns by which builds they were made.
    """
    tables = list(tables)
    builds = read_builds(connection, tables)
    for table in tables:
        made = builds.get(table)
        if made is None:
            raise StaleUpstreamError(
                f"{table} has not been made yet: materialise it for {as_of}, then run this again"
            )
        if made.as_of != as_of:
            raise StaleUpstreamError(
                f"{table} was made for {made.as_of}, not for {as_of}: "
                f"materialise it for {as_of}, then run this again"
            )
    return builds


def column_types(connection: Connection, table: Table) -> dict[str, str]:
    """Column -> DuckDB type of a table or view, in order."""
    return column_types_of(connection, table.sql)


def column_types_of(connection: Connection, query: str) -> dict[str, str]:
    """Column -> DuckDB type of what a query (or a quoted name) would give, without running it."""
    described = connection.execute(f"DESCRIBE {query}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def generated_columns(connection: Connection, table: Table) -> set[str]:
    """Name the columns of a table that are computed when they are read, and not stored."""
    found = connection.execute(
        "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = ? AND table_name = ? AND is_generated",
        [table.schema, table.name],
    ).fetchall()
    return {str(name) for (name,) in found}
