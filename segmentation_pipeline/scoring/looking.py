"""What an input's columns are called, and how a CSV file is written, before its rows are read."""

import csv
import io
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.decoding import LineCount, utf8_chunks
from segmentation_pipeline.ingestion.files import digest_file
from segmentation_pipeline.ingestion.scanning_sql import path_sql
from segmentation_pipeline.ingestion.sniffing import sniff
from segmentation_pipeline.warehouse import Connection, DatabaseError

ScoreFormat = Literal["csv", "parquet", "ndjson"]

_DELIMITERS = (",", ";", "\t", "|")
_FORMATS: Mapping[str, ScoreFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}


@dataclass(frozen=True)
class Look:
    """The columns of a file, and settings of a source that it is written by."""

    names: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def format_of(path: Path, declared: ScoreFormat | None) -> ScoreFormat:
    """Say how a file is written: by its ending (`.csv.gz` is CSV), else as declared, else CSV."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    return _FORMATS.get(suffixes[-1] if suffixes else "", declared or "csv")


def look_at(
    connection: Connection, path: Path, file_format: ScoreFormat, known: Container[str]
) -> Look:
    """Find a file's column names, and of CSV how it is written.

    `known` are the names that an input may have. Raises SourceError for a file without columns.
    """
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name}: it is empty; a header and a row are the least")
    if file_format == "ndjson":
        return Look(_ndjson_keys(connection, path))
    if file_format == "parquet":
        return Look(_parquet_names(path))
    sniffed = sniff(path.parent, path)
    if sniffed.settings["format"] in ("ndjson", "parquet", "excel"):
        raise SourceError(
            f"{path.name}: it seems to be {sniffed.settings['format']} and not csv: say so "
            "by the file's ending, or by --format where it has none"
        )
    encoding = str(sniffed.settings.get("encoding", "utf-8"))
    delimiter, names = _csv_header(path, encoding, known)
    if not any(name in known for name in names) and not sniffed.settings.get("has_header", True):
        raise SourceError(
            f"{path.name}: line 1 is no header: it has to name the columns, each by another name"
        )
    settings = {"delimiter": delimiter, "encoding": encoding}
    marks = {
        name: str(sniffed.settings[name])
        for name in ("decimal_mark", "thousands_mark")
        if sniffed.settings.get("delimiter", ",") == delimiter and name in sniffed.settings
    }
    notes = [f"read as {encoding}"] if encoding != "utf-8" else []
    notes += ["numbers are read with a decimal comma"] if marks.get("decimal_mark") == "," else []
    return Look(names, settings | marks, tuple(notes))


def _csv_header(path: Path, encoding: str, known: Container[str]) -> tuple[str, Sequence[str]]:
    """Part the header by the delimiter that gives the most names that are known."""
    file = digest_file(path.parent, path)
    start = next(iter(utf8_chunks(file, encoding, LineCount())), b"").decode(errors="ignore")
    found = {}
    for delimiter in _DELIMITERS:
        # Not strict: whether the record is whole is for the reading to say.
        header = next(csv.reader(io.StringIO(start, newline=""), delimiter=delimiter), [])
        found[delimiter] = [name.strip() for name in header]
    best = max(_DELIMITERS, key=lambda one: sum(name in known for name in found[one]))
    return best, found[best]


def _parquet_names(path: Path) -> Sequence[str]:
    try:
        names: Sequence[str] = pq.read_schema(path).names
    except (pa.ArrowException, OSError):
        raise SourceError(
            f"{path.name}: it is no Parquet file, or was cut short; fetch it again, or say "
            "by its ending, or by --format where it has none, what it is"
        ) from None
    return names


def _ndjson_keys(connection: Connection, path: Path) -> Sequence[str]:
    try:
        rows = connection.execute(
            "SELECT DISTINCT unnest(json_keys(json)) AS key"
            f" FROM read_ndjson_objects({path_sql(path)}, ignore_errors = true) ORDER BY key"
        ).fetchall()
    except DatabaseError as error:
        raise SourceError(
            f"{path.name}: it cannot be read as NDJSON ({type(error).__name__}): one JSON object a "
            "line is expected"
        ) from None
    if not rows:
        raise SourceError(f"{path.name}: no line holds a JSON object with a key")
    return [str(row[0]) for row in rows]
