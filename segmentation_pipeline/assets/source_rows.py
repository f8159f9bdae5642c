"""Brings the rows of a source to what they are on a night: loaded, and cut to what is kept."""

from collections.abc import Mapping
from dataclasses import dataclass

from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.ingestion.expiry import expire_rows, require_rows
from segmentation_pipeline.ingestion.loading import LoadSummary
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection


@dataclass(frozen=True)
class NightRows:
    """What was loaded of a source, and how many rows are no longer kept."""

    loaded: LoadSummary
    expired: int


def bring_up_to_date(
    connection: Connection, home: Home, name: str, build: Build, environment: Mapping[str, str]
) -> NightRows:
    """Load a source's files, and let its rows go that are too old to be kept.

    Raises SourceError for a file that no night can load, and for a night that looks back at rows
    that went.
    """
    source = home.customers.sources[name]
    loaded = load_source(connection, home.path, name, source, build, environment)
    keep = home.customers.retention.sources.get(name)
    expired = expire_rows(connection, name, source, keep, build) if keep else 0
    require_rows(connection, name, build.as_of, _days_seen(home, name))
    return NightRows(loaded, expired)


def _days_seen(home: Home, source: str) -> int:
    """Count the days of a source's rows that the features of a night look at."""
    aggregates = (
        feature.aggregate
        for spec in home.segmentations.values()
        for feature in spec.features.values()
        if feature.aggregate is not None and feature.aggregate.source == source
    )
    return max((one.window_days or 1 for one in aggregates), default=1)
