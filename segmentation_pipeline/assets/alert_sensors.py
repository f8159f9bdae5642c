"""The sensors that tell of nights which Dagster started."""

import datetime as dt
import os
from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets import outcome
from segmentation_pipeline.assets.alerting import STARTED_BY, alert_of_night, send
from segmentation_pipeline.assets.resources import PARTITION_TAG
from segmentation_pipeline.specification.home import Home


def build_alert_sensors(home: Home) -> Sequence[dg.SensorDefinition]:
    """Make the two sensors of a home that says whom to tell; none where it doesn't."""
    if home.customers.alerts is None:
        return []

    @dg.run_failure_sensor(
        name="tell_of_failed_nights", default_status=dg.DefaultSensorStatus.RUNNING
    )
    def tell_of_failed_nights(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        """Sends an alert when a night has failed."""
        return _tell(context, home)

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="tell_of_warnings",
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def tell_of_warnings(context: dg.RunStatusSensorContext) -> dg.SkipReason:
        """Sends an alert when a night was published with warnings."""
        return _tell(context, home)

    return [tell_of_failed_nights, tell_of_warnings]


def _tell(context: dg.RunStatusSensorContext, home: Home) -> dg.SkipReason:
    run = context.dagster_run
    as_of = run.tags.get(PARTITION_TAG)
    if as_of is None or STARTED_BY in run.tags:
        return dg.SkipReason("the run is no night of Dagster's")
    entries = context.instance.all_logs(run.run_id)
    events = [entry.dagster_event for entry in entries if entry.dagster_event is not None]
    alert = alert_of_night(
        home,
        dt.date.fromisoformat(as_of),
        run.run_id,
        outcome.failures(events),
        outcome.warnings(events),
        is_published=outcome.published(events) is not None,
    )
    if alert is None:
        return dg.SkipReason("there is nothing to tell")
    faults = send(home, alert, os.environ)
    return dg.SkipReason("; ".join(faults) or f"told of {len(alert.messages)} messages")
