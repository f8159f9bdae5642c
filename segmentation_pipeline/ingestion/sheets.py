"""A sheet of an Excel file, copied to a Parquet file of texts that DuckDB reads.

The sheet is held in memory while it is copied: a sheet has at most 1,048,576 rows.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.decoding import MAXIMUM_RATIO, SMALLEST_BOMB_BYTES
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.ingestion.sheet_size import refuse_sparse_sheet
from segmentation_pipeline.ingestion.texts import text_column
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.sources import SourceSpec

SHEET_ROW = "sheet row"
"""Column of the copy: the number that Excel shows beside the row."""

_ROWS_AT_ONCE = 10_000
_Cells = list[Any]


@dataclass(frozen=True)
class SheetCopy:
    """A copied sheet: columns c0, c1, ... and SHEET_ROW; `first_row` is that of the first row."""

    path: Path
    header: tuple[str, ...]
    columns: int
    first_row: int
    rows: int


def copy_sheet(file: SourceFile, source: SourceSpec, folder: Path) -> SheetCopy:
    """Copy the declared sheet of an Excel file (xlsx, xls, xlsb, ods) to Parquet.

    Empty rows are left out. Raises SourceError where the file is damaged or protected, has no such
    sheet, or has several and none is declared, and where the sheet has no row, or would take far
    more room than its values.
    """
    refuse_bomb(file)
    rows = _sheet_rows(file, source)
    header: _Cells = next(rows, (0, []))[1] if source.has_header else []
    first_row = 2 if source.has_header else 1
    kept = ((number, cells) for number, cells in rows if any(cell != "" for cell in cells))
    first = next(kept, None)
    if first is None:
        raise SourceError(f"{file.name}: the sheet has no row; the night needs the real file")
    columns = len(first[1])
    path = folder / "sheet.parquet"
    schema = pa.schema([(f"c{at}", pa.string()) for at in range(columns)]).append(
        pa.field(SHEET_ROW, pa.int64())
    )
    copied = 0
    with pq.ParquetWriter(path, schema) as target:
        batch = [first, *islice(kept, _ROWS_AT_ONCE)]
        while batch:
            target.write_batch(_record_batch(file, batch, schema))
            copied += len(batch)
            batch = list(islice(kept, _ROWS_AT_ONCE))
    names = tuple(str(cell).strip() for cell in header)
    return SheetCopy(path, names, columns, first_row, copied)


def _record_batch(
    file: SourceFile, rows: Sequence[tuple[int, _Cells]], schema: pa.Schema
) -> pa.RecordBatch:
    values = zip(*(cells for _, cells in rows), strict=True)
    try:
        columns = [text_column([None if cell == "" else cell for cell in column])
                   for column in values]  # fmt: skip
    except UnicodeError:
        raise SourceError(
            f"{file.name}: between rows {rows[0][0]} and {rows[-1][0]}, a cell holds half a "
            "character; save the file again"
        ) from None
    numbers = pa.array([number for number, _ in rows], pa.int64())
    return pa.record_batch([*columns, numbers], schema=schema)


def _sheet_rows(file: SourceFile, source: SourceSpec) -> Iterator[tuple[int, _Cells]]:
    """Yield each row of the sheet from its first one on, numbered from 1."""
    import python_calamine as calamine

    try:
        with calamine.load_workbook(file.path) as workbook:
            name = _sheet_name(file, source, workbook.sheet_names)
            refuse_sparse_sheet(file, name)
            sheet = workbook.get_sheet_by_name(name)
            yield from enumerate(sheet.to_python(skip_empty_area=False), start=1)
    except calamine.PasswordError:
        raise SourceError(f"{file.name}: a password protects it; save it without one") from None
    except (calamine.CalamineError, OSError) as error:
        raise SourceError(
            f"{file.name}: it is no Excel file, or is damaged ({type(error).__name__}); open it "
            "and save it again"
        ) from None


def _sheet_name(file: SourceFile, source: SourceSpec, names: Sequence[str]) -> str:
    if source.sheet is None and len(names) == 1:
        return names[0]
    if source.sheet is None:
        raise SourceError(
            f"{file.name}: it has {len(names)} sheets ({', '.join(names)}); say which by `sheet`"
        )
    if source.sheet not in names:
        raise SourceError(f"{file.name}: no sheet `{source.sheet}`; {nearest(source.sheet, names)}")
    return source.sheet


def refuse_bomb(file: SourceFile) -> None:
    """Refuse a workbook that unpacks to far more than its size; xls is no zip and unpacks nothing.

    XML shrinks 5 to 50 times.
    """
    try:
        with zipfile.ZipFile(file.path) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except (zipfile.BadZipFile, OSError):
        return
    if size > max(file.bytes * MAXIMUM_RATIO, SMALLEST_BOMB_BYTES):
        raise SourceError(
            f"{file.name}: it unpacks to more than {MAXIMUM_RATIO} times its size; save it as CSV"
        )
