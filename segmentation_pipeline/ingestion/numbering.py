"""On which line of its file a row stood, and which data row it was.

DuckDB says neither of a CSV row. Where every record is one line, arithmetic does. Where records
hold line breaks, or blank lines lie between them, the file is read once more by csv.reader, which
also proves that DuckDB lost nothing: beyond an open quotation mark its parallel reader skips what
is left of a buffer (145,826 of 3,000,000 rows, tried on 2.0) and reports one bad line.
"""

import csv
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.csv_text import CsvText

OPEN_QUOTE = "a quotation mark out of place"


@dataclass(frozen=True)
class UnreadableLine:
    """A record that does not fit: its first line, why, and how many rows it may have held."""

    line: int
    reason: str
    rows: int = 1


@dataclass(frozen=True)
class Numbering:
    """Stretches of rows that stand on consecutive lines, without an unreadable one between.

    `first_rows` are positions (from 0) among the readable rows; `rows_before` says how many
    unreadable rows come before the stretch, and `lines` on which line it begins.
    """

    first_rows: Sequence[int]
    rows_before: Sequence[int]
    lines: Sequence[int]

    def line(self, position: int) -> int:
        """Say on which line the readable row at a position (from 0) begins."""
        stretch = bisect_right(self.first_rows, position) - 1
        return self.lines[stretch] + position - self.first_rows[stretch]


@dataclass(frozen=True)
class Numbered:
    """The numbering of a file's rows, and its unreadable lines in order."""

    numbering: Numbering
    unreadable: Sequence[UnreadableLine]


def number_rows(
    file_name: str, text: CsvText, rows: int, rejects: Sequence[tuple[int, str]]
) -> Numbered:
    """Number the rows that DuckDB read from a CSV file.

    `rejects` are pairs of a record's number (blank lines count, a header is 1) and a reason, in
    order. Raises SourceError where the file's lines are not all accounted for.
    """
    if text.header_lines + rows + len(rejects) == text.lines:
        shift = max(text.header_lines, 1) - 1
        unreadable = [UnreadableLine(record + shift, reason) for record, reason in rejects]
        return Numbered(_consecutive(text.header_lines, unreadable), unreadable)
    with _large_fields():
        return _number_records(file_name, text, rows, dict(rejects))


def _consecutive(header_lines: int, unreadable: Sequence[UnreadableLine]) -> Numbering:
    stretches = {0: (0, header_lines + 1)}
    for rejected, bad in enumerate(unreadable):
        good_before = bad.line - header_lines - 1 - rejected
        stretches[good_before] = (rejected + 1, bad.line + 1)
    return Numbering(
        list(stretches),
        [before for before, _ in stretches.values()],
        [line for _, line in stretches.values()],
    )


def _number_records(file_name: str, text: CsvText, rows: int, rejects: dict[int, str]) -> Numbered:
    first_rows, rows_before, lines = [0], [0], [text.header_lines + 1]
    unreadable: list[UnreadableLine] = []
    position = before = 0
    expected = text.header_lines + 1
    start = 2 if text.header_lines else 1
    for number, (line, height, is_blank) in enumerate(_records(text), start=start):
        reason = rejects.get(number)
        if reason is not None:
            bad = UnreadableLine(line, reason, height if reason == OPEN_QUOTE else 1)
            unreadable.append(bad)
            before += bad.rows
            continue
        if is_blank:
            continue
        if line != expected or before != rows_before[-1]:
            first_rows.append(position)
            rows_before.append(before)
            lines.append(line)
        expected = line + 1
        position += 1
    if position != rows or len(unreadable) != len(rejects):
        first = next((bad for bad in unreadable if bad.reason == OPEN_QUOTE), None)
        cause = (
            f"line {first.line} opens a quotation mark that swallows what follows"
            if first is not None
            else "a quotation mark may be left open"
        )
        raise SourceError(
            f"{file_name}: {position} rows should stand in it, and {rows} can be read; {cause}"
        )
    return Numbered(Numbering(first_rows, rows_before, lines), unreadable)


def _records(text: CsvText) -> Iterator[tuple[int, int, bool]]:
    """Yield each record after the header: its first line, its number of lines, is it blank."""
    with text.open() as content:
        reader = text.dialect.reader(content)
        if text.header_lines:
            next(reader)
        line = reader.line_num
        for record in reader:
            yield line + 1, reader.line_num - line, not record
            line = reader.line_num


class _large_fields:  # noqa: N801 - a context manager, used like a function
    """Let csv.reader hold fields as long as DuckDB's lines may be; the limit is the process's."""

    def __enter__(self) -> None:
        self._before = csv.field_size_limit(sys.maxsize)

    def __exit__(self, *_: object) -> None:
        csv.field_size_limit(self._before)
