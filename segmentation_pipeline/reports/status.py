"""How a home stands, from what is published and from the log of the last night's steps."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.publication import current_version, read_published
from segmentation_pipeline.publication.versions import version_folder
from segmentation_pipeline.specification.home import Home

_SEGMENTATIONS = """
SELECT segmentation, r.as_of, r.customers, r.segments, r.model_version, v.verdict,
    d.decision, d.reasons, c.sentence
FROM segmentation_runs r
JOIN (SELECT segmentation, max(as_of) AS as_of FROM segmentation_runs GROUP BY ALL)
    USING (segmentation, as_of)
LEFT JOIN structure_verdict v USING (segmentation)
LEFT JOIN refit_decision d USING (segmentation, as_of)
LEFT JOIN (
    SELECT segmentation, as_of, last(sentence ORDER BY night) AS sentence
    FROM challenger_nights GROUP BY ALL
) c USING (segmentation, as_of)
ORDER BY segmentation
"""
_WARNINGS = """
SELECT table_name || ': ' || expectation || ': ' || message FROM validation_results
WHERE NOT success AND outcome IS DISTINCT FROM 'not_compared'
    AND as_of = (SELECT max(as_of) FROM validation_results)
ORDER BY ALL
"""


@dataclass(frozen=True)
class SegmentationStatus:
    """A segmentation as readers find it; `challenger` says where one stands, if there is one."""

    name: str
    as_of: dt.date
    customers: int
    segments: int
    model_version: int
    verdict: str | None
    decision: str | None
    reasons: str | None
    challenger: str | None


@dataclass(frozen=True)
class LastRun:
    """The steps that the newest log tells of: the last run's date, seconds, and what failed."""

    as_of: dt.date
    run_id: str
    steps: int
    seconds: float
    peak_mb: int
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Status:
    """How a home stands; `faults` are what somebody should look after, none when all is well."""

    version: str | None
    published_at: dt.datetime | None
    segmentations: Sequence[SegmentationStatus]
    last_run: LastRun | None
    warnings: Sequence[str]
    faults: Sequence[str]


def read_status(home: Home, now: dt.datetime) -> Status:
    """Look at a home; needs no lock, and opens neither the warehouse nor Dagster's storage.

    `now` says what is overdue. Raises PublicationError where what is published can't be read.
    """
    last_run = _last_run(home)
    faults = []
    if last_run is not None and last_run.failed:
        faults.append(f"the last run, for {last_run.as_of}, failed at {', '.join(last_run.failed)}")
    manifest = current_version(home.published)
    if manifest is None:
        return Status(None, None, (), last_run, (), [*faults, "nothing has been published yet"])
    changed = version_folder(home.published, manifest.version).joinpath("manifest.json").stat()
    published_at = dt.datetime.fromtimestamp(changed.st_mtime, dt.UTC)
    hours = (now - published_at).total_seconds() / 3600
    if hours > home.customers.nights.overdue_after_hours and not _was_quiet(last_run, now, home):
        faults.append(f"nothing was published for {hours:,.0f} hours")
    segmentations = [
        SegmentationStatus(*row) for row in read_published(home.published, _SEGMENTATIONS)
    ]
    faults += [
        f"{one.name} is stale: its rows are of {one.as_of}"
        for one in segmentations
        if one.as_of < manifest.as_of and one.name in home.segmentations
    ]
    faults += [f"{one.name}: {one.reasons}" for one in segmentations if one.decision == "alert"]
    warnings = [str(row[0]) for row in read_published(home.published, _WARNINGS)]
    return Status(manifest.version, published_at, segmentations, last_run, warnings, faults)


def _was_quiet(last_run: LastRun | None, now: dt.datetime, home: Home) -> bool:
    """Whether a night ran in time and had no news to publish."""
    if last_run is None or last_run.failed:
        return False
    changed = (home.logs / f"{last_run.as_of}.jsonl").stat().st_mtime
    hours = (now.timestamp() - changed) / 3600
    return hours <= home.customers.nights.overdue_after_hours


def _last_run(home: Home) -> LastRun | None:
    logs = sorted(home.logs.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    if not logs:
        return None
    lines = [json.loads(line) for line in logs[-1].read_text(encoding="utf-8").splitlines()]
    run_id = lines[-1]["run_id"]
    steps: list[Mapping[str, Any]] = [line for line in lines if line["run_id"] == run_id]
    return LastRun(
        as_of=dt.date.fromisoformat(steps[-1]["as_of"]),
        run_id=run_id,
        steps=len(steps),
        seconds=sum(step["seconds"] for step in steps),
        peak_mb=max(step["peak_mb"] for step in steps),
        failed=tuple(step["stage"] for step in steps if step["outcome"] == "failed"),
    )
