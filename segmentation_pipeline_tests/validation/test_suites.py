import datetime as dt

import pytest

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation import validate_table
from segmentation_pipeline.validation.customers_suites import customers_suite
from segmentation_pipeline.validation.source_suites import raw_source_suite
from segmentation_pipeline.validation.table_suites import contract_suite, feature_matrix_suite
from segmentation_pipeline.warehouse import Table, open_in_memory

AS_OF = dt.date(2026, 3, 1)
SPEC = CustomersSpec.model_validate(
    {
        "name": "Staff",
        "nights": {"first": "2026-01-01"},
        "sources": {
            "crm": {
                "kind": "crm",
                "path": "crm.csv",
                "key": "staff_id",
                "minimum_rows": 4,
                "columns": {
                    "staff_id": {"type": "text"},
                    "birth_date": {
                        "type": "date",
                        "earliest": "1920-01-01",
                        "maximum_rejected_share": 0.25,
                    },
                    "contract_eur": {
                        "type": "number",
                        "minimum": 0,
                        "maximum": 900,
                        "impute": {"method": "constant", "value": -1},
                    },
                    "fax": {"type": "text", "maximum_null_share": 1.0},
                },
                "expectations": [
                    {
                        "name": "adult",
                        "predicate": "birth_date < DATE '2008-01-01'",
                        "maximum_share": 0.3,
                        "severity": "warning",
                    }
                ],
            },
            "survey": {
                "kind": "survey",
                "path": "survey.csv",
                "key": "staff_id",
                "time": "answered_at",
                "freshness": {"warn_after_days": 3, "stop_after_days": 10},
                "columns": {
                    "staff_id": {"type": "text"},
                    "answered_at": {"type": "timestamp", "earliest": "2026-01-01"},
                    "role": {
                        "type": "category",
                        "categories": ["Nurse", "Doctor"],
                        "aliases": {"Nurse": ["RN", "Krankenschwester"]},
                        "maximum_rejected_share": 0.1,
                        "maximum_null_share": 0.7,
                        "impute": {"method": "missing_category"},
                    },
                    "visits": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum_null_share": 0.25,
                        "maximum_rejected_share": 0,
                    },
                },
            },
        },
        "customers": {
            "base": "crm",
            "minimum_customers": 3,
            "expectations": [{"name": "paid_or_old", "predicate": "contract_eur > -2"}],
        },
    }
)
CRM, SURVEY, CUSTOMERS = Table("raw", "raw_crm"), Table("raw", "raw_survey"), Table("core", "c")


@pytest.fixture
def connection():
    with open_in_memory(memory_limit="256MB", threads=1) as opened:
        opened.execute("CREATE SCHEMA raw; CREATE SCHEMA core")
        # The same customers in two snapshots.
        opened.execute(
            """
            CREATE TABLE raw.raw_crm AS
            SELECT load_id, row AS source_row, 'c' || row AS customer_id, 'c' || row AS staff_id,
                DATE '1980-01-01' + row::INTEGER AS birth_date, 100.0 * row AS contract_eur,
                CAST(NULL AS VARCHAR) AS fax
            FROM range(1, 3) AS l(load_id), range(1, 5) AS r(row)
            """
        )
        opened.execute(
            """
            CREATE TABLE raw.raw_survey AS
            SELECT 1 AS load_id, row AS source_row, 'c' || row AS customer_id,
                'c' || row AS staff_id, TIMESTAMP '2026-02-26 09:00' AS answered_at,
                ['Nurse', 'rn', 'DOCTOR', 'krankenschwester'][row % 4 + 1] AS role, row AS visits
            FROM range(1, 11) AS r(row)
            """
        )
        opened.execute(
            """
            CREATE TABLE core.c AS
            SELECT 'c' || i AS customer_id, DATE '1980-01-01' AS birth_date, -1.0 AS contract_eur,
                CAST(NULL AS VARCHAR) AS fax, ['Nurse', 'missing'][i % 2 + 1] AS role,
                CASE WHEN i < 5 THEN i END AS visits, TRUE AS has_crm, i < 5 AS has_survey
            FROM range(1, 9) AS t(i)
            """
        )
        yield opened


def failures(connection, table, suite):
    results = validate_table(connection, table, suite)
    assert not [r.exception for r in results if r.exception]
    return {r.expectation.name: r.unexpected_rows for r in results if not r.success}


def raw_failures(connection, name, table):
    return failures(connection, table, raw_source_suite(name, SPEC.sources[name], AS_OF))


def test_names_are_the_same_on_every_night_and_for_every_matrix():
    for name, source in SPEC.sources.items():
        nights = [raw_source_suite(name, source, AS_OF + dt.timedelta(d)) for d in (0, 30)]
        assert [e.name for e in nights[0]] == [e.name for e in nights[1]]
        assert all(e.description or e.name == "adult" for e in nights[0])
    matrices = [feature_matrix_suite(columns) for columns in ((), ("a", "b"))]
    assert [e.name for e in matrices[0]] == [e.name for e in matrices[1]]


def test_good_sources_pass(connection):
    assert raw_failures(connection, "crm", CRM) == {}
    # Three days old: the warning allows just that.
    assert raw_failures(connection, "survey", SURVEY) == {}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("DELETE FROM raw.raw_crm WHERE load_id = 2 OR source_row = 4", {"table__row_count": 0}),
        ("UPDATE raw.raw_crm SET customer_id = NULL WHERE source_row = 1",
         {"customer_id__not_null": 2}),
        ("UPDATE raw.raw_crm SET customer_id = 'c1' WHERE source_row = 2",
         {"customer_id__unique": 4}),
        # A quarter of the dates may be impossible; the night's own date is possible.
        ("UPDATE raw.raw_crm SET birth_date = DATE '1901-01-01' WHERE source_row = 1", {}),
        ("UPDATE raw.raw_crm SET birth_date = DATE '1901-01-01' WHERE source_row < 3",
         {"birth_date__between": 4}),
        ("UPDATE raw.raw_crm SET birth_date = DATE '2026-03-01'", {"adult": 8}),
        ("UPDATE raw.raw_crm SET birth_date = DATE '2026-03-02'",
         {"adult": 8, "birth_date__between": 8}),
        # In a source, the constant of an imputation is no possible value.
        ("UPDATE raw.raw_crm SET contract_eur = -1 WHERE source_row = 1",
         {"contract_eur__between": 2}),
        ("UPDATE raw.raw_crm SET contract_eur = NULL WHERE source_row < 4",
         {"contract_eur__not_null": 6}),
    ],
)  # fmt: skip
def test_a_faulty_crm_fails_where_it_is_faulty(connection, change, expected):
    connection.execute(change)
    assert raw_failures(connection, "crm", CRM) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # One of ten may be unlisted, and seven of ten missing.
        ("SET role = 'Pilot' WHERE source_row = 1", {}),
        ("SET role = 'Pilot' WHERE source_row < 3", {"role__in_spellings": 2}),
        ("SET role = NULL WHERE source_row < 8", {}),
        ("SET role = NULL WHERE source_row < 9", {"role__not_null": 8}),
        ("SET role = NULL", {"role__not_null": 10, "role__in_spellings": 0}),
        ("SET answered_at = TIMESTAMP '2026-02-25 23:59'", {"answered_at__freshness_warning": 0}),
        ("SET answered_at = TIMESTAMP '2026-02-18 23:59'",
         {"answered_at__freshness_warning": 0, "answered_at__freshness_error": 0}),
        # An answer after the night's date does not exist for it, and freshens nothing.
        ("SET answered_at = TIMESTAMP '2026-03-02' WHERE source_row > 1", {}),
        ("SET answered_at = TIMESTAMP '2026-03-02'",
         {"answered_at__freshness_warning": 0, "answered_at__freshness_error": 0}),
        ("SET visits = 0 WHERE source_row = 1", {"visits__between": 1}),
    ],
)  # fmt: skip
def test_a_faulty_survey_fails_where_it_is_faulty(connection, change, expected):
    connection.execute(f"UPDATE raw.raw_survey {change}")
    assert raw_failures(connection, "survey", SURVEY) == expected


@pytest.mark.parametrize(
    ("name", "table", "usual_rows", "is_right"),
    [
        # The CRM table has 8 rows, the survey 10; a fifth more or less is allowed.
        ("crm", CRM, None, True),
        ("crm", CRM, 8, True),
        ("crm", CRM, 10, True),
        ("crm", CRM, 10.5, False),
        ("crm", CRM, 6.6, False),
        ("survey", SURVEY, 12.5, True),
        ("survey", SURVEY, 12.6, False),
        ("survey", SURVEY, 1, True),
    ],
)
def test_a_source_that_was_cut_short_fails(connection, name, table, usual_rows, is_right):
    suite = raw_source_suite(name, SPEC.sources[name], AS_OF, usual_rows=usual_rows)

    assert failures(connection, table, suite) == ({} if is_right else {"table__volume": 0})


@pytest.mark.parametrize(
    ("answered", "promised", "expected"),
    [
        # A past night runs on a file that holds later answers, whose dates are later as well.
        ("2026-03-05", "2026-03-04", {}),
        ("2026-02-20", "2026-03-04", {"promised_on__between": 1}),
        ("2026-02-20", "1999-12-31", {"promised_on__between": 1}),
        ("2026-02-20", "2026-03-01", {}),
    ],
)
def test_a_date_is_judged_on_rows_up_to_the_night(answered, promised, expected):
    columns = {
        "staff_id": {"type": "text"},
        "answered_at": {"type": "timestamp"},
        "promised_on": {"type": "date", "earliest": "2000-01-01", "maximum_rejected_share": 0},
    }
    source = {"kind": "survey", "path": "a.csv", "key": "staff_id", "time": "answered_at"}
    spec = SourceSpec.model_validate(source | {"columns": columns})
    with open_in_memory() as connection:
        connection.execute("CREATE SCHEMA raw")
        connection.execute(
            "CREATE TABLE raw.raw_survey AS SELECT 'a' AS customer_id, 'a' AS staff_id,"
            f" TIMESTAMP '{answered}' AS answered_at, DATE '{promised}' AS promised_on"
            " UNION ALL SELECT 'b', 'b', TIMESTAMP '2026-02-01', DATE '2026-02-02'"
        )
        suite = raw_source_suite("survey", spec, AS_OF)
        assert failures(connection, SURVEY, suite) == expected


def test_an_empty_source_is_never_of_the_usual_volume(connection):
    connection.execute("DELETE FROM raw.raw_survey")
    suite = raw_source_suite("survey", SPEC.sources["survey"], AS_OF)

    assert {"table__row_count", "table__volume"} <= failures(connection, SURVEY, suite).keys()


def test_who_allows_any_volume_has_no_check_of_it():
    source = SPEC.sources["crm"].model_copy(update={"maximum_volume_change": None})

    names = {e.name for e in raw_source_suite("crm", source, AS_OF, usual_rows=100)}

    assert "table__volume" not in names


def test_a_column_that_is_not_there_fails_everything_about_it(connection):
    connection.execute("ALTER TABLE raw.raw_survey DROP visits")
    suite = raw_source_suite("survey", SPEC.sources["survey"], AS_OF)
    results = validate_table(connection, SURVEY, suite)
    assert {r.expectation.name: r.exception for r in results if not r.success} == {
        "table__columns": None,
        "visits__not_null": "MissingColumn",
        "visits__between": "MissingColumn",
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        # Nothing: an imputed constant is possible, and only half of them answered the survey.
        ("SET fax = NULL", {}),
        ("SET customer_id = 'c1' WHERE customer_id = 'c2'", {"customer_id__unique": 2}),
        ("SET contract_eur = -2 WHERE customer_id = 'c1'",
         {"contract_eur__between": 1, "paid_or_old": 1}),
        ("SET contract_eur = NULL WHERE customer_id = 'c1'", {"contract_eur__not_null": 1}),
        ("SET role = 'RN' WHERE customer_id = 'c1'", {"role__in_set": 1}),
        # A quarter of the four who answered may lack it.
        ("SET visits = NULL WHERE customer_id = 'c1'", {}),
        ("SET visits = NULL WHERE customer_id IN ('c1', 'c2')", {"visits__not_null": 2}),
        ("SET visits = NULL WHERE customer_id <> 'c1'", {"visits__not_null": 3}),
        ("SET visits = NULL", {"visits__not_null": 4, "visits__between": 0}),
    ],
)  # fmt: skip
def test_customers_hold_what_the_sources_promise(connection, change, expected):
    connection.execute(f"UPDATE core.c {change}")
    assert failures(connection, CUSTOMERS, customers_suite(SPEC, AS_OF)) == expected


def test_too_few_customers_fail(connection):
    connection.execute("DELETE FROM core.c WHERE customer_id > 'c2'")
    assert failures(connection, CUSTOMERS, customers_suite(SPEC, AS_OF)) == {"table__row_count": 0}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1.5", {}), ("NULL", {"values__finite": 1}), ("'nan'", {"values__finite": 1}),
     ("'-inf'", {"values__finite": 1})],
)  # fmt: skip
def test_a_matrix_holds_numbers_only(connection, value, expected):
    connection.execute(
        f"CREATE TABLE core.m AS SELECT 'c1' AS customer_id, {value}::FLOAT AS a, 0::FLOAT AS b"
        " UNION ALL SELECT 'c2', 1, 2"
    )
    matrix = Table("core", "m")
    assert failures(connection, matrix, feature_matrix_suite(("a", "b"))) == expected
    assert "table__columns" in failures(connection, matrix, feature_matrix_suite(("a",)))
    connection.execute("DELETE FROM core.m")
    assert "table__row_count" in failures(connection, matrix, feature_matrix_suite(("a", "b")))


def test_a_work_table_must_fit_its_contract(connection):
    contract = CONTRACTS["segments"]
    segments = Table("core", "segments")
    declared = ", ".join(f"{column.name} {column.type}" for column in contract.work_columns)
    connection.execute(f"CREATE TABLE core.segments ({declared})")
    suite = contract_suite(contract)
    assert "table__row_count" in failures(connection, segments, suite)
    connection.execute(
        "INSERT INTO core.segments (segment_id, label, customers, share, is_noise)"
        " VALUES ('s-1', 'One', 3, .5, false), ('s-2', 'Two', 3, .5, false)"
    )
    assert failures(connection, segments, suite) == {}
    connection.execute("UPDATE core.segments SET segment_id = 's-1', label = NULL")
    assert failures(connection, segments, suite) == {"label__not_null": 2, "segment_id__unique": 2}


def test_profiles_may_be_empty(connection):
    contract = CONTRACTS["segment_profiles"]
    declared = ", ".join(f"{column.name} {column.type}" for column in contract.work_columns)
    connection.execute(f"CREATE TABLE core.profiles ({declared})")
    assert failures(connection, Table("core", "profiles"), contract_suite(contract)) == {}
