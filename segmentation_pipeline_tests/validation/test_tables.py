import datetime as dt
import logging
import subprocess
import sys
import warnings

import pytest

from segmentation_pipeline.errors import ValidationFailedError
from segmentation_pipeline.validation import Expectation, validate_table
from segmentation_pipeline.warehouse import Table, open_in_memory, open_warehouse

FLOOR = Expectation("rows", "row_count_between", parameters={"minimum": 1})
# Names that need quoting, and a case that must survive.
STAFF = Table("Raw data", "Staff list")
WARDS = Table("Raw data", "wards")


@pytest.fixture(scope="module")
def connection():
    with open_in_memory(memory_limit="256MB", threads=2) as opened:
        opened.execute('CREATE SCHEMA "Raw data"')
        # 100 rows; every tenth has no age, every fourth repeats the id before it.
        opened.execute(
            f"""
            CREATE TABLE {STAFF.sql} AS
            SELECT
                i AS source_row,
                'c' || (CASE WHEN i % 4 = 0 THEN i - 1 ELSE i END) AS customer_id,
                CASE WHEN i % 10 = 0 THEN NULL ELSE i END AS age,
                CASE WHEN i % 5 = 0 THEN ' HEAD  NURSE'
                    WHEN i % 7 = 0 THEN 'Pilot' ELSE 'Doctor' END AS "Role",
                'ward ' || (i % 3) AS ward,
                DATE '2026-01-01' + i::INTEGER AS seen_on,
                CAST(NULL AS DOUBLE) AS empty
            FROM range(1, 101) AS t(i)
            """
        )
        opened.execute(
            f"CREATE TABLE {WARDS.sql} AS SELECT * FROM (VALUES ('ward 0'), ('ward 1')) AS w(name)"
        )
        yield opened


def check(connection, *expectations, table=STAFF, where=None):
    results = validate_table(connection, table, [FLOOR, *expectations], where=where)
    assert [r.expectation for r in results] == [FLOOR, *expectations]
    return results[1:]


@pytest.mark.parametrize(
    ("kind", "fields", "success", "evaluated", "unexpected"),
    [
        ("row_count_between", {"parameters": {"minimum": 100, "maximum": 100}}, True, 100, 0),
        ("row_count_between", {"parameters": {"minimum": 101}}, False, 100, 0),
        ("row_count_between", {"parameters": {"maximum": 99}}, False, 100, 0),
        ("columns_exist", {"columns": ("age", "Role")}, True, 0, 0),
        ("columns_exist", {"columns": ("age", "role")}, False, 0, 0),
        (
            "columns_equal",
            {
                "columns": (
                    "age",
                    "customer_id",
                    "empty",
                    "Role",
                    "seen_on",
                    "source_row",
                    "ward",
                )
            },
            True,
            0,
            0,
        ),
        ("columns_equal", {"columns": ("age", "Role")}, False, 0, 0),
        ("not_null", {"column": "customer_id"}, True, 100, 0),
        ("not_null", {"column": "age"}, False, 100, 10),
        ("not_null", {"column": "age", "mostly": 0.9}, True, 100, 10),
        ("not_null", {"column": "age", "mostly": 0.901}, False, 100, 10),
        ("in_set", {"column": "ward", "parameters": {"values": ("ward 0", "ward 1", "ward 2")}},
         True, 100, 0),
        ("in_set", {"column": "ward", "parameters": {"values": ("ward 0", "ward 1")}},
         False, 100, 33),
        ("in_spellings", {"column": "Role", "parameters": {"values": ("Head Nurse", "doctor ")},
                          "mostly": 0.88}, True, 100, 12),
        ("in_spellings", {"column": "Role", "parameters": {"values": ("Head Nurse", "doctor ")}},
         False, 100, 12),
        ("between", {"column": "age", "parameters": {"minimum": 1, "maximum": 99}}, True, 90, 0),
        ("between", {"column": "age", "parameters": {"minimum": 11, "maximum": 88}}, False, 90, 19),
        ("between", {"column": "seen_on", "parameters": {"minimum": dt.date(2026, 1, 4)}},
         False, 100, 2),
        ("matches", {"column": "ward", "parameters": {"pattern": r"ward \d{1}"}}, True, 100, 0),
        ("matches", {"column": "ward", "parameters": {"pattern": r"ward"}}, False, 100, 100),
        ("matches", {"column": "ward", "parameters": {"pattern": r"ward [:a%0]"}}, False, 100, 67),
        ("unique", {"column": "source_row"}, True, 100, 0),
        ("unique", {"column": "customer_id"}, False, 100, 50),
        ("unique", {"columns": ("customer_id", "ward")}, True, 100, 0),
        ("unique", {"columns": ("customer_id", "age")}, True, 90, 0),
        ("unique", {"columns": ("ward",), "mostly": 0.0}, True, 100, 100),
        ("referential", {"column": "ward", "mostly": 0.67,
                         "parameters": {"table": WARDS, "other_columns": ("name",)}},
         True, 100, 33),
        ("referential", {"column": "ward",
                         "parameters": {"table": WARDS, "other_columns": ("name",)}},
         False, 100, 33),
        ("row_predicate", {"parameters": {"predicate": "age < 100 -- and nothing else"}},
         True, 100, 0),
        ("row_predicate", {"parameters": {"predicate": "age >= 11"}}, False, 100, 9),
        ("row_predicate", {"parameters": {"predicate": "age >= 11", "where": "age > 1 -- x"}},
         False, 89, 8),
        ("row_predicate", {"parameters": {"predicate": "ward <> ':x %(y)s {z} $1' OR age > 1"}},
         True, 100, 0),
    ],
)  # fmt: skip
def test_each_kind_passes_and_fails_with_exact_counts(
    connection, kind, fields, success, evaluated, unexpected
):
    (result,) = check(connection, Expectation("tried", kind, **fields))
    assert result.exception is None
    assert (result.success, result.evaluated_rows, result.unexpected_rows) == (
        success,
        evaluated,
        unexpected,
    )
    by_row = evaluated and kind != "row_count_between"
    assert result.unexpected_share == (unexpected / evaluated if by_row else not success)


@pytest.mark.parametrize(
    ("as_of", "allowed", "success", "evaluated", "message"),
    [
        # Rows are dated from 2 January to 11 April 2026.
        (dt.date(2026, 4, 11), 0, True, 100, "the newest date is 0 days old; 0 allowed"),
        (dt.date(2026, 4, 14), 3, True, 100, "the newest date is 3 days old; 3 allowed"),
        (dt.date(2026, 4, 14), 2, False, 100, "the newest date is 3 days old; 2 allowed"),
        (dt.date(2026, 1, 3), 0, True, 2, "the newest date is 0 days old; 0 allowed"),
        (dt.date(2025, 12, 31), 9, False, 0, "no date up to 2025-12-31; 9 allowed"),
    ],
)
def test_freshness_sees_no_date_after_the_night(
    connection, as_of, allowed, success, evaluated, message
):
    parameters = {"as_of": as_of, "maximum_age_days": allowed}
    (result,) = check(
        connection, Expectation("fresh", "freshness", "seen_on", parameters=parameters)
    )
    assert (result.success, result.evaluated_rows, result.message) == (success, evaluated, message)
    assert result.unexpected_share == float(not success)


def test_messages_name_columns_and_counts(connection):
    results = check(
        connection,
        Expectation("a", "columns_equal", columns=("age", "height")),
        Expectation("b", "row_count_between", parameters={"minimum": 1, "maximum": 9}),
        Expectation("c", "not_null", "age", mostly=0.95),
        Expectation("d", "not_null", "ward"),
    )
    assert [r.message for r in results] == [
        "missing: height; not expected: Role, customer_id, empty, seen_on, source_row, ward",
        "100 rows; expected at least 1 and at most 9",
        "10 of 100 rows do not hold; 5 % may",
        "holds for all 100 rows",
    ]


def test_a_view_and_a_choice_of_rows_are_validated_alike(connection):
    connection.execute(f"CREATE OR REPLACE VIEW main.seniors AS SELECT * FROM {STAFF.sql}")
    (result,) = check(
        connection,
        Expectation("age", "not_null", "age"),
        table=Table("main", "seniors"),
        where="source_row > 50 -- the later half",
    )
    assert (result.evaluated_rows, result.unexpected_rows) == (50, 5)


def test_what_could_not_run_fails_and_spoils_nothing_else(connection):
    results = check(
        connection,
        Expectation("good_1", "not_null", "ward"),
        Expectation("no_column", "between", "height", parameters={"minimum": 1}),
        Expectation("no_name", "row_predicate", parameters={"predicate": "height > 1"}),
        Expectation("no_number", "row_predicate", parameters={"predicate": "ward::INTEGER > 1"}),
        Expectation("no_regex", "matches", "ward", parameters={"pattern": "("}),
        Expectation(
            "no_table",
            "referential",
            "ward",
            parameters={"table": Table("raw", "nowhere"), "other_columns": ("name",)},
            severity="warning",
        ),
        Expectation("good_2", "unique", "source_row"),
        Expectation("text_bound", "between", "ward", parameters={"minimum": 1}),
    )
    assert {r.expectation.name: (r.success, r.exception) for r in results} == {
        "good_1": (True, None),
        "no_column": (False, "MissingColumn"),
        "no_name": (False, "BinderException"),
        "no_number": (False, "ConversionException"),
        "no_regex": (False, "InvalidInputException"),
        "no_table": (False, "CatalogException"),
        "good_2": (True, None),
        "text_bound": (False, "BinderException"),
    }
    assert results[2].message == "could not run (BinderException), which is a failure"


def test_suites_that_prove_nothing_are_refused(connection):
    age = Expectation("age", "not_null", "age")
    with pytest.raises(ValidationFailedError, match="an empty suite proves nothing"):
        validate_table(connection, STAFF, [])
    with pytest.raises(ValidationFailedError, match="no floor for its number of rows"):
        validate_table(connection, STAFF, [age])
    with pytest.raises(ValidationFailedError, match="several expectations named age"):
        validate_table(connection, STAFF, [FLOOR, age, age])
    with pytest.raises(ValidationFailedError, match=r"raw\.nobody cannot be read"):
        validate_table(connection, Table("raw", "nobody"), [FLOOR, age])


ROW_LEVEL = (
    Expectation("n", "not_null", "age"),
    Expectation("b", "between", "age", parameters={"minimum": 0}),
    Expectation("s", "in_set", "ward", parameters={"values": ("ward 0",)}),
    Expectation("m", "matches", "ward", parameters={"pattern": "x"}),
    Expectation("u", "unique", "ward"),
    Expectation("p", "row_predicate", parameters={"predicate": "age > 0"}),
)


def test_an_empty_table_passes_nothing_unless_its_floor_is_zero(connection):
    suite = [FLOOR, *ROW_LEVEL]
    results = validate_table(connection, STAFF, suite, where="FALSE")
    assert [r.success for r in results] == [False] * len(suite)
    assert [r.evaluated_rows for r in results] == [0] * len(suite)
    zero = Expectation("rows", "row_count_between", parameters={"minimum": 0})
    results = validate_table(connection, STAFF, [zero, *ROW_LEVEL], where="FALSE")
    assert [r.success for r in results] == [True] * len(suite)


def test_an_empty_column_passes_nothing_unless_its_floor_is_zero(connection):
    bounds = Expectation("bounds", "between", "empty", parameters={"minimum": 0})
    zero_rows = Expectation("none", "row_count_between", parameters={"minimum": 0})
    assert not check(connection, bounds)[0].success
    assert not check(connection, bounds, zero_rows)[0].success
    for mostly, success in ((0.0, True), (0.01, False)):
        floor = Expectation("empty", "not_null", "empty", mostly=mostly)
        other = Expectation("age", "not_null", "age", mostly=0.0)
        result = check(connection, bounds, floor, other)[0]
        assert (result.success, result.message) == (success, "no row to evaluate")


def test_values_appear_nowhere(caplog, capfd):
    marker = "Zx7Marker"
    caplog.set_level(logging.DEBUG)
    with open_in_memory(memory_limit="256MB") as connection:
        connection.execute(
            f"CREATE TABLE people AS SELECT '{marker}' || i // 2 AS name, {len(marker)} AS n"
            " FROM range(6) AS t(i)"
        )
        results = validate_table(
            connection,
            Table("main", "people"),
            [
                FLOOR,
                Expectation("set", "in_set", "name", parameters={"values": ("Ann",)}),
                Expectation("pattern", "matches", "name", parameters={"pattern": "[0-9]+"}),
                Expectation("key", "unique", "name"),
                Expectation("bound", "between", "name", parameters={"minimum": 1}),
                Expectation("cast", "row_predicate", parameters={"predicate": "name::DATE > n"}),
                Expectation("stop", "row_predicate", parameters={"predicate": "error(name)"}),
                Expectation(
                    "known",
                    "referential",
                    "n",
                    parameters={"table": Table("main", "people"), "other_columns": ("name",)},
                ),
            ],
        )
    assert [r.success for r in results] == [True] + [False] * 7
    assert {r.exception for r in results} >= {"ConversionException", "InvalidInputException"}
    written = capfd.readouterr()
    for told in (repr(results), caplog.text, written.out, written.err):
        assert marker not in told


def test_the_callers_connection_stays_open_and_the_file_is_free_afterwards(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    table = Table("raw", "numbers")
    with open_warehouse(path) as connection:
        connection.execute("CREATE TABLE raw.numbers AS FROM range(10) AS t(n)")
        pending = connection.execute("SELECT n FROM raw.numbers ORDER BY n")
        assert pending.fetchmany(3) == [(0,), (1,), (2,)]
        assert validate_table(connection, table, [FLOOR])[0].success
        assert pending.fetchmany(2) == [(3,), (4,)]
        connection.execute("INSERT INTO raw.numbers VALUES (10)")
        assert validate_table(connection, table, [FLOOR])[0].evaluated_rows == 11
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal")
        assert views.fetchall() == []
    with open_warehouse(path, read_only=True) as connection:
        assert validate_table(connection, table, [FLOOR])[0].evaluated_rows == 11
    program = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('DROP TABLE raw.numbers')"
    subprocess.run([sys.executable, "-c", program, path], check=True)


def test_great_expectations_comes_late_and_quietly():
    program = """
import logging, sys, warnings
logging.basicConfig(level=logging.DEBUG)
from segmentation_pipeline.validation import Expectation, validate_table
from segmentation_pipeline.validation import customers_suites, source_suites, table_suites
from segmentation_pipeline.warehouse import Table, open_in_memory
assert "great_expectations" not in sys.modules and "sqlalchemy" not in sys.modules
with open_in_memory() as connection:
    connection.execute("CREATE TABLE t AS SELECT 1 AS x")
    floor = Expectation("rows", "row_count_between", parameters={"minimum": 1})
    assert validate_table(connection, Table("main", "t"), [floor])[0].success
assert "great_expectations" in sys.modules and "posthog" not in sys.modules
warnings.warn("still told")
"""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-W", "always::UserWarning", "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == ""
    assert run.stderr.splitlines() == ["<string>:13: UserWarning: still told"]
    assert run.returncode == 0


def test_warnings_are_raised_as_before(connection):
    check(connection)
    with pytest.raises(UserWarning, match="told"):
        warnings.warn("told", stacklevel=1)
