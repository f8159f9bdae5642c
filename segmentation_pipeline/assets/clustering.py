"""Group `clustering` of a segmentation: the candidates, the model in force, the verdict on it."""

import math
from collections.abc import Callable, Iterator, Sequence
from time import monotonic

import dagster as dg

from segmentation_pipeline.assets.metadata import (
    Metadata,
    drawn,
    read_rows,
    small_table,
)
from segmentation_pipeline.assets.new_champion import (
    fit_champion,
    judge_champion,
    prepare_otherwise,
)
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import (
    Champion,
    champion_in_force,
    require_champion,
)
from segmentation_pipeline.clustering.kept_effects import Found, effect_of
from segmentation_pipeline.clustering.kept_fits import write_fit
from segmentation_pipeline.clustering.model_events import champion_event, read_events
from segmentation_pipeline.clustering.preprocessing_effect import (
    PREPROCESSING_SCHEMA,
    preprocessing_rows,
)
from segmentation_pipeline.clustering.registry import ModelRecord, library_mismatch
from segmentation_pipeline.clustering.verdicts import is_judged, make_structure_verdict
from segmentation_pipeline.reports import candidates_chart, preprocessing_picture
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    require_builds,
    write_rows,
)

_SECONDS_BETWEEN_PHRASES = 1.0


def build_clustering_assets(name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's group `clustering`."""
    candidates, model_table = Table(name, "model_candidates"), Table(name, "segment_model")

    @dg.multi_asset(
        name=f"{name}__model",
        specs=[
            dg.AssetSpec(
                [name, "model_candidates"],
                deps=[[name, "feature_matrix"], [name, "refit_decision"]],
                kinds={"scikitlearn"},
                description="The models that were tried, their scores, and why each won or lost.",
            ),
            dg.AssetSpec(
                [name, "segment_model"],
                deps=[[name, "model_candidates"]],
                kinds={"numpy"},
                description="The model in force: its centres; the registry keeps its digest.",
            ),
        ],
        check_specs=contract_checks(name, "model_candidates", "segment_model"),
    )
    def model(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "feature_matrix")], build.as_of)
            champion = champion_in_force(connection, workshop.home, name, build.as_of)
            if champion is None:
                record, origin = fit_champion(
                    connection, workshop.home, name, build, _progress(context, name)
                )
            else:
                record = _keep_champion(context, connection, champion, build)
                origin = f"kept; fitted on {record.as_of}"
            facts: Metadata = {
                "model_version": record.model_version,
                "model_digest": record.model_digest,
                "origin": origin,
                **_told_of(connection, name, build),
            }
            columns = (
                "algorithm, parameters, silhouette, lowest_jaccard, crowded_leak, is_chosen, reason"
            )
            scores = f"SELECT {columns} FROM {candidates.sql} ORDER BY algorithm, segments"

            def chart() -> Found:
                tried = read_rows(connection, f"FROM {candidates.sql}")
                return {"picture": drawn(candidates_chart(tried))}

            shown = effect_of(connection, record, "candidates", build, chart).found
            yield table_result(
                connection,
                candidates,
                count_rows(connection, candidates),
                build,
                {
                    "scores": small_table(connection, scores),
                    "silhouettes": dg.MetadataValue.md(shown["picture"]),
                },
            )
            yield table_result(
                connection,
                model_table,
                count_rows(connection, model_table),
                build,
                facts,
                tags={"model_version": str(record.model_version)},
            )

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "segment_model"], [name, "engineered_features"]],
        kinds={"numpy"},
        check_specs=contract_checks(name, "structure_verdict"),
    )
    def structure_verdict(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Whether the data hold the model's segments: a word, a sentence, and the figures."""
        with workshop.step(context) as (connection, build):
            needed = [model_table, Table(name, "engineered_features")]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            if not is_judged(connection, champion.record):
                judge_champion(connection, workshop.home, name, champion, build)
            rows = make_structure_verdict(connection, champion.record, build)
            table = Table(name, "structure_verdict")
            columns = ("verdict", "sentence", "examined_date")
            told = connection.execute(f"SELECT {', '.join(columns)} FROM {table.sql}").fetchall()
            facts: Metadata = {
                **dict(zip(columns, map(str, told[0]), strict=True)),
                "model_version": champion.record.model_version,
                "figures": small_table(connection, f"SELECT * FROM {table.sql}"),
            }
            return table_result(connection, table, rows, build, facts)

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "segment_model"], [name, "engineered_features"]],
        kinds={"scikitlearn"},
        check_specs=contract_checks(name, "preprocessing_effect"),
    )
    def preprocessing_effect(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """What scaling and transforms did: the same customers, grouped with and without them."""
        with workshop.step(context) as (connection, build):
            needed = [model_table, Table(name, "engineered_features")]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            table = Table(name, "preprocessing_effect")

            def compare() -> Found:
                variants = prepare_otherwise(connection, workshop.home, name, champion)
                chart = drawn(preprocessing_picture(variants)) if variants else None
                return {"rows": preprocessing_rows(variants), "picture": chart}

            effect = effect_of(connection, champion.record, "preprocessing", build, compare)
            found = [row | {"examined_date": effect.examined_date} for row in effect.found["rows"]]
            rows = write_rows(connection, table, PREPROCESSING_SCHEMA, found, build)
            shown: Metadata = {"variants": small_table(connection, f"FROM {table.sql}")}
            if effect.found["picture"]:
                shown["picture"] = dg.MetadataValue.md(effect.found["picture"])
            return table_result(connection, table, rows, build, shown)

    return [model, structure_verdict, preprocessing_effect]


def _told_of(connection: Connection, name: str, build: Build) -> Metadata:
    """Say who put the model in force, when and why."""
    event = champion_event(read_events(connection, name), build.as_of)
    if event is None:
        return {}
    return {
        "in_force_from": str(event.as_of),
        "decided_by": event.who,
        "decided_because": event.reason,
    }


def _progress(context: dg.AssetExecutionContext, name: str) -> Callable[[str], None]:
    """Tell how far a search is, once a second at most: Dagster stores each phrase as an event."""
    told = -math.inf

    def tell(phrase: str) -> None:
        nonlocal told
        if monotonic() - told >= _SECONDS_BETWEEN_PHRASES:
            told = monotonic()
            context.log.info(f"{name}: {phrase}")

    return tell


def _keep_champion(
    context: dg.AssetExecutionContext,
    connection: Connection,
    champion: Champion,
    build: Build,
) -> ModelRecord:
    """Say that this night scores with the model that is in force."""
    mismatch = library_mismatch(champion.record)
    if mismatch is not None:
        context.log.warning(mismatch)
    write_fit(connection, champion.record, build)
    return champion.record
