"""The one file that assembles the Dagster graph of a home."""

import datetime as dt
import os
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from segmentation_pipeline.assets.belonging import build_belonging_assets
from segmentation_pipeline.assets.challenger import build_challenger_assets
from segmentation_pipeline.assets.checks import build_checks
from segmentation_pipeline.assets.clustering import build_clustering_assets
from segmentation_pipeline.assets.customers import build_customer_assets
from segmentation_pipeline.assets.drift import build_drift_assets
from segmentation_pipeline.assets.experiments import build_experiment_assets
from segmentation_pipeline.assets.features import build_feature_assets
from segmentation_pipeline.assets.kpis import build_kpi_assets
from segmentation_pipeline.assets.latent import build_latent_assets
from segmentation_pipeline.assets.personas import build_persona_assets
from segmentation_pipeline.assets.pictures import build_picture_assets
from segmentation_pipeline.assets.publication import build_publication_assets
from segmentation_pipeline.assets.report import build_report_assets
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.rules import build_rule_assets
from segmentation_pipeline.assets.schedules import build_automation, daily_partitions
from segmentation_pipeline.assets.segments import build_segment_assets
from segmentation_pipeline.assets.sources import build_source_assets
from segmentation_pipeline.assets.strategies import build_strategy_assets
from segmentation_pipeline.specification.home import Home, load_home

HOME_VARIABLE = "SEGMENTATION_HOME"
EXAMPLE_HOME = Path("data/hospital")


def build_definitions(
    home_path: Path,
    *,
    lock_timeout_seconds: float | None = None,
    approximate: bool = False,
    new_segment_ids: bool = False,
) -> dg.Definitions:
    """Make a home's assets, checks, jobs, schedules and sensors afresh.

    `lock_timeout_seconds` is how long a run waits for the one before it (default: as the home's
    `nights` say); `approximate` lets dates before the oldest CRM snapshot use the oldest one;
    `new_segment_ids` gives the segments of a new model ids of their own, whatever they continue.
    Raises SpecificationError where a file of the home is wrong.
    """
    home = load_home(home_path)
    partitions = daily_partitions(home)
    groups = {
        "sources": build_source_assets(home),
        "customers": build_customer_assets(home),
        "measurement": build_experiment_assets(home),
        "publication": [*build_publication_assets(home), *build_report_assets()],
    }
    for name in home.segmentations:
        groups[f"{name}_features"] = build_feature_assets(home, name)
        groups[f"{name}_clustering"] = [
            *build_drift_assets(home, name),
            *build_clustering_assets(name),
            *build_latent_assets(home, name),
            *build_challenger_assets(name),
        ]
        groups[f"{name}_segments"] = [
            *build_segment_assets(home, name),
            *build_belonging_assets(name),
            *build_persona_assets(home, name),
            *build_rule_assets(name),
            *build_strategy_assets(home, name),
            *build_picture_assets(home, name),
        ]
        groups[f"{name}_measurement"] = build_kpi_assets(home, name)
    automation = build_automation(home)
    return dg.Definitions(
        assets=[
            asset
            for group, assets in groups.items()
            for asset in _with_attributes(home, group, partitions, assets)
        ],
        asset_checks=build_checks(home),
        jobs=automation.jobs,
        schedules=automation.schedules,
        sensors=automation.sensors,
        resources={
            "workshop": Workshop(
                home_path=str(home.path),
                lock_timeout_seconds=lock_timeout_seconds,
                approximate=approximate,
                new_segment_ids=new_segment_ids,
            )
        },
        # One process per run: the lock and the connection are held by it from first to last step.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Define the home named by SEGMENTATION_HOME, or else the example."""
    return build_definitions(Path(os.environ.get(HOME_VARIABLE, EXAMPLE_HOME)))


def _with_attributes(
    home: Home,
    group: str,
    partitions: dg.PartitionsDefinition[str],
    assets: Sequence[dg.AssetsDefinition],
) -> list[dg.AssetsDefinition]:
    hours = home.customers.nights.overdue_after_hours
    overdue = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=hours))
    return list(
        dg.map_asset_specs(
            lambda spec: spec.replace_attributes(
                group_name=_group_of(spec.key, group),
                owners=[home.customers.owner],
                partitions_def=partitions,
                freshness_policy=overdue if _can_be_overdue(spec.key) else None,
            ),
            assets,
        )
    )


def _group_of(key: dg.AssetKey, group: str) -> str:
    """Name the group of an asset: what the home makes of a segmentation is that one's too."""
    segmentation = key.path[0] if len(key.path) > 1 else None
    if segmentation is None or group.startswith(f"{segmentation}_"):
        return group
    return f"{segmentation}_{group}"


def _can_be_overdue(key: dg.AssetKey) -> bool:
    """Whether it is a loaded source, or what readers get."""
    return len(key.path) == 1 and (key.path[0].startswith("raw_") or key.path[0] == "published")
