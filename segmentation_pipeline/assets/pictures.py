"""Group `segments` of a segmentation: what its pictures are drawn from."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import (
    Metadata,
    picture,
    read_rows,
    small_table,
)
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.reports import heat_map_chart, map_chart, sizes_chart
from segmentation_pipeline.segments.distributions import make_feature_distributions
from segmentation_pipeline.segments.map import make_segment_map
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, Table, require_builds

MOST_DRAWN = 30
"""Of so many segments, the largest, a picture tells."""


def build_picture_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets that pictures of a segmentation are drawn from."""
    spec = home.segmentations[name]
    features, members = Table(name, "engineered_features"), Table(name, "customer_segments")
    matrix, segments = Table(name, "feature_matrix"), Table(name, "segments")

    @dg.asset(
        key_prefix=[name],
        deps=[[name, table] for table in ("feature_matrix", "segment_profiles", "segments")],
        kinds={"numpy"},
        check_specs=contract_checks(name, "segment_map"),
    )
    def segment_map(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """A sample of customers as points on a plane, each with its segment and no id."""
        with workshop.step(context) as (connection, build):
            needed = [matrix, members, segments, Table(name, "segment_profiles")]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            preparation = Preparation.from_json(champion.preparation)
            floor = workshop.home.customers.limits.smallest_group
            rows = make_segment_map(connection, name, spec, preparation, floor, build)
            table = Table(name, "segment_map")
            return table_result(connection, table, rows, build, _pictures(connection, name, table))

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "customer_segments"], [name, "engineered_features"]],
        kinds={"duckdb"},
        check_specs=contract_checks(name, "feature_distributions"),
    )
    def feature_distributions(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """How the values of each numeric feature are spread, in each segment and in everybody."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [members, features], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            version = champion.record.model_version
            floor = workshop.home.customers.limits.smallest_group
            rows = make_feature_distributions(connection, name, spec, version, floor, build)
            table = Table(name, "feature_distributions")
            listed = f"FROM {table.sql} ORDER BY feature, bin, segment_id"
            return table_result(
                connection, table, rows, build, {"shares": small_table(connection, listed)}
            )

    return [segment_map, feature_distributions]


def _pictures(connection: Connection, name: str, points: Table) -> Metadata:
    """Draw what the report draws; only of the largest segments, where there are many."""
    largest = read_rows(
        connection,
        f"SELECT segment_id, label, customers, share FROM {Table(name, 'segments').sql}"
        f" ORDER BY customers DESC, segment_id LIMIT {MOST_DRAWN}",
    )
    names = {row["segment_id"]: row["label"] for row in largest}
    profiles = read_rows(
        connection, f"FROM {Table(name, 'segment_profiles').sql} ORDER BY segment_id, feature"
    )
    dots = read_rows(connection, f"FROM {points.sql} ORDER BY point")
    charts = {"sizes": picture(sizes_chart(largest, names))}
    if dots:
        charts["map"] = picture(map_chart(dots, names))
    if profiles:
        charts["differences"] = picture(heat_map_chart(profiles, names))
    return charts
