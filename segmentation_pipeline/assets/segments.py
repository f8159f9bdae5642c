"""Group `segments` of a segmentation: who belongs where, and what sets each segment apart."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.champion import require_champion
from segmentation_pipeline.assets.metadata import small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.clustering.assignment import assign_batches
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.membership import CUSTOMER_SEGMENTS_SCHEMA, identify_batches
from segmentation_pipeline.segments.tables import (
    make_segment_category_shares,
    make_segment_profiles,
    make_segments,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, read_batches, require_builds, write_batches


def build_segment_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's group `segments`."""
    spec = home.segmentations[name]
    features, members = Table(name, "engineered_features"), Table(name, "customer_segments")
    described = [[name, "customer_segments"], [name, "engineered_features"]]

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "feature_matrix"], [name, "segment_model"]],
        kinds={"duckdb", "numpy"},
    )
    def customer_segments(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each customer's segment, how clearly, and which would be the next."""
        with workshop.step(context) as (connection, build):
            matrix = Table(name, "feature_matrix")
            require_builds(connection, [matrix, Table(name, "segment_model")], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            ids = segment_ids(connection, name, champion.record.model_version, champion.record.k)
            limits = workshop.home.customers.limits
            with connection.cursor() as reading:
                batches = read_batches(reading, f"SELECT * FROM {matrix.sql}")
                assigned = assign_batches(champion.model, batches, threads=limits.threads or 2)
                rows = write_batches(
                    connection,
                    members,
                    CUSTOMER_SEGMENTS_SCHEMA,
                    identify_batches(assigned, ids),
                    build,
                )
            sizes = (
                "SELECT segment_id, count(*) AS customers, avg(is_borderline::INT) AS borderline,"
                f" avg(is_outlier::INT) AS outliers FROM {members.sql} GROUP BY ALL ORDER BY ALL"
            )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, members, rows),
                    "sizes": small_table(connection, sizes),
                }
            )

    @dg.asset(key_prefix=[name], deps=described, kinds={"duckdb"})
    def segment_profiles(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment by its numeric features, in their original units, next to everybody."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [features, members], build.as_of)
            limit = workshop.home.customers.limits.table_customers
            rows = make_segment_profiles(connection, name, spec, limit, build)
            table = Table(name, "segment_profiles")
            traits = (
                "SELECT segment_id, rank, feature, mean, overall_mean, standardised_difference"
                f" FROM {table.sql} WHERE rank <= 5 ORDER BY segment_id, rank"
            )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, rows),
                    "traits": small_table(connection, traits),
                }
            )

    @dg.asset(key_prefix=[name], deps=described, kinds={"duckdb"})
    def segment_category_shares(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment by its categorical features, next to everybody."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [features, members], build.as_of)
            rows = make_segment_category_shares(connection, name, spec, build)
            table = Table(name, "segment_category_shares")
            return dg.MaterializeResult(metadata=table_metadata(connection, table, rows))

    @dg.asset(
        key_prefix=[name],
        deps=[
            [name, table]
            for table in (
                "customer_segments",
                "segment_profiles",
                "segment_category_shares",
                "structure_verdict",
            )
        ],
        kinds={"duckdb"},
    )
    def segments(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """The segments: how many customers each has, what it is called, what may be claimed."""
        with workshop.step(context) as (connection, build):
            needed = [
                members,
                Table(name, "segment_profiles"),
                Table(name, "segment_category_shares"),
                Table(name, "structure_verdict"),
            ]
            require_builds(connection, needed, build.as_of)
            rows = make_segments(connection, name, build)
            table = Table(name, "segments")
            shown = f"SELECT * FROM {table.sql} ORDER BY customers DESC, segment_id"
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, rows),
                    "segments": small_table(connection, shown),
                }
            )

    return [customer_segments, segment_profiles, segment_category_shares, segments]
