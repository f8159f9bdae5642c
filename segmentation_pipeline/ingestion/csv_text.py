"""A text file (CSV, fixed width, NDJSON), read through once before DuckDB sees it.

Its bytes are verified by `decoding`, what is not UTF-8 is copied to UTF-8, and its first record
says what the header names and how lines end.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.decoding import (
    Compression,
    LineCount,
    compression_of,
    is_utf8,
    open_bytes,
    utf8_chunks,
)
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.specification.sources import SourceSpec

_HEADER_BYTES = 1 << 20


@dataclass(frozen=True)
class Dialect:
    """How a record is parted into values; without `quote`, quotation marks mean nothing."""

    delimiter: str = ","
    quote: str | None = '"'

    def reader(self, text: Iterator[str], *, strict: bool = False) -> Any:
        """Make a csv.reader that parts records as DuckDB is told to."""
        if self.quote is None:
            return csv.reader(text, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=strict)
        return csv.reader(
            text,
            delimiter=self.delimiter,
            quotechar=self.quote,
            strict=strict,
            skipinitialspace=not strict,
        )


WHOLE_LINES = Dialect("\x1f", None)
"""For files whose record is a line as it stands: a delimiter that no text holds."""


@dataclass(frozen=True)
class CsvText:
    """A verified text file: what DuckDB is to read, and what it is not asked to guess.

    `header` is empty where the file has none, and `columns` then counts the values of the first
    record. `lines` counts the physical lines up to the last one with text; `header_lines` those of
    the header, which is more than one where a quoted name holds a line break.
    """

    path: Path
    header: tuple[str, ...]
    header_lines: int
    lines: int
    columns: int
    line_end: str = "\n"
    compression: Compression = "none"
    dialect: Dialect = Dialect()

    @contextmanager
    def open(self) -> Iterator[io.TextIOWrapper]:
        """Open it as text with its line ends as they are, for csv.reader."""
        with (
            open_bytes(self.path) as opened,
            io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text,
        ):
            yield text


@contextmanager
def verified_csv(file: SourceFile, source: SourceSpec, copies: Path) -> Iterator[CsvText]:
    """Verify a text file byte by byte, and hold the UTF-8 copy DuckDB reads, where one is needed.

    Copies go to a folder of their own below `copies`, and are removed with it. Raises SourceError
    for a file that is empty or has a header only (where rows are needed), a damaged or exploding
    compressed file, bytes that are not text of the declared encoding, NUL characters and an
    unreadable header.
    """
    if is_utf8(source.encoding):
        yield _verify(file, source, None)
        return
    with folder_for_copies(copies) as folder:
        yield _verify(file, source, folder / "copy.csv")


@contextmanager
def folder_for_copies(copies: Path) -> Iterator[Path]:
    """Make a folder below `copies` for the length of a `with` block."""
    is_new = not copies.exists()
    copies.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix="copies_", dir=copies) as folder:
            yield Path(folder)
    finally:
        if is_new and not any(copies.iterdir()):
            copies.rmdir()


def _verify(file: SourceFile, source: SourceSpec, copy: Path | None) -> CsvText:
    count = LineCount()
    start = bytearray()
    chunks = utf8_chunks(file, source.encoding, count)
    if copy is None:
        for chunk in chunks:
            start += chunk[: _HEADER_BYTES - len(start)]
    else:
        with copy.open("wb") as target:
            for chunk in chunks:
                start += chunk[: _HEADER_BYTES - len(start)]
                target.write(chunk)
    if not start:
        raise SourceError(f"{file.name}: it is empty; the night needs the real file")
    has_header = source.has_header and source.format != "ndjson"
    is_csv = source.format == "csv"
    dialect = Dialect(source.delimiter, source.quote) if is_csv else WHOLE_LINES
    record, record_lines, line_end = _first_record(
        file, dialect, bytes(start), may_be_blank=has_header
    )
    header_lines = record_lines if has_header else 0
    if count.lines <= header_lines and source.minimum_rows > 0:
        held = "a header and no row" if has_header else "no row"
        raise SourceError(f"{file.name}: it has {held}; the night needs the real file")
    return CsvText(
        path=copy or file.path,
        header=_header(source, record) if has_header else (),
        header_lines=header_lines,
        lines=count.lines,
        columns=len(record),
        line_end=line_end,
        compression=compression_of(copy or file.path),
        dialect=dialect,
    )


def _first_record(
    file: SourceFile, dialect: Dialect, start: bytes, *, may_be_blank: bool
) -> tuple[Sequence[str], int, str]:
    """Read the first record: its values, on how many lines they stand, and the line end."""
    text = io.StringIO(start.decode("utf-8", errors="ignore"), newline="")
    reader = dialect.reader(text, strict=True)
    try:
        record: list[str] = next((record for record in reader if record or may_be_blank), [])
    except csv.Error:
        raise SourceError(
            f"{file.name}: line 1 cannot be read; look for an open quotation mark"
        ) from None
    text.seek(0)
    last_line = list(islice(text, reader.line_num))[-1]
    line_end = last_line[len(last_line.rstrip("\r\n")) :]
    return record, reader.line_num, line_end or "\n"


def _header(source: SourceSpec, record: Sequence[str]) -> tuple[str, ...]:
    if source.format == "csv":
        return tuple(name.strip() for name in record)
    return tuple(
        record[0][column.start - 1 :][: column.width].strip()
        for column in source.columns.values()
        if column.start is not None
    )
