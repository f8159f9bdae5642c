"""Values of a spreadsheet or a database as texts, for the same reading that files of text get.

A column of theirs may hold numbers in one row and words in the next, whatever it is declared as: so
each value is written as text without loss, and the declaration decides what it means.
"""

import datetime as dt
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from segmentation_pipeline.specification.sources import SourceSpec

_LARGEST_EXACT = 2**53
_ISO_FORMATS = {
    "date": ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"],
    "timestamp": ["%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f"],
}


def with_iso_formats(source: SourceSpec) -> SourceSpec:
    """Let columns with declared date formats also read ISO 8601, which real dates are written in.

    `formats` then says how dates that were typed as words look.
    """
    columns = {
        name: column.model_copy(update={"formats": [*column.formats, *_ISO_FORMATS[column.type]]})
        if column.formats
        else column
        for name, column in source.columns.items()
    }
    return source.model_copy(update={"columns": columns})


def text_column(values: Sequence[Any]) -> pa.Array:
    """Write values as texts; UnicodeError where one holds half a character."""
    return pa.array([_text(value) for value in values], pa.string())


def _text(value: Any) -> str | None:
    """Write a value as text: times in UTC, whole numbers without a point.

    >>> _text(42.0), _text(0.1), _text(True), _text(Decimal("1E+2"))
    ('42', '0.1', 'true', '100')
    >>> _text(dt.datetime(2025, 1, 2)), _text(dt.datetime(2025, 1, 2, 3, 4))
    ('2025-01-02', '2025-01-02 03:04:00')
    """
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            is_whole = math.isfinite(value) and value.is_integer() and abs(value) < _LARGEST_EXACT
            return str(int(value)) if is_whole else repr(value)
        case Decimal():
            return format(value, "f")
        case dt.datetime():
            return _time_text(value)
        case dt.timedelta():
            return _text(value.total_seconds())
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=str)
        case _:
            return str(value)


def _time_text(value: dt.datetime) -> str:
    """Write midnight as its date, which is what a date in a spreadsheet or in Oracle is."""
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    text = value.isoformat(sep=" ")
    return text.removesuffix(" 00:00:00")
