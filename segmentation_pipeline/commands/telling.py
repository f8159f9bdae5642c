"""Tells of a night that a command has run, where the home says whom."""

import datetime as dt
import os
from typing import TYPE_CHECKING

from segmentation_pipeline.commands.terminal import progress_console
from segmentation_pipeline.specification.home import Home

if TYPE_CHECKING:  # It imports Dagster, which takes a second.
    from segmentation_pipeline.assets.night import NightResult


def tell(home: Home, as_of: dt.date, result: "NightResult") -> None:
    """Send the alert of a night that is worth one; one that isn't delivered is said here."""
    from segmentation_pipeline.assets.alerting import alert_of_night, send

    is_published = result.is_news is not None
    alert = alert_of_night(
        home, as_of, result.run_id, result.failures, result.warnings, is_published=is_published
    )
    for fault in send(home, alert, os.environ) if alert else []:
        progress_console.print(fault, style="red")
