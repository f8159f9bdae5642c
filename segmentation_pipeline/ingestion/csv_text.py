"""A CSV file as text: read through once before DuckDB sees it.

DuckDB 2.0 turns damage into success: a gzip with a wrong checksum loads, and so do NUL bytes. Its
UTF-16 refuses characters beyond the basic plane and ignores the byte order, its Latin-1 refuses
0x80 to 0x9F. So the bytes are verified here, and what is not UTF-8 is copied to UTF-8.
"""

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.specification.sources import SourceSpec

MAXIMUM_GZIP_RATIO = 200
"""More bytes out of one is a bomb: CSV shrinks 3 to 30 times, and nothing more than 1032 times."""
SMALLEST_BOMB_BYTES = 10_000_000

_CHUNK_BYTES = 1 << 20
_HEADER_BYTES = 1 << 20
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True)
class CsvText:
    """A verified CSV file: what DuckDB is to read, and what it is not asked to guess.

    `lines` counts the physical lines up to the last one with text; `header_lines` those of the
    header, which is more than one where a quoted name holds a line break.
    """

    path: Path
    is_gzip: bool
    header: tuple[str, ...]
    header_lines: int
    line_end: str
    lines: int

    @contextmanager
    def open(self) -> Iterator[io.TextIOWrapper]:
        """Open it as text with its line ends as they are, for csv.reader."""
        with (
            gzip.open(self.path) if self.is_gzip else self.path.open("rb") as opened,
            io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text,
        ):
            yield text


@contextmanager
def verified_csv(file: SourceFile, source: SourceSpec, copies: Path) -> Iterator[CsvText]:
    """Verify a CSV file byte by byte, and hold the UTF-8 copy DuckDB reads, where one is needed.

    Copies go to a folder of their own below `copies`, and are removed with it. Raises SourceError
    for a file that is empty or has a header only, a damaged or exploding gzip, bytes that are not
    text of the declared encoding, NUL characters and an unreadable header.
    """
    is_gzip = file.path.suffix == ".gz"
    if source.encoding == "utf-8":
        yield _verify(file, source, is_gzip, None)
        return
    is_new = not copies.exists()
    copies.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix="utf8_", dir=copies) as folder:
            yield _verify(file, source, is_gzip, Path(folder) / "copy.csv")
    finally:
        if is_new and not any(copies.iterdir()):
            copies.rmdir()


class _LineCount:
    """Counts line ends (LF, CR LF or CR) in UTF-8 chunks."""

    def __init__(self) -> None:
        self.lines = 0
        self._ends = 0
        self._is_after_return = False

    def add(self, chunk: bytes) -> None:
        text = chunk.rstrip(b"\r\n")
        after = self._ends + self._count(chunk)
        if text:
            self.lines = after - _ends(chunk[len(text) :]) + 1
        self._ends = after
        self._is_after_return = chunk.endswith(b"\r")

    def line_of(self, beginning: bytes) -> int:
        """Number the line on which something stands that comes after the beginning of a chunk."""
        return self._ends + self._count(beginning) + 1

    def _count(self, beginning: bytes) -> int:
        return _ends(beginning) - (self._is_after_return and beginning.startswith(b"\n"))


def _ends(text: bytes) -> int:
    ends = text.count(b"\n")
    return ends if b"\r" not in text else ends + text.count(b"\r") - text.count(b"\r\n")


def _verify(file: SourceFile, source: SourceSpec, is_gzip: bool, copy: Path | None) -> CsvText:
    count = _LineCount()
    start = bytearray()
    chunks = _utf8_chunks(file, source.encoding, is_gzip, count)
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
    header, header_lines, line_end = _read_header(file, source, bytes(start))
    if count.lines <= header_lines:
        raise SourceError(f"{file.name}: it has a header and no row; the night needs the real file")
    return CsvText(
        path=copy or file.path,
        is_gzip=is_gzip and copy is None,
        header=header,
        header_lines=header_lines,
        line_end=line_end,
        lines=count.lines,
    )


def _utf8_chunks(
    file: SourceFile, encoding: str, is_gzip: bool, count: _LineCount
) -> Iterator[bytes]:
    """Yield a file's text as UTF-8, counting its lines; refuse what is not text."""
    codec = encoding
    decoder: codecs.IncrementalDecoder | None = None
    for raw in _raw_chunks(file, is_gzip):
        chunk = raw
        if decoder is None:
            codec, mark = _codec(file, encoding, raw)
            decoder = codecs.getincrementaldecoder(codec)()
            chunk = raw[len(mark) :]
        # Most chunks are ASCII, and found so 10 times faster than they are decoded.
        if codec != "utf-8" or not chunk.isascii() or decoder.getstate()[0]:
            text = _decode(file, encoding, codec, decoder, chunk, count)
            chunk = chunk if codec == "utf-8" else text.encode()
        if b"\0" in chunk:
            line = count.line_of(chunk[: chunk.index(b"\0")])
            raise SourceError(
                f"{file.name}: line {line} holds a NUL character; the file is damaged, or not "
                f"{encoding}"
            )
        count.add(chunk)
        yield chunk
    if decoder is not None:
        _decode(file, encoding, codec, decoder, b"", count)


def _decode(
    file: SourceFile,
    encoding: str,
    codec: str,
    decoder: codecs.IncrementalDecoder,
    chunk: bytes,
    count: _LineCount,
) -> str:
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(codec, errors="ignore")
        line = count.line_of(before.encode())
        raise SourceError(
            f"{file.name}: line {line} is not {encoding}; declare the file's `encoding`, or save "
            "it as UTF-8"
        ) from None


def _codec(file: SourceFile, encoding: str, start: bytes) -> tuple[str, bytes]:
    """Name the codec and the byte-order mark to skip; a mark of another encoding is refused."""
    for mark, marked in _MARKS.items():
        if start.startswith(mark):
            if marked != encoding:
                raise SourceError(
                    f"{file.name}: it begins with the byte-order mark of {marked}, but is declared "
                    f"as {encoding}; declare `encoding: {marked}`"
                )
            return (
                ("utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-16-le", mark)
                if (marked == "utf-16")
                else (encoding, mark)
            )
    return ("utf-16-le" if encoding == "utf-16" else encoding), b""


def _raw_chunks(file: SourceFile, is_gzip: bool) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed; reading a gzip to its end verifies its checksum."""
    size = 0
    try:
        with gzip.open(file.path) if is_gzip else file.path.open("rb") as content:
            while chunk := _next(content):
                size += len(chunk)
                if is_gzip and size > max(file.bytes * MAXIMUM_GZIP_RATIO, SMALLEST_BOMB_BYTES):
                    raise SourceError(
                        f"{file.name}: it unpacks to more than {MAXIMUM_GZIP_RATIO} times its size;"
                        " if that is right, unpack it beforehand"
                    )
                yield chunk
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise SourceError(
            f"{file.name}: the gzip is damaged or cut short; fetch the file again"
        ) from None
    except OSError as error:
        raise SourceError(f"{file.name}: it cannot be read: {error.strerror}") from None


def _next(content: BinaryIO | gzip.GzipFile) -> bytes:
    return content.read(_CHUNK_BYTES)


def _read_header(
    file: SourceFile, source: SourceSpec, start: bytes
) -> tuple[tuple[str, ...], int, str]:
    """Read the first record: the columns' names, on how many lines they stand, and the line end."""
    text = io.StringIO(start.decode("utf-8", errors="ignore"), newline="")
    reader = csv.reader(text, delimiter=source.delimiter, strict=True)
    try:
        names = next(reader)
    except csv.Error:
        raise SourceError(
            f"{file.name}: line 1 cannot be read as a header; look for an open quotation mark"
        ) from None
    text.seek(0)
    last_line = list(islice(text, reader.line_num))[-1]
    line_end = last_line[len(last_line.rstrip("\r\n")) :]
    return tuple(name.strip() for name in names), reader.line_num, line_end or "\n"
