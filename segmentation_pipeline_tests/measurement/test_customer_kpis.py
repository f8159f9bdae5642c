"""A KPI of each customer is made of the rows of its window, and of no later ones."""

import datetime as dt
from pathlib import Path

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.measurement.customer_kpis import (
    KpiWindow,
    customer_kpi_sql,
    kpi_values_sql,
)
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import open_warehouse

JUNE = (dt.date(2025, 6, 1), dt.date(2025, 6, 30))
KPIS = {
    "active": {"kind": "binary", "source": "web", "function": "count", "where": "event <> 'sent'"},
    "back": {
        "kind": "binary", "source": "web", "function": "count", "where": "event <> 'sent'",
        "returning": True,
    },
    "opens": {"kind": "mean", "source": "web", "function": "count", "where": "event = 'open'"},
    "opens_a_day": {
        "kind": "mean", "source": "web", "function": "rate", "where": "event = 'open'",
    },
    "basket": {"kind": "heavy", "source": "orders", "function": "mean", "column": "euros"},
    "spent": {"kind": "heavy", "source": "orders", "function": "sum", "column": "euros"},
    "quiet_days": {"kind": "mean", "source": "web", "function": "recency_days"},
    "open_rate": {
        "kind": "ratio",
        "numerator": {"source": "web", "function": "count", "where": "event = 'open'"},
        "denominator": {"source": "web", "function": "count", "where": "event = 'sent'"},
    },
    "euros_per_open": {
        "kind": "ratio",
        "numerator": {"source": "orders", "function": "sum", "column": "euros"},
        "denominator": {"source": "web", "function": "count", "where": "event = 'open'"},
    },
    "contract": {"kind": "heavy", "expression": "contract"},
    "is_large": {"kind": "binary", "expression": "contract > 100"},
    "per_contract": {"kind": "mean", "expression": "1 / (contract - 50)"},
    "contract_days": {"kind": "mean", "expression": "as_of - signed_on"},
}  # fmt: skip
SOURCES = {
    "crm": {"kind": "crm", "columns": {"contract": "number", "signed_on": "date"}},
    "web": {"kind": "web", "time": "seen_at", "columns": {"seen_at": "timestamp", "event": "text"}},
    "orders": {
        "kind": "transactions", "time": "paid_on",
        "columns": {"paid_on": "date", "euros": "number"},
    },
}  # fmt: skip
WEB = [
    ("a", "2025-05-02 00:00:00", "visit"),  # the first day of the window before
    ("a", "2025-06-01 00:00:00", "open"),  # the first day of the window
    ("a", "2025-06-20 08:00:00", "sent"),
    ("a", "2025-06-30 23:59:59", "open"),  # its last second
    ("b", "2025-05-31 23:59:59", "open"),  # a second too early
    ("b", "2025-06-20 08:00:00", "sent"),
    ("b", "2025-06-21 08:00:00", "sent"),
    ("c", "2025-05-01 23:59:59", "open"),  # before the window before
    ("c", "2025-06-15 12:00:00", "visit"),
    ("c", "2025-07-01 00:00:00", "open"),  # too late
    ("c", None, "open"),
    ("nobody", "2025-06-15 12:00:00", "open"),
]
ORDERS = [
    ("a", "2025-06-01", 0.1), ("a", "2025-06-02", 0.2), ("b", "2025-06-30", 7.0),
    ("b", "2025-07-01", 9.0), ("c", "2025-05-31", 5.0),
]  # fmt: skip


def make_home(**kpis):
    sources = {}
    for name, source in SOURCES.items():
        columns = {"id": {"type": "text"}}
        columns |= {column: {"type": kind} for column, kind in source["columns"].items()}
        sources[name] = {**source, "path": f"{name}.csv", "key": "id", "columns": columns}
    declared = {
        name: {"description": name, "window_days": 30, **kpi}
        for name, kpi in (kpis or KPIS).items()
    }
    spec = CustomersSpec.model_validate(
        {
            "name": "Clinic staff",
            "nights": {"first": "2025-01-01"},
            "sources": sources,
            "customers": {"base": "crm"},
            "kpis": declared,
        }
    )
    return Home(Path("home"), spec, {})


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as opened:
        raw = "load_id BIGINT, source_row BIGINT, customer_id VARCHAR, id VARCHAR"
        opened.execute(
            f"CREATE TABLE raw.raw_web ({raw}, seen_at TIMESTAMP, event VARCHAR);"
            f" CREATE TABLE raw.raw_orders ({raw}, paid_on DATE, euros DOUBLE);"
            " CREATE TABLE core.left_out_rows (source VARCHAR, load_id BIGINT, source_row BIGINT,"
            " step VARCHAR);"
            " CREATE TABLE core.customers AS SELECT * FROM (VALUES ('a', 120.5, DATE '2025-06-01'),"
            " ('b', 50, DATE '2025-06-29'), ('c', NULL, NULL)) t(customer_id, contract, signed_on)"
        )
        for table, rows in (("raw_web", WEB), ("raw_orders", ORDERS)):
            opened.executemany(
                f"INSERT INTO raw.{table} VALUES (1, ?, ?, ?, ?, ?)",
                [[number, row[0], *row] for number, row in enumerate(rows, start=1)],
            )
        yield opened


def values(connection, kpi, first=JUNE[0], last=JUNE[1], home=None):
    query = customer_kpi_sql(home or make_home(), kpi, first, last)
    relation = connection.sql(f"FROM ({query}) ORDER BY customer_id")
    assert relation.columns == ["customer_id", "numerator", "denominator"]
    assert [str(kind) for kind in relation.types] == ["VARCHAR", "DOUBLE", "DOUBLE"]
    rows = relation.fetchall()
    assert [row[0] for row in rows] == ["a", "b", "c"]
    return [row[1] for row in rows], [row[2] for row in rows]


@pytest.mark.parametrize(
    ("kpi", "expected"),
    [
        ("active", [1, 0, 1]),
        ("back", [1, 0, None]),
        ("opens", [2, 0, 0]),
        ("opens_a_day", [2 / 30, 0, 0]),
        ("basket", [0.15, 7, None]),
        ("spent", [0.3, 7, 0]),
        ("quiet_days", [0, 9, 15]),
        ("contract", [120.5, 50, None]),
        ("is_large", [1, 0, None]),
        ("per_contract", [1 / 70.5, None, None]),
        ("contract_days", [29, 1, None]),
    ],
)
def test_the_kpi_of_each_customer(connection, kpi, expected):
    numerators, denominators = values(connection, kpi)

    assert numerators == expected
    assert denominators == [None, None, None]


def test_the_parts_of_a_ratio_may_come_of_two_sources(connection):
    assert values(connection, "open_rate") == ([2, 0, 0], [1, 2, 0])
    assert values(connection, "euros_per_open") == ([0.3, 7, 0], [2, 0, 0])


def test_the_window_that_is_asked_for_counts_and_not_that_of_the_kpi(connection):
    day = dt.date(2025, 6, 1)

    assert values(connection, "opens", day, day)[0] == [1, 0, 0]
    assert values(connection, "opens_a_day", day, dt.date(2025, 6, 2))[0] == [0.5, 0, 0]
    # Nobody but b did anything on the day before, and b didn't come back.
    assert values(connection, "back", day, day)[0] == [None, 0, None]


def test_rows_after_the_window_do_not_exist_for_it(connection):
    before = values(connection, "quiet_days", dt.date(2025, 5, 1), dt.date(2025, 5, 31))

    connection.execute("DELETE FROM raw.raw_web WHERE seen_at >= DATE '2025-06-01'")

    assert before[0] == [29, 0, 30]
    assert before == values(connection, "quiet_days", dt.date(2025, 5, 1), dt.date(2025, 5, 31))


def test_several_kpis_come_of_one_pass_with_the_columns_of_the_people(connection):
    home = make_home()
    windows = {name: KpiWindow(home.customers.kpis[name], *JUNE) for name in ("opens", "active")}
    people = "SELECT 's-1' AS segment_id, 'a' AS customer_id UNION ALL SELECT 's-2', 'gone'"

    query = kpi_values_sql(home.customers, windows, people)

    assert query.count("raw_web") == 1
    assert connection.sql(f"SELECT * FROM ({query}) ORDER BY segment_id").fetchall() == [
        ("s-1", "a", 2.0, None, 1.0, None),
        ("s-2", "gone", 0.0, None, 0.0, None),
    ]


def test_what_there_is_not_is_refused():
    with pytest.raises(SpecificationError, match="no KPI `openrate`; did you mean `open_rate`"):
        customer_kpi_sql(make_home(), "openrate", *JUNE)
    with pytest.raises(SpecificationError, match="ends on 2025-06-01, before 2025-06-30"):
        customer_kpi_sql(make_home(), "opens", JUNE[1], JUNE[0])
