"""Texts and typed columns of a file -> values of the declared types, as SQL.

A value that cannot be read becomes NULL, and a condition beside it says so. DuckDB's casts are
wider than what people mean: to BIGINT, 42.6 is 43, 0x10 is 16 and 1_000 is 1000; to DOUBLE, NaN and
1e400 are numbers; to TIMESTAMP, the offset of 10:00+02:00 is dropped. Each is refused or mended.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.ingestion.scales_sql import (
    is_scale,
    number_text_sql,
    scale_reasons,
    words_sql,
)
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import literal

_OUTER_BLANK = r"^[\t\n\r\p{Zs}]|[\t\n\r\p{Zs}]$"
_OUTER_BLANKS = r"^[\t\n\r\p{Zs}]+|[\t\n\r\p{Zs}]+$"
_NOT_PLAIN = "*[!!-~]*"
_THOUSANDS = {" ": r"[ \x{00A0}\x{202F}]", "'": r"['\x{2019}]"}
"""What people see as a blank or an apostrophe: the typographic ones, too."""
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER")
_WIDE_INTEGERS = ("UBIGINT", "HUGEINT", "UHUGEINT", "BIGNUM")
_FLOATS = ("FLOAT", "DOUBLE")
_TIMESTAMPS = ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
_ZONED = "TIMESTAMP WITH TIME ZONE"

NOT_A_WHOLE_NUMBER = "not a whole number"
NOT_A_NUMBER = "not a number"
NOT_FINITE = "not a finite number"
NOT_A_DATE = "not a date as declared"
NOT_A_TIMESTAMP = "not a timestamp as declared"
NOT_A_BOOLEAN = "neither true nor false"


@dataclass(frozen=True)
class TypedValue:
    """An expression of the declared type, and when it could not be read.

    `unread` is a cheap condition for every row, None where nothing can fail. `reasons` maps a
    reason to a condition that tells it apart among unread rows. `{value}` stands for the typed
    value in both.
    """

    sql: str
    unread: str | None = None
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Marks:
    """What stands between a number's whole and fraction, and between its groups of digits."""

    decimal: str = "."
    thousands: str = ""


def is_odd_sql(raw: str) -> str:
    """Whether a text holds anything but visible ASCII: the others need neither care nor time.

    One look costs 50 ns a row, 70 by a regular expression; `trim(x, characters)` would build a set
    for each, at 800 ns.
    """
    return f"{raw} GLOB {literal(_NOT_PLAIN)}"


def is_odd_id_sql(raw: str) -> str:
    """Say it of an id: in half the time where it is of signs that a URL leaves as they are."""
    return f"CASE WHEN url_encode({raw}) = {raw} THEN false ELSE {is_odd_sql(raw)} END"


def trimmed_sql(raw: str, is_odd: str) -> str:
    """Trim blanks, tabs and line ends off a text; `is_odd` is its `is_odd_sql`."""
    return f"CASE WHEN {is_odd} THEN {_trimmed_odd_sql(raw)} ELSE {raw} END"


def trimmed_category_sql(raw: str) -> str:
    """Trim as `trimmed_sql` does, by functions that DuckDB runs once per word of a dictionary.

    Regular expressions it runs on every row: 540 ms more for 10 million rows of four words.
    """
    trimmed = f"trim({raw})"
    ends = " OR ".join(f"ends_with({trimmed}, {literal(end)})" for end in "\t\n\r")
    return f"CASE WHEN {trimmed} < '!' OR {ends} THEN {_trimmed_odd_sql(raw)} ELSE {trimmed} END"


def without_null_words_sql(trimmed: str, words: Sequence[str]) -> str:
    """Make a trimmed text NULL where it is one of the words for "no value"."""
    if not words:
        return trimmed
    longest = max(len(word.encode()) for word in words)
    is_null_word = _is_one_of_sql(trimmed, [literal(word) for word in words])
    return (
        f"CASE WHEN strlen({trimmed}) <= {longest} AND {is_null_word} THEN NULL ELSE {trimmed} END"
    )


def without_null_values_sql(native: str, file_type: str, words: Sequence[str]) -> str:
    """Make a typed value NULL where one of the words for "no value" means it, such as 999."""
    if is_numeric(file_type):
        listed = [literal(number) for word in words if (number := _number(word)) is not None]
        compared = f"CAST({native} AS DOUBLE)"
    elif file_type == "DATE" or file_type.startswith("TIMESTAMP"):
        dated = [word for word in words if any(sign.isdigit() for sign in word)]
        listed = [f"TRY_CAST({literal(word)} AS {file_type})" for word in dated]
        compared = native
    else:
        return native
    if not listed:
        return native
    return f"CASE WHEN {_is_one_of_sql(compared, listed)} THEN NULL ELSE {native} END"


def null_words(source: SourceSpec, column: ColumnSpec) -> list[str]:
    """List the words that mean "no value" in a column: the source's and its own, trimmed."""
    return sorted({word.strip() for word in (*source.null_words, *column.null_words)})


def is_numeric(file_type: str) -> bool:
    """Whether a DuckDB type holds numbers."""
    return file_type in (*_INTEGERS, *_WIDE_INTEGERS, *_FLOATS) or file_type.startswith("DECIMAL")


def typed_text(column: ColumnSpec, text: str, marks: Marks = Marks()) -> TypedValue:
    """Read a trimmed text as a value of the declared type; `text` is an SQL expression."""
    unread = f"{{value}} IS NULL AND {text} IS NOT NULL"
    match column.type:
        case "text" | "category" | "choices" | "free_text":
            return TypedValue(text)
        case "integer" | "number" if is_scale(column):
            return _scale_value(column, text, marks, unread)
        case "integer":
            return TypedValue(
                _whole_number_sql(text, marks), unread, ((NOT_A_WHOLE_NUMBER, "true"),)
            )
        case "number":
            number = f"TRY_CAST({_plain_number_sql(text, marks)} AS DOUBLE)"
            return TypedValue(
                _finite_number_sql(text, marks),
                unread,
                (
                    (NOT_FINITE, f"NOT isfinite({number})"),
                    (NOT_A_NUMBER, f"isfinite({number}) IS NOT false"),
                ),
            )
        case "date":
            return TypedValue(_date_sql(column, text), unread, ((NOT_A_DATE, "true"),))
        case "timestamp":
            return TypedValue(_timestamp_sql(column, text), unread, ((NOT_A_TIMESTAMP, "true"),))
        case "boolean":
            cast = f"TRY_CAST({text} AS BOOLEAN)"
            return TypedValue(cast, unread, ((NOT_A_BOOLEAN, "true"),))


def typed_native(column: ColumnSpec, native: str, file_type: str) -> TypedValue | None:
    """Read a column that has a type of its own, without a detour over text.

    None where the types do not fit: then its text is read, as from a CSV file.
    """
    is_decimal = file_type.startswith("DECIMAL")
    match column.type:
        case "integer" if file_type in _INTEGERS:
            return TypedValue(f"CAST({native} AS BIGINT)")
        case "integer" if file_type in (*_WIDE_INTEGERS, *_FLOATS) or is_decimal:
            return TypedValue(
                f"CASE WHEN {native} = trunc({native}) THEN TRY_CAST({native} AS BIGINT) END",
                f"{{value}} IS NULL AND {native} IS NOT NULL",
                ((NOT_A_WHOLE_NUMBER, "true"),),
            )
        case "number" if file_type in (*_INTEGERS, *_WIDE_INTEGERS) or is_decimal:
            return TypedValue(f"CAST({native} AS DOUBLE)")
        case "number" if file_type in _FLOATS:
            return TypedValue(
                f"CASE WHEN isfinite({native}) THEN CAST({native} AS DOUBLE) END",
                f"NOT isfinite({native})",
                ((NOT_FINITE, "true"),),
            )
        case "date" if file_type == "DATE" or file_type in _TIMESTAMPS:
            return TypedValue(f"CAST({native} AS DATE)")
        case "date" if file_type == _ZONED:
            return TypedValue(f"CAST({native} AT TIME ZONE 'UTC' AS DATE)")
        case "timestamp" if file_type in ("DATE", *_TIMESTAMPS):
            return TypedValue(f"CAST({native} AS TIMESTAMP)")
        case "timestamp" if file_type == _ZONED:
            return TypedValue(f"{native} AT TIME ZONE 'UTC'")
        case "boolean" if file_type == "BOOLEAN":
            return TypedValue(native)
        case _:
            return None


def _scale_value(column: ColumnSpec, text: str, marks: Marks, unread: str) -> TypedValue:
    """Read a number by itself, then a declared word, then the number among other words."""
    is_whole = column.type == "integer"
    read = _whole_number_sql if is_whole else _finite_number_sql
    worth = f"CAST({words_sql(column, text)} AS {'BIGINT' if is_whole else 'DOUBLE'})"
    among = read(f"({number_text_sql(column, text, marks.thousands)})", marks)
    reasons = scale_reasons(
        column, text, marks.thousands, NOT_A_WHOLE_NUMBER if is_whole else NOT_A_NUMBER
    )
    return TypedValue(f"coalesce({read(text, marks)}, {worth}, {among})", unread, reasons)


def _whole_number_sql(text: str, marks: Marks) -> str:
    plain = _plain_number_sql(text, marks)
    whole = f"TRY_CAST({plain} AS BIGINT)"
    return (
        f"CASE WHEN {whole} = TRY_CAST({plain} AS DOUBLE) AND NOT contains({text}, '_')"
        f" THEN {whole} END"
    )


def _finite_number_sql(text: str, marks: Marks) -> str:
    number = f"TRY_CAST({_plain_number_sql(text, marks)} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) AND NOT contains({text}, '_') THEN {number} END"


def _plain_number_sql(text: str, marks: Marks) -> str:
    """Write a number with its declared marks as SQL does; NULL where its marks are others.

    Groups have three digits: where `1.234` could be either, only the declaration says which it is,
    and a number that contradicts it is no number.
    """
    if marks == Marks():
        return text
    decimal = re.escape(marks.decimal)
    thousands = _THOUSANDS.get(marks.thousands, re.escape(marks.thousands))
    whole = r"\d+" if not marks.thousands else rf"(?:\d+|\d{{1,3}}(?:{thousands}\d{{3}})+)"
    pattern = rf"[+-]?(?:{whole}(?:{decimal}\d*)?|{decimal}\d+)(?:[eE][+-]?\d+)?"
    bare = text
    if marks.thousands:
        bare = f"regexp_replace({text}, {literal(thousands)}, '', 'g')"
    plain = f"replace({bare}, {literal(marks.decimal)}, '.')"
    return f"CASE WHEN regexp_full_match({text}, {literal(pattern)}) THEN {plain} END"


def _date_sql(column: ColumnSpec, text: str) -> str:
    if column.formats:
        return f"CAST({_strptime_sql(column.formats, text)} AS DATE)"
    return _four_digit_year_sql(text, f"TRY_CAST({text} AS DATE)")


def _timestamp_sql(column: ColumnSpec, text: str) -> str:
    if column.formats:
        return _strptime_sql(column.formats, text)
    # Only text with an offset or a zone needs the cast that heeds it, which is 5 times slower.
    zoneless = (
        f"strlen({text}) <= 10 OR strlen({text}) = 19 AND {text}[17] = ':'"
        f" OR regexp_full_match({text}[11:], '[ T][0-9:.]+[Zz]?')"
    )
    return _four_digit_year_sql(
        text,
        f"CASE WHEN {zoneless} THEN TRY_CAST({text} AS TIMESTAMP)"
        f" ELSE TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END",
    )


def _four_digit_year_sql(text: str, cast: str) -> str:
    """Refuse what DuckDB reads but ISO 8601 does not: 24-01-05, 2024/01/05, infinity, epoch, BC."""
    return f"CASE WHEN {text}[5] = '-' AND NOT ends_with({text}, ')') THEN {cast} END"


def _strptime_sql(formats: Sequence[str], text: str) -> str:
    """Try each format in its order; one with an offset or a zone gives UTC.

    DuckDB's `%Y` reads 01.02.24 as a day of the year 24: such a date is none of four digits.
    """
    tried = []
    for one in formats:
        parsed = f"try_strptime({text}, {literal(one)})"
        has_zone = "%z" in one or "%Z" in one
        utc = f"{parsed} AT TIME ZONE 'UTC'" if has_zone else parsed
        tried.append(f"CASE WHEN year({parsed}) >= 1000 THEN {utc} END" if "%Y" in one else utc)
    return f"coalesce({', '.join(tried)})"


def _is_one_of_sql(value: str, listed: Sequence[str]) -> str:
    """Write `value IN (...)` so that it stays an expression: of five words DuckDB makes a join."""
    return f"coalesce(list_position([{', '.join(listed)}], {value}), 0) > 0"


def _trimmed_odd_sql(raw: str) -> str:
    return (
        f"CASE WHEN regexp_matches({raw}, {literal(_OUTER_BLANK)})"
        f" THEN regexp_replace({raw}, {literal(_OUTER_BLANKS)}, '', 'g') ELSE {raw} END"
    )


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None
