"""Group `segments` of a segmentation: who belongs where, and what sets each segment apart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import dagster as dg

from segmentation_pipeline.assets.metadata import (
    Metadata,
    drawn,
    picture,
    read_rows,
    small_table,
)
from segmentation_pipeline.assets.pictures import MOST_DRAWN
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.clustering.kept_effects import Found, effect_of
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.features import (
    Preparation,
    kept_preparation,
    sampled_distance_shares,
)
from segmentation_pipeline.reports import distance_share_chart, migration_chart
from segmentation_pipeline.segments.identity import (
    make_segment_registry,
    make_segment_transitions,
    segment_ids,
)
from segmentation_pipeline.segments.importance import make_feature_importance
from segmentation_pipeline.segments.migration import make_segment_migration
from segmentation_pipeline.segments.movements import make_segment_movements
from segmentation_pipeline.segments.nightly import make_customer_segments, names_given
from segmentation_pipeline.segments.nights import make_segment_nights
from segmentation_pipeline.segments.tables import (
    make_segment_category_shares,
    make_segment_profiles,
    make_segments,
    with_uses,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    require_builds,
)


def build_segment_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's group `segments`."""
    spec = home.segmentations[name]
    features, members = Table(name, "engineered_features"), Table(name, "customer_segments")
    described = [[name, "customer_segments"], [name, "engineered_features"]]
    smallest_group = home.customers.limits.smallest_group

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "feature_matrix"], [name, "segment_model"]],
        kinds={"duckdb", "numpy"},
        check_specs=contract_checks(name, "customer_segments"),
    )
    def customer_segments(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each customer's segment, how clearly, and which would be the next."""
        with workshop.step(context) as (connection, build):
            needed = [Table(name, "feature_matrix"), Table(name, "segment_model")]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            changes = make_customer_segments(
                connection,
                workshop.home,
                name,
                champion,
                build,
                is_new_start=workshop.new_segment_ids,
            )
            sizes = (
                "SELECT segment_id, count(*) AS customers, avg(is_borderline::INT) AS borderline,"
                f" avg(is_outlier::INT) AS outliers FROM {members.sql} GROUP BY ALL ORDER BY ALL"
            )
            told: Metadata = {
                "sizes": small_table(connection, sizes),
                **asdict(changes),
                "churn_share": changes.churn_share,
            }
            return table_result(connection, members, changes.customers, build, told)

    @dg.asset(
        key_prefix=[name],
        deps=described,
        kinds={"duckdb"},
        check_specs=contract_checks(name, "segment_profiles"),
    )
    def segment_profiles(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment by its numeric features, in their original units, next to everybody."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [features, members], build.as_of)
            limit = workshop.home.customers.limits.table_customers
            told = with_uses(spec, kept_preparation(connection, name))
            rows = make_segment_profiles(
                connection, name, told, limit, build, smallest_group=smallest_group
            )
            table = Table(name, "segment_profiles")
            traits = (
                "SELECT segment_id, use, rank, feature, mean, overall_mean, standardised_difference"
                f" FROM {table.sql} WHERE rank <= 5 ORDER BY segment_id, use, rank"
            )
            return table_result(
                connection, table, rows, build, {"traits": small_table(connection, traits)}
            )

    @dg.asset(
        key_prefix=[name],
        deps=described,
        kinds={"duckdb"},
        check_specs=contract_checks(name, "segment_category_shares"),
    )
    def segment_category_shares(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each segment by its categorical features, next to everybody."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, [features, members], build.as_of)
            told = with_uses(spec, kept_preparation(connection, name))
            rows = make_segment_category_shares(
                connection, name, told, build, smallest_group=smallest_group
            )
            table = Table(name, "segment_category_shares")
            return table_result(connection, table, rows, build)

    @dg.asset(
        key_prefix=[name],
        deps=[
            [name, table]
            for table in (
                "customer_segments",
                "segment_profiles",
                "segment_traits",
                "structure_verdict",
            )
        ],
        kinds={"duckdb"},
        check_specs=contract_checks(name, "segments"),
    )
    def segments(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """The segments: how many customers each has, what it is called, what may be claimed."""
        with workshop.step(context) as (connection, build):
            needed = [
                members,
                Table(name, "segment_traits"),
                Table(name, "structure_verdict"),
            ]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            ids = segment_ids(connection, name, champion.record.model_version, champion.record.k)
            names = names_given(connection, name, champion)
            rows = make_segments(connection, name, spec, ids, names, build)
            table = Table(name, "segments")
            shown = f"SELECT * FROM {table.sql} ORDER BY customers DESC, segment_id"
            return table_result(
                connection, table, rows, build, {"segments": small_table(connection, shown)}
            )

    @dg.asset(
        key_prefix=[name],
        deps=[
            [name, "customer_segments"],
            [name, "segment_profiles"],
            [name, "segment_category_shares"],
            [name, "feature_matrix"],
        ],
        kinds={"duckdb"},
        check_specs=contract_checks(name, "feature_importance"),
    )
    def feature_importance(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """How much each feature separates the segments, and how much of the distance it carries."""
        with workshop.step(context) as (connection, build):
            needed = [
                members,
                Table(name, "segment_profiles"),
                Table(name, "segment_category_shares"),
            ]
            require_builds(connection, [*needed, Table(name, "feature_matrix")], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)

            def share_out() -> Found:
                preparation = Preparation.from_json(champion.preparation)
                shares = sampled_distance_shares(connection, name, preparation, spec.clustering)
                chart = drawn(distance_share_chart(shares)) if shares else None
                return {"shares": shares, "picture": chart}

            found = effect_of(
                connection, champion.record, "distance_shares", build, share_out
            ).found
            rows = make_feature_importance(connection, name, spec, found["shares"], build)
            table = Table(name, "feature_importance")
            listed = f"FROM {table.sql} ORDER BY use, rank"
            shown: Metadata = {"importance": small_table(connection, listed)}
            if found["picture"]:
                shown["distance"] = dg.MetadataValue.md(found["picture"])
            return table_result(connection, table, rows, build, shown)

    return [
        customer_segments,
        _segment_changes(name, smallest_group),
        segment_profiles,
        segment_category_shares,
        segments,
        feature_importance,
    ]


def _segment_changes(name: str, smallest_group: int) -> dg.AssetsDefinition:
    """Make the asset of what a night changed, and of what is known of segments over time."""
    makers: dict[str, Callable[[Connection, str, Build], int]] = {
        "segment_transitions": make_segment_transitions,
        "segment_movements": make_segment_movements,
        "segment_migration": partial(make_segment_migration, smallest_group=smallest_group),
        "segment_nights": make_segment_nights,
        "segment_registry": make_segment_registry,
    }

    @dg.multi_asset(
        name=f"{name}__segment_changes",
        specs=[
            dg.AssetSpec(
                [name, table],
                deps=[[name, "segments"]],
                kinds={"duckdb"},
                description=CONTRACTS[table].description,
            )
            for table in ("segment_history", *makers)
        ],
        check_specs=contract_checks(name, "segment_history", *makers),
    )
    def segment_changes(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            history = Table(name, "segment_history")
            require_builds(connection, [Table(name, "segments"), history], build.as_of)
            yield table_result(connection, history, count_rows(connection, history), build)
            for table_name, make in makers.items():
                rows = make(connection, name, build)
                table = Table(name, table_name)
                shown: Metadata = {}
                if table_name != "segment_movements":  # which are of single customers
                    shown["rows"] = small_table(connection, f"FROM {table.sql}")
                if table_name == "segment_migration":
                    shown |= _migration_picture(connection, name)
                yield table_result(connection, table, rows, build, shown)

    return segment_changes


def _migration_picture(connection: Connection, name: str) -> Metadata:
    """Draw who went where as the report does; nothing on a first night."""
    flows = read_rows(connection, f"FROM {Table(name, 'segment_migration').sql} ORDER BY ALL")
    if not any(flow["from_segment_id"] for flow in flows):
        return {}
    largest = read_rows(
        connection,
        f"SELECT segment_id, label, customers FROM {Table(name, 'segments').sql}"
        f" ORDER BY customers DESC, segment_id LIMIT {MOST_DRAWN}",
    )
    names = {row["segment_id"]: row["label"] for row in largest}
    sizes = {row["segment_id"]: row["customers"] for row in largest}
    return {"migration": picture(migration_chart(flows, names, sizes=sizes))}
