import datetime as dt

import pytest

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import StaleUpstreamError, ValidationFailedError
from segmentation_pipeline.validation import (
    VALIDATION_RESULTS,
    Expectation,
    blocking_failures,
    record_results,
    validate_table,
)
from segmentation_pipeline.validation.changes import not_compared
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    read_build,
    write_table,
)

TABLE = Table("raw", "people")
SUITE = [
    Expectation("rows", "row_count_between", parameters={"minimum": 2}),
    Expectation("age", "not_null", "age"),
    Expectation("key", "unique", columns=("name", "age"), severity="warning"),
]
MADE = Build(dt.date(2026, 3, 1), "made")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        rows = "SELECT * FROM (VALUES ('a', 1), ('a', 1), ('b', NULL)) AS t(name, age)"
        write_table(opened, TABLE, rows, MADE)
        yield opened


def recorded(connection):
    return connection.execute(
        "SELECT expectation, kind, column_name, severity, success, evaluated_rows,"
        " unexpected_rows, unexpected_share, message, as_of, run_id, table_name"
        f" FROM {VALIDATION_RESULTS.sql} ORDER BY as_of, expectation"
    ).fetchall()


def test_only_errors_block(connection):
    results = validate_table(connection, TABLE, SUITE)
    assert [r.success for r in results] == [True, False, False]
    assert [r.expectation.name for r in blocking_failures(results)] == ["age"]


def test_results_are_kept_under_the_run_that_made_the_table_and_replaced(connection):
    results = validate_table(connection, TABLE, SUITE)
    record_results(connection, TABLE, results, Build(MADE.as_of, "looked"))
    result = [
        ("age", "not_null", "age", "error", False, 3, 1, 1 / 3),
        ("key", "unique", "name, age", "warning", False, 2, 2, 1.0),
        ("rows", "row_count_between", None, "error", True, 3, 0, 0.0),
    ]
    message = [
        "1 of 3 rows do not hold; 0 % may",
        "2 of 2 rows do not hold; 0 % may",
        "3 rows; expected at least 2",
    ]
    of_table = (MADE.as_of, "made", "raw.people")
    expected = [(*r, m, *of_table) for r, m in zip(result, message, strict=True)]
    assert recorded(connection) == expected
    record_results(connection, TABLE, results[:1], Build(MADE.as_of, "looked again"))
    assert recorded(connection) == expected[2:]
    assert read_build(connection, VALIDATION_RESULTS) == Build(MADE.as_of, "looked again")


def test_other_dates_keep_their_results(connection):
    record_results(connection, TABLE, validate_table(connection, TABLE, SUITE), MADE)
    later = Build(dt.date(2026, 3, 2), "later")
    write_table(connection, TABLE, "SELECT 'a' AS name, 1 AS age FROM range(2)", later)
    record_results(connection, TABLE, validate_table(connection, TABLE, SUITE), later)
    runs = [(row[0], row[4], row[10]) for row in recorded(connection)]
    assert runs == [
        ("age", False, "made"),
        ("key", False, "made"),
        ("rows", True, "made"),
        ("age", True, "later"),
        ("key", False, "later"),
        ("rows", True, "later"),
    ]


def test_results_of_a_table_of_another_date_are_refused(connection):
    results = validate_table(connection, TABLE, SUITE)
    with pytest.raises(StaleUpstreamError, match=r"raw\.people was made for 2026-03-01"):
        record_results(connection, TABLE, results, Build(dt.date(2026, 3, 2), "looked"))


def test_the_table_is_that_of_the_contract(connection):
    record_results(connection, TABLE, validate_table(connection, TABLE, SUITE), MADE)
    columns = CONTRACTS["validation_results"].columns
    assert column_types(connection, VALIDATION_RESULTS) == {c.name: c.type for c in columns}


def test_a_table_of_an_earlier_release_gets_the_outcome(connection):
    results = validate_table(connection, TABLE, SUITE)
    record_results(connection, TABLE, results, MADE)
    connection.execute(f"ALTER TABLE {VALIDATION_RESULTS.sql} DROP outcome")

    record_results(connection, TABLE, results, MADE)

    assert connection.execute(
        f"SELECT expectation, outcome FROM {VALIDATION_RESULTS.sql} ORDER BY ALL"
    ).fetchall() == [("age", "failed"), ("key", "failed"), ("rows", "held")]


def test_what_did_not_run_or_was_not_compared_has_an_outcome_of_its_own(connection):
    missing = Expectation("gone", "not_null", "gone")
    (*_, gone) = validate_table(connection, TABLE, [*SUITE, missing])
    first = not_compared(SUITE[1], 3, "it is the first")

    assert [one.outcome for one in (gone, first)] == ["not_run", "not_compared"]
    assert (gone.success, first.success) == (False, False)
    # What has nothing to compare with stops nothing.
    assert blocking_failures([gone, first]) == [gone]


def test_what_looks_at_other_tables_is_not_counted_here(connection):
    across = Expectation("known", "references", parameters={"source": "a", "other": "b"})

    with pytest.raises(ValidationFailedError, match="known look at other tables too"):
        validate_table(connection, TABLE, [*SUITE, across])
