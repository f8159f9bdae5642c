"""One file's rows as a relation: declared columns typed, and what could not be read beside them.

A CSV file is parsed once, into a temporary table whose rows are in the file's order, so that a
row's position is known without a window over all of them. Of a Parquet file the relation is a view:
its rows go straight into the raw table, as fast as DuckDB copies them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.ingestion.keys_sql import RowId, key_parts, row_ids
from segmentation_pipeline.ingestion.typing_sql import (
    Marks,
    TypedValue,
    is_numeric,
    is_odd_id_sql,
    is_odd_sql,
    null_words,
    trimmed_category_sql,
    trimmed_sql,
    typed_native,
    typed_text,
    without_null_values_sql,
    without_null_words_sql,
)
from segmentation_pipeline.specification.keys import SourceKey
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import literal, quote

ROW_FAILURE = "row failure"
"""Column: why the row is left out, NULL for a good one. (No declared name holds a blank.)"""
VALUE_FAILURES = "value failures"
"""Column: numbers of `ValueFailure`s of the row, NULL where everything could be read."""
ROW_NUMBER = "row number"
"""Column of a Parquet file's relation: 0 for its first row."""

LEFT_ASIDE = "left aside"
"""Column, where rows may be left aside: the name of the rule that does so, NULL for the others."""
ATTRIBUTE, VALUE = "attribute of row", "value of row"
"""Columns of a long table: which attribute a row tells, and its value as it is written."""
UNKNOWN_ATTRIBUTE = "unknown attribute"
"""The rule of a long table's rows whose attribute nobody declared."""

NO_ATTRIBUTE = "no attribute named"
NO_TIME = "no time"
UNREAD_TIME = "a time that is not as declared"

_WRONG_SHAPE = "wrong shape"


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
class LongRow:
    """How SQL names, over what is scanned, the attribute that a row tells, and its value."""

    attribute: str
    value: str


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
    long: LongRow | None = None,
) -> TypedRows:
    """Write the SELECT that types a file's rows.

    Its columns are ROW_NUMBER (if `row_number` says how to get it), `customer_id` (not for a
    row-number key; the visitor's id where the source has `identity`), VISITOR (of an identity map),
    a `value_column` for each declared one, ATTRIBUTE and VALUE (of a `long` table), LEFT_ASIDE
    (where rows may be), ROW_FAILURE and VALUE_FAILURES. Each level computes what the next one uses
    more than once; DuckDB drops what nobody asks for.
    """
    values = {name: _typed_value(source, name, column) for name, column in columns.items()}
    numbered = [f"{row_number} AS {quote(ROW_NUMBER)}"] if row_number else []
    ids = row_ids(source)
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
    told = []
    if long is not None:
        told = [f"{long.attribute} AS {quote(ATTRIBUTE)}", f"{long.value} AS {quote(VALUE)}"]
    level_1 = [
        *numbered,
        *shaped,
        *told,
        *(_file_column_sql(source, *item) for item in columns.items()),
    ]
    of_ids = {name for one in ids for name in key_parts(one.key)}
    odd = {name: is_odd_id_sql if name in of_ids else is_odd_sql for name in columns}
    level_2 = ["*", *(f"{is_odd(_raw(name))} AS {_odd(name)}" for name, is_odd in odd.items())]
    level_3 = ["*", *(_trimmed_column_sql(source, name) for name in columns)]
    level_4 = ["*", *(_text_column_sql(source, name) for name in columns)]
    left_aside = left_aside_sql(source)
    aside = [f"{left_aside} AS {quote(LEFT_ASIDE)}"] if left_aside else []
    texts = [text for one in ids for text in one.text_sql()]
    level_5 = ["*", *aside, *texts]
    level_6 = [
        "*",
        *(one.sql(is_number=_is_number(one.key, columns), is_odd=_is_odd(one)) for one in ids),
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
        *(one.column for one in ids),
        *(value_column(name) for name in columns),
        *([quote(ATTRIBUTE), quote(VALUE)] if long is not None else []),
        *([quote(LEFT_ASIDE)] if left_aside else []),
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
    declared, trimmed = source.columns[name], _trimmed(name)
    words = null_words(source, declared)
    if declared.type == "choices" and declared.blank == "none":
        # Here a blank is an answer, and stands as '' in the raw table; other null words are none.
        others = without_null_words_sql(trimmed, [word for word in words if word])
        return f"CASE WHEN coalesce({trimmed}, '') = '' THEN '' ELSE {others} END AS {quote(name)}"
    return f"{without_null_words_sql(trimmed, words)} AS {quote(name)}"


def left_aside_sql(source: SourceSpec) -> str | None:
    """Name the rule that leaves a row aside, over its trimmed texts; None where there is none.

    The line break ends a comment at the end of a predicate; one that fails is not true.
    """
    whens = [
        f"WHEN coalesce(TRY(CAST(({rule.predicate}\n) AS BOOLEAN)), false)"
        f" THEN {literal(rule.name)}"
        for rule in source.ignore_rows
    ]
    if source.long is not None:
        columns = source.attribute_columns.items()
        known = ", ".join(literal(column.header or name) for name, column in columns)
        whens.append(
            f"WHEN NOT list_contains([{known}], {quote(ATTRIBUTE)})"
            f" THEN {literal(UNKNOWN_ATTRIBUTE)}"
        )
    return f"CASE {' '.join(whens)} END" if whens else None


def _is_number(key: SourceKey, columns: Mapping[str, FileColumn]) -> bool:
    return isinstance(key, str) and is_numeric(columns[key].type)


def _is_odd(one: RowId) -> str | None:
    return _odd(one.key) if isinstance(one.key, str) else None


def _row_failure_sql(
    source: SourceSpec, columns: Mapping[str, FileColumn], shape: Shape | None
) -> str:
    cases: list[tuple[str, str]] = [(quote(_WRONG_SHAPE), shape.reason)] if shape else []
    for one in row_ids(source):
        cases += one.failures(is_number=_is_number(one.key, columns), is_odd=_is_odd(one))
    if source.long is not None:
        cases.append((f"{quote(ATTRIBUTE)} IS NULL", NO_ATTRIBUTE))
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
