"""The model that the published segments are of, as it can be read beside a nightly run.

The manifest of the version in force names each segmentation's model and its digest, model folders
are never written a second time, and what segments are called is published. So nothing here opens
the warehouse, which a running night keeps to itself.
"""

import datetime as dt
import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmentation_pipeline.clustering.model import SegmentModel, load_model
from segmentation_pipeline.clustering.registry import model_folder
from segmentation_pipeline.clustering.typed.model import TypingModel, typing_of
from segmentation_pipeline.errors import PublicationError, SpecificationError
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.publication.building import parquet_file
from segmentation_pipeline.publication.versions import current_version, version_folder
from segmentation_pipeline.segments.outside import outside_labels
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import literal, open_in_memory


@dataclass(frozen=True)
class PublishedModel:
    """A segmentation as readers find it, and what puts customers into its segments.

    `segment_ids` are in the order of the model's labels; `labels` say what ids are called, those of
    rows that are no segment among them. `means` are by segment id and feature, in its unit;
    `shares` by segment id, feature and category: what the published profiles tell, where nothing is
    withheld.
    """

    name: str
    spec: SegmentationSpec
    customers: CustomersSpec
    as_of: dt.date
    model: SegmentModel
    preparation: Preparation
    segment_ids: tuple[str, ...]
    labels: Mapping[str, str]
    means: Mapping[tuple[str, str], float]
    shares: Mapping[tuple[str, str, str], float]

    @property
    def typing(self) -> TypingModel | None:
        """What types customers who lack a source; None where nobody is typed, or it was refused."""
        typed = typing_of(self.model)
        return None if typed is None or self.spec.typing is None else typed.model


def load_published_model(home: Home, segmentation: str) -> PublishedModel:
    """Load the model of the version in force; takes no lock.

    Raises SpecificationError where there is no such segmentation, or its YAML has changed so that
    the model no longer belongs to it; PublicationError where it has not been published by a night
    of this release; ClusteringError where the model's files are not those that were registered.
    """
    if segmentation not in home.segmentations:
        raise SpecificationError(
            f"{home.path}: no segmentation `{segmentation}`; "
            f"{nearest(segmentation, home.segmentations)}"
        )
    manifest = current_version(home.published)
    if manifest is None or segmentation not in manifest.segmentations:
        raise PublicationError(
            f"{home.published}: {segmentation} has not been published yet: `segmentation run` first"
        )
    spec, origin = home.segmentations[segmentation], manifest.segmentations[segmentation].origin
    if origin.fitting_digest is None:
        raise PublicationError(
            f"{home.published}: an earlier release published {segmentation}: `segmentation run` "
            "once with this one"
        )
    if origin.fitting_digest != fitting_digest(spec):
        raise SpecificationError(
            f"{home.path / 'segmentations' / segmentation}.yaml: its features or its clustering "
            f"have changed since the night of {origin.as_of}, whose segments are published: run a "
            "night with it first, or take the change back"
        )
    folder = model_folder(home.models, segmentation, origin.model_version)
    model = load_model(folder, origin.model_digest)
    # Not through the link: a night that publishes meanwhile would change what it leads to.
    version = version_folder(home.published, manifest.version)
    ids, labels, means, shares = _read_segments(version, segmentation)
    return PublishedModel(
        name=segmentation,
        spec=spec,
        customers=home.customers,
        as_of=origin.as_of,
        model=model,
        preparation=Preparation.from_json(str(model.parameters["preparation"])),
        segment_ids=ids,
        labels={**outside_labels(segmentation), **labels},
        means=means,
        shares=shares,
    )


def _read_segments(
    version: Path, segmentation: str
) -> tuple[
    tuple[str, ...],
    dict[str, str],
    dict[tuple[str, str], float],
    dict[tuple[str, str, str], float],
]:
    """Read what is published of segments, as Parquet: whoever asks may hold the DuckDB file."""

    def rows(columns: str, table: str, condition: str) -> list[tuple[Any, ...]]:
        path = literal(glob.escape(str(parquet_file(version, table))))
        return connection.execute(
            f"SELECT {columns} FROM read_parquet({path}, hive_partitioning = false)"
            f" WHERE segmentation = ? AND {condition}",
            [segmentation],
        ).fetchall()

    with open_in_memory(memory_limit="256MB", threads=1) as connection:
        segments = rows("segment_id, label, number_in_model", "segments", "true")
        means = rows("segment_id, feature, mean", "segment_profiles", "mean IS NOT NULL")
        shares = rows(
            "segment_id, feature, category, share", "segment_category_shares", "share IS NOT NULL"
        )
    numbers = {number: segment_id for segment_id, _, number in segments if number is not None}
    return (
        tuple(numbers[number] for number in sorted(numbers)),
        {segment_id: label for segment_id, label, _ in segments},
        {(segment_id, feature): mean for segment_id, feature, mean in means},
        {(segment_id, feature, category): share for segment_id, feature, category, share in shares},
    )
