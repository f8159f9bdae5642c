"""What a materialisation shows in Dagster: counts, columns, lineage, small tables."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.reports import Chart
from segmentation_pipeline.warehouse import Connection, Table, column_types

Metadata = dict[str, Any]
LARGEST_TABLE_SHOWN = 60


def table_metadata(
    connection: Connection, table: Table, rows: int, descriptions: Mapping[str, str] | None = None
) -> Metadata:
    """Describe a work table: its rows, and its columns with their types and descriptions."""
    known = dict(descriptions or {})
    contract = CONTRACTS.get(table.name)
    if contract is not None:
        known |= {column.name: column.description for column in contract.columns}
    columns = [
        dg.TableColumn(name, type=type_, description=known.get(name) or None)
        for name, type_ in column_types(connection, table).items()
    ]
    return {
        "dagster/row_count": rows,
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/table_name": str(table),
    }


def column_lineage(sources: Mapping[str, Iterable[tuple[dg.AssetKey, str]]]) -> Metadata:
    """Say of each column from which columns of which assets it is made."""
    return {
        "dagster/column_lineage": dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(asset_key=key, column_name=name) for key, name in found]
                for column, found in sources.items()
            }
        )
    }


def picture(chart: Chart) -> dg.MetadataValue[Any]:
    """Show a chart, with its words for those who don't see it."""
    return dg.MetadataValue.md(drawn(chart))


def drawn(chart: Chart) -> str:
    """Draw a chart as Markdown that holds all of it, which can be kept and shown again."""
    content = base64.b64encode(chart.png).decode()
    return f"![{chart.alt}](data:image/png;base64,{content})"


def read_rows(
    connection: Connection, query: str, parameters: Sequence[Any] = ()
) -> list[dict[str, Any]]:
    """Read a small result as one dictionary a row; never used on rows of single customers."""
    relation = connection.execute(query, parameters)
    names = [str(column[0]) for column in relation.description or ()]
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def small_table(
    connection: Connection, query: str, parameters: Sequence[Any] = ()
) -> dg.MetadataValue[Any]:
    """Show the first rows of a query as a table; never used on rows of single customers."""
    rows = read_rows(connection, f"SELECT * FROM ({query}) LIMIT {LARGEST_TABLE_SHOWN}", parameters)
    records = [dg.TableRecord({name: _shown(value) for name, value in row.items()}) for row in rows]
    names = list(rows[0]) if rows else []
    schema = dg.TableSchema(columns=[dg.TableColumn(name) for name in names])
    return dg.MetadataValue.table(records=records, schema=schema)


def _shown(value: Any) -> str | int | float | bool | None:
    if isinstance(value, float):
        return round(value, 4)
    return value if isinstance(value, str | int | bool) or value is None else str(value)
