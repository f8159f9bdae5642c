"""Customers of a file or a frame -> their segments, on a warehouse of their own.

The warehouse is a temporary folder: what does not fit in memory spills there, the home's own is
neither opened nor locked, and nothing of what is scored stays.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import PipelineError, SourceError
from segmentation_pipeline.scoring.columns import refuse_ids
from segmentation_pipeline.scoring.customers import INPUT_ROWS, KEY_COLUMN, read_customers
from segmentation_pipeline.scoring.engineering import engineer, types_of_features
from segmentation_pipeline.scoring.looking import ScoreFormat, format_of
from segmentation_pipeline.scoring.published_model import PublishedModel, load_published_model
from segmentation_pipeline.scoring.scores import SCORES_SCHEMA, score_batches
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    DatabaseError,
    Table,
    literal,
    open_warehouse,
    quote,
    write_batches,
)

if TYPE_CHECKING:
    import pandas as pd

_SCORES = Table("core", "scores")
_COPY_OPTIONS = {
    "csv": "FORMAT csv, HEADER true",
    "ndjson": "FORMAT json",
    "parquet": "FORMAT parquet, COMPRESSION zstd",
}
# What a spreadsheet would take for a formula.
_FORMULA = r"^[=+\-@\t\r]"
_APOSTROPHE = "'"


@dataclass(frozen=True)
class Scored:
    """What was done: how many customers take part, and what to know about it, in counts."""

    customers: int
    taking_part: int
    notes: tuple[str, ...]


def score_file(
    found: PublishedModel,
    path: Path,
    output: Path,
    *,
    input_format: ScoreFormat | None = None,
    output_format: ScoreFormat | None = None,
) -> Scored:
    """Score the customers of a file, and write a row for each, in the file's order.

    Formats are those of the files' endings, and those given where there is none. A file at
    `output` is replaced in one rename. Raises SourceError for an input that cannot be read, by line
    and column, and PipelineError where the output cannot be written.
    """
    written = format_of(output, output_format)
    with _scored(found, path, format_of(path, input_format)) as (connection, key, scored):
        query = _scores_sql(key, is_for_spreadsheets=written == "csv")
        partial = output.with_name(f".{output.name}.partial")
        try:
            connection.execute(
                f"COPY ({query}) TO {literal(str(partial))} ({_COPY_OPTIONS[written]})"
            )
            partial.replace(output)
        except (DatabaseError, OSError) as error:
            partial.unlink(missing_ok=True)
            raise PipelineError(
                f"{output}: it cannot be written ({type(error).__name__}): is its folder there, "
                "with room, and yours to write to?"
            ) from None
    return scored


def score_frame(home: Path, segmentation: str, frame: "pd.DataFrame") -> "pd.DataFrame":
    """Score the customers of a frame; returns a row for each, under the frame's index.

    `segmentation_pipeline.score` is this function, and describes it.
    """
    found = load_published_model(load_home(home), segmentation)
    if frame.empty:
        raise SourceError("the frame has no row: nobody is to be scored")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frame"
        try:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)
        except (pa.ArrowException, TypeError) as error:
            raise SourceError(
                f"the frame: a column holds values of several kinds ({type(error).__name__}): give "
                "each column one type"
            ) from None
        with _scored(found, path, "parquet") as (connection, key, _):
            scores: pd.DataFrame = connection.sql(_scores_sql(key)).to_arrow_table().to_pandas()
    scores.index = frame.index
    return scores


@contextmanager
def _scored(
    found: PublishedModel, path: Path, input_format: ScoreFormat
) -> Iterator[tuple[Connection, str | None, Scored]]:
    """Score a file in a warehouse that lives as long as the block: it, and the key's column."""
    refuse_ids(found)
    limits, build = found.customers.limits, Build(found.as_of, "score")
    threads = limits.threads or 2
    with (
        TemporaryDirectory() as folder,
        open_warehouse(
            Path(folder) / "scoring.duckdb", memory_limit=limits.memory, threads=threads
        ) as connection,
    ):
        types = types_of_features(connection, found, build)
        read = read_customers(connection, path.resolve(), input_format, found, types, build)
        engineered = engineer(connection, found, read.columns, build)
        with connection.cursor() as scoring:
            batches = score_batches(scoring, found, engineered, threads=threads)
            write_batches(connection, _SCORES, SCORES_SCHEMA, batches, build)
        notes = (*read.notes, *engineered.notes)
        yield connection, read.columns.key, Scored(read.customers, engineered.customers, notes)


def _scores_sql(key: str | None, *, is_for_spreadsheets: bool = False) -> str:
    """Write the SELECT of the scores in the order of the input, with its key where it has one.

    A spreadsheet would run a text that looks like a formula: an apostrophe goes before it.
    """
    keys = [] if key is None else [(f"input.{quote(KEY_COLUMN)}", key, True)]
    columns = [
        (f"scores.{quote(field.name)}", field.name, field.type == pa.string())
        for field in SCORES_SCHEMA
        if field.name != "customer_id"
    ]
    selected = []
    for value, name, is_text in [*keys, *columns]:
        if is_text and is_for_spreadsheets:
            is_formula = f"regexp_matches({value}, {literal(_FORMULA)})"
            text = f"CASE WHEN {is_formula} THEN {literal(_APOSTROPHE)} || {value} ELSE {value} END"
        else:
            text = value
        selected.append(f"{text} AS {quote(name)}")
    return (
        f"SELECT {', '.join(selected)} FROM {INPUT_ROWS.sql} AS input"
        f" LEFT JOIN {_SCORES.sql} AS scores USING (customer_id) ORDER BY input.source_row"
    )
