"""What was read of an experiment, and when: kept, since it is read once.

What belongs here: `core.strategy_readings`. A `plan` is read when the last customer has come, a
`look` each night where the experiment asks for it, the `final` reading at the horizon. The same
night again reads again; a later one finds what was read.
"""

import datetime as dt
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from segmentation_pipeline.measurement.effects import Effect
from segmentation_pipeline.measurement.experiments import RunningExperiment
from segmentation_pipeline.warehouse import Connection

ALL = "all"
"""What stands for all segments together, where a segment's id stands otherwise."""
Stage = Literal["plan", "look", "final"]

_READINGS_SQL = """
CREATE SCHEMA IF NOT EXISTS core;
CREATE TABLE IF NOT EXISTS core.strategy_readings (
    segmentation VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    segment_id VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    reading VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, strategy, segment_id, stage, as_of)
)
"""


@dataclass(frozen=True)
class Reading:
    """What was read on a date.

    `detectable` is the smallest detectable effect; of a look, the size of effect that the test for
    nightly looks thinks of. `p_value` is to be judged by, once it is corrected: of a look, and of
    an experiment that is looked at each night, that of the test for nightly looks.
    """

    as_of: dt.date
    detectable: float | None = None
    effect: Effect | None = None
    p_value: float | None = None
    corrected_p: float | None = None


def find_reading(
    connection: Connection,
    one: RunningExperiment,
    segment_id: str,
    stage: Stage,
    *,
    before: dt.date | None = None,
) -> Reading | None:
    """Find the newest reading of a stage, or the newest one `before` a date."""
    connection.execute(_READINGS_SQL)
    where = "" if before is None else " AND as_of < ?"
    found = connection.execute(
        "SELECT as_of, reading FROM core.strategy_readings"
        f" WHERE segmentation = ? AND strategy = ? AND segment_id = ? AND stage = ?{where}"
        " ORDER BY as_of DESC LIMIT 1",
        [one.segmentation, one.strategy, segment_id, stage, *([] if before is None else [before])],
    ).fetchall()
    if not found:
        return None
    as_of, text = found[0]
    figures: dict[str, Any] = json.loads(text)
    effect = figures.pop("effect")
    return Reading(as_of, effect=None if effect is None else Effect(**effect), **figures)


def keep_reading(
    connection: Connection, one: RunningExperiment, segment_id: str, stage: Stage, reading: Reading
) -> None:
    """Keep what was read on a date, in place of what that date read before."""
    connection.execute(_READINGS_SQL)
    figures = asdict(reading)
    as_of = figures.pop("as_of")
    connection.execute(
        "INSERT OR REPLACE INTO core.strategy_readings VALUES (?, ?, ?, ?, ?, ?)",
        [one.segmentation, one.strategy, segment_id, stage, as_of, json.dumps(figures)],
    )
