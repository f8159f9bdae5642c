"""What a fit leaves behind besides the model, kept for each version: candidates, centres, start.

A night shows those of the model in force on its date, which may be one that another night fitted:
a promoted challenger, an older version that was put back, the champion of a date run again.
"""

import json
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.clustering.tables import CANDIDATES_SCHEMA, CENTRES_SCHEMA
from segmentation_pipeline.warehouse import Build, Connection, Table, record_build, write_rows

Rows = list[dict[str, Any]]

_FITS_SQL = """
CREATE TABLE IF NOT EXISTS core.model_fits (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    candidates VARCHAR NOT NULL,
    centres VARCHAR NOT NULL,
    start VARCHAR,
    start_reason VARCHAR,
    against_model_version INTEGER,
    against_verdict VARCHAR,
    PRIMARY KEY (segmentation, model_version)
)
"""


@dataclass(frozen=True)
class Challenge:
    """What a challenger was fitted against, and how.

    `start` is warm or cold, `start_reason` says why; `against_verdict` is the verdict on the model
    in force on the very customers that the challenger was fitted on.
    """

    start: str
    start_reason: str
    against_model_version: int
    against_verdict: str


def keep_fit(
    connection: Connection,
    record: ModelRecord,
    candidates: Rows,
    centres: Rows,
    challenge: Challenge | None = None,
) -> None:
    """Keep what a version was chosen among, and its centres; the same version again replaces it."""
    create_fits(connection)
    connection.execute(
        "INSERT OR REPLACE INTO core.model_fits VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            record.segmentation,
            record.model_version,
            json.dumps(candidates),
            json.dumps(centres),
            *([None] * 4 if challenge is None else vars(challenge).values()),
        ],
    )


def write_fit(connection: Connection, record: ModelRecord, build: Build) -> None:
    """Write the night's `model_candidates` and `segment_model`: those of the model in force.

    Of a model of an earlier release nothing was kept: the tables stay as they are.
    """
    create_fits(connection)
    found = connection.execute(
        "SELECT candidates, centres FROM core.model_fits"
        " WHERE segmentation = ? AND model_version = ?",
        [record.segmentation, record.model_version],
    ).fetchall()
    tables = {"model_candidates": CANDIDATES_SCHEMA, "segment_model": CENTRES_SCHEMA}
    for number, (table_name, schema) in enumerate(tables.items()):
        table = Table(record.segmentation, table_name)
        if found:
            write_rows(connection, table, schema, json.loads(found[0][number]), build)
        else:
            record_build(connection, table, build)


def challenge_of(connection: Connection, segmentation: str, model_version: int) -> Challenge | None:
    """Read what a challenger was fitted against; None of a model that challenged nobody."""
    create_fits(connection)
    found = connection.execute(
        "SELECT start, start_reason, against_model_version, against_verdict FROM core.model_fits"
        " WHERE segmentation = ? AND model_version = ? AND start IS NOT NULL",
        [segmentation, model_version],
    ).fetchall()
    return Challenge(*found[0]) if found else None


def create_fits(connection: Connection) -> None:
    """Create the table of fits where there is none."""
    connection.execute(_FITS_SQL)
