"""What became of each model, when, by whose decision and why: an event for each change of status.

What belongs here: `core.model_events`, and what follows from it: which version is in force on a
date, and what each one is. Events are added and never changed, but for one mark: a night that is
run again and decides otherwise withdraws what it had decided. The models themselves belong to
`registry`; whether one deserves its status is decided elsewhere.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    transaction,
    write_table,
)

SYSTEM = "system"
"""Who decided, where it was no person but a stated rule."""

NewStatus = Literal["challenger", "champion", "rejected"]
Status = Literal["challenger", "champion", "retired", "rejected", "withdrawn"]
"""A champion is retired by the next one; a challenger is withdrawn by its own date, run again."""

EVENTS_SQL = """
CREATE TABLE IF NOT EXISTS core.model_events (
    segmentation VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    model_version INTEGER NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('challenger', 'champion', 'rejected')),
    as_of DATE NOT NULL,
    decided_on DATE NOT NULL,
    who VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    is_withdrawn BOOLEAN NOT NULL,
    PRIMARY KEY (segmentation, number)
)
"""
_COLUMNS = "number, model_version, status, as_of, decided_on, who, reason, run_id"


@dataclass(frozen=True)
class ModelEvent:
    """A change of status.

    It holds from the business date `as_of` on, and was decided on the night of `decided_on`, or
    after it by a person. `who` is `SYSTEM` or a person's name. A model is retired by the event that
    makes another one the champion.
    """

    number: int
    model_version: int
    status: NewStatus
    as_of: dt.date
    decided_on: dt.date
    who: str
    reason: str
    run_id: str


def add_event(
    connection: Connection,
    segmentation: str,
    model_version: int,
    status: NewStatus,
    *,
    as_of: dt.date,
    build: Build,
    who: str,
    reason: str,
) -> ModelEvent:
    """Record that a model has a status from a date on, as decided on the build's night."""
    (last,) = connection.execute(
        "SELECT coalesce(max(number), 0) FROM core.model_events WHERE segmentation = ?",
        [segmentation],
    ).fetchall()[0]
    event = ModelEvent(
        int(last) + 1, model_version, status, as_of, build.as_of, who, reason, build.run_id
    )
    connection.execute(
        f"INSERT INTO core.model_events (segmentation, {_COLUMNS}, is_withdrawn)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, FALSE)",
        [segmentation, *vars(event).values()],
    )
    return event


@dataclass(frozen=True)
class Wanted:
    """A change of status that a night decides by rule: from which date, and why."""

    model_version: int
    status: NewStatus
    as_of: dt.date
    reason: str


def settle(
    connection: Connection, segmentation: str, wanted: Sequence[Wanted], build: Build
) -> None:
    """Make the events that the build's night decides by rule exactly these, in one transaction.

    What an earlier run of the date decided alike stays as it was recorded; what it decided and this
    one doesn't is withdrawn. People's decisions, and models in force at once, are left alone.
    """
    events = read_events(connection, segmentation)
    decided = [one for one in events if _is_by_rule(one, build.as_of)]
    keys = {(one.model_version, one.status, one.as_of) for one in wanted}
    with transaction(connection):
        for event in decided:
            if (event.model_version, event.status, event.as_of) not in keys:
                connection.execute(
                    "UPDATE core.model_events SET is_withdrawn = TRUE"
                    " WHERE segmentation = ? AND number = ?",
                    [segmentation, event.number],
                )
        known = {(one.model_version, one.status, one.as_of) for one in decided}
        for one in wanted:
            if (one.model_version, one.status, one.as_of) not in known:
                add_event(
                    connection,
                    segmentation,
                    one.model_version,
                    one.status,
                    as_of=one.as_of,
                    build=build,
                    who=SYSTEM,
                    reason=one.reason,
                )


def events_before(events: Iterable[ModelEvent], night: dt.date) -> list[ModelEvent]:
    """Leave out what a night itself decided by rule: a date run again decides it anew."""
    return [event for event in events if not _is_by_rule(event, night)]


def found_on(events: Iterable[ModelEvent], night: dt.date) -> int | None:
    """Tell the version that a night finds in force, whatever it has fitted at once since."""
    found = (one for one in events if not (one.decided_on == night and _is_fitted_at_once(one)))
    return champion_on(found, night)


def _is_by_rule(event: ModelEvent, night: dt.date) -> bool:
    """Whether a night decided it by rule; what is in force at once was fitted for want of one."""
    is_of_night = event.who == SYSTEM and event.decided_on == night
    return is_of_night and not _is_fitted_at_once(event)


def _is_fitted_at_once(event: ModelEvent) -> bool:
    is_at_once = event.status == "champion" and event.as_of == event.decided_on
    return is_at_once and event.who == SYSTEM


def read_events(connection: Connection, segmentation: str) -> list[ModelEvent]:
    """Read what holds of a segmentation's models, in the order in which it came into force."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM core.model_events WHERE segmentation = ? AND NOT is_withdrawn"
        " ORDER BY as_of, number",
        [segmentation],
    ).fetchall()
    return [ModelEvent(*row) for row in rows]


def statuses_on(events: Iterable[ModelEvent], date: dt.date | None = None) -> dict[int, Status]:
    """Version -> what it is on a date, or after all events; only versions that are known by then.

    At most one is the champion: the last one that was made so for the date or an earlier one.
    `events` are in their order.
    """
    found: dict[int, Status] = {}
    champion: int | None = None
    for event in events:
        if date is not None and event.as_of > date:
            break
        if event.status == "champion":
            if champion is not None:
                found[champion] = "retired"
            champion = event.model_version
        found[event.model_version] = event.status
    return found


def champion_event(events: Iterable[ModelEvent], date: dt.date) -> ModelEvent | None:
    """Find the event that put the model of a date in force; None before the first."""
    found = [one for one in events if one.status == "champion" and one.as_of <= date]
    return found[-1] if found else None


def champion_on(events: Iterable[ModelEvent], date: dt.date) -> int | None:
    """Tell the version in force on a date; None before the first."""
    event = champion_event(events, date)
    return None if event is None else event.model_version


def challengers_on(events: Sequence[ModelEvent], date: dt.date) -> list[int]:
    """List the versions that challenge on a date, the newest last."""
    statuses = statuses_on(events, date).items()
    return sorted(version for version, status in statuses if status == "challenger")


def decisions_digest(events: Iterable[ModelEvent], until: dt.date) -> str:
    """Digest what was decided up to a night, by whom and why: a night knows no more."""
    known = [
        (one.model_version, one.status, str(one.as_of), one.who, one.reason)
        for one in events
        if one.decided_on <= until
    ]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()


def make_model_events(connection: Connection, segmentation: str, build: Build) -> int:
    """Write `model_events`: every change of status that holds, with who decided it and why."""
    query = f"""
        WITH champions AS (
            SELECT number, lag(model_version) OVER (ORDER BY as_of, number) AS before
            FROM core.model_events
            WHERE segmentation = {literal(segmentation)} AND NOT is_withdrawn
                AND status = 'champion'
        )
        SELECT
            number AS event, e.model_version AS version, status, e.as_of AS from_date,
            decided_on AS decided_date, who AS decided_by, reason,
            nullif(before, e.model_version) AS retired_version
        FROM core.model_events e LEFT JOIN champions USING (number)
        WHERE segmentation = {literal(segmentation)} AND NOT is_withdrawn
        ORDER BY from_date, event"""
    return write_table(connection, Table(segmentation, "model_events"), query, build)
