"""Group `segments` of a segmentation: what to do with each segment, and on whom that falls."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.segments.sensitive import make_sensitive_shares
from segmentation_pipeline.segments.strategies import (
    make_segment_strategies,
    segments_without_strategy,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, require_builds


def build_strategy_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's playbook."""
    spec = home.segmentations[name]
    strategies = Table(name, "segment_strategies")
    read = ["segments", "segment_profiles", "segment_category_shares", "segment_traits"]

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in read],
        kinds={"duckdb"},
    )
    def segment_strategies(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """What the playbook says of each segment, the first priority first, with the evidence."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in read], build.as_of)
            rows = make_segment_strategies(connection, name, spec, build)
            lacking = segments_without_strategy(connection, name)
            if spec.strategies and lacking:
                context.log.warning(f"no strategy applies to {', '.join(lacking)}")
            shown = (
                "SELECT segment_id, rank, strategy, channel, evidence"
                f" FROM {strategies.sql} ORDER BY segment_id, rank"
            )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, strategies, rows),
                    "strategies": small_table(connection, shown),
                    "segments_without_strategy": lacking,
                }
            )

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "customer_segments"], [name, "segment_strategies"], ["customers"]],
        kinds={"duckdb"},
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
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, rows),
                    "shares": small_table(connection, shown),
                }
            )

    return [segment_strategies, sensitive_shares]


def build_strategy_checks(home: Home) -> Sequence[dg.AssetChecksDefinition]:
    """Make the check, of each segmentation with a playbook, that no segment is left without."""
    return [_strategy_check(name) for name, spec in home.segmentations.items() if spec.strategies]


def _strategy_check(name: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=[name, "segment_strategies"],
        name="every_segment_has_a_strategy",
        description="the playbook has something for each segment",
        blocking=False,
    )
    def check(context: dg.AssetCheckExecutionContext, workshop: Workshop) -> dg.AssetCheckResult:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "segment_strategies")], build.as_of)
            lacking = segments_without_strategy(connection, name)
        said = f"no strategy applies to {', '.join(lacking)}" if lacking else "each has one"
        return dg.AssetCheckResult(
            passed=not lacking, severity=dg.AssetCheckSeverity.WARN, description=said
        )

    return check
