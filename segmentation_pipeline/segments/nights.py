"""The nights of a segmentation: which model each had, which came before, and what changed.

What belongs here: `core.segment_nights`, a row per segmentation and business date that was run.
Hysteresis and history go from night to night, whatever dates were left out between them.
"""

import datetime as dt
from dataclasses import dataclass

from segmentation_pipeline.errors import StaleUpstreamError
from segmentation_pipeline.kept import first_kept
from segmentation_pipeline.specification.retention import CUT_AT_SPELLS
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_table

_COUNTS = (
    "customers",
    "entered_count",
    "left_count",
    "moved_count",
    "model_count",
    "erased_count",
    "held_count",
)
_NIGHTS_SQL = f"""
CREATE TABLE IF NOT EXISTS core.segment_nights (
    segmentation VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    model_version INTEGER NOT NULL,
    {", ".join(f"{name} BIGINT NOT NULL" for name in _COUNTS)},
    PRIMARY KEY (segmentation, as_of)
)
"""


@dataclass(frozen=True)
class Night:
    """A business date that is run, and the version of the model that is in force."""

    as_of: dt.date
    model_version: int


@dataclass(frozen=True)
class NightChanges:
    """How many customers a night counts, and how many of them changed segment.

    Since the night before, `entered_count` came in and `left_count` went; of those who were there
    on both nights, `moved_count` are in another segment for what they do, `model_count` because the
    model is another. `erased_count` were erased on request. `held_count` stay in a segment that is
    not tonight's raw one.
    """

    customers: int
    entered_count: int
    left_count: int
    moved_count: int
    model_count: int
    erased_count: int
    held_count: int

    @property
    def churn_share(self) -> float | None:
        """Share of those there on both nights that changed segment; None where nobody was."""
        stayers = self.customers - self.entered_count
        return (self.moved_count + self.model_count) / stayers if stayers else None


def night_before(connection: Connection, segmentation: str, as_of: dt.date) -> Night | None:
    """The last night before a date; None where the date is the first."""
    return _night(connection, segmentation, as_of, "as_of < ? ORDER BY as_of DESC")


def night_until(connection: Connection, segmentation: str, as_of: dt.date) -> Night | None:
    """The last night until a date, that date's included where it was run before."""
    return _night(connection, segmentation, as_of, "as_of <= ? ORDER BY as_of DESC")


def night_after(connection: Connection, segmentation: str, as_of: dt.date) -> Night | None:
    """The first night after a date; None where the date is the newest."""
    return _night(connection, segmentation, as_of, "as_of > ? ORDER BY as_of")


def refuse_cut_night(connection: Connection, as_of: dt.date) -> None:
    """Refuse a night from before the first date on which the history still knows everybody.

    Run again, it would take whoever's spells are gone for somebody new. Raises StaleUpstreamError.
    """
    first = first_kept(connection, CUT_AT_SPELLS)
    if as_of < first:
        raise StaleUpstreamError(
            f"{CUT_AT_SPELLS}: spells that ended before {first} went by `retention.tables`, so "
            f"nobody knows who was where on the eve of {as_of}: run a date from {first} on"
        )


def is_promotion(earlier: Night | None, later: Night | None) -> bool:
    """Whether two nights that follow each other have different models."""
    if earlier is None or later is None:
        return False
    return earlier.model_version != later.model_version


def keep_night(
    connection: Connection, segmentation: str, night: Night, changes: NightChanges
) -> None:
    """Note that a date was run, again or for the first time, and what changed."""
    create_nights(connection)
    values = [segmentation, night.as_of, night.model_version]
    values += [getattr(changes, name) for name in _COUNTS]
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT OR REPLACE INTO core.segment_nights VALUES ({marks})", values)


def make_segment_nights(connection: Connection, segmentation: str, build: Build) -> int:
    """Write the night's `segment_nights`: one row, its changes and the share that they are."""
    create_nights(connection)
    query = (
        f"SELECT {', '.join(_COUNTS)},"
        " (moved_count + model_count) / nullif(customers - entered_count, 0) AS churn_share"
        f" FROM core.segment_nights WHERE segmentation = {literal(segmentation)}"
        f" AND as_of = {literal(build.as_of)}"
    )
    return write_table(connection, Table(segmentation, "segment_nights"), query, build)


def create_nights(connection: Connection) -> None:
    """Create the table of nights where there is none."""
    connection.execute(_NIGHTS_SQL)


def _night(
    connection: Connection, segmentation: str, as_of: dt.date, condition: str
) -> Night | None:
    create_nights(connection)
    found = connection.execute(
        "SELECT as_of, model_version FROM core.segment_nights"
        f" WHERE segmentation = ? AND {condition} LIMIT 1",
        [segmentation, as_of],
    ).fetchall()
    return Night(*found[0]) if found else None
