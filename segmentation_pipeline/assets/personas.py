"""Group `segments` of a segmentation: what sets its segments apart, in words."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.segments.personas import make_segment_personas
from segmentation_pipeline.segments.segment_traits import make_segment_traits
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, require_builds


def build_persona_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets that describe a segmentation's segments in words."""
    spec = home.segmentations[name]
    traits_read = [
        "customer_segments",
        "engineered_features",
        "segment_profiles",
        "segment_category_shares",
    ]
    personas_read = [*traits_read, "feature_matrix", "segment_traits", "segments"]

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in traits_read],
        kinds={"duckdb", "numpy"},
        check_specs=contract_checks(name, "segment_traits"),
    )
    def segment_traits(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """What sets each segment apart for certain, as resampled customers agree."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in traits_read], build.as_of)
            floor = workshop.home.customers.limits.smallest_group
            rows = make_segment_traits(connection, name, spec, floor, build)
            table = Table(name, "segment_traits")
            told = (
                "SELECT segment_id, rank, sentence, effect, effect_lower, effect_upper"
                f" FROM {table.sql} ORDER BY segment_id, rank"
            )
            return table_result(
                connection, table, rows, build, {"traits": small_table(connection, told)}
            )

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in personas_read],
        kinds={"duckdb", "numpy"},
        check_specs=contract_checks(name, "segment_personas"),
    )
    def segment_personas(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment as a person would describe it: name, headline, typical customer."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, table) for table in personas_read], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            preparation = Preparation.from_json(champion.preparation)
            rows = make_segment_personas(connection, workshop.home, name, preparation, build)
            table = Table(name, "segment_personas")
            shown = {"personas": small_table(connection, f"FROM {table.sql}")}
            return table_result(connection, table, rows, build, shown)

    return [segment_traits, segment_personas]
