"""A table or a query of a database, copied as texts to a Parquet file in one read-only transaction.

The copy is sorted and its digest is that of its rows, so that the same content is the same load,
in whatever order the database gives it. Nothing that the database or its driver says is repeated
but codes: their messages quote values, statements and addresses.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote as quote_url

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.ingestion.long_rows import as_in_file
from segmentation_pipeline.ingestion.texts import text_column
from segmentation_pipeline.specification.formats import DatabaseSpec
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote, read_batches

Environment = Mapping[str, str]
"""Where the URLs of databases are looked up; the caller passes the process's own."""

_ROWS_AT_ONCE = 10_000


def copy_rows(
    connection: Connection, source: SourceSpec, environment: Environment, folder: Path
) -> SourceFile:
    """Copy a source's rows out of its database to a Parquet file in a folder.

    The file's `name` is that of the variable and what was read, its `digest` the SHA-256 of its
    rows. Raises SourceError where the variable is not set, the database cannot be reached or
    refuses, the table or a column is not there, there is no row, or there are too many.
    """
    database = source.database
    if database is None:
        raise ValueError("the source is no database")
    name = f"{database.url_variable}:{database.table or 'query'}"
    unsorted, path = folder / "unsorted.parquet", folder / "rows.parquet"
    with (
        _explained(name),
        _read_only(name, database, environment) as opened,
        closing(_result(name, opened, source)) as result,
    ):
        rows = _write_rows(name, database, result, unsorted)
    if rows == 0:
        raise SourceError(f"{name}: it has no row; the night needs the real rows")
    scan = f"read_parquet({literal(str(unsorted))}, hive_partitioning = false)"
    connection.execute(
        f"COPY (SELECT * FROM {scan} ORDER BY ALL) TO {literal(str(path))} (FORMAT parquet)"
    )
    unsorted.unlink()
    status = path.stat()
    digest = _digest(connection, path)
    return SourceFile(path, name, digest, status.st_size, status.st_mtime_ns)


@contextmanager
def _read_only(
    name: str, database: DatabaseSpec, environment: Environment
) -> Iterator[sa.Connection]:
    """Connect, in a transaction that cannot write and is never committed."""
    text = environment.get(database.url_variable)
    if not text:
        raise SourceError(
            f"{name}: the environment variable {database.url_variable} is not set; it holds the "
            "database's URL"
        )
    try:
        url = _read_only_url(sa.make_url(text))
        engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise SourceError(
            f"{name}: {database.url_variable} holds no URL that SQLAlchemy understands; it looks "
            "like postgresql+psycopg://user:password@host/name"
        ) from None
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{name}: the driver `{error.name}` is not installed; install it, or name another one "
            "in the URL (postgresql+psycopg://...)"
        ) from None
    if url.drivername == "postgresql+psycopg":
        sa.event.listen(engine, "connect", _read_beyond_the_calendar)
    options: dict[str, Any] = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
    if url.get_backend_name() == "postgresql":
        options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
    try:
        with engine.connect() as connection:
            yield connection.execution_options(**options)
    finally:
        engine.dispose()


def _read_beyond_the_calendar(opened: Any, _: object) -> None:
    """Let psycopg read as texts the times that Python has none for: infinity, years BC, 24:00.

    One of them would stop the whole load; as a text it is one value that is counted and left out.
    """
    from psycopg import DataError
    from psycopg.types import datetime as loaders

    def lenient(strict: type[Any]) -> type[Any]:
        class Lenient(strict):  # type: ignore[misc]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return bytes(data).decode()

        return Lenient

    for name, strict in {
        "date": loaders.DateLoader,
        "time": loaders.TimeLoader,
        "timetz": loaders.TimetzLoader,
        "timestamp": loaders.TimestampLoader,
        "timestamptz": loaders.TimestamptzLoader,
        "interval": loaders.IntervalLoader,
    }.items():
        opened.adapters.register_loader(name, lenient(strict))


def _read_only_url(url: sa.URL) -> sa.URL:
    """Let SQLite neither write nor make the file that is not there."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return url
    path = quote_url(str(Path(url.database).resolve()))
    return url.set(database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"})


def _result(name: str, connection: sa.Connection, source: SourceSpec) -> sa.CursorResult[Any]:
    database = source.database
    if database is not None and database.query is not None:
        # Not a text with parameters: a colon or a percent sign is the query's own.
        return connection.execution_options(no_parameters=True).exec_driver_sql(database.query)
    if database is None or database.table is None:
        raise ValueError("a database gives a table or the result of a query")
    inspector = sa.inspect(connection)
    try:
        found = inspector.get_columns(database.table, schema=database.table_schema)
    except sa.exc.NoSuchTableError:
        known = [
            *inspector.get_table_names(database.table_schema),
            *inspector.get_view_names(database.table_schema),
        ]
        raise SourceError(
            f"{name}: there is no such table; {nearest(database.table, known)}"
        ) from None
    there = {str(column["name"]) for column in found}
    headers = [column.header or key for key, column in as_in_file(source).columns.items()]
    lacking = [header for header in headers if header not in there]
    if lacking:
        hints = [f"`{lack}`; {nearest(lack, there - set(headers) or there)}" for lack in lacking]
        raise SourceError(f"{name}: the table lacks the column {'; '.join(hints)}")
    asked: list[sa.ColumnClause[Any]] = [sa.column(header) for header in headers]
    table = sa.table(database.table, *asked, schema=database.table_schema)
    return connection.execute(sa.select(table))


def _write_rows(name: str, database: DatabaseSpec, result: sa.CursorResult[Any], path: Path) -> int:
    columns = list(result.keys())
    if len(set(columns)) < len(columns):
        raise SourceError(f"{name}: the query names a column twice; rename one of them with AS")
    schema = pa.schema([(column, pa.string()) for column in columns])
    rows = 0
    with pq.ParquetWriter(path, schema) as target:
        for part in result.partitions(_ROWS_AT_ONCE):
            rows += len(part)
            if rows > database.maximum_rows:
                raise SourceError(
                    f"{name}: more than {database.maximum_rows} rows; if that is right, raise "
                    "`maximum_rows`"
                )
            target.write_batch(_record_batch(name, part, schema))
    return rows


def _record_batch(name: str, rows: Sequence[Sequence[Any]], schema: pa.Schema) -> pa.RecordBatch:
    try:
        return pa.record_batch([text_column(values) for values in zip(*rows, strict=True)], schema)
    except UnicodeError:
        raise SourceError(f"{name}: a value holds half a character; mend it in the database") from (
            None
        )


def _digest(connection: Connection, path: Path) -> str:
    """Compute the SHA-256 of the sorted rows, each as a JSON array with a line break after it."""
    scan = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
    names = [str(row[0]) for row in connection.execute(f"DESCRIBE FROM {scan}").fetchall()]
    row = ", ".join(quote(name) for name in names)
    digest = hashlib.sha256("\n".join(names).encode())
    rows = f"SELECT CAST(to_json([{row}]) AS VARCHAR) AS line FROM {scan} ORDER BY {row}"
    for batch in read_batches(connection, rows):
        digest.update("".join(f"{line}\n" for line in batch.column(0).to_pylist()).encode())
    return digest.hexdigest()


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what SQLAlchemy raises into a SourceError without its text."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None)
        code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None)
        kind = type(error).__name__ + (f", {code}" if code else "")
        raise SourceError(
            f"{name}: the database refuses ({kind}); try the same in its own shell: is it there, "
            "may this user read it, is the query right?"
        ) from None
