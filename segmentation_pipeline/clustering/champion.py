"""The model in force, and whether a night has to fit a new one.

The model passes from night to night through the registry, not by an edge of the graph, so that
several assets ask here.
"""

import datetime as dt
from dataclasses import dataclass

from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.registry import (
    ModelRecord,
    champion,
    load_champion,
    version_record,
)
from segmentation_pipeline.errors import StaleUpstreamError
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import Connection


@dataclass(frozen=True)
class Champion:
    """The model in force on a date, and the preparation that its features come from."""

    record: ModelRecord
    model: SegmentModel

    @property
    def preparation(self) -> str:
        """The fitted preparation, as JSON."""
        return str(self.model.parameters["preparation"])

    @property
    def silhouette(self) -> float | None:
        """The silhouette when it was fitted; None for one segment."""
        found = self.model.parameters["silhouette"]
        return float(found) if isinstance(found, int | float) else None


def champion_in_force(
    connection: Connection, home: Home, segmentation: str, as_of: dt.date
) -> Champion | None:
    """Load the champion of a date; None where the night has to fit one.

    That is where there is none yet, or where what a model depends on has changed in the YAML.
    Raises ClusteringError where its files were altered.
    """
    record = champion(connection, segmentation, as_of)
    expected = fitting_digest(home.segmentations[segmentation])
    if record is None or record.specification_digest != expected:
        return None
    return Champion(record, load_champion(home.models, record))


def load_version(
    connection: Connection, home: Home, segmentation: str, model_version: int
) -> Champion:
    """Load a version that was in force on an earlier night, whatever the YAML says now.

    Raises ClusteringError where it is not in the registry, or its files were altered.
    """
    record = version_record(connection, segmentation, model_version)
    return Champion(record, load_champion(home.models, record))


def require_champion(
    connection: Connection, home: Home, segmentation: str, as_of: dt.date
) -> Champion:
    """Load the champion of a date, for a step that comes after the model."""
    found = champion_in_force(connection, home, segmentation, as_of)
    if found is None:
        raise StaleUpstreamError(
            f"{segmentation} has no model for {as_of}: materialise segment_model first"
        )
    return found
