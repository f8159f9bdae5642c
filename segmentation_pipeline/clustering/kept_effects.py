"""What is known of a model from customers alone, and stays as long as it: `core.model_effects`.

What its preparation did, and how much of the distance each feature carries, are asked of a sample
of customers. They are of the model: the first night that it is in force looks, and the nights that
keep it show what was found. Pictures of it are kept beside it.

What is found on a date holds for later ones only. A date run again, and any before it, looks again;
so does whoever comes into force again, and everybody after an erasure, since a picture may have
shown an erased customer. A release that finds another thing under an old name empties the table by
a migration.
"""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.clustering.model_events import champion_event, read_events
from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.warehouse import Build, Connection, Table, has_table

_EFFECTS = Table("core", "model_effects")
_EFFECTS_SQL = f"""
CREATE TABLE IF NOT EXISTS {_EFFECTS.sql} (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    effect VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    in_force_from DATE NOT NULL,
    examined_date DATE NOT NULL,
    found VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, model_version, effect)
)
"""

Found = dict[str, Any]
"""What was found, as JSON can hold it; numbers come back to the last bit."""


@dataclass(frozen=True)
class Effect:
    """What was found, and on the customers of which business date."""

    found: Found
    examined_date: dt.date


def effect_of(
    connection: Connection,
    record: ModelRecord,
    name: str,
    build: Build,
    find: Callable[[], Found],
) -> Effect:
    """Give what an earlier night found of the model in force; else `find` it tonight, and keep it.

    `name` says what is looked for, and is a segmentation's own.
    """
    connection.execute(_EFFECTS_SQL)
    event = champion_event(read_events(connection, record.segmentation), build.as_of)
    since = build.as_of if event is None else event.as_of
    kept = connection.execute(
        f"SELECT found, examined_date FROM {_EFFECTS.sql} WHERE segmentation = ?"
        " AND model_version = ? AND effect = ? AND model_digest = ? AND in_force_from = ?"
        " AND examined_date < ?",
        [record.segmentation, record.model_version, name, record.model_digest, since, build.as_of],
    ).fetchall()
    if kept:
        return Effect(json.loads(kept[0][0]), kept[0][1])
    found = find()
    connection.execute(
        f"INSERT OR REPLACE INTO {_EFFECTS.sql} VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            record.segmentation,
            record.model_version,
            name,
            record.model_digest,
            since,
            build.as_of,
            json.dumps(found),
        ],
    )
    return Effect(found, build.as_of)


def forget_effects(connection: Connection) -> None:
    """Forget what was found of every model: the next night looks again."""
    if has_table(connection, _EFFECTS):
        connection.execute(f"DELETE FROM {_EFFECTS.sql}")
