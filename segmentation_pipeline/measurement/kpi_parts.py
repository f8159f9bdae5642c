"""What tonight's KPIs are made of, by customer: looked up once, and read by every segmentation.

A KPI of a customer is the same in whatever segment they are, and looking at the events takes longer
than all that follows. So the first segmentation of a run that measures keeps the parts, and the
others read them. They are kept in a temporary table: nothing of them is ever in the home's files,
and another run, whatever has become of this one, looks again.
"""

import hashlib
from collections.abc import Mapping

from segmentation_pipeline.measurement.customer_kpis import KpiWindow, kpi_parts_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Build, Connection, literal, quote

_PREFIX = "kpi parts "


def kept_parts(
    connection: Connection,
    customers: CustomersSpec,
    windows: Mapping[str, KpiWindow],
    build: Build,
) -> str:
    """Make the table of KPIs' parts, unless this run has made it; returns its quoted name.

    What an earlier run on the same connection has left goes.
    """
    run = _PREFIX + hashlib.sha256(f"{build}".encode()).hexdigest()[:16]
    query = kpi_parts_sql(customers, windows)
    name = f"{run} {hashlib.sha256(query.encode()).hexdigest()[:16]}"
    kept = _kept(connection)
    _drop(connection, [one for one in kept if not one.startswith(run)])
    if name not in kept:
        connection.execute(f"CREATE TEMP TABLE {quote(name)} AS {query}")
    return f"temp.{quote(name)}"


def forget_parts(connection: Connection) -> None:
    """Drop all parts, once every segmentation has been measured: they have a row per customer."""
    _drop(connection, _kept(connection))


def _kept(connection: Connection) -> list[str]:
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'"
        f" AND starts_with(table_name, {literal(_PREFIX)})"
    ).fetchall()
    return [str(name) for (name,) in found]


def _drop(connection: Connection, names: list[str]) -> None:
    for name in names:
        connection.execute(f"DROP TABLE temp.{quote(name)}")
