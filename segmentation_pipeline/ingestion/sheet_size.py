"""How much room a sheet takes once it is read: all cells of the rectangle that its values span.

The reader makes that rectangle whole, empty cells included. One value that slipped into the last
cell of a sheet asks it for 512 GB (a file of 2 KB, tried), which ends the process.
"""

import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import SourceFile

_MOST_EMPTY = 20
"""So many cells may there be for each that has a value."""
_SMALL_CELLS = 2_000_000
"""Up to so many cells (64 MB) nobody minds how empty they are."""
_CHUNK_BYTES = 1 << 20
_VALUED_CELL = re.compile(rb'<(?:\w+:)?c\s[^>]*?\br="([A-Z]{1,3})([0-9]{1,7})"[^>]*(?<!/)>')
_LINKS = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def refuse_sparse_sheet(file: SourceFile, sheet: str) -> None:
    """Refuse a sheet of an xlsx file whose values lie too far apart (SourceError).

    Of the other formats, xls is too small for it.
    """
    try:
        with zipfile.ZipFile(file.path) as packed:
            part = _part_of(packed, sheet)
            spans = _Span()
            if part is not None:
                for column, row in _valued_cells(packed, part):
                    spans.add(column, row)
    except (zipfile.BadZipFile, zlib.error, ET.ParseError, KeyError, OSError):
        # What is damaged, the reader of the sheet says.
        return
    if spans.cells > max(_MOST_EMPTY * spans.values, _SMALL_CELLS):
        raise SourceError(
            f"{file.name}: the sheet spans {spans.cells:,} cells, and {spans.values:,} of them have"
            f" a value: one lies far from the others, down to row {spans.last_row:,}; take it out"
        )


class _Span:
    """The rectangle of cells, and how many of them were counted."""

    def __init__(self) -> None:
        self.values = 0
        self.last_row = 0
        self._first_row = 0
        self._columns = (0, -1)

    def add(self, columns: list[bytes], rows: list[bytes]) -> None:
        """Count cells by the letters of their columns and the numbers of their rows."""
        numbers = [int(row) for row in set(rows)]
        places = [_place(column) for column in set(columns)]
        if self.values:
            numbers += [self._first_row, self.last_row]
            places += self._columns
        self.values += len(rows)
        self._first_row, self.last_row = min(numbers), max(numbers)
        self._columns = min(places), max(places)

    @property
    def cells(self) -> int:
        """The cells of the rectangle."""
        height = self.last_row - self._first_row + 1 if self.values else 0
        return height * (self._columns[1] - self._columns[0] + 1)


def _place(letters: bytes) -> int:
    place = 0
    for letter in letters:
        place = 26 * place + letter - ord("A") + 1
    return place


def _valued_cells(packed: zipfile.ZipFile, part: str) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Yield the columns and rows of the cells that have a value, a chunk of them at a time."""
    rest = b""
    with packed.open(part) as content:
        while chunk := content.read(_CHUNK_BYTES):
            text = rest + chunk
            end = text.rfind(b"<")
            rest = text[max(end, 0) :]
            if found := _VALUED_CELL.findall(text, 0, max(end, 0)):
                columns, rows = zip(*found, strict=True)
                yield list(columns), list(rows)


def _part_of(packed: zipfile.ZipFile, sheet: str) -> str | None:
    """Name the part of an xlsx file that holds a sheet; None where it is no such file."""
    if "xl/workbook.xml" not in packed.namelist():
        return None
    # Expat bounds what entities expand to, and the file's size is looked at before.
    book = ET.fromstring(packed.read("xl/workbook.xml"))  # noqa: S314
    links = ET.fromstring(packed.read("xl/_rels/workbook.xml.rels"))  # noqa: S314
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    for one in book.iter():
        if one.tag.endswith("}sheet") and one.get("name") == sheet:
            target = targets.get(one.get(_LINKS), "")
            part = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")
            return part if part in packed.namelist() else None
    return None
