"""An input, read as a night reads a source: typed, cleaned, and every fault named by its line.

What belongs here: the way from a file to the table `customers` of a private warehouse. Rows that
cannot be parted, and values that are not of their column's type, are refused; impossible values
(out of range, no listed category) become missing, as on a night, and are counted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import load_source, raw_table
from segmentation_pipeline.ingestion.loads import REJECTED_ROWS
from segmentation_pipeline.ingestion.texts import with_iso_formats
from segmentation_pipeline.preparation.answers import parts_sql, with_options_sql
from segmentation_pipeline.preparation.values import cleaned_sql, value_checks
from segmentation_pipeline.scoring.columns import (
    InputColumns,
    customers_sql,
    key_names,
    match_input,
    readable_columns,
)
from segmentation_pipeline.scoring.looking import ScoreFormat, look_at
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    write_table,
)

CUSTOMERS = Table("core", "customers")
INPUT = "scored"
INPUT_ROWS = raw_table(INPUT)
KEY_COLUMN = "key_of_input"
"""Column of `INPUT_ROWS` with the input's own key; `customer_id` is there the row's number."""

_NAMED_VALUES = 10


@dataclass(frozen=True)
class Input:
    """What was read: the columns that count, the number of customers, and what to say of it."""

    columns: InputColumns
    customers: int
    notes: tuple[str, ...]


def read_customers(
    connection: Connection,
    path: Path,
    file_format: ScoreFormat,
    found: PublishedModel,
    types: Mapping[str, str],
    build: Build,
) -> Input:
    """Read a file into `core.customers` of a private warehouse, a row for each of its rows.

    `types` are those of the features. Raises SourceError for a file that cannot be read, columns
    that nobody knows, and values that are not of their column's type: by line and column, never
    with the value.
    """
    known = {*readable_columns(found, types), *key_names(found.customers)}
    looked = look_at(connection, path, file_format, known)
    columns = match_input(path.name, looked.names, found, types)
    source = _source(path, file_format, looked.settings, columns)
    load_source(connection, path.parent, INPUT, source, build)
    _refuse_unread_values(connection, path.name)
    notes = [*looked.notes, *_impossible_values(connection, columns.columns, build)]
    values: dict[str, str] = {}
    for name, column in columns.columns.items():
        if column.is_answer:
            values |= parts_sql(name, column)
        else:
            values[name] = cleaned_sql(name, column, build.as_of)
    rows = with_options_sql(f"SELECT * FROM {INPUT_ROWS.sql}", columns.columns, columns.columns)
    query = customers_sql(found, types, values, f"({rows}) AS input")
    write_table(connection, CUSTOMERS, query, build)
    return Input(columns, count_rows(connection, INPUT_ROWS), tuple(notes))


def _source(
    path: Path, file_format: ScoreFormat, settings: Mapping[str, str], columns: InputColumns
) -> SourceSpec:
    """Declare the input as a source whose rows are numbered, with the columns that count."""
    # Any key of NDJSON may be missing in any row, and here even in all of them.
    declared = {
        name: column.model_copy(update={"maximum_null_share": 1.0})
        for name, column in columns.columns.items()
    }
    if columns.key is not None:
        declared[KEY_COLUMN] = ColumnSpec(type="text", header=columns.key, maximum_null_share=1.0)
    source = SourceSpec.model_validate(
        {
            "kind": "crm",
            "path": "input",
            "format": file_format,
            "key": {"row_number": True},
            "columns": declared,
            "maximum_rejected_share": 0.0,
            **settings,
        }
    )
    # A path that the YAML would take for a pattern is here a file's name.
    return with_iso_formats(source.model_copy(update={"path": path.name}))


def _refuse_unread_values(connection: Connection, input_name: str) -> None:
    found = connection.execute(
        f"SELECT line, column_name, reason, count(*) OVER () FROM {REJECTED_ROWS.sql}"
        f" ORDER BY line, column_name LIMIT {_NAMED_VALUES}"
    ).fetchall()
    if found:
        listed = "; ".join(f"line {line}, `{name}`: {reason}" for line, name, reason, _ in found)
        more = found[0][3] - len(found)
        raise SourceError(
            f"{input_name}: {listed}"
            + (f"; and {more} more values" if more else "")
            + ". Correct them, or leave them empty: an empty value is a missing one"
        )


def _impossible_values(
    connection: Connection, columns: Mapping[str, ColumnSpec], build: Build
) -> list[str]:
    """Count what became missing on the way, by column and reason."""
    checks = [
        (name, check)
        for name, column in columns.items()
        for check in value_checks(name, column, build.as_of)
        if check.step != "alias"
    ]
    if not checks:
        return []
    counted = ", ".join(f"count(*) FILTER (WHERE {check.condition})" for _, check in checks)
    counts = connection.execute(f"SELECT {counted} FROM {INPUT_ROWS.sql}").fetchall()[0]
    return [
        f"`{name}`: {count:,} values {check.description}"
        for (name, check), count in zip(checks, counts, strict=True)
        if count
    ]
