"""KPIs read from kept parts are those that are looked up, for whatever people."""

import datetime as dt

import pytest

from segmentation_pipeline.measurement.customer_kpis import (
    KpiWindow,
    kpi_values_sql,
    values_of_parts_sql,
)
from segmentation_pipeline.measurement.kpi_parts import forget_parts, kept_parts
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

LAST = dt.date(2025, 6, 30)
VISITS = {"kind": "mean", "source": "web", "function": "count", "where": "event = 'visit'"}
KPIS = {
    "visits": VISITS,
    "visits_again": VISITS,
    "active": {**VISITS, "kind": "binary"},
    "back": {**VISITS, "kind": "binary", "returning": True},
    "share": {
        "kind": "mean", "source": "web", "function": "share", "where": "event = 'visit'",
    },
    "spent": {"kind": "heavy", "source": "orders", "function": "sum", "column": "euros"},
    "basket": {"kind": "heavy", "source": "orders", "function": "mean", "column": "euros"},
    "euros_a_visit": {
        "kind": "ratio",
        "numerator": {"source": "orders", "function": "sum", "column": "euros"},
        "denominator": {"source": "web", "function": "count", "where": "event = 'visit'"},
    },
    "contract": {"kind": "heavy", "expression": "contract"},
    "has_contract": {"kind": "binary", "expression": "contract"},
}  # fmt: skip
PEOPLE = (
    "SELECT * FROM (VALUES ('a', 'x-1'), ('b', 'x-1'), ('c', 'x-2'), ('gone', 'x-2'),"
    " ('unheard_of', 'x-2')) AS t(customer_id, segment_id)"
)


def make_spec():
    text, number, date = ({"type": kind} for kind in ("text", "number", "date"))
    sources = {
        "crm": {"kind": "crm", "columns": {"contract": number}},
        "web": {"kind": "web", "time": "seen_on", "columns": {"seen_on": date, "event": text}},
        "orders": {
            "kind": "transactions", "time": "paid_on",
            "columns": {"paid_on": date, "euros": number},
        },
    }  # fmt: skip
    for name, source in sources.items():
        source["columns"] |= {"id": text}
        source |= {"path": f"{name}.csv", "key": "id"}
    kpis = {name: {"description": name, "window_days": 30, **kpi} for name, kpi in KPIS.items()}
    return CustomersSpec.model_validate(
        {
            "name": "Clinic staff",
            "nights": {"first": "2025-01-01"},
            "sources": sources,
            "customers": {"base": "crm"},
            "kpis": kpis,
        }
    )


SPEC = make_spec()
WINDOWS = {
    called: one
    for name, kpi in SPEC.kpis.items()
    for now in [KpiWindow(kpi, LAST - dt.timedelta(days=29), LAST)]
    for called, one in ((name, now), (f"{name} before", now.before))
}


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as opened:
        raw = "load_id BIGINT, source_row BIGINT, customer_id VARCHAR"
        opened.execute(
            f"CREATE TABLE raw.raw_web ({raw}, seen_on DATE, event VARCHAR, id VARCHAR);"
            f" CREATE TABLE raw.raw_orders ({raw}, paid_on DATE, euros DOUBLE, id VARCHAR);"
            " CREATE TABLE core.left_out_rows (source VARCHAR, load_id BIGINT, source_row BIGINT,"
            " step VARCHAR);"
            " CREATE TABLE core.customers AS FROM (VALUES ('a', 120.5), ('b', 0), ('c', NULL),"
            " ('d', 4)) AS t(customer_id, contract);"
            " INSERT INTO raw.raw_web SELECT 1, row_number() OVER (), id, day::DATE, what, id FROM"
            " (VALUES ('a', '2025-06-01', 'visit'), ('a', '2025-05-31', 'visit'),"
            " ('a', '2025-06-02', 'mail'), ('b', '2025-05-30', 'visit'),"
            " ('b', '2025-06-30', 'mail'),"
            " ('c', '2025-06-29', 'visit'), ('gone', '2025-06-29', 'visit')) AS t(id, day, what);"
            " INSERT INTO raw.raw_orders SELECT 1, row_number() OVER (), id, day::DATE, euros, id"
            " FROM (VALUES ('a', '2025-06-01', 0.1), ('a', '2025-06-02', 0.2),"
            " ('c', '2025-05-15', 7), ('gone', '2025-06-03', 9)) AS t(id, day, euros)"
        )
        yield opened


def read(connection, query):
    return connection.execute(f"FROM ({query}) ORDER BY customer_id").fetchall()


def kept(connection, run="run-1"):
    parts = kept_parts(connection, SPEC, WINDOWS, Build(LAST, run))
    return read(connection, values_of_parts_sql(WINDOWS, PEOPLE, parts))


def tables(connection):
    return connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE starts_with(table_name, 'kpi parts')"
    ).fetchall()[0][0]


def test_kept_parts_tell_what_the_sources_do(connection):
    looked_up = read(connection, kpi_values_sql(SPEC, WINDOWS, PEOPLE))

    assert kept(connection) == looked_up
    assert [row[0] for row in looked_up] == ["a", "b", "c", "gone", "unheard_of"]


def test_a_run_looks_once_and_the_next_one_again(connection):
    first = kept(connection)
    connection.execute("DELETE FROM raw.raw_web")

    assert kept(connection) == first
    assert kept(connection, "run-2") == read(connection, kpi_values_sql(SPEC, WINDOWS, PEOPLE))
    assert kept(connection, "run-2") != first
    assert tables(connection) == 1


def test_parts_never_reach_the_file_and_are_forgotten(connection):
    kept(connection)
    schemas = connection.execute(
        "SELECT DISTINCT database_name FROM duckdb_tables() WHERE starts_with(table_name, 'kpi')"
    ).fetchall()
    assert schemas == [("temp",)]

    forget_parts(connection)

    assert tables(connection) == 0
