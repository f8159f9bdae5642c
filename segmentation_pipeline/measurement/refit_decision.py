"""The decision of a night: to keep its model, to fit another one, or to call a person.

What belongs here: the tables `refit_decision` and `core.refit_decisions`, and what they are made
from. What follows from which figure belongs to `refit_rules`; acting on it belongs to the model.
"""

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from segmentation_pipeline.clustering.model_events import challengers_on, read_events
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.measurement.drift import read_feature_figures, read_model_drift
from segmentation_pipeline.measurement.refit_requests import requests_until
from segmentation_pipeline.measurement.refit_rules import (
    ChurnNight,
    Evidence,
    Judgement,
    Verdict,
    judge,
    reasons,
    usual_churn,
    warned_share,
)
from segmentation_pipeline.segments.nights import create_nights
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.validation.results import VALIDATION_RESULTS
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    has_table,
    require_builds,
    write_rows,
)

_ONE_DAY = dt.timedelta(days=1)
_DECISIONS_SQL = """
CREATE TABLE IF NOT EXISTS core.refit_decisions (
    segmentation VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    decision VARCHAR NOT NULL,
    causes VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, as_of)
)
"""
_SCHEMA = pa.schema(
    {
        "decision": pa.string(),
        "reasons": pa.string(),
        "causes": pa.string(),
        "judged_model_version": pa.int32(),
        "worst_feature": pa.string(),
        "worst_psi": pa.float64(),
        "warned_share": pa.float64(),
        "median_distance_ratio": pa.float64(),
        "churn_share": pa.float64(),
        "churn_median": pa.float64(),
        "age_days": pa.int32(),
    }
)


@dataclass(frozen=True)
class Decision:
    """What a night decided about its model, why, and which model it looked at.

    `causes` are for machines (`specification`, `asked:3`, `psi:<feature>`, `warned_share`,
    `distance`, `churn`, `age`; of an alert `missing:<feature>`, `new_categories:<feature>`,
    `stale:<source>`), `reason` says the same in words, most pressing first. `model_version` is what
    the night found in force; None on a first one.
    """

    as_of: dt.date
    decision: Verdict
    causes: tuple[str, ...]
    reason: str
    model_version: int | None


def decided(connection: Connection, name: str, as_of: dt.date) -> Decision:
    """Read what a night decided; it is the same however often its date is run.

    Raises StaleUpstreamError where `refit_decision` was made for another date, or never.
    """
    table = Table(name, "refit_decision")
    require_builds(connection, [table], as_of)
    decision, causes, told, version = connection.execute(
        f"SELECT decision, causes, reasons, judged_model_version FROM {table.sql}"
    ).fetchall()[0]
    return Decision(as_of, decision, tuple(json.loads(causes)), told, version)


def make_refit_decision(connection: Connection, home: Home, name: str, build: Build) -> Decision:
    """Write the night's `refit_decision`, one row, from its `feature_drift` and the nights before.

    Nothing of the night itself but that table and the checks of its sources is looked at, so that
    a date that is run again decides as it did, unless somebody has asked for a refit since.
    """
    spec = home.segmentations[name]
    connection.execute(_DECISIONS_SQL)
    evidence = gather_evidence(connection, name, spec, build.as_of)
    found = judge(evidence, spec.refit, build.as_of)
    row = _row(evidence, found, spec, build.as_of)
    connection.execute(
        "INSERT OR REPLACE INTO core.refit_decisions VALUES (?, ?, ?, ?)",
        [name, build.as_of, row["decision"], row["causes"]],
    )
    write_rows(connection, Table(name, "refit_decision"), _SCHEMA, [row], build)
    return decided(connection, name, build.as_of)


def gather_evidence(
    connection: Connection, name: str, spec: SegmentationSpec, as_of: dt.date
) -> Evidence:
    """Gather what a night is judged by."""
    model = read_model_drift(connection, name)
    if model is None:
        return Evidence(None)
    acted_upon = _refits_before(connection, name, as_of)
    asked = {cause for _, causes in acted_upon for cause in causes}
    return Evidence(
        model.model_version,
        fitted=model.fitted,
        has_reference=model.has_reference,
        is_specification_changed=model.is_specification_changed,
        features=read_feature_figures(connection, name),
        median_distance_ratio=model.median_distance_ratio,
        churn=_churn_nights(connection, name, spec, model.model_version, as_of),
        requests=[
            (number, reason)
            for number, reason in requests_until(connection, name, as_of)
            if f"asked:{number}" not in asked
        ],
        stale_sources=_stale_sources(connection, spec, as_of),
        last_refit=max((date for date, _ in acted_upon), default=None),
        is_on_trial=_is_on_trial(connection, name, spec, as_of),
    )


def _row(
    evidence: Evidence, found: Judgement, spec: SegmentationSpec, as_of: dt.date
) -> dict[str, Any]:
    indices = [(one.psi, one.feature) for one in evidence.features if one.psi is not None]
    worst = max(indices, key=lambda one: one[0], default=(None, None))
    return {
        "decision": found.verdict,
        "reasons": reasons(found, evidence, spec.refit),
        "causes": json.dumps(found.causes),
        "judged_model_version": evidence.model_version,
        "worst_feature": worst[1],
        "worst_psi": worst[0],
        "warned_share": warned_share(evidence.features, spec.refit),
        "median_distance_ratio": evidence.median_distance_ratio,
        "churn_share": evidence.churn[0].share if evidence.churn else None,
        "churn_median": usual_churn(evidence.churn, spec.refit),
        "age_days": None if evidence.fitted is None else (as_of - evidence.fitted).days,
    }


def _refits_before(
    connection: Connection, name: str, as_of: dt.date
) -> Sequence[tuple[dt.date, list[str]]]:
    """List the (date, causes) of the refits that earlier nights decided and went through with.

    A night that gave its customers no segments may have died before it fitted anything.
    """
    create_nights(connection)
    found = connection.execute(
        "SELECT as_of, causes FROM core.refit_decisions"
        " SEMI JOIN core.segment_nights USING (segmentation, as_of)"
        " WHERE segmentation = ? AND as_of < ? AND decision = 'refit' ORDER BY as_of",
        [name, as_of],
    ).fetchall()
    return [(date, json.loads(causes)) for date, causes in found]


def _is_on_trial(connection: Connection, name: str, spec: SegmentationSpec, as_of: dt.date) -> bool:
    """Whether a challenger of an earlier night still has nights of its shadow before it.

    One that has had them, and waits for a person, keeps nobody from fitting another one.
    """
    events = read_events(connection, name)
    on_trial = set(challengers_on(events, as_of - _ONE_DAY))
    began = [event.as_of for event in events if event.model_version in on_trial]
    if not began:
        return False
    (nights,) = connection.execute(
        "SELECT count(*) FROM core.segment_nights"
        " WHERE segmentation = ? AND as_of >= ? AND as_of < ?",
        [name, max(began), as_of],
    ).fetchall()[0]
    return int(nights) < spec.refit.shadow_nights


def _churn_nights(
    connection: Connection, name: str, spec: SegmentationSpec, model_version: int, as_of: dt.date
) -> list[ChurnNight]:
    """Read how many moved on the model's nights, newest first, but not on its first one.

    On that one customers move for the model's sake.
    """
    create_nights(connection)
    found = connection.execute(
        """
        WITH nights AS (
            SELECT *, lag(model_version) OVER (ORDER BY as_of) AS version_before
            FROM core.segment_nights WHERE segmentation = ? AND as_of < ?
        )
        SELECT as_of, moved_count / (customers - entered_count)
        FROM nights
        WHERE model_version = ? AND version_before = model_version AND customers > entered_count
        ORDER BY as_of DESC LIMIT ?
        """,
        [name, as_of, model_version, 1 + spec.refit.churn_nights],
    ).fetchall()
    return [ChurnNight(*row) for row in found]


def _stale_sources(
    connection: Connection, spec: SegmentationSpec, as_of: dt.date
) -> list[tuple[str, str]]:
    """List the (source, what its check says) of streams that the features sum up, and are stale."""
    streams = sorted(
        {one.aggregate.source for one in spec.features.values() if one.aggregate is not None}
    )
    if not has_table(connection, VALIDATION_RESULTS):
        return []
    tables = {str(raw_table(source)): source for source in streams}
    found = connection.execute(
        f"SELECT DISTINCT table_name, message FROM {VALIDATION_RESULTS.sql}"
        " WHERE as_of = ? AND kind = 'freshness' AND NOT success ORDER BY ALL",
        [as_of],
    ).fetchall()
    return [(tables[table], message) for table, message in found if table in tables]
