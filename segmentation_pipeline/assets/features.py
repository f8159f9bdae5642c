"""Group `features` of a segmentation: engineered values, what was fitted on them, the matrix."""

from collections.abc import Iterator, Sequence

import dagster as dg

from segmentation_pipeline.assets.customers import CUSTOMERS_KEY
from segmentation_pipeline.assets.metadata import (
    Metadata,
    column_lineage,
    drawn,
    read_rows,
    small_table,
    table_metadata,
)
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.sources import raw_key
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import Champion, champion_in_force
from segmentation_pipeline.clustering.kept_effects import effect_of
from segmentation_pipeline.features import (
    EngineeredFeatures,
    Preparation,
    fit_on_sample,
    keep_preparation,
    make_engineered_features,
    make_feature_matrix,
)
from segmentation_pipeline.features.participation import grouped_features, make_fitting_matrix
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.preparation import CUSTOMERS, LEFT_OUT_ROWS, events_sql
from segmentation_pipeline.reports import encoding_scatter
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.home import Home, feature_column
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    require_builds,
)

FITTED = {
    "encodings": "What each category becomes: feature, category -> numbers.",
    "scalings": "Centre, spread, bounds, fill and weight of each matrix column.",
    "feature_selection": "Which features were kept, which dropped, and why.",
}


def build_feature_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's group `features`."""
    spec = home.segmentations[name]
    streams = _streams(home, name)

    @dg.asset(
        key_prefix=[name],
        deps=[CUSTOMERS_KEY, *(raw_key(source) for source in streams)],
        kinds={"duckdb"},
        metadata=_feature_lineage(home, name),
    )
    def engineered_features(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Every feature of the segmentation for each customer, in its original unit."""
        with workshop.step(context) as (connection, build):
            needed = [CUSTOMERS, LEFT_OUT_ROWS, *(raw_table(source) for source in streams)]
            require_builds(connection, needed, build.as_of)
            made = engineer_features(connection, workshop.home, name, build)
            described = {key: feature.description for key, feature in spec.features.items()}
            table = Table(name, "engineered_features")
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, made.rows, described),
                    "left_out": made.left_out,
                    "missing": dict(made.missing),
                    "undefined": dict(made.undefined),
                }
            )

    @dg.multi_asset(
        name=f"{name}__prepared_features",
        specs=[
            *(
                dg.AssetSpec(
                    [name, table],
                    deps=[[name, "engineered_features"]],
                    description=description,
                    kinds={"duckdb"},
                )
                for table, description in FITTED.items()
            ),
            dg.AssetSpec(
                [name, "feature_matrix"],
                deps=[[name, "engineered_features"], *([name, table] for table in FITTED)],
                description="What distances are made of: encoded, scaled, filled, weighted.",
                kinds={"duckdb"},
            ),
        ],
        check_specs=contract_checks(name, *FITTED, "feature_matrix"),
    )
    def prepared_features(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "engineered_features")], build.as_of)
            limits = workshop.home.customers.limits
            champion = champion_in_force(connection, workshop.home, name, build.as_of)
            preparation = find_preparation(connection, workshop.home, name, champion)
            origin = (
                "fitted on this night's customers"
                if champion is None
                else f"kept from model version {champion.record.model_version}"
            )
            keep_preparation(connection, name, preparation, build)
            grouped = grouped_features(name, spec)
            made = make_feature_matrix(
                connection, name, preparation, limits, build, features=grouped
            )
            make_fitting_matrix(connection, name, spec, build)
            for alarm in made.alarms:
                context.log.warning(alarm)
            for table in FITTED:
                yield _fitted_result(connection, Table(name, table), build, origin, champion)
            shown: Metadata = {
                "is_stored": made.is_stored,
                "missing_shares": dict(made.missing_shares),
            }
            yield table_result(connection, Table(name, "feature_matrix"), made.rows, build, shown)

    return [engineered_features, prepared_features]


def engineer_features(
    connection: Connection, home: Home, name: str, build: Build
) -> EngineeredFeatures:
    """Make `engineered_features` of a segmentation from the events that count on a night."""
    sources = home.customers.sources
    events = {
        source: events_sql(source, sources[source], build.as_of) for source in _streams(home, name)
    }
    spec = home.segmentations[name]
    return make_engineered_features(connection, name, spec, home.customers, events, build)


def find_preparation(
    connection: Connection, home: Home, name: str, champion: Champion | None
) -> Preparation:
    """Take the preparation of the model in force, or fit one on `engineered_features`."""
    if champion is not None:
        return Preparation.from_json(champion.preparation)
    return fit_on_sample(connection, name, home.segmentations[name], home.customers.limits)


def _streams(home: Home, name: str) -> list[str]:
    features = home.segmentations[name].features.values()
    return sorted({one.aggregate.source for one in features if one.aggregate is not None})


def _fitted_result(
    connection: Connection, table: Table, build: Build, origin: str, champion: Champion | None
) -> dg.MaterializeResult:
    shown: Metadata = {"rows": small_table(connection, f"SELECT * FROM {table.sql} ORDER BY ALL")}
    if table.name == "encodings":
        pictures = _encoding_pictures(connection, table, build, champion)
        shown |= {key: dg.MetadataValue.md(drawing) for key, drawing in pictures.items()}
    shown["origin"] = origin
    return table_result(connection, table, count_rows(connection, table), build, shown)


def _encoding_pictures(
    connection: Connection, table: Table, build: Build, champion: Champion | None
) -> dict[str, str]:
    """Draw the categories of each feature whose vectors have two components or more, once."""

    def draw() -> dict[str, str]:
        return _drawn_encodings(connection, table)

    # A model that is still to be fitted can't keep them yet.
    if champion is None:
        return draw()
    return effect_of(connection, champion.record, "encodings", build, draw).found


def _drawn_encodings(connection: Connection, table: Table) -> dict[str, str]:
    rows = read_rows(
        connection,
        f"FROM {table.sql} WHERE feature IN (SELECT feature FROM {table.sql} GROUP BY feature"
        " HAVING count(DISTINCT component) > 1 AND bool_or(value NOT IN (0, 1)))",
    )
    pictures: dict[str, str] = {}
    for feature in dict.fromkeys(row["feature"] for row in rows):
        vectors = [row for row in rows if row["feature"] == feature]
        pictures[f"map_of_{feature}"] = drawn(encoding_scatter(vectors, feature))
    return pictures


def _feature_lineage(home: Home, name: str) -> Metadata:
    """Say of each feature from which columns it is made; known before any run."""
    features = home.segmentations[name].features
    columns = home.customers.customer_columns()
    lineage: dict[str, list[tuple[dg.AssetKey, str]]] = {}
    for feature_name, feature in features.items():
        if feature.aggregate is not None:
            key = raw_key(feature.aggregate.source)
            used = [feature.aggregate.column] if feature.aggregate.column else []
            used += referenced_columns(feature.aggregate.where) if feature.aggregate.where else []
            lineage[feature_name] = [(key, column) for column in dict.fromkeys(used)]
        else:
            column = feature_column(feature_name, feature)
            read = [column] if column else referenced_columns(feature.expression or "NULL")
            lineage[feature_name] = [(CUSTOMERS_KEY, used) for used in read if used in columns]
    return column_lineage(lineage)
