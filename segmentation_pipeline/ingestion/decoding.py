"""A text file's bytes -> UTF-8, chunk by chunk: unpacked, decoded as declared, lines counted.

Every byte is looked at before DuckDB sees the file, which turns damage into success: a gzip with a
wrong checksum loads, a Zstandard file cut short has no row, and NUL bytes pass. Its UTF-16 refuses
characters beyond the basic plane and ignores the byte order, its Latin-1 refuses 0x80 to 0x9F.
"""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pyarrow as pa

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.files import SourceFile

Compression = Literal["none", "gzip", "zstd"]
"""As DuckDB calls it."""

MAXIMUM_RATIO = 200
"""More bytes out of one is a bomb: CSV shrinks 3 to 50 times."""
SMALLEST_BOMB_BYTES = 10_000_000

_CHUNK_BYTES = 1 << 20
_BEGINNINGS: dict[bytes, Compression] = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_SKIPPED_FRAME = b"\x2a\x4d\x18"
_ZIP = b"PK\x03\x04"
_SUFFIXES: dict[str, Compression] = {".gz": "gzip", ".gzip": "gzip", ".zst": "zstd"}
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_NEXT_LINE_CODECS = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1140"})
"""Of mainframes, whose lines end in the control character NEXT LINE."""


def compression_of(path: Path) -> Compression:
    """Tell by a file's name how it is compressed."""
    return _SUFFIXES.get(path.suffix.lower(), "none")


def unpacked_name(name: str) -> str:
    """Name a file as it is called when it is unpacked."""
    path = Path(name)
    return name if compression_of(path) == "none" else path.with_suffix("").as_posix()


def open_bytes(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open a file's content, unpacked where its name says that it is compressed."""
    match compression_of(path):
        case "gzip":
            return cast("AbstractContextManager[BinaryIO]", gzip.open(path))
        case "zstd":
            unpacked = pa.input_stream(str(path), compression="zstd")
            return cast("AbstractContextManager[BinaryIO]", unpacked)
        case "none":
            return path.open("rb")


def is_utf8(encoding: str) -> bool:
    """Whether DuckDB can read a file of this encoding as it is."""
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")


class LineCount:
    """Counts line ends (LF, CR LF or CR) in UTF-8 chunks."""

    def __init__(self) -> None:
        self.lines = 0
        self._ends = 0
        self._is_after_return = False

    def add(self, chunk: bytes) -> None:
        """Count a chunk; `lines` is then the number of the last line with text."""
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


def utf8_chunks(file: SourceFile, encoding: str, count: LineCount) -> Iterator[bytes]:
    """Yield a file's text as UTF-8 without byte-order mark, counting its lines.

    A UTF-8 file's chunks are its own bytes. Raises SourceError for what is not text of the declared
    encoding, NUL characters, and a damaged or exploding compressed file.
    """
    codec = encoding
    decoder: codecs.IncrementalDecoder | None = None
    is_start = True
    for raw in _raw_chunks(file):
        chunk = raw
        if decoder is None:
            codec, mark = _codec(file, encoding, raw)
            decoder = codecs.getincrementaldecoder(codec)()
            chunk = raw[len(mark) :]
        # Most chunks are ASCII, and found so 10 times faster than they are decoded.
        if codec != "utf-8" or not chunk.isascii() or decoder.getstate()[0]:
            text = _decode(file, encoding, codec, decoder, chunk, count)
            if codec != "utf-8":
                chunk = _as_utf8(text, codec, is_start=is_start)
                is_start = is_start and not text
        if b"\0" in chunk:
            line = count.line_of(chunk[: chunk.index(b"\0")])
            raise SourceError(
                f"{file.name}: line {line} holds a NUL character; the file is damaged, or not "
                f"{encoding}"
            )
        count.add(chunk)
        yield chunk
    if decoder is not None:
        rest = _as_utf8(_decode(file, encoding, codec, decoder, b"", count), codec, is_start=False)
        if rest and codec != "utf-8":
            count.add(rest)
            yield rest


def _as_utf8(text: str, codec: str, *, is_start: bool) -> bytes:
    """Encode decoded text, without a mark at its start that the codec left in (GB 18030)."""
    if is_start:
        text = text.removeprefix("\ufeff")
    if codec in _NEXT_LINE_CODECS:
        text = text.replace("\x85", "\n")
    # A lone surrogate, which UTF-7 can spell, is no character: it becomes a question mark.
    return text.encode("utf-8", errors="replace")


def _decode(
    file: SourceFile,
    encoding: str,
    codec: str,
    decoder: codecs.IncrementalDecoder,
    chunk: bytes,
    count: LineCount,
) -> str:
    try:
        return decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(codec, errors="ignore")
        line = count.line_of(before.encode(errors="replace"))
        raise SourceError(
            f"{file.name}: line {line} is not {encoding}; declare the file's `encoding`, or save "
            "it as UTF-8"
        ) from None


def _codec(file: SourceFile, encoding: str, start: bytes) -> tuple[str, bytes]:
    """Name the codec and the byte-order mark to skip; a mark of another encoding is refused."""
    declared = codecs.lookup(encoding).name.removesuffix("-sig")
    for mark, marked in _MARKS.items():
        if start.startswith(mark):
            family = marked.removesuffix("-le").removesuffix("-be")
            if declared not in (marked, family):
                raise SourceError(
                    f"{file.name}: it begins with the byte-order mark of {family}, but is declared "
                    f"as {encoding}; declare `encoding: {family}`"
                )
            return marked, mark
    return (f"{declared}-le" if declared in ("utf-16", "utf-32") else declared), b""


def _raw_chunks(file: SourceFile) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked; reading it to its end verifies its checksum."""
    size = 0
    compression = compression_of(file.path)
    try:
        _require_what_the_name_says(file, compression)
        with open_bytes(file.path) as content:
            while chunk := content.read(_CHUNK_BYTES):
                size += len(chunk)
                is_large = size > max(file.bytes * MAXIMUM_RATIO, SMALLEST_BOMB_BYTES)
                if compression != "none" and is_large:
                    raise SourceError(
                        f"{file.name}: it unpacks to more than {MAXIMUM_RATIO} times its size;"
                        " if that is right, unpack it beforehand"
                    )
                yield chunk
    except (gzip.BadGzipFile, EOFError, zlib.error, OSError) as error:
        raise SourceError(f"{file.name}: {_describe(error, compression)}") from None


def _require_what_the_name_says(file: SourceFile, compression: Compression) -> None:
    """Refuse a file that is packed in another way than its name says."""
    with file.path.open("rb") as content:
        start = content.read(4)
    # A Zstandard file may begin with a frame to be skipped, as those of pzstd do (RFC 8878, 3.1.2).
    is_skipped = start[1:] == _SKIPPED_FRAME and 0x50 <= start[0] <= 0x5F
    marked = (kind for mark, kind in _BEGINNINGS.items() if start.startswith(mark))
    found: Compression = "zstd" if is_skipped else next(marked, "none")
    if start == _ZIP:
        raise SourceError(f"{file.name}: it is a zip archive or a workbook; unpack it, or declare "
                          "its `format`")  # fmt: skip
    if found == compression or not start:
        return
    if found == "none":
        raise SourceError(
            f"{file.name}: it is not compressed by {compression}, as its name says; rename it, or "
            "fetch it again"
        )
    suffix = next(end for end, kind in _SUFFIXES.items() if kind == found)
    raise SourceError(
        f"{file.name}: it is compressed by {found}; give it a name that ends in `{suffix}`"
    )


def _describe(error: Exception, compression: Compression) -> str:
    # Arrow tells of a damaged Zstandard file by an OSError that the system knows nothing of.
    is_refused = isinstance(error, OSError) and error.errno is not None
    if compression == "none" or is_refused:
        return f"it cannot be read: {getattr(error, 'strerror', None)}"
    return f"the {compression} is damaged or cut short; fetch the file again"
