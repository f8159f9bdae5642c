"""When nights run: daily partitions as business dates, jobs, the schedule, and two sensors."""

import datetime as dt
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import dagster as dg

from segmentation_pipeline.assets.alert_sensors import build_alert_sensors
from segmentation_pipeline.assets.experiments import experiment_keys
from segmentation_pipeline.assets.resources import PARTITION_TAG
from segmentation_pipeline.ingestion import latest_date, source_files
from segmentation_pipeline.specification.home import Home

if TYPE_CHECKING:  # Dagster has no public name for what `define_asset_job` returns
    from dagster._core.definitions.unresolved_asset_job_definition import (
        UnresolvedAssetJobDefinition as AssetJob,
    )

NIGHTLY = "nightly"


def daily_partitions(home: Home) -> dg.DailyPartitionsDefinition:
    """Make one partition per business date, from the home's first night up to today."""
    nights = home.customers.nights
    return dg.DailyPartitionsDefinition(
        start_date=nights.first.isoformat(), timezone=nights.time_zone, end_offset=1
    )


@dataclass(frozen=True)
class Automation:
    """What starts runs of a home."""

    jobs: "Sequence[AssetJob]"
    schedules: Sequence[dg.ScheduleDefinition]
    sensors: Sequence[dg.SensorDefinition]


def build_automation(home: Home) -> Automation:
    """Make the nightly job and its schedule, a job per segmentation, and the sensors."""
    nightly = dg.define_asset_job(
        NIGHTLY,
        selection=dg.AssetSelection.all(),
        description=f"A night of {home.customers.name}: from the sources to what readers see.",
    )
    publish = dg.define_asset_job(
        "publish",
        selection=dg.AssetSelection.assets(
            "published", "segmentation_report", *experiment_keys(home)
        ),
        description="Publish the segmentations whose tables are complete for the date.",
    )
    refreshes = {
        name: dg.define_asset_job(
            f"refresh_{name}",
            selection=refresh_selection(home, name),
            description=f"The segmentation {name} alone; the others are copied forward.",
        )
        for name in home.segmentations
    }
    schedules = [_schedule("nightly_schedule", nightly, home.customers.nights.cron, home)]
    schedules += [
        _schedule(f"refresh_{name}_schedule", refreshes[name], spec.schedule, home)
        for name, spec in home.segmentations.items()
        if spec.schedule is not None
    ]
    return Automation(
        [nightly, publish, *refreshes.values()],
        schedules,
        [
            _new_files_sensor(home, nightly),
            _publish_the_rest_sensor(nightly, publish),
            *build_alert_sensors(home),
        ],
    )


def refresh_selection(home: Home, segmentation: str) -> dg.AssetSelection:
    """Select what one segmentation needs: its own assets, all before them, and publishing.

    What is made of all segmentations at once is made of those that are ready, and brings no others.
    """
    shared = dg.AssetSelection.assets(*experiment_keys(home))
    own = dg.AssetSelection.key_prefixes(segmentation) - shared
    audits = shared | dg.AssetSelection.assets(
        "source_loads", "rejected_rows", "published", "segmentation_report"
    )
    return own.upstream().required_multi_asset_neighbors() | audits


def _schedule(name: str, job: "AssetJob", cron: str, home: Home) -> dg.ScheduleDefinition:
    zone = home.customers.nights.time_zone

    def night(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        # The night after a date is for that date: a tick at 03:00 finds yesterday complete.
        tick = context.scheduled_execution_time.astimezone(ZoneInfo(zone))
        as_of = (tick - dt.timedelta(days=1)).date()
        if as_of < home.customers.nights.first:
            return dg.SkipReason(
                f"{as_of} is before the first night, {home.customers.nights.first}"
            )
        # The run key makes a duplicate tick a no-op.
        return dg.RunRequest(run_key=as_of.isoformat(), partition_key=as_of.isoformat())

    return dg.ScheduleDefinition(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=zone,
        execution_fn=night,
        description="Runs for yesterday's date in the home's time zone.",
    )


def _new_files_sensor(home: Home, nightly: "AssetJob") -> dg.SensorDefinition:
    """Ask for a night when source files changed, once they have stopped growing."""

    @dg.sensor(job=nightly, name="new_source_files", minimum_interval_seconds=60)
    def new_source_files(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Runs a night for the sources' latest date when files are new or changed.

        A file that is still being written changes between two looks: the run waits for two equal
        ones.
        """
        seen = _fingerprint(home)
        looked_at, _, done = (context.cursor or "|").partition("|")
        if seen == done:
            return dg.SkipReason("no new source files")
        if seen != looked_at:
            context.update_cursor(f"{seen}|{done}")
            return dg.SkipReason("source files changed: waiting until they stop growing")
        as_of = latest_date(home, environment=os.environ)
        if as_of is None:
            return dg.SkipReason("no source says its date: start the night by hand")
        request = dg.RunRequest(run_key=seen, partition_key=as_of.isoformat())
        return dg.SensorResult(run_requests=[request], cursor=f"{seen}|{seen}")

    return new_source_files


def _fingerprint(home: Home) -> str:
    """Digest of the source files' names, sizes and change times; reads no content."""
    found = hashlib.sha256()
    for name, source in home.customers.sources.items():
        for path in source_files(home.path, name, source):
            status = path.stat()
            found.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return found.hexdigest()


def _publish_the_rest_sensor(nightly: "AssetJob", publish: "AssetJob") -> dg.SensorDefinition:
    """Publish what a failed night completed; a segmentation that failed keeps its old rows."""

    @dg.run_failure_sensor(name="publish_the_rest", monitored_jobs=[nightly], request_job=publish)
    def publish_the_rest(
        context: dg.RunFailureSensorContext,
    ) -> dg.RunRequest | dg.SkipReason:
        """Publishes the segmentations that a failed night completed."""
        as_of = context.dagster_run.tags.get(PARTITION_TAG)
        if as_of is None:
            return dg.SkipReason("the failed run had no date")
        return dg.RunRequest(run_key=context.dagster_run.run_id, partition_key=as_of)

    return publish_the_rest
