"""A source in PostgreSQL: a real server, read by the code that reads SQLite in every test run."""

import csv
import datetime as dt
import sqlite3

import pytest
import sqlalchemy as sa

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source, load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

pytestmark = pytest.mark.services

ROWS = 25_000
SCHEMA = "sales"
TYPES = {
    "id": "text", "age": "integer", "amount": "number", "paid": "boolean", "born": "date",
    "seen": "timestamp", "code": "text",
}  # fmt: skip
COLUMNS = ", ".join(TYPES)
SEEN = dt.datetime.fromisoformat("2025-01-02T04:30:01")
MAKE_PEOPLE = f"""
CREATE TABLE {SCHEMA}.people AS SELECT lpad(i::text, 6, '0') AS id,
    CASE WHEN i % 10 > 0 THEN (20 + i % 60)::smallint END AS age,
    (i / 7.0)::numeric(12, 4) AS amount, i % 2 = 0 AS paid, DATE '2025-01-01' + i % 300 AS born,
    TIMESTAMPTZ '2025-01-01 23:30:00-05' + i * INTERVAL '1 second' AS seen,
    md5(i::text)::uuid AS code, jsonb_build_object('a', i) AS notes
FROM generate_series(1, {ROWS}) AS i
"""


@pytest.fixture(scope="module")
def engine(postgresql):
    engine = sa.create_engine(postgresql)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {SCHEMA}")
        connection.exec_driver_sql(f"CREATE SEQUENCE {SCHEMA}.counter")
    yield engine
    engine.dispose()


@pytest.fixture
def execute(engine):
    def execute(*statements):
        with engine.begin() as connection:
            # Not a statement with parameters: its percent signs are its own.
            driver = connection.execution_options(no_parameters=True)
            for statement in statements:
                driver.exec_driver_sql(statement)

    return execute


@pytest.fixture
def people(execute):
    execute(f"DROP TABLE IF EXISTS {SCHEMA}.people", MAKE_PEOPLE)


@pytest.fixture
def warehouse(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        yield connection


@pytest.fixture
def load(postgresql, warehouse, tmp_path):
    text = postgresql.render_as_string(hide_password=False)

    def load(declared, day=1, url=text):
        build = Build(dt.date(2025, 1, day), f"run-{day}")
        return load_source(warehouse, tmp_path, "people", declared, build, {"CRM_URL": url})

    return load


def source(types=TYPES, parts=None, **database):
    declared = {
        "kind": "crm", "format": "database",
        "database": {"url_variable": "CRM_URL", **database}, "key": next(iter(types)),
        "columns": {name: {"type": kind} for name, kind in types.items()},
    }  # fmt: skip
    return SourceSpec.model_validate(declared | (parts or {}))


PEOPLE = source(table="people", table_schema=SCHEMA)


def rows(warehouse, columns=COLUMNS):
    return warehouse.execute(f"SELECT {columns} FROM raw.raw_people ORDER BY ALL").fetchall()


def rejects(warehouse):
    query = "SELECT column_name, reason FROM core.rejected_rows ORDER BY ALL"
    return warehouse.execute(query).fetchall()


@pytest.mark.usefixtures("people")
def test_a_table_keeps_its_types_and_is_the_same_load_in_any_order(load, warehouse, execute):
    summary = load(PEOPLE)
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (ROWS, 0, 0)
    assert summary.ignored_columns == ()
    assert rows(warehouse)[0] == (
        "000001", 21, 0.1429, False, dt.date(2025, 1, 2), SEEN,
        "c4ca4238-a0b9-2382-0dcc-509a6f75849b",
    )  # fmt: skip
    assert rows(warehouse, "count(*) - count(age)") == [(ROWS // 10,)]

    execute(
        f"CREATE TABLE {SCHEMA}.turned AS SELECT * FROM {SCHEMA}.people ORDER BY code",
        f"DROP TABLE {SCHEMA}.people",
        f"ALTER TABLE {SCHEMA}.turned RENAME TO people",
    )
    assert load(PEOPLE, day=2).files_skipped == 1

    execute(f"UPDATE {SCHEMA}.people SET age = 99 WHERE id = '000001'")
    assert load(PEOPLE, day=3).files_loaded == 1
    snapshots = warehouse.execute("SELECT snapshot_date FROM core.source_loads ORDER BY ALL")
    assert snapshots.fetchall() == [(dt.date(2025, 1, 1),), (dt.date(2025, 1, 3),)]


@pytest.mark.usefixtures("people")
def test_a_query_is_sent_as_it_is_and_cannot_write(load):
    query = f"SELECT {COLUMNS} FROM {SCHEMA}.people WHERE id LIKE '%1' AND age::int > 0"
    assert load(source(query=query)).rows == ROWS // 10
    wiping = f"DELETE FROM {SCHEMA}.people RETURNING {COLUMNS}"
    with pytest.raises(SourceError, match="the database refuses"):
        load(source(query=wiping), day=2)
    counting = query.replace("SELECT id,", f"SELECT nextval('{SCHEMA}.counter')::text AS id,")
    with pytest.raises(SourceError, match=r"the database refuses \(InternalError, 25006\)"):
        load(source(query=counting), day=2)


def test_values_that_no_file_has(load, warehouse):
    """What only a database can hold is read, or counted as a value that cannot be; never lost."""
    types = {
        "id": "text", "name": "text", "tags": "text", "number": "number", "whole": "integer",
        "day": "date", "moment": "timestamp", "took": "number", "bytes": "text",
    }  # fmt: skip
    values = [
        ("'a'", "'Zo\u00eb \U0001f600, ' || chr(10) || '\"q\"'", "ARRAY['x', 'y z']", "1e-9", "42",
         "DATE '0999-12-31'", "TIMESTAMPTZ '2025-07-01 00:00+02'", "INTERVAL '90 s'", "'\\x00ff'"),
        ("'b'", "''", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"),
        ("'c'", "NULL", "ARRAY[]::text[]", "'NaN'", "2.5", "'infinity'", "'infinity'", "NULL",
         "NULL"),
        ("'d'", "NULL", "NULL", "1e400", "9e18", "DATE '0044-03-15 BC'", "'-infinity'", "NULL",
         "NULL"),
    ]  # fmt: skip
    casts = ["text", "text", "text[]", "numeric", "numeric", "date", "timestamptz", "interval",
             "bytea"]  # fmt: skip
    selects = [
        ", ".join(
            f"CAST({value} AS {cast}) AS {name}"
            for value, cast, name in zip(row, casts, types, strict=True)
        )
        for row in values
    ]
    query = " UNION ALL ".join(f"SELECT {select}" for select in selects)
    loose = {name: {"type": kind, "maximum_rejected_share": 1} for name, kind in types.items()}
    load(source(types, {"columns": loose}, query=query))
    assert rows(warehouse, ", ".join(types)) == [
        ("a", 'Zo\u00eb \U0001f600, \n"q"', '["x", "y z"]', 1e-9, 42, dt.date(999, 12, 31),
         dt.datetime.fromisoformat("2025-06-30T22:00"), 90, "00ff"),
        ("b", None, None, None, None, None, None, None, None),
        ("c", None, "[]", None, None, None, None, None, None),
        ("d", None, None, None, 9 * 10**18, None, None, None, None),
    ]  # fmt: skip
    assert rejects(warehouse) == [
        ("day", "not a date as declared"),
        ("day", "not a date as declared"),
        ("moment", "not a timestamp as declared"),
        ("moment", "not a timestamp as declared"),
        ("number", "not a finite number"),
        ("number", "not a finite number"),
        ("whole", "not a whole number"),
    ]


@pytest.mark.usefixtures("people")
def test_the_same_rows_as_a_file_and_in_sqlite_are_the_same_table(
    engine, load, warehouse, tmp_path
):
    load(PEOPLE)
    from_postgresql = rows(warehouse)
    with engine.connect() as connection:
        given = connection.exec_driver_sql(
            f"SELECT id, age, amount::text, paid, born::text, seen::text, code::text"
            f" FROM {SCHEMA}.people"
        ).fetchall()

    with (tmp_path / "people.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([TYPES, *given])
    load(source(parts={"format": "csv", "path": "people.csv", "database": None}), day=2)
    newest = "WHERE load_id = (SELECT max(load_id) FROM raw.raw_people)"
    query = f"SELECT {COLUMNS} FROM raw.raw_people {newest} ORDER BY ALL"
    assert warehouse.execute(query).fetchall() == from_postgresql

    file = sqlite3.connect(tmp_path / "people.db")
    file.execute(f"CREATE TABLE people ({COLUMNS})")
    file.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?, ?)", map(tuple, given))
    file.commit()
    file.close()
    load(source(table="people"), day=3, url=f"sqlite:///{tmp_path / 'people.db'}")
    assert warehouse.execute(query).fetchall() == from_postgresql


def test_rows_come_in_portions_from_a_cursor_of_the_server(load, warehouse):
    # The view lists cursors that are declared, this one among them; a client that took all rows at
    # once would have none.
    load(source({"id": "text"}, query="SELECT statement AS id FROM pg_cursors"))
    ((statement,),) = rows(warehouse, "id")
    assert "pg_cursors" in statement


def test_a_connection_that_drops_halfway_leaves_what_was_loaded(load, warehouse):
    good = source({"id": "text"}, query="SELECT i AS id FROM generate_series(1, 30000) AS i")
    assert load(good).rows == 30_000
    dropping = source({"id": "text"}, query=(
        "SELECT CASE WHEN i < 25000 THEN i WHEN pg_terminate_backend(pg_backend_pid()) THEN 0 END"
        " AS id FROM generate_series(1, 30000) AS i"
    ))  # fmt: skip
    with pytest.raises(SourceError, match=r"the database refuses \(OperationalError, 57P01\)"):
        load(dropping, day=2)
    assert rows(warehouse, "count(*), count(DISTINCT load_id)") == [(30_000, 1)]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"password": "MARKER"}, r"the database refuses \(OperationalError"),
        ({"database": "MARKER"}, r"the database refuses \(OperationalError"),
        ({"host": "MARKER.invalid", "query": {}}, r"the database refuses \(OperationalError"),
        ({"host": "127.0.0.1", "port": 1, "query": {}}, r"the database refuses \(OperationalErr"),
    ],
)
def test_a_server_that_refuses_or_is_down_is_told_without_its_address(
    load, postgresql, wrong, message
):
    url = postgresql.set(**wrong).render_as_string(hide_password=False)
    with pytest.raises(SourceError, match=message) as stop:
        load(PEOPLE, url=url)
    told = str(stop.value)
    assert "CRM_URL:people" in told
    assert not any(part in told for part in ("MARKER", "127.0.0.1", "/tmp", "@", "postgresql:"))
    assert stop.value.__suppress_context__


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (source(table="peple", table_schema=SCHEMA), r"no such table; did you mean `people`\?"),
        (source(table="people"), "there is no such table"),
        (source({**TYPES, "cod": "text"}, table="people", table_schema=SCHEMA),
         r"lacks the column `cod`; did you mean `notes|`cod`"),
        (source(query=f"SELECT {COLUMNS} FROM {SCHEMA}.MARKER"),
         r"the database refuses \(ProgrammingError, 42P01\)"),
        (source(query=f"SELECT 'MARKER'::int FROM {SCHEMA}.people"),
         r"the database refuses \(DataError, 22P02\)"),
        (source(table="people", table_schema=SCHEMA, maximum_rows=ROWS - 1), "more than 24999 r"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named(load, declared, message):
    with pytest.raises(SourceError, match=message) as stop:
        load(declared)
    assert "MARKER" not in str(stop.value)


@pytest.mark.usefixtures("people")
def test_check_reads_it_as_a_night_would(postgresql, tmp_path):
    environment = {"CRM_URL": postgresql.render_as_string(hide_password=False)}
    told = check_source(tmp_path, "people", PEOPLE, environment)
    assert told == [f"people: CRM_URL:people: {ROWS:,} rows"]
