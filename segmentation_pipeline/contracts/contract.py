"""What a contract is, and the columns that tables share."""

from dataclasses import dataclass

ADDED_BY_PUBLICATION = ("segmentation", "as_of", "run_id", "model_version", "is_stale")
"""Columns that a work table lacks, and that publication adds."""


@dataclass(frozen=True)
class ContractColumn:
    """A column as readers find it; `type` is DuckDB's, as DESCRIBE writes it.

    A volatile column may differ between two runs of the same inputs (run ids, seconds).
    """

    name: str
    type: str
    description: str
    unit: str | None = None
    is_nullable: bool = True
    is_volatile: bool = False


@dataclass(frozen=True)
class Contract:
    """A published table: what a row is, and what identifies it.

    A dated table keeps the rows of every date. A cumulative one tells of all dates at once, so that
    a night of any date replaces it as a whole. Any other holds what is current.
    """

    name: str
    description: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[ContractColumn, ...]
    is_dated: bool = False
    is_cumulative: bool = False

    @property
    def has_segmentation(self) -> bool:
        """Whether it is a union over the segmentations; else it is about the whole home."""
        return any(column.name == "segmentation" for column in self.columns)

    @property
    def work_columns(self) -> tuple[ContractColumn, ...]:
        """The columns that a segmentation's work table of this name must have."""
        return tuple(c for c in self.columns if c.name not in ADDED_BY_PUBLICATION)

    @property
    def work_key(self) -> tuple[str, ...]:
        """The key within one segmentation's work table."""
        return tuple(name for name in self.key if name not in ADDED_BY_PUBLICATION)


def required(
    name: str, type_: str, description: str, unit: str | None = None, *, is_volatile: bool = False
) -> ContractColumn:
    """Make a column that every row has."""
    return ContractColumn(name, type_, description, unit, False, is_volatile)


SEGMENTATION = required("segmentation", "VARCHAR", "Name of the segmentation (its file's name).")
SEGMENT_ID = required("segment_id", "VARCHAR", "Segment, such as engagement-1; never reused.")
CUSTOMERS = required("customers", "BIGINT", "Number of customers.", "customers")
AS_OF = required("as_of", "DATE", "Business date that the row is for.")
RUN_ID = required("run_id", "VARCHAR", "Run that made the row.", is_volatile=True)
MODEL = required("model_version", "INTEGER", "Version of the segmentation's model.")
PROVENANCE = (AS_OF, RUN_ID, MODEL)
FEATURE = required("feature", "VARCHAR", "Name of the feature in the segmentation's file.")
CRITERION = ContractColumn(
    "criterion", "VARCHAR", "demographics, behaviour, needs or preferences; none of a profile's."
)
USE = required("use", "VARCHAR", "clustering: it makes the segments; profile: it describes them.")
IS_SUPPRESSED = required(
    "is_suppressed",
    "BOOLEAN",
    "Whether figures of the row are withheld, as too few customers could be told from them.",
)
