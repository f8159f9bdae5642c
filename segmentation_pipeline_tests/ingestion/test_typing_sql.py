import datetime as dt

import pytest

from segmentation_pipeline.ingestion import typing_sql
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import literal, open_in_memory

at = dt.datetime.fromisoformat


@pytest.fixture(scope="module")
def connection():
    with open_in_memory(memory_limit="100MB", threads=1) as opened:
        yield opened


def read(connection, typed, raw, raw_type="VARCHAR"):
    """The value, or the reason why there is none."""
    unread = (typed.unread or "false").format(value="value")
    reasons = " ".join(f"WHEN {sql} THEN {literal(reason)}" for reason, sql in typed.reasons)
    reason = f"CASE {reasons} END" if reasons else "NULL"
    value, why = connection.execute(
        f"SELECT value, CASE WHEN {unread} THEN {reason} END"
        f" FROM (SELECT t, {typed.sql} AS value FROM (SELECT CAST({raw} AS {raw_type}) AS t))"
    ).fetchall()[0]
    assert value is None or why is None
    return why or value


def read_text(connection, column, text):
    return read(connection, typing_sql.typed_text(column, "t"), literal(text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("+42", 42),
        ("-42", -42),
        ("42.0", 42),
        ("42.", 42),
        ("4.2e1", 42),
        ("007", 7),
        ("9007199254740993", 9007199254740993),
        ("9223372036854775807", 9223372036854775807),
        (None, None),
        ("9223372036854775808", typing_sql.NOT_A_WHOLE_NUMBER),
        ("42.5", typing_sql.NOT_A_WHOLE_NUMBER),
        ("1_000", typing_sql.NOT_A_WHOLE_NUMBER),
        ("1,000", typing_sql.NOT_A_WHOLE_NUMBER),
        ("0x10", typing_sql.NOT_A_WHOLE_NUMBER),
        ("0b11", typing_sql.NOT_A_WHOLE_NUMBER),
        ("true", typing_sql.NOT_A_WHOLE_NUMBER),
        ("unknown", typing_sql.NOT_A_WHOLE_NUMBER),
        ("NaN", typing_sql.NOT_A_WHOLE_NUMBER),
        ("", typing_sql.NOT_A_WHOLE_NUMBER),
    ],
)
def test_integers(connection, text, value):
    assert read_text(connection, ColumnSpec(type="integer"), text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", 1.5),
        ("-1e3", -1000.0),
        (".5", 0.5),
        ("0.1", 0.1),
        (None, None),
        ("NaN", typing_sql.NOT_FINITE),
        ("inf", typing_sql.NOT_FINITE),
        ("-Infinity", typing_sql.NOT_FINITE),
        ("1e400", typing_sql.NOT_FINITE),
        ("1_000.5", typing_sql.NOT_A_NUMBER),
        ("1.234,56", typing_sql.NOT_A_NUMBER),
        ("0x1p3", typing_sql.NOT_A_NUMBER),
        ("12 EUR", typing_sql.NOT_A_NUMBER),
    ],
)
def test_numbers(connection, text, value):
    assert read_text(connection, ColumnSpec(type="number"), text) == value


@pytest.mark.parametrize(
    ("text", "formats", "value"),
    [
        ("01.02.24", ["%d.%m.%Y"], typing_sql.NOT_A_DATE),
        ("01.02.24", ["%d.%m.%Y", "%d.%m.%y"], dt.date(2024, 2, 1)),
        ("01.02.0024", ["%d.%m.%Y"], typing_sql.NOT_A_DATE),
        ("2024-02-29", [], dt.date(2024, 2, 29)),
        ("2024-02-29 13:45:00", [], dt.date(2024, 2, 29)),
        (None, [], None),
        ("2023-02-29", [], typing_sql.NOT_A_DATE),
        ("24-02-29", [], typing_sql.NOT_A_DATE),
        ("2024/02/29", [], typing_sql.NOT_A_DATE),
        ("29.02.2024", [], typing_sql.NOT_A_DATE),
        ("infinity", [], typing_sql.NOT_A_DATE),
        ("epoch", [], typing_sql.NOT_A_DATE),
        ("0044-03-15 (BC)", [], typing_sql.NOT_A_DATE),
        ("29.02.2024", ["%d.%m.%Y"], dt.date(2024, 2, 29)),
        ("31/12/2024", ["%m/%d/%Y", "%d/%m/%Y"], dt.date(2024, 12, 31)),
        ("2/1/2024", ["%m/%d/%Y", "%d/%m/%Y"], dt.date(2024, 2, 1)),
        ("2024-02-29", ["%d.%m.%Y"], typing_sql.NOT_A_DATE),
        ("30.02.2024", ["%d.%m.%Y"], typing_sql.NOT_A_DATE),
    ],
)
def test_dates(connection, text, formats, value):
    assert read_text(connection, ColumnSpec(type="date", formats=formats), text) == value


@pytest.mark.parametrize(
    ("text", "formats", "value"),
    [
        ("2024-05-06 07:08:09", [], at("2024-05-06T07:08:09")),
        ("2024-05-06T07:08:09.5", [], at("2024-05-06T07:08:09.500000")),
        ("2024-05-06T07:08Z", [], at("2024-05-06T07:08:00")),
        ("2024-05-06", [], at("2024-05-06T00:00:00")),
        ("2024-05-06T07:08:09+02:00", [], at("2024-05-06T05:08:09")),
        ("2024-05-06T07:08+02", [], at("2024-05-06T05:08:00")),
        ("2024-05-06T07:08:09-0330", [], at("2024-05-06T10:38:09")),
        ("2024-05-06 07:08:09 Europe/Berlin", [], at("2024-05-06T05:08:09")),
        (None, [], None),
        ("2024-05-06 25:00:00", [], typing_sql.NOT_A_TIMESTAMP),
        ("1704448800", [], typing_sql.NOT_A_TIMESTAMP),
        ("infinity", [], typing_sql.NOT_A_TIMESTAMP),
        ("06.05.2024 07:08", ["%d.%m.%Y %H:%M"], at("2024-05-06T07:08:00")),
        ("06.05.2024 07:08 +0200", ["%d.%m.%Y %H:%M %z"], at("2024-05-06T05:08:00")),
        (
            "2024-05-06",
            ["%d.%m.%Y %H:%M %z", "%Y-%m-%d"],
            at("2024-05-06T00:00:00"),
        ),
        ("2024-05-06 07:08", ["%d.%m.%Y %H:%M"], typing_sql.NOT_A_TIMESTAMP),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_timestamps_whatever_the_session_s_time_zone(connection, text, formats, value, zone):
    connection.execute(f"SET TimeZone = '{zone}'")
    assert read_text(connection, ColumnSpec(type="timestamp", formats=formats), text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("FALSE", False),
        ("1", True),
        ("0", False),
        ("yes", True),
        ("n", False),
        (None, None),
        ("2", typing_sql.NOT_A_BOOLEAN),
        ("on", typing_sql.NOT_A_BOOLEAN),
    ],
)
def test_booleans(connection, text, value):
    assert read_text(connection, ColumnSpec(type="boolean"), text) == value


@pytest.mark.parametrize(
    ("column_type", "file_type", "raw", "value"),
    [
        ("integer", "TINYINT", "7", 7),
        ("integer", "UBIGINT", "7", 7),
        ("integer", "UBIGINT", "18446744073709551615", typing_sql.NOT_A_WHOLE_NUMBER),
        ("integer", "DOUBLE", "42.0", 42),
        ("integer", "DOUBLE", "42.5", typing_sql.NOT_A_WHOLE_NUMBER),
        ("integer", "DOUBLE", "'nan'", typing_sql.NOT_A_WHOLE_NUMBER),
        ("integer", "DOUBLE", "1e300", typing_sql.NOT_A_WHOLE_NUMBER),
        ("integer", "DECIMAL(9,2)", "42.50", typing_sql.NOT_A_WHOLE_NUMBER),
        ("integer", "DECIMAL(9,2)", "42.00", 42),
        ("integer", "DOUBLE", "NULL", None),
        ("number", "BIGINT", "7", 7.0),
        ("number", "DECIMAL(9,2)", "42.50", 42.5),
        ("number", "FLOAT", "0.5", 0.5),
        ("number", "DOUBLE", "'nan'", typing_sql.NOT_FINITE),
        ("number", "DOUBLE", "'-inf'", typing_sql.NOT_FINITE),
        ("number", "DOUBLE", "NULL", None),
        ("date", "DATE", "'2024-02-29'", dt.date(2024, 2, 29)),
        ("date", "TIMESTAMP_NS", "'2024-02-29 23:59:59'", dt.date(2024, 2, 29)),
        ("date", "TIMESTAMP WITH TIME ZONE", "'2024-02-29 23:00-05'", dt.date(2024, 3, 1)),
        ("timestamp", "DATE", "'2024-02-29'", at("2024-02-29T00:00:00")),
        ("timestamp", "TIMESTAMP_MS", "'2024-02-29 01:02:03'", at("2024-02-29T01:02:03")),
        (
            "timestamp",
            "TIMESTAMP WITH TIME ZONE",
            "'2024-02-29 23:00-05'",
            at("2024-03-01T04:00:00"),
        ),
        ("boolean", "BOOLEAN", "true", True),
    ],
)
def test_typed_columns_are_cast_from_their_own_type(connection, column_type, file_type, raw, value):
    typed = typing_sql.typed_native(ColumnSpec(type=column_type), "t", file_type)
    assert typed is not None
    assert read(connection, typed, raw, file_type) == value


@pytest.mark.parametrize(
    ("column_type", "file_type"),
    [
        ("integer", "VARCHAR"),
        ("integer", "DATE"),
        ("number", "BOOLEAN"),
        ("date", "BIGINT"),
        ("boolean", "INTEGER"),
        ("text", "BIGINT"),
        ("category", "VARCHAR"),
    ],
)
def test_types_that_do_not_fit_are_read_as_text(column_type, file_type):
    assert typing_sql.typed_native(ColumnSpec(type=column_type), "t", file_type) is None


@pytest.mark.parametrize(
    ("raw", "trimmed"),
    [
        ("plain", "plain"),
        ("  inner blanks stay  ", "inner blanks stay"),
        ("\t\r\nx\n", "x"),
        ("\u00a0x\u3000", "x"),
        (" \t x \t ", "x"),
        ("x\n \n", "x"),
        ("   ", ""),
        ("", ""),
        ("é ", "é"),
        ("\u200bx", "\u200bx"),
    ],
)
def test_outer_blanks_are_trimmed(connection, raw, trimmed):
    for sql in (
        typing_sql.trimmed_sql("t", typing_sql.is_odd_sql("t")),
        typing_sql.trimmed_category_sql("t"),
    ):
        found = connection.execute(f"SELECT {sql} FROM (SELECT {literal(raw)} AS t)").fetchall()
        assert found == [(trimmed,)]


def test_null_words_are_whole_and_case_sensitive(connection):
    sql = typing_sql.without_null_words_sql("t", ["", "NA", "n/a", "-"])
    found = connection.execute(
        f"SELECT t, {sql} FROM (SELECT unnest(['', 'NA', 'na', 'n/a', '-', '--', 'NAB']) AS t)"
    ).fetchall()
    assert dict(found) == {
        "": None,
        "NA": None,
        "na": "na",
        "n/a": None,
        "-": None,
        "--": "--",
        "NAB": "NAB",
    }


@pytest.mark.parametrize(
    ("file_type", "raw", "words", "value"),
    [
        ("INTEGER", "999", ["NA", "999"], None),
        ("INTEGER", "99", ["NA", "999"], 99),
        ("DOUBLE", "-1", ["-1"], None),
        ("DOUBLE", "'nan'", ["NaN"], None),
        ("DATE", "'1900-01-01'", ["", "1900-01-01"], None),
        ("TIMESTAMP", "'1900-01-01'", ["1900-01-01"], None),
        ("DATE", "'1900-01-02'", ["1900-01-01"], dt.date(1900, 1, 2)),
        ("BOOLEAN", "true", ["1"], True),
    ],
)
def test_null_words_mean_typed_values_too(connection, file_type, raw, words, value):
    sql = typing_sql.without_null_values_sql("t", file_type, words)
    found = connection.execute(f"SELECT {sql} FROM (SELECT CAST({raw} AS {file_type}) AS t)")
    assert found.fetchall() == [(value,)]


def test_ids_are_odd_by_both_looks_alike_and_the_others_are_in_normal_form(connection):
    odd, odd_id = typing_sql.is_odd_sql("id"), typing_sql.is_odd_id_sql("id")
    texts = (
        "SELECT unnest([chr(i::INT), 'a' || chr(i::INT) || 'b', 'ab' || chr(i::INT)]) AS id"
        " FROM range(1, 55000) AS points(i) UNION ALL VALUES (''), (NULL), ('%41')"
    )
    count = f"count(*), count_if(({odd}) IS DISTINCT FROM ({odd_id}))"
    unequal = f"count_if(NOT {odd} AND nfc_normalize(id) <> id)"

    rows = connection.execute(f"SELECT {count}, count_if({odd}), {unequal} FROM ({texts})")

    # Of ASCII 94 signs are visible.
    assert rows.fetchall() == [(3 * 54_999 + 3, 0, 3 * (54_999 - 94), 0)]
