"""`model_versions`: every model that there is, what became of it, and what is known of it."""

from typing import Any

import pyarrow as pa

from segmentation_pipeline.clustering.kept_fits import create_fits
from segmentation_pipeline.clustering.model_events import ModelEvent, read_events, statuses_on
from segmentation_pipeline.clustering.verdicts import create_verdicts
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_rows

_SCHEMA = pa.schema(
    {
        "version": pa.int32(),
        "status": pa.string(),
        "status_date": pa.date32(),
        "decided_by": pa.string(),
        "decided_reason": pa.string(),
        "first_date": pa.date32(),
        "fitted_date": pa.date32(),
        "algorithm": pa.string(),
        "segments": pa.int32(),
        "chosen_reason": pa.string(),
        "start": pa.string(),
        "start_reason": pa.string(),
        "against_version": pa.int32(),
        "against_verdict": pa.string(),
        "verdict": pa.string(),
        "lowest_jaccard": pa.float64(),
        "specification_digest": pa.string(),
        "preparation_digest": pa.string(),
        "model_digest": pa.string(),
        "library_version": pa.string(),
    }
)


def make_model_versions(connection: Connection, segmentation: str, build: Build) -> int:
    """Write `model_versions` of a segmentation; returns its rows."""
    create_fits(connection)
    create_verdicts(connection)
    events = read_events(connection, segmentation)
    statuses = statuses_on(events)
    query = (
        "SELECT m.model_version AS version, m.as_of AS fitted_date, algorithm, k AS segments,"
        " m.reason AS chosen_reason, start, start_reason,"
        " against_model_version AS against_version, against_verdict, verdict, lowest_jaccard,"
        " specification_digest, preparation_digest, model_digest,"
        " sklearn_version AS library_version"
        " FROM core.models m"
        " LEFT JOIN core.model_fits USING (segmentation, model_version)"
        " LEFT JOIN core.structure_verdicts USING (segmentation, model_version)"
        f" WHERE segmentation = {literal(segmentation)} ORDER BY version"
    )
    rows: list[dict[str, Any]] = connection.sql(query).to_arrow_table().to_pylist()
    for row in rows:
        own = [event for event in events if event.model_version == row["version"]]
        row |= _last_change(own, events, statuses.get(row["version"], "withdrawn"))
        row["first_date"] = min((e.as_of for e in own if e.status == "champion"), default=None)
    return write_rows(connection, Table(segmentation, "model_versions"), _SCHEMA, rows, build)


def _last_change(own: list[ModelEvent], events: list[ModelEvent], status: str) -> dict[str, Any]:
    """Say since when a model has its status, by whose decision and why."""
    if not own:
        reason = "the date that fitted it was run again, and fitted another one or none"
        return _change(status, None, None, reason)
    last = own[-1]
    if status == "retired":
        # It is retired by the first other champion after it.
        place = events.index(last)
        last = next(
            one
            for one in events[place + 1 :]
            if one.status == "champion" and one.model_version != last.model_version
        )
        reason = f"version {last.model_version} took its place: {last.reason}"
        return _change(status, last.as_of, last.who, reason)
    return _change(status, last.as_of, last.who, last.reason)


def _change(status: str, date: object, who: str | None, reason: str) -> dict[str, Any]:
    return {
        "status": status,
        "status_date": date,
        "decided_by": who,
        "decided_reason": reason,
    }
