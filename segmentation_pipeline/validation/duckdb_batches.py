"""A DuckDB table as a Great Expectations batch, read where it is.

GX 1.24 has no DuckDB source, and over duckdb-engine 0.17 with SQLAlchemy 2.1 every metric fails.
What is overridden here is what fails, and each class says why.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal, cast

import duckdb_engine
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGIdentifierPreparer

from segmentation_pipeline.validation.quiet_great_expectations import (
    Batch,
    BatchDefinition,
    EphemeralDataContext,
    ProgressBarsConfig,
    SqlAlchemyExecutionEngine,
    SQLDatasource,
    gx,
)
from segmentation_pipeline.warehouse import Connection

VALIDATED = "validated"
"""The relation that is validated: a temporary view in the cursor's own catalogue."""
SOURCE, ALL_ROWS = "warehouse", "all rows"

_EngineClass = type[SqlAlchemyExecutionEngine]


class _AlwaysQuoting(PGIdentifierPreparer):
    """Quotes every identifier.

    duckdb-engine's own preparer opens a second, default database to ask it for its keywords.
    """

    def quote(self, ident: str) -> str:
        return self.quote_identifier(ident)


class ReadingDialect(duckdb_engine.Dialect):
    """duckdb-engine's dialect, reading through a cursor in autocommit.

    Inside a transaction, DuckDB refuses every statement after one that failed. Columns come from
    DESCRIBE, because the inherited reflection joins `pg_catalog.pg_collation`, which DuckDB lacks.
    """

    preparer: Any = _AlwaysQuoting
    supports_statement_cache = False

    def do_begin(self, connection: Any) -> None:
        """Begin nothing."""

    def do_commit(self, connection: Any) -> None:
        """Commit nothing."""

    def do_rollback(self, connection: Any) -> None:
        """Roll nothing back."""

    def get_columns(self, connection: Any, table_name: str, *_: Any, **__: Any) -> Any:
        """Name the columns; GX hands the types through without looking at them."""
        described = connection.exec_driver_sql(
            f"DESCRIBE {self.identifier_preparer.quote(table_name)}"
        )
        return [
            {"name": row[0], "type": sa.types.NullType(), "nullable": True, "default": None}
            for row in described.fetchall()
        ]

    def get_pk_constraint(self, *_: Any, **__: Any) -> Any:
        """Find no key: a view has none."""
        return {"constrained_columns": [], "name": None}


sa.dialects.registry.register("duckdb.reading", __name__, ReadingDialect.__name__)


class OneConnectionEngine(SqlAlchemyExecutionEngine):
    """Keeps one connection for its life, and the class of the database's last error.

    GX would give the connection back before it fetches, and a DuckDB result is gone by then.
    """

    last_error: str | None = None

    @contextmanager
    def get_connection(self) -> Iterator[sa.Connection]:
        """Lend the one connection."""
        if self._connection is None:
            self._connection = self.engine.connect()
        yield self._connection

    def execute_query(self, query: Any) -> Any:
        """Execute as GX does; an error is noted by its class, since its message quotes values."""
        try:
            return super().execute_query(query)
        except sa.exc.DBAPIError as error:
            self.last_error = type(error.orig).__name__
            raise

    def close(self) -> None:
        """Give the connection back, and dispose of the pool."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()


class DuckDBDatasource(SQLDatasource):
    """A source whose engine keeps its connection; GX offers it as `add_duckdb`."""

    type: Literal["duckdb"] = "duckdb"  # type: ignore[assignment]

    @property
    def execution_engine_type(self) -> _EngineClass:
        """The engine that GX builds for this source."""
        return OneConnectionEngine


@contextmanager
def open_batch(connection: Connection, query: str) -> Iterator[tuple[Batch, OneConnectionEngine]]:
    """Open a query's rows as a GX batch over a cursor of the caller's connection.

    No second database is opened; leaving the block closes
    the cursor, never the connection. What the caller has not committed is not seen. The batch reads
    the view `VALIDATED`, so that neither GX nor SQLAlchemy quotes the names of schema and table
    (GX would lower-case them).

    Raises:
        warehouse.DatabaseError: the query reads what is not there.

    """
    cursor = connection.cursor()
    try:
        cursor.execute(f"CREATE TEMP VIEW {VALIDATED} AS {query}")
        source, view = _whole_view(
            {
                "creator": lambda: duckdb_engine.ConnectionWrapper(cursor),
                "poolclass": sa.StaticPool,
                "hide_parameters": True,
            }
        )
        engine = cast("OneConnectionEngine", source.get_execution_engine())
        try:
            yield view.get_batch(), engine
        finally:
            engine.close()
            source.get_engine().dispose()
    finally:
        cursor.close()


@cache
def _context() -> EphemeralDataContext:
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


def _whole_view(options: dict[str, Any]) -> tuple[DuckDBDatasource, BatchDefinition[Any]]:
    """Describe the view to GX once in a process; only how it connects is new each time.

    GX writes all it knows as YAML whenever a source, a table or a batch definition is added, which
    took a fourth of the time of a suite.
    """
    sources = _context().data_sources
    if SOURCE in sources.all():
        source = cast("DuckDBDatasource", sources.get(SOURCE))
        source.kwargs = options
        return source, source.get_asset(VALIDATED).get_batch_definition(ALL_ROWS)
    source = sources.add_duckdb(name=SOURCE, connection_string="duckdb+reading://", kwargs=options)
    table = source.add_table_asset(name=VALIDATED, table_name=VALIDATED)
    return source, table.add_batch_definition_whole_table(ALL_ROWS)
