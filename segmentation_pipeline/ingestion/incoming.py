"""One file's rows as a relation: declared columns typed, and what could not be read beside them.

A CSV file is parsed once, into a temporary table whose rows are in the file's order, so that a
row's position is known without a window over all of them. Of a Parquet file the relation is a view:
its rows go straight into the raw table, as fast as DuckDB copies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.ingestion.typing_sql import (
    Marks,
    TypedValue,
    is_numeric,
    is_odd_sql,
    null_words,
    trimmed_category_sql,
    trimmed_sql,
    typed_native,
    typed_text,
    without_null_values_sql,
    without_null_words_sql,
)
from segmentation_pipeline.specification.sources import KeyExpression, RowNumberKey, SourceSpec
from segmentation_pipeline.warehouse import literal, quote

ROW_FAILURE = "row failure"
"""Column: why the row is left out, NULL for a good one. (No declared name holds a blank.)"""
VALUE_FAILURES = "value failures"
"""Column: numbers of `ValueFailure`s of the row, NULL where everything could be read."""
ROW_NUMBER = "row number"
"""Column of a Parquet file's relation: 0 for its first row."""

NO_KEY = "no customer id"
STRANGE_KEY = "a control or invisible character in the customer id"
BAR_IN_KEY = "a bar within a part of the customer id"
NO_TIME = "no time"
UNREAD_TIME = "a time that is not as declared"

_KEY_TEXT = "key text"
_WRONG_SHAPE = "wrong shape"
_STRANGE_CHARACTERS = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]"


@dataclass(frozen=True)
class FileColumn:
    """A column of a file: how SQL names it there, and its DuckDB type."""

    sql: str
    type: str = "VARCHAR"


@dataclass(frozen=True)
class Shape:
    """When a record is none, as a condition over what is scanned, and the reason to note."""

    is_wrong: str
    reason: str


@dataclass(frozen=True)
class ValueFailure:
    """A kind of unreadable value: in which column, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class TypedRows:
    """The SELECT of a file's typed rows, and what the numbers in VALUE_FAILURES mean."""

    sql: str
    failures: tuple[ValueFailure, ...]


def value_column(name: str) -> str:
    """Name, quoted, the relation's column with the values of a declared one.

    Not its own name: that may be `rowid`, or another one that SQL of ours uses.
    """
    return quote(f"value {name}")


def typed_rows_sql(
    source: SourceSpec,
    columns: Mapping[str, FileColumn],
    origin: str,
    row_number: str | None = None,
    shape: Shape | None = None,
) -> TypedRows:
    """Write the SELECT that types a file's rows.

    Its columns are ROW_NUMBER (if `row_number` says how to get it), `customer_id` (not for a
    row-number key), a `value_column` for each declared one, ROW_FAILURE and VALUE_FAILURES. Each
    level computes what the next one uses more than once; DuckDB drops what nobody asks for.
    """
    values = {name: _typed_value(source, name, column) for name, column in columns.items()}
    numbered = [f"{row_number} AS {quote(ROW_NUMBER)}"] if row_number else []
    is_keyed = not isinstance(source.key, RowNumberKey)
    key = [f"{_key_sql(source, columns)} AS customer_id"] if is_keyed else []
    fallible = {
        name: (value, value.unread.format(value=value_column(name)))
        for name, value in values.items()
        if value.unread is not None and name != source.time
    }
    failures = [
        (ValueFailure(name, reason), f"{unread} AND {is_reason}")
        for name, (value, unread) in fallible.items()
        for reason, is_reason in value.reasons
    ]
    shaped = [f"{shape.is_wrong} AS {quote(_WRONG_SHAPE)}"] if shape else []
    level_1 = [*numbered, *shaped, *(_file_column_sql(source, *item) for item in columns.items())]
    level_2 = ["*", *(f"{is_odd_sql(_raw(name))} AS {_odd(name)}" for name in columns)]
    level_3 = ["*", *(_trimmed_column_sql(source, name) for name in columns)]
    level_4 = ["*", *(_text_column_sql(source, name) for name in columns)]
    level_5 = ["*", *_key_text_sql(source)]
    level_6 = [
        "*",
        *key,
        *(f"{value.sql} AS {value_column(name)}" for name, value in values.items()),
    ]
    value_failures = _value_failures_sql(
        [unread for _, unread in fallible.values()], [condition for _, condition in failures]
    )
    level_7 = [
        "*",
        f"{_row_failure_sql(source, columns, shape)} AS {quote(ROW_FAILURE)}",
        f"{value_failures} AS {quote(VALUE_FAILURES)}",
    ]
    result = [
        *([quote(ROW_NUMBER)] if row_number else []),
        *(["customer_id"] if is_keyed else []),
        *(value_column(name) for name in columns),
        quote(ROW_FAILURE),
        quote(VALUE_FAILURES),
    ]
    sql = origin
    for level in (level_1, level_2, level_3, level_4, level_5, level_6, level_7):
        sql = f"(SELECT {', '.join(level)} FROM {sql})"
    return TypedRows(f"SELECT {', '.join(result)} FROM {sql}", tuple(one for one, _ in failures))


def _typed_value(source: SourceSpec, name: str, column: FileColumn) -> TypedValue:
    declared = source.columns[name]
    native = typed_native(declared, _native(name), column.type)
    marks = Marks(source.decimal_mark, source.thousands_mark)
    return native or typed_text(declared, quote(name), marks)


def _file_column_sql(source: SourceSpec, name: str, column: FileColumn) -> str:
    raw = column.sql if column.type == "VARCHAR" else f"CAST({column.sql} AS VARCHAR)"
    words = null_words(source, source.columns[name])
    native = without_null_values_sql(column.sql, column.type, words)
    return f"{raw} AS {_raw(name)}, {native} AS {_native(name)}"


def _trimmed_column_sql(source: SourceSpec, name: str) -> str:
    is_category = source.columns[name].type == "category"
    trimmed = (
        trimmed_category_sql(_raw(name)) if is_category else trimmed_sql(_raw(name), _odd(name))
    )
    return f"{trimmed} AS {_trimmed(name)}"


def _text_column_sql(source: SourceSpec, name: str) -> str:
    words = null_words(source, source.columns[name])
    return f"{without_null_words_sql(_trimmed(name), words)} AS {quote(name)}"


def _key_sql(source: SourceSpec, columns: Mapping[str, FileColumn]) -> str:
    """Write the customer's id: text as it is, trimmed, in normal form C; never a number's value."""
    match source.key:
        case str() as name if is_numeric(columns[name].type):
            return quote(name)
        case str() as name:
            return f"nullif(nfc_normalize({quote(name)}), '')"
        case KeyExpression():
            text = quote(_KEY_TEXT)
            return f"nullif(nfc_normalize({trimmed_sql(text, is_odd_sql(text))}), '')"
        case list() as names:
            return f"nfc_normalize({_joined_sql([quote(name) for name in names])})"
        case RowNumberKey():
            raise ValueError("a row number is no expression over the row")


def _key_text_sql(source: SourceSpec) -> list[str]:
    """Evaluate a key expression; a row that it cannot bear has no id, and does not stop the night.

    The line break ends a comment at the end of the expression.
    """
    if not isinstance(source.key, KeyExpression):
        return []
    return [f"TRY(CAST(({source.key.expression}\n) AS VARCHAR)) AS {quote(_KEY_TEXT)}"]


def _joined_sql(parts: Sequence[str]) -> str:
    """Join with bars; NULL where a part is missing."""
    return " || '|' || ".join(f"nullif({part}, '')" for part in parts)


def _row_failure_sql(
    source: SourceSpec, columns: Mapping[str, FileColumn], shape: Shape | None
) -> str:
    cases: list[tuple[str, str]] = [(quote(_WRONG_SHAPE), shape.reason)] if shape else []
    if not isinstance(source.key, RowNumberKey):
        cases.append(("customer_id IS NULL", NO_KEY))
        is_number = isinstance(source.key, str) and is_numeric(columns[source.key].type)
        if not is_number:
            is_odd = _odd(source.key) if isinstance(source.key, str) else is_odd_sql("customer_id")
            strange = (
                f"CASE WHEN {is_odd} THEN"
                f" regexp_matches(customer_id, {literal(_STRANGE_CHARACTERS)}) ELSE false END"
            )
            cases.append((strange, STRANGE_KEY))
    if isinstance(source.key, list) and len(source.key) > 1:
        barred = " OR ".join(f"contains({quote(name)}, '|')" for name in source.key)
        cases.append((barred, BAR_IN_KEY))
    if source.time is not None:
        is_text = columns[source.time].type == "VARCHAR"
        given = quote(source.time) if is_text else _native(source.time)
        cases.append((f"{value_column(source.time)} IS NULL AND {given} IS NULL", NO_TIME))
        cases.append((f"{value_column(source.time)} IS NULL", UNREAD_TIME))
    if not cases:
        return "CAST(NULL AS VARCHAR)"
    whens = " ".join(f"WHEN {condition} THEN {literal(reason)}" for condition, reason in cases)
    return f"CASE {whens} END"


def _value_failures_sql(unread: Sequence[str], conditions: Sequence[str]) -> str:
    """List the failures of a row; only rows that have one pay for the list and its conditions."""
    if not conditions:
        return "CAST(NULL AS USMALLINT[])"
    numbered = ", ".join(
        f"CASE WHEN {condition} THEN CAST({number} AS USMALLINT) END"
        for number, condition in enumerate(conditions)
    )
    any_unread = " OR ".join(f"({condition})" for condition in unread)
    return f"CASE WHEN {any_unread} THEN [{numbered}] END"


def _raw(name: str) -> str:
    return quote(f"raw {name}")


def _odd(name: str) -> str:
    return quote(f"odd {name}")


def _trimmed(name: str) -> str:
    return quote(f"trimmed {name}")


def _native(name: str) -> str:
    return quote(f"native {name}")
