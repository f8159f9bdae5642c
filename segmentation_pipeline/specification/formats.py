"""How a source's files are written: format, encoding, marks, where a column stands, databases."""

import codecs
import difflib
from encodings.aliases import aliases
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel

FileFormat = Literal["csv", "fixed_width", "ndjson", "excel", "parquet", "database"]
TEXT_FORMATS: tuple[FileFormat, ...] = ("csv", "fixed_width", "ndjson")
"""Formats that are lines of text, with an encoding."""

_NOT_FOR_FILES = frozenset(
    {"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem"}
)


def _known_codec(name: str) -> str:
    codec: codecs.CodecInfo | None = None
    try:
        codec = codecs.lookup(name)
        codecs.getincrementaldecoder(name)
        "".encode(name)
    except LookupError:
        close = difflib.get_close_matches(name.lower().replace("-", "_"), sorted(aliases), n=1)
        hint = f"did you mean `{close[0].replace('_', '-')}`?" if close else "such as utf-8, cp1252"
        raise ValueError(f"`{name}` is no text encoding that Python knows; {hint}") from None
    except UnicodeError:
        codec = None
    if codec is None or codec.name.replace("-", "_") in _NOT_FOR_FILES:
        raise ValueError(f"`{name}` is a codec of Python, but not the encoding of a file")
    return name


Encoding = Annotated[str, AfterValidator(_known_codec)]
"""A codec of Python for text, by any of its names."""
Mark = Annotated[str, Field(min_length=1, max_length=1, pattern=r"[^\r\n\x00]")]
"""A character that parts or encloses values."""


class DatabaseSpec(ClosedModel):
    """A table or a query of a database whose address only the environment knows."""

    url_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """The environment variable that holds the database's URL, as SQLAlchemy writes it
    (`postgresql+psycopg://user:password@host/name`). Never the URL itself."""
    table: Annotated[str, Field(min_length=1)] | None = None
    """The table or view to read. Only declared columns are asked for."""
    table_schema: Annotated[str, Field(min_length=1)] | None = None
    """The schema of the table, where it is not the connection's default."""
    query: Annotated[str, Field(min_length=1)] | None = None
    """Instead of a table: one SELECT in the database's own SQL. It runs read-only."""
    maximum_rows: Annotated[int, Field(ge=1)] = 100_000_000
    """More rows than this stop the night: a join gone wrong must not fill the disk."""

    @model_validator(mode="after")
    def _one_of_table_and_query(self) -> Self:
        if (self.table is None) == (self.query is None):
            raise ValueError("a database gives either a `table` or the result of a `query`")
        if self.table_schema is not None and self.table is None:
            raise ValueError("`table_schema` goes with `table`; a query names schemas itself")
        return self


class ColumnPlace(ClosedModel):
    """Where a column stands: under its header, or at its position or start."""

    header: str | None = None
    """The column's name in the file, where it differs from the name here. In NDJSON, a header that
    begins with `/` is a path into nested objects (`/address/city`)."""
    position: Annotated[int, Field(ge=1)] | None = None
    """Which column it is, from 1, in a CSV file or an Excel sheet without header."""
    start: Annotated[int, Field(ge=1)] | None = None
    """The number of its first character, from 1, in a line of a fixed-width file."""
    width: Annotated[int, Field(ge=1)] | None = None
    """How many characters wide it is in a fixed-width file; to the line's end if not given."""


class FileSettings(ClosedModel):
    """Where a source's rows are, and how they are written there."""

    path: str = ""
    """A file, a folder of files, or a glob, below the home's folder. Not for a database."""
    format: FileFormat = "csv"
    """How the files are written. Text (`csv`, `fixed_width`, `ndjson`) may be compressed by gzip
    (`.gz`) or Zstandard (`.zst`). `database` reads a table or a query instead of files."""
    delimiter: Mark = ","
    """Between two values of a CSV file; a tab is written "\\t"."""
    quote: Mark | None = '"'
    """Around a value of a CSV file that holds a delimiter or a line break, doubled within it;
    `null` where quotation marks mean nothing."""
    has_header: bool = True
    """Whether the first line (or row of the sheet) names the columns. Without one, each column
    declares its `position`, or its `start` in a fixed-width file."""
    column_count: Annotated[int, Field(ge=1)] | None = None
    """How many columns a file without header has; the highest `position` if not given. Another
    number stops the night: it is the only sign that columns were added or removed."""
    encoding: Encoding = "utf-8"
    """Of a text file: any codec of Python, such as `cp1252` or `utf-16`; declared, never guessed.
    """
    decimal_mark: Literal[".", ","] = "."
    """Between a number's whole and its fraction, in a CSV or fixed-width file."""
    thousands_mark: Literal["", ".", ",", " ", "'"] = ""
    """Between a number's groups of three digits, where it has any: `1.234,56` has `.` for it."""
    sheet: Annotated[str, Field(min_length=1)] | None = None
    """The name of the sheet of an Excel file; not needed where there is one."""
    database: DatabaseSpec | None = None
    """With `format: database`: which database, and what to read of it."""

    @model_validator(mode="after")
    def _settings_fit_format(self) -> Self:
        if (self.format == "database") != (self.database is not None):
            raise ValueError("`database` goes with `format: database`, and only with it")
        if (self.format == "database") != (self.path == ""):
            raise ValueError("`path` says where the files are; only a database has none")
        has_marks = self.format in ("csv", "fixed_width")
        may_lack_header = self.format in ("csv", "fixed_width", "excel")
        is_counted = self.format in ("csv", "excel") and not self.has_header
        used = {
            "quote": self.format == "csv" or self.quote == '"',
            "has_header": may_lack_header or self.has_header,
            "column_count": is_counted or self.column_count is None,
            "decimal_mark": has_marks or self.decimal_mark == ".",
            "thousands_mark": has_marks or not self.thousands_mark,
            "sheet": self.format == "excel" or self.sheet is None,
        }
        for setting, is_used in used.items():
            if not is_used:
                raise ValueError(f"`{setting}` makes no sense for this source ({self.format})")
        if self.delimiter == self.quote:
            raise ValueError("`delimiter` and `quote` can't be the same character")
        if self.decimal_mark == self.thousands_mark:
            raise ValueError("`decimal_mark` and `thousands_mark` can't be the same character")
        return self

    def check_place(self, name: str, column: ColumnPlace) -> None:
        """Refuse a column that the format could not find by what is declared (ValueError)."""
        is_fixed = self.format == "fixed_width"
        if is_fixed != (column.start is not None):
            raise ValueError(
                f"column `{name}`: `start` is where a column of a fixed-width file begins; each "
                "column of one needs it, and no other"
            )
        if column.width is not None and not is_fixed:
            raise ValueError(f"column `{name}`: `width` is for fixed-width files")
        if (not self.has_header and not is_fixed) != (column.position is not None):
            raise ValueError(
                f"column `{name}`: `position` goes with `has_header: false` of a CSV file or an "
                "Excel sheet; there, each column needs it"
            )
        if column.header is not None and not self.has_header:
            raise ValueError(f"column `{name}`: a file without header has no `header`")
        if self.column_count is not None and (column.position or 0) > self.column_count:
            raise ValueError(f"column `{name}`: its `position` is above `column_count`")
