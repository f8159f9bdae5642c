"""Group `publication`, once per home: what readers get, written, audited, put in force."""

import datetime as dt
from collections.abc import Mapping, Sequence

import dagster as dg

from segmentation_pipeline.assets.checks import (
    validated_home_tables,
    validated_segmentation_tables,
)
from segmentation_pipeline.assets.metadata import Metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.stage_log import note
from segmentation_pipeline.clustering.champion import champion_in_force
from segmentation_pipeline.clustering.model_events import decisions_digest, read_events
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import (
    ReadySegmentation,
    pseudonym_key,
    publish,
    validation_faults,
    work_tables,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection


def build_publication_assets(home: Home) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of the group `publication`."""
    shared = ["source_loads", "rejected_rows", "customers", "cleaning_report", "strategy_lists"]
    tables = [
        dg.AssetKey([name, table.name])
        for name in home.segmentations
        for table in work_tables(name)
    ]

    @dg.asset(deps=[*shared, *tables], kinds={"duckdb", "parquet"})
    def published(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """What BI reads: one audited version of every table, behind one stable name."""
        with workshop.step(context) as (connection, build):
            ready, faults = ready_segmentations(connection, workshop.home, build.as_of)
            for name, reasons in faults.items():
                context.log.warning(f"{name} keeps its previous rows: {'; '.join(reasons)}")
            if not ready:
                why = "; ".join(f"{name}: {', '.join(lacks)}" for name, lacks in faults.items())
                raise PublicationError(
                    f"nothing is published for {build.as_of}: {why}. Readers keep the version "
                    "before; mend the reason and run the night again"
                )
            validated = [
                *validated_home_tables(workshop.home),
                *(t for name in ready for t in validated_segmentation_tables(name)),
            ]
            done = publish(
                connection,
                workshop.home,
                build,
                ready,
                validated,
                pseudonym_key=pseudonym_key(workshop.home, workshop.environment),
                on_step=context.log.info,
            )
            if done.cut:
                context.log.info(f"no longer kept: {_counted(done.cut)}")
                note(workshop.home, build, "retention", cut=dict(done.cut))
            facts: Metadata = {
                "is_news": done.is_news,
                "version": done.manifest.version,
                "digest": done.digest,
                "stale_segmentations": list(done.stale),
                "rows": dict(done.manifest.rows),
                "rows_no_longer_kept": dict(done.cut),
                "path": dg.MetadataValue.path(str(workshop.home.published / "segments.duckdb")),
            }
            return dg.MaterializeResult(metadata=facts)

    return [published]


def _counted(cut: Mapping[str, int]) -> str:
    return ", ".join(f"{rows:,} rows of {name}" for name, rows in cut.items())


def ready_segmentations(
    connection: Connection, home: Home, as_of: dt.date
) -> tuple[dict[str, ReadySegmentation], dict[str, list[str]]]:
    """Find the segmentations that are complete and validated for a date, and what others lack."""
    ready, faults = {}, {}
    for name in home.segmentations:
        found = validation_faults(connection, validated_segmentation_tables(name), as_of)
        champion = champion_in_force(connection, home, name, as_of)
        if champion is None:
            found.append("there is no model")
        if found or champion is None:
            faults[name] = found
            continue
        ready[name] = ReadySegmentation(
            model_version=champion.record.model_version,
            model_digest=champion.record.model_digest,
            preparation_digest=champion.record.preparation_digest,
            algorithm=champion.record.algorithm,
            silhouette=champion.silhouette,
            decisions_digest=decisions_digest(read_events(connection, name), as_of),
        )
    return ready, faults
