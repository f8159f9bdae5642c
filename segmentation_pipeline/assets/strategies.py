"""Group `segments` of a segmentation: what to do with each segment, and on whom that falls."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import Metadata, small_table
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.segments.sensitive import make_sensitive_shares
from segmentation_pipeline.segments.strategies import (
    asks_for_kpis,
    make_segment_strategies,
    segments_without_strategy,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, require_builds

_EVERY_SEGMENT = "every_segment_has_a_strategy"


def build_strategy_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's playbook."""
    spec = home.segmentations[name]
    strategies = Table(name, "segment_strategies")
    read = ["segments", "segment_profiles", "segment_category_shares", "segment_traits"]
    if asks_for_kpis(spec):
        read.append("segment_kpis")

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in read],
        kinds={"duckdb"},
        check_specs=[
            *contract_checks(name, "segment_strategies"),
            *([_every_segment_has_one(name)] if spec.strategies else []),
        ],
    )
    def segment_strategies(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """What the playbook says of each segment, the first priority first, with the evidence."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in read], build.as_of)
            rows = make_segment_strategies(connection, name, spec, home.customers.kpis, build)
            lacking = segments_without_strategy(connection, name)
            if spec.strategies and lacking:
                context.log.warning(f"no strategy applies to {', '.join(lacking)}")
            shown = (
                "SELECT segment_id, rank, strategy, channel, evidence"
                f" FROM {strategies.sql} ORDER BY segment_id, rank"
            )
            told: Metadata = {
                "strategies": small_table(connection, shown),
                "segments_without_strategy": lacking,
            }
            checks = [_has_strategy(name, lacking)] if spec.strategies else []
            return table_result(connection, strategies, rows, build, told, checks=checks)

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "customer_segments"], [name, "segment_strategies"], ["customers"]],
        kinds={"duckdb"},
        check_specs=contract_checks(name, "sensitive_shares"),
    )
    def sensitive_shares(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """How segments and strategies fall on columns marked sensitive."""
        with workshop.step(context) as (connection, build):
            needed = [CUSTOMERS, Table(name, "customer_segments"), strategies]
            require_builds(connection, needed, build.as_of)
            table = Table(name, "sensitive_shares")
            rows = make_sensitive_shares(connection, name, workshop.home.customers, build)
            shown = f"FROM {table.sql} ORDER BY column_name, group_kind, group_name, category"
            return table_result(
                connection, table, rows, build, {"shares": small_table(connection, shown)}
            )

    return [segment_strategies, sensitive_shares]


def _every_segment_has_one(name: str) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        _EVERY_SEGMENT,
        asset=[name, "segment_strategies"],
        description="the playbook has something for each segment",
    )


def _has_strategy(name: str, lacking: Sequence[str]) -> dg.AssetCheckResult:
    said = f"no strategy applies to {', '.join(lacking)}" if lacking else "each has one"
    return dg.AssetCheckResult(
        asset_key=[name, "segment_strategies"],
        check_name=_EVERY_SEGMENT,
        passed=not lacking,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
    )
