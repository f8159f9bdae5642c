"""Raw tables as the ingestion room leaves them, from rows written in a test."""

import datetime as dt
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.ingestion.loads import make_audit_tables
from segmentation_pipeline.preparation import CustomersSummary, events_sql, make_customers
from segmentation_pipeline.specification.columns import SQL_TYPES
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    open_warehouse,
    quote,
    record_build,
)

AS_OF = dt.date(2026, 3, 31)
BUILD = Build(AS_OF, "night")
Rows = Sequence[tuple[Any, ...]]


@dataclass
class Night:
    """A warehouse with raw tables, and what is made of them."""

    connection: Connection
    spec: CustomersSpec

    def make(self, build: Build = BUILD, **snapshots: int) -> CustomersSummary:
        in_force = {name: 1 for name, s in self.spec.sources.items() if s.kind == "crm"}
        return make_customers(self.connection, self.spec, {**in_force, **snapshots}, build)

    def reject(self, source: str, column: str | None, load_id: int = 1) -> None:
        self.connection.execute(
            "INSERT INTO core.rejected_rows VALUES (?, ?, 'file.csv', 7, ?, 'not a number')",
            [load_id, source, column],
        )

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        return self.connection.execute(query).fetchall()

    def customers(self, *columns: str) -> list[tuple[Any, ...]]:
        selected = ", ".join(quote(name) for name in ("customer_id", *columns))
        return self.fetch(f"SELECT {selected} FROM core.customers ORDER BY customer_id")

    def values(self, column: str) -> list[Any]:
        """One column of `customers`, in the order of the ids."""
        return [value for _, value in self.customers(column)]

    def events(self, source: str, as_of: dt.date = AS_OF) -> list[tuple[Any, ...]]:
        query = events_sql(source, self.spec.sources[source], as_of)
        return self.fetch(f"SELECT * FROM ({query}) ORDER BY ALL")

    def counted(self, source: str) -> dict[tuple[str | None, str], int]:
        """(column, step) -> rows, of the lines of a source that found something."""
        lines = self.fetch(
            "SELECT column_name, step, sum(rows)::BIGINT FROM core.cleaning_report"
            f" WHERE source = '{source}' AND rows > 0 GROUP BY ALL"
        )
        return {(column, step): rows for column, step, rows in lines}

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every table that is made, in a fixed order, but for the ids of raw rows."""
        tables = ("customers", "customer_conflicts", "cleaning_report")
        return {name: self.fetch(f"SELECT * FROM core.{name} ORDER BY ALL") for name in tables}


@pytest.fixture
def night(tmp_path) -> Callable[..., Any]:
    """A context manager: specification and rows -> Night.

    `sources` is the YAML's mapping; `rows` has, for each source, tuples of customer_id and the
    declared columns, or a mapping of load_id to such tuples.
    """
    made = iter(range(100))

    @contextmanager
    def open_night(
        sources: Mapping[str, Any],
        rows: Mapping[str, Rows | Mapping[int, Rows]],
        customers: Mapping[str, Any] | None = None,
        *,
        threads: int = 1,
        shuffle: int | None = None,
    ) -> Iterator[Night]:
        spec = make_spec(sources, customers)
        file = tmp_path / f"{next(made)}.duckdb"
        with open_warehouse(file, memory_limit="256MB", threads=threads) as connection:
            make_audit_tables(connection)
            for name, source in spec.sources.items():
                given = rows.get(name, [])
                loads = given if isinstance(given, Mapping) else {1: given}
                columns = {key: SQL_TYPES[column.type] for key, column in source.columns.items()}
                load_raw(connection, name, columns, loads, shuffle)
            yield Night(connection, spec)

    return open_night


def make_spec(
    sources: Mapping[str, Any], customers: Mapping[str, Any] | None = None
) -> CustomersSpec:
    declared = {}
    for name, source in sources.items():
        columns = {"id": {"type": "text"}, **source.get("columns", {})}
        declared[name] = {
            "kind": "crm",
            "path": f"{name}.csv",
            "key": "id",
            "maximum_orphan_share": 1.0,
            **source,
            "columns": columns,
        }
    base = next(iter(sources))
    return CustomersSpec.model_validate(
        {
            "name": "Clinic staff",
            "nights": {"first": "2026-01-01"},
            "sources": declared,
            "customers": {"base": base, **(customers or {})},
        }
    )


def load_raw(
    connection: Connection,
    name: str,
    columns: Mapping[str, str],
    loads: Mapping[int, Rows],
    shuffle: int | None,
) -> None:
    table = raw_table(name)
    declared = ", ".join(f"{quote(key)} {kind}" for key, kind in columns.items())
    connection.execute(
        f"CREATE TABLE {table.sql} (load_id BIGINT, source_row BIGINT, customer_id VARCHAR,"
        f" {declared})"
    )
    for load_id, given in loads.items():
        ordered = list(given)
        if shuffle is not None:
            random.Random(shuffle).shuffle(ordered)
        # The key column `id` is the first declared one, and holds what customer_id holds.
        numbered = [[load_id, n, row[0], *row] for n, row in enumerate(ordered, start=1)]
        if numbered:
            marks = f"({', '.join('?' * len(numbered[0]))})"
            connection.execute(
                f"INSERT INTO {table.sql} VALUES {', '.join([marks] * len(numbered))}",
                [value for row in numbered for value in row],
            )
    record_build(connection, table, BUILD)
