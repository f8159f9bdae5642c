"""How an unknown file seems to be written: a proposal for a person to check, never for a night.

A night reads what is declared. Here, and only here, something is guessed.
"""

import codecs
import csv
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.decoding import LineCount, open_bytes, utf8_chunks
from segmentation_pipeline.ingestion.files import SourceFile, digest_file
from segmentation_pipeline.ingestion.sheet_size import refuse_sparse_sheet
from segmentation_pipeline.ingestion.sheets import refuse_bomb

_SAMPLE_BYTES = 1 << 20
_SAMPLE_LINES = 2_000
_DELIMITERS = ("\t", ";", ",", "|")
_EXCEL = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
_NUMBER_OR_DATE = re.compile(r"[+-]?[\d.,:/\-T ]*\d[\d.,:/\-T Z]*%?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+|[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+,\d+")


@dataclass
class Sniffed:
    """A file's seeming declaration: settings of the source, headers or places, and remarks."""

    settings: dict[str, Any]
    columns: list[dict[str, Any]]
    """Of each column what finds it: `header`, `position`, or `start` and `width`."""
    remarks: list[str] = field(default_factory=list)


def sniff(home_path: Path, path: Path) -> Sniffed:
    """Guess the format of a file, its encoding, delimiter, marks and columns.

    Raises SourceError where it is empty or damaged, or no column of it has a name.
    """
    found = _sniffed(home_path, path)
    if not found.columns:
        raise SourceError(f"{path.name}: no column of it has a name of its own: name them")
    return found


def _sniffed(home_path: Path, path: Path) -> Sniffed:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    with path.open("rb") as content:
        is_parquet = content.read(4) == b"PAR1"
    if is_parquet:
        try:
            names = pq.read_schema(path).names
        except (pa.ArrowException, OSError):
            raise SourceError(f"{path.name}: a Parquet file that is damaged or cut short") from None
        return Sniffed({"format": "parquet"}, *_named(names))
    if suffixes and suffixes[-1] in _EXCEL:
        return _sniff_sheet(digest_file(home_path, path))
    file = digest_file(home_path, path)
    encoding, remarks = _sniff_encoding(file)
    chunks = utf8_chunks(file, encoding, LineCount())
    text = b"".join(islice(chunks, 1))[:_SAMPLE_BYTES].decode(errors="ignore")
    lines = text.splitlines()
    if len(text.encode()) >= _SAMPLE_BYTES - 4:
        lines = lines[:-1]
    lines = [line for line in lines if line.strip()][:_SAMPLE_LINES]
    if not lines:
        raise SourceError(f"{file.name}: it is empty")
    settings = {} if encoding == "utf-8" else {"encoding": encoding}
    found = _sniff_ndjson(lines) or _sniff_csv(text, lines) or _sniff_fixed_width(lines)
    found = found or Sniffed({"format": "csv"}, [{"header": lines[0].strip()}])
    return Sniffed({**found.settings, **settings}, found.columns, [*remarks, *found.remarks])


def _sniff_sheet(file: SourceFile) -> Sniffed:
    import python_calamine as calamine

    refuse_bomb(file)
    try:
        with calamine.load_workbook(file.path) as workbook:
            names = workbook.sheet_names
            if not names:
                raise SourceError(f"{file.name}: it has no sheet")
            refuse_sparse_sheet(file, names[0])
            rows = workbook.get_sheet_by_name(names[0]).to_python(skip_empty_area=False, nrows=1)
    except (calamine.CalamineError, OSError) as error:
        raise SourceError(
            f"{file.name}: not a readable workbook ({type(error).__name__})"
        ) from None
    settings: dict[str, Any] = {"format": "excel"}
    remarks = []
    if len(names) > 1:
        settings["sheet"] = names[0]
        remarks.append(f"it has {len(names)} sheets: is it this one?")
    columns, more = _named([str(cell) for cell in (rows[0] if rows else [])])
    return Sniffed(settings, columns, [*remarks, *more])


def _named(headers: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Take the columns that can be found by their names, and tell of the others."""
    names = [name.strip() for name in headers]
    times = Counter(name for name in names if name)
    unnamed = [str(place) for place, name in enumerate(names, start=1) if not name]
    remarks = [
        f"DECIDE: {count} columns are called {json.dumps(name, ensure_ascii=False)}, and are left "
        "out: call them otherwise in the file"
        for name, count in times.items()
        if count > 1
    ]
    if unnamed:
        remarks.append(f"no name in the header, and left out: column {', '.join(unnamed)}")
    return [{"header": name} for name, count in times.items() if count == 1], remarks


def _sniff_encoding(file: SourceFile) -> tuple[str, list[str]]:
    with open_bytes(file.path) as content:
        start = content.read(4096)
    for mark, encoding in (
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if start.startswith(mark):
            return encoding, []
    if start[1::2].count(0) > len(start) // 4:
        return "utf-16-le", ["encoding guessed: look at accented letters"]
    if start[::2].count(0) > len(start) // 4:
        return "utf-16-be", ["encoding guessed: look at accented letters"]
    for encoding in ("utf-8", "cp1252"):
        try:
            for _ in utf8_chunks(file, encoding, LineCount()):
                pass
        except SourceError as error:
            if f"is not {encoding}" not in str(error):
                raise
        else:
            is_sure = encoding == "utf-8"
            return encoding, [] if is_sure else ["encoding guessed: look at accented letters"]
    return "latin-1", ["encoding guessed: look at accented letters"]


def _sniff_ndjson(lines: Sequence[str]) -> Sniffed | None:
    keys: dict[str, None] = {}
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            return None
        if not isinstance(record, dict):
            return None
        for key, value in record.items():
            if isinstance(value, dict):
                keys |= dict.fromkeys(f"/{_pointer(key)}/{_pointer(inner)}" for inner in value)
            else:
                # A key that begins with a slash would be taken for a path.
                keys[f"/{_pointer(key)}" if key.startswith("/") else key] = None
    return Sniffed({"format": "ndjson"}, [{"header": key} for key in keys])


def _pointer(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _sniff_csv(text: str, lines: Sequence[str]) -> Sniffed | None:
    """Take the delimiter by which nearly all records have the same number of values, and most."""
    best: tuple[float, int, str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            # Blank lines are no records, and not among `lines` either.
            records = [*islice((record for record in reader if record), len(lines))]
        except csv.Error:
            continue
        if not records:
            continue
        count, times = Counter(len(record) for record in records).most_common(1)[0]
        share = times / len(records)
        if count > 1 and share >= 0.9 and (best is None or (share, count) > best[:2]):
            best = (share, count, delimiter, records)
    if best is None:
        return None
    _, count, delimiter, records = best
    settings: dict[str, Any] = {"format": "csv"}
    if delimiter != ",":
        settings["delimiter"] = delimiter
    remarks: list[str] = []
    rows = records[1:]
    if _is_header(records[0], rows):
        columns, remarks = _named(records[0])
    else:
        settings["has_header"] = False
        columns = [{"position": place} for place in range(1, count + 1)]
        rows = records
        remarks.append("line 1 seems to be a row, not a header: name the columns")
    values = [value.strip() for record in rows for value in record]
    if any(_DECIMAL_COMMA.fullmatch(value) for value in values) and delimiter != ",":
        settings["decimal_mark"] = ","
        if any(_GROUPED.fullmatch(value) for value in values):
            settings["thousands_mark"] = "."
    return Sniffed(settings, columns, remarks)


def _is_header(record: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Take a first record without numbers for names; of blank or repeated ones, if rows tell so.

    A table written with its index has a first column without a name: then a word must stand above
    numbers somewhere.
    """
    names = [name.strip() for name in record]
    if any(_NUMBER_OR_DATE.fullmatch(name) for name in names):
        return False
    if len(set(names)) == len(names) and "" not in names:
        return True
    return any(name and _are_numbers([row[at] for row in rows if at < len(row)])
               for at, name in enumerate(names))  # fmt: skip


def _are_numbers(values: Sequence[str]) -> bool:
    given = [value.strip() for value in values if value.strip()]
    numbers = sum(_NUMBER_OR_DATE.fullmatch(value) is not None for value in given)
    return bool(given) and numbers >= 0.9 * len(given)


def _sniff_fixed_width(lines: Sequence[str]) -> Sniffed | None:
    """Part lines where all of them have a blank; numbers reach to the left, up to their neighbour.

    None where the lines are not of one length.
    """
    width = len(lines[0])
    if len(lines) < 2 or any(len(line) != width for line in lines):
        return None
    is_blank = [all(line[at] == " " for line in lines) for at in range(width)] + [True]
    ends = [at for at in range(1, width + 1) if is_blank[at] and not is_blank[at - 1]]
    if len(ends) < 2:
        return None
    starts = [1, *(end + 1 for end in ends[:-1])]
    columns = [
        {"start": start, "width": end - start + 1} for start, end in zip(starts, ends, strict=True)
    ]
    return Sniffed(
        {"format": "fixed_width", "has_header": False},
        columns,
        ["fixed width guessed from blanks: compare with the file's description; name the columns"],
    )
