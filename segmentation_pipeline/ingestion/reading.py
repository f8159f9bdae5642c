"""One file, opened as declared: the relation of its typed rows, numbered."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.csv_text import CsvText, verified_csv
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.ingestion.headers import match_header
from segmentation_pipeline.ingestion.incoming import (
    ROW_NUMBER,
    FileColumn,
    TypedRows,
    ValueFailure,
    typed_rows_sql,
)
from segmentation_pipeline.ingestion.numbering import (
    OPEN_QUOTE,
    Numbering,
    UnreadableLine,
    number_rows,
)
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

LONGEST_LINE_BYTES = 2_000_000
NO_TEXT = "\x01"
"""DuckDB demands a word for NULL: one that no file holds, so that ours decide."""
_REASONS = {
    "MISSING COLUMNS": "too few values",
    "TOO MANY COLUMNS": "too many values",
    "UNQUOTED VALUE": OPEN_QUOTE,
    "LINE SIZE OVER MAXIMUM": f"longer than {LONGEST_LINE_BYTES} bytes",
}


@dataclass(frozen=True)
class Incoming:
    """A file's typed rows (see `incoming.typed_rows_sql` for the relation's columns).

    `rows` are the rows DuckDB could part into values, `unreadable` the lines it could not.
    `source_row` and `line` are SQL expressions over the relation.
    """

    relation: str
    source_row: str
    line: str
    rows: int
    unreadable: Sequence[UnreadableLine]
    failures: tuple[ValueFailure, ...]
    ignored: tuple[str, ...]


@contextmanager
def read_file(
    connection: Connection, file: SourceFile, source: SourceSpec, suffix: str
) -> Iterator[Incoming]:
    """Read a file into a temporary relation, which lasts as long as the `with` block.

    `suffix` makes the relation's name unique. Raises SourceError where the file is not as declared.
    A block that raises leaves its relation to the transaction's rollback.
    """
    if source.format == "parquet":
        yield _read_parquet(file, source, connection)
        return
    copies = Path(_setting(connection, "temp_directory"))
    with verified_csv(file, source, copies) as text:
        yield _read_csv(connection, file, source, text, suffix)
    connection.execute(f"DROP TABLE {quote(f'incoming_{suffix}')}")
    connection.unregister(f"stretches_{suffix}")
