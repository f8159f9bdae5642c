"""A source in PostgreSQL, by the code that reads SQLite in every other test run.

Runs where TEST_POSTGRES_URL names a server that may be written to, such as
`postgresql+psycopg://user:password@localhost/test`; the driver is the optional package `psycopg`.
"""

import datetime as dt
import os

import pytest
import sqlalchemy as sa

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

URL = os.environ.get("TEST_POSTGRES_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="TEST_POSTGRES_URL names no server")

ROWS = 25_000
SCHEMA = "segmentation_test"
SEEN = dt.datetime.fromisoformat("2025-01-02T04:30:01")


@pytest.fixture(scope="module")
def server():
    engine = sa.create_engine(URL)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        connection.exec_driver_sql(f"CREATE SEQUENCE {SCHEMA}.counter")
        connection.exec_driver_sql(
            f"CREATE TABLE {SCHEMA}.people AS SELECT lpad(i::text, 6, '0') AS id,"
            " (20 + i %% 60)::smallint AS age, (i / 7.0)::numeric(12, 4) AS amount,"
            " i %% 2 = 0 AS paid,"
            " DATE '2025-01-01' + i %% 300 AS born,"
            " TIMESTAMPTZ '2025-01-01 23:30:00-05' + i * INTERVAL '1 second' AS seen,"
            " md5(i::text)::uuid AS code, jsonb_build_object('a', i) AS notes"
            f" FROM generate_series(1, {ROWS}) AS i"
        )
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")
    engine.dispose()


def source(**database):
    return SourceSpec.model_validate(
        {
            "kind": "crm",
            "format": "database",
            "database": {"url_variable": "CRM_URL", **database},
            "key": "id",
            "columns": {
                "id": {"type": "text"},
                "age": {"type": "integer"},
                "amount": {"type": "number"},
                "paid": {"type": "boolean"},
                "born": {"type": "date"},
                "seen": {"type": "timestamp"},
                "code": {"type": "text"},
            },
        }
    )


def load(tmp_path, declared, day=1, url=URL):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        build = Build(dt.date(2025, 1, day), f"run-{day}")
        summary = load_source(connection, tmp_path, "people", declared, build, {"CRM_URL": url})
        first = connection.execute(
            "SELECT id, age, amount, paid, born, seen, code FROM raw.raw_people"
            " ORDER BY load_id DESC, id LIMIT 1"
        ).fetchall()
        return summary, first[0]


def test_a_table_keeps_its_types_and_is_skipped_when_it_is_the_same(server, tmp_path):
    declared = source(table="people", table_schema=SCHEMA)
    summary, first = load(tmp_path, declared)
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (ROWS, 0, 0)
    assert first == (
        "000001", 21, 0.1429, False, dt.date(2025, 1, 2), SEEN,
        "c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    )  # fmt: skip
    assert load(tmp_path, declared, day=2)[0].files_skipped == 1
    with server.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {SCHEMA}.people SET age = 99 WHERE id = '000001'")
    summary, first = load(tmp_path, declared, day=3)
    assert (summary.files_loaded, first[1]) == (1, 99)


def test_a_query_is_sent_as_it_is_and_cannot_write(server, tmp_path):
    columns = "id, age, amount, paid, born, seen, code"
    query = f"SELECT {columns} FROM {SCHEMA}.people WHERE id LIKE '%1' AND age::int > 0"
    assert load(tmp_path, source(query=query))[0].rows == ROWS // 10
    wiping = f"DELETE FROM {SCHEMA}.people RETURNING {columns}"
    with pytest.raises(SourceError, match="the database refuses"):
        load(tmp_path, source(query=wiping), day=2)
    counting = query.replace("SELECT id,", f"SELECT nextval('{SCHEMA}.counter')::text AS id,")
    with pytest.raises(SourceError, match=r"the database refuses \(InternalError, 25006\)"):
        load(tmp_path, source(query=counting), day=2)


def test_a_refusal_tells_a_code_and_nothing_else(server, tmp_path):
    wrong = sa.make_url(URL).set(password="MARKER", database="MARKER")
    text = wrong.render_as_string(hide_password=False)
    with pytest.raises(SourceError, match=r"the database refuses \(OperationalError") as stop:
        load(tmp_path, source(table="people"), url=text)
    assert "MARKER" not in str(stop.value)
    with pytest.raises(SourceError, match="there is no such table"):
        load(tmp_path, source(table="peple", table_schema=SCHEMA))
