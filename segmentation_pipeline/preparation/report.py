"""`core.cleaning_report`: what was done to how many rows, in counts only.

For each source, `loaded` is `kept` plus all the steps that take rows out (`ROW_STEPS`); for the
source `customers`, the joined table, it is `kept` plus `excluded` and `quarantined_row`. A check
that found nothing has its line too: zero says that it was made.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa

from segmentation_pipeline.ingestion.remarks import RemarkStep
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

CLEANING_REPORT = Table("core", "cleaning_report")
JOINED = "customers"
"""What the report calls the joined table, where it names a source."""

RowStep = Literal[
    "later_row",
    "undated_row",
    "quarantined_row",
    "exact_duplicate",
    "superseded_row",
    "duplicate_customer",
    "unmapped_visitor",
    "ambiguous_visitor",
    "former_customer",
    "orphan",
]
"""Steps that take whole rows out of a source, in the order they are taken: a row has one."""
ValueStep = Literal[
    "not_finite",
    "below_minimum",
    "above_maximum",
    "before_earliest",
    "after_as_of",
    "not_in_categories",
    "not_in_options",
    "unlisted_option",
    "alias",
]
"""Steps that change a value; all but `alias` and `unlisted_option` make it missing."""
TextStep = Literal["counted_text", "unused_text"]
"""What became of a text: see `texts`."""
Step = (
    RowStep
    | ValueStep
    | RemarkStep
    | TextStep
    | Literal["loaded", "unreadable", "conflict", "imputed", "excluded", "all_missing", "kept"]
)

_SCHEMA = pa.schema(
    [
        pa.field("source", pa.string()),
        pa.field("column_name", pa.string()),
        pa.field("step", pa.string()),
        pa.field("description", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("share", pa.float64()),
    ]
)


@dataclass(frozen=True)
class ReportLine:
    """One line: `rows` of the `looked_at` rows of a source were treated by `step`."""

    source: str
    column_name: str | None
    step: Step
    description: str
    rows: int
    looked_at: int

    @property
    def share(self) -> float:
        """The share of the rows looked at; 0 where there were none."""
        return self.rows / self.looked_at if self.looked_at else 0.0


def write_cleaning_report(connection: Connection, lines: Sequence[ReportLine], build: Build) -> int:
    """Replace `core.cleaning_report`; returns its rows."""
    rows = [{**asdict(line), "share": line.share} for line in lines]
    for row in rows:
        del row["looked_at"]
    return write_rows(connection, CLEANING_REPORT, _SCHEMA, rows, build)
