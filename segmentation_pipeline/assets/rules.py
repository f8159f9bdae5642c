"""Group `segments` of a segmentation: its segments as short rules."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.segments.segment_rules import make_segment_rules
from segmentation_pipeline.warehouse import Table, require_builds


def build_rule_assets(name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the asset that says a segmentation's segments as rules."""
    read = [
        "customer_segments",
        "engineered_features",
        "segment_category_shares",
        "segment_profiles",
        "segments",
    ]

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in read],
        kinds={"duckdb", "scikitlearn"},
        check_specs=contract_checks(name, "segment_rules"),
    )
    def segment_rules(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment as a short rule, in words and in SQL, and how well it does."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in read], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            preparation = Preparation.from_json(champion.preparation)
            rows = make_segment_rules(connection, workshop.home, name, preparation, build)
            table = Table(name, "segment_rules")
            told = (
                "SELECT segment_id, rule, fidelity, precision, recall, sql_predicate"
                f" FROM {table.sql} ORDER BY segment_id"
            )
            return table_result(
                connection, table, rows, build, {"rules": small_table(connection, told)}
            )

    return [segment_rules]
