"""Files whose record is a whole line: where its values are within it, as SQL.

DuckDB reads each line as one text, under the same care for damage, line numbers and rejects as a
CSV file. Its own NDJSON reader would guess types and can't tell a line's number.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.incoming import FileColumn, Shape
from segmentation_pipeline.ingestion.keys_sql import key_parts
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

NO_OBJECT = "not a JSON object"
CUT_LINE = "a line that ends within a column"

_LINE = "c0"
_VALID = quote("valid json")
_VALUES = quote("json values")


@dataclass(frozen=True)
class LineColumns:
    """The declared columns of a file of lines, the scan they read, and which lines are no record.

    `ignored` are the keys that nobody declared.
    """

    columns: Mapping[str, FileColumn]
    origin: str
    shape: Shape
    ignored: tuple[str, ...] = ()


def fixed_width_columns(source: SourceSpec, scan: str) -> LineColumns:
    """Cut the declared columns out of a line, by characters.

    A line may be shorter than the last column, where blanks at its end were trimmed; one that ends
    within a number, a date or the key was cut, and would give a wrong value.
    """
    columns = {
        name: FileColumn(f"substring({_LINE}, {column.start}" + _width_sql(column) + ")")
        for name, column in source.columns.items()
    }
    keys = key_parts(source.key)
    cuts = [
        f"length({_LINE}) >= {column.start} AND length({_LINE}) < {column.start + column.width - 1}"
        for name, column in source.columns.items()
        if column.start is not None
        and column.width is not None
        and (name in keys or column.type not in ("text", "category"))
    ]
    is_cut = " OR ".join(f"({cut})" for cut in cuts) or "false"
    return LineColumns(columns, scan, Shape(is_cut, CUT_LINE))


def ndjson_columns(
    connection: Connection, file_name: str, source: SourceSpec, scan: str, looking_scan: str
) -> LineColumns:
    """Take the declared columns out of one JSON object a line, all in one parse.

    Raises SourceError where no object of the file has a declared key, unless the column may be
    wholly missing (`maximum_null_share: 1`): a renamed key must not become a missing value.
    """
    is_object = f"coalesce(json_type({_VALID}) = 'OBJECT', false)"
    headers = {name: column.header or name for name, column in source.columns.items()}
    paths = ", ".join(literal(_path(header)) for header in headers.values())
    valid = f"CASE WHEN json_valid({_LINE}) THEN {_LINE} END AS {_VALID}"
    looked = f"(SELECT {valid} FROM {looking_scan})"
    found = _values(connection, f"SELECT unnest(json_keys({_VALID})) FROM {looked}")
    present = _present(connection, looked, list(headers.values()))
    undeclared = sorted(found - {_outer_key(header) for header in headers.values()})
    lacking = [
        header
        for name, header in headers.items()
        if header not in present and source.columns[name].maximum_null_share < 1
    ]
    if lacking:
        hints = [f"`{lack}`" + _hint(lack, undeclared) for lack in lacking]
        raise SourceError(
            f"{file_name}: no object has the key {'; '.join(hints)}. Where a key may be missing in "
            "a whole file, declare `maximum_null_share: 1` for its column"
        )
    columns = {
        name: FileColumn(f"{_VALUES}[{place}]") for place, name in enumerate(headers, start=1)
    }
    origin = (
        f"(SELECT *, CASE WHEN {is_object} THEN json_extract_string({_VALID}, [{paths}])"
        f" END AS {_VALUES} FROM (SELECT *, {valid} FROM {scan}))"
    )
    return LineColumns(
        columns, origin, Shape(f"{_VALUES} IS NULL", NO_OBJECT), tuple(undeclared)
    )  # fmt: skip


def _width_sql(column: ColumnSpec) -> str:
    return "" if column.width is None else f", {column.width}"


def _path(header: str) -> str:
    """Write where a value is: a header with a slash before it is a JSON Pointer already."""
    if header.startswith("/"):
        return header
    return "/" + header.replace("~", "~0").replace("/", "~1")


def _outer_key(header: str) -> str:
    """Name the key of the object itself below which a value is."""
    if not header.startswith("/"):
        return header
    return header.split("/")[1].replace("~1", "/").replace("~0", "~")


def _values(connection: Connection, query: str) -> set[str]:
    return {
        str(row[0]) for row in connection.execute(f"SELECT DISTINCT * FROM ({query})").fetchall()
    }


def _present(connection: Connection, looked: str, headers: list[str]) -> set[str]:
    """Name the headers under which at least one object has something, null included."""
    exists = ", ".join(
        f"bool_or(json_exists({_VALID}, {literal(_path(header))}))" for header in headers
    )
    (row,) = connection.execute(f"SELECT {exists} FROM {looked}").fetchall()
    return {header for header, is_there in zip(headers, row, strict=True) if is_there}


def _hint(lack: str, undeclared: list[str]) -> str:
    return f"; of the undeclared ones, {nearest(lack, undeclared)}" if undeclared else ""
