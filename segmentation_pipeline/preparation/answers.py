"""Answers in a loaded row -> the columns of a cleaned one: options chosen, counts of a text."""

from collections.abc import Iterable, Mapping

from segmentation_pipeline.ingestion.answers_sql import (
    choices_sql,
    numbered_options_sql,
    text_counts_sql,
)
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import quote


def parts_sql(name: str, column: ColumnSpec) -> dict[str, str]:
    """Write the columns that an answer becomes, over the rows of `with_options_sql`."""
    if column.type == "choices":
        parts = choices_sql(column, _numbered(name))
    else:
        parts = text_counts_sql(name)
    return {f"{name}__{part}": sql for part, sql in parts.items()}


def with_options_sql(
    rows_sql: str, columns: Mapping[str, ColumnSpec], wanted: Iterable[str]
) -> str:
    """Add to loaded rows what is made once of an answer and read for each of its options.

    `rows_sql` is a query, and so is what is returned: the same one, where no `wanted` column holds
    choices.
    """
    numbered = [
        f"{numbered_options_sql(name, columns[name])} AS {_numbered(name)}"
        for name in wanted
        if name in columns and columns[name].type == "choices"
    ]
    return f"SELECT *, {', '.join(numbered)} FROM ({rows_sql})" if numbered else rows_sql


def _numbered(name: str) -> str:
    """Name a column for the numbers of the options in an answer; no declared name has a blank."""
    return quote(f"options of {name}")
