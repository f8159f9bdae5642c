"""A file with a row for each attribute of a customer, read as rows of which one column is filled.

So types, formats and unreadable values are looked at, and listed by line, as in any other file;
`widening` then makes one row per customer of them.
"""

from collections.abc import Mapping

from segmentation_pipeline.ingestion.incoming import (
    ATTRIBUTE,
    VALUE,
    FileColumn,
    LongRow,
    Shape,
    TypedRows,
    typed_rows_sql,
)
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import literal


def as_in_file(source: SourceSpec) -> SourceSpec:
    """Declare the columns that the source's files have: of a long table, not its attributes."""
    if source.long is None:
        return source
    attributes = source.attribute_columns
    columns = {name: one for name, one in source.columns.items() if name not in attributes}
    columns |= {
        ATTRIBUTE: ColumnSpec(type="text", header=source.long.attribute),
        VALUE: ColumnSpec(type="text", header=source.long.value),
    }
    return source.model_copy(update={"columns": columns})


def typed_sql(
    source: SourceSpec,
    columns: Mapping[str, FileColumn],
    origin: str,
    row_number: str | None = None,
    shape: Shape | None = None,
) -> TypedRows:
    """Write the SELECT of `typed_rows_sql`; `columns` are those of `as_in_file`."""
    if source.long is None:
        return typed_rows_sql(source, columns, origin, row_number, shape)
    attribute = f"nullif(trim(CAST({columns[ATTRIBUTE].sql} AS VARCHAR)), '')"
    value = f"CAST({columns[VALUE].sql} AS VARCHAR)"
    attributes = source.attribute_columns
    filled = {
        name: columns[name]
        if name not in attributes
        else FileColumn(f"CASE WHEN {attribute} = {literal(one.header or name)} THEN {value} END")
        for name, one in source.columns.items()
    }
    row = LongRow(attribute, value)
    return typed_rows_sql(source, filled, origin, row_number, shape, row)
