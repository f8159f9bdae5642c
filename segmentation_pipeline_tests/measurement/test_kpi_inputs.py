"""Only rows of new loads are fingerprinted; the figures are those of all rows."""

import datetime as dt

import pytest

from segmentation_pipeline.measurement.kpi_inputs import source_days
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

JUNE = dt.date(2025, 6, 30)
SPEC = CustomersSpec.model_validate(
    {
        "name": "Clinic staff",
        "nights": {"first": "2025-01-01"},
        "sources": {
            "crm": {
                "kind": "crm", "path": "c.csv", "key": "id", "columns": {"id": {"type": "text"}},
            },
            "web": {
                "kind": "web", "path": "w.csv", "key": "id", "time": "seen_at",
                "columns": {
                    "id": {"type": "text"}, "seen_at": {"type": "timestamp"},
                    "event": {"type": "text"},
                },
            },
        },
        "customers": {"base": "crm"},
        "kpis": {
            "visits": {
                "description": "Visits", "kind": "mean", "source": "web", "function": "count",
                "window_days": 7,
            }
        },
    }
)  # fmt: skip


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as opened:
        opened.execute(
            "CREATE TABLE raw.raw_web (load_id BIGINT, source_row BIGINT, customer_id VARCHAR,"
            " id VARCHAR, seen_at TIMESTAMP, event VARCHAR)"
        )
        yield opened


def load(connection, number, *rows):
    connection.executemany(
        "INSERT INTO raw.raw_web VALUES (?, ?, ?, ?, ?, ?)",
        [
            [number, row, customer, customer, day, event]
            for row, (customer, day, event) in enumerate(rows)
        ],
    )


def look(connection, run):
    return source_days(connection, SPEC, Build(JUNE, run))["web"]


def looked_at_anew(connection, run):
    connection.execute("DROP TABLE core.load_days_web")
    return look(connection, run)


def test_a_night_fingerprints_the_new_loads_only(connection):
    load(connection, 1, ("a", "2025-06-01", "visit"), ("b", "2025-06-02", "visit"))
    look(connection, "run-1")
    # What is no more than a sign here: nobody changes the rows of a load.
    connection.execute("UPDATE core.load_days_web SET fingerprint = 7 WHERE date = '2025-06-01'")
    load(connection, 2, ("c", "2025-06-02", "visit"), ("c", None, "visit"))

    days = look(connection, "run-2")

    assert days.dates == [dt.date(2025, 6, 1), dt.date(2025, 6, 2)]
    assert days.rows_until == [0, 1, 3]
    assert days.fingerprint_until[1] == 7
    fresh = looked_at_anew(connection, "run-3")
    assert days.rows_until == fresh.rows_until
    assert [days.between(day, day) for day in days.dates[1:]] == [
        fresh.between(day, day) for day in fresh.dates[1:]
    ]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param("DELETE FROM raw.raw_web WHERE customer_id = 'a'", id="erased"),
        pytest.param("DELETE FROM raw.raw_web WHERE load_id = 1", id="its_file_is_gone"),
        pytest.param("DELETE FROM raw.raw_web", id="all_are_gone"),
        pytest.param(
            "ALTER TABLE raw.raw_web ALTER event TYPE BIGINT USING length(event)",
            id="declared_otherwise",
        ),
    ],
)
def test_rows_that_went_or_were_cast_are_looked_at_again(connection, change):
    load(connection, 1, ("a", "2025-06-01", "visit"), ("b", "2025-06-01", "visit"))
    load(connection, 2, ("b", "2025-06-02", "visit"))
    before = look(connection, "run-1")
    connection.execute(change)

    after = look(connection, "run-2")

    assert after != before
    assert after == looked_at_anew(connection, "run-3")
