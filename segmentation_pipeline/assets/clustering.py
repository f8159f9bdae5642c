"""Group `clustering` of a segmentation: candidates, the chosen model, and the verdict on it."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.assets.champion import (
    Champion,
    champion_in_force,
    require_champion,
)
from segmentation_pipeline.assets.metadata import Metadata, small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.clustering.candidates import Candidate, search_candidates
from segmentation_pipeline.clustering.choice import choose_candidate, explain_choice
from segmentation_pipeline.clustering.kmeans import kmeans_model
from segmentation_pipeline.clustering.model_verdict import judge_model
from segmentation_pipeline.clustering.registry import (
    ModelRecord,
    library_mismatch,
    register_champion,
)
from segmentation_pipeline.clustering.structure.examination import SAMPLE_ROWS
from segmentation_pipeline.clustering.structure.verdict import StructureVerdict
from segmentation_pipeline.clustering.tables import (
    CANDIDATES_SCHEMA,
    CENTROIDS_SCHEMA,
    candidate_rows,
    centroid_rows,
)
from segmentation_pipeline.clustering.verdicts import (
    is_judged,
    keep_verdict,
    make_structure_verdict,
)
from segmentation_pipeline.features import (
    Preparation,
    kept_preparation,
    read_feature_sample,
    read_sample,
)
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    count_rows,
    record_build,
    require_builds,
    write_rows,
)


def build_clustering_assets(name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of a segmentation's group `clustering`."""
    candidates, model_table = Table(name, "model_candidates"), Table(name, "segment_model")

    @dg.multi_asset(
        name=f"{name}__model",
        specs=[
            dg.AssetSpec(
                [name, "model_candidates"],
                deps=[[name, "feature_matrix"]],
                kinds={"scikitlearn"},
                description="The models that were tried, their scores, and why each won or lost.",
            ),
            dg.AssetSpec(
                [name, "segment_model"],
                deps=[[name, "model_candidates"]],
                kinds={"numpy"},
                description="The model in force: its centroids; the registry keeps its digest.",
            ),
        ],
    )
    def model(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "feature_matrix")], build.as_of)
            champion = champion_in_force(connection, workshop.home, name, build.as_of)
            if champion is None:
                record = _fit_champion(context, connection, workshop.home, name, build)
                origin = "fitted on this night's customers"
            else:
                record = _keep_champion(context, connection, champion, name, build)
                origin = f"kept from {record.as_of}"
            facts: Metadata = {
                "model_version": record.model_version,
                "model_digest": record.model_digest,
                "origin": origin,
            }
            columns = "segments, silhouette, smallest_share, is_chosen, reason"
            scores = f"SELECT {columns} FROM {candidates.sql} ORDER BY segments"
            return (
                dg.MaterializeResult(
                    asset_key=[name, "model_candidates"],
                    metadata={
                        **table_metadata(
                            connection, candidates, count_rows(connection, candidates)
                        ),
                        "scores": small_table(connection, scores),
                    },
                ),
                dg.MaterializeResult(
                    asset_key=[name, "segment_model"],
                    metadata={
                        **table_metadata(
                            connection, model_table, count_rows(connection, model_table)
                        ),
                        **facts,
                    },
                ),
            )

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "segment_model"], [name, "engineered_features"]],
        kinds={"numpy"},
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
                verdict = _judge(connection, workshop.home, name, champion)
                keep_verdict(connection, champion.record, verdict, build)
            rows = make_structure_verdict(connection, champion.record, build)
            table = Table(name, "structure_verdict")
            columns = ("verdict", "sentence", "examined_date")
            told = connection.execute(f"SELECT {', '.join(columns)} FROM {table.sql}").fetchall()
            facts: Metadata = dict(zip(columns, map(str, told[0]), strict=True))
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, table, rows),
                    **facts,
                    "model_version": champion.record.model_version,
                    "figures": small_table(connection, f"SELECT * FROM {table.sql}"),
                }
            )

    return [model, structure_verdict]


def _fit_champion(
    context: dg.AssetExecutionContext,
    connection: Connection,
    home: Home,
    name: str,
    build: Build,
) -> ModelRecord:
    """Search, choose, and put the chosen model in force."""
    spec, limits = home.segmentations[name].clustering, home.customers.limits
    matrix_table = Table(name, "feature_matrix")
    preparation = kept_preparation(connection, name)
    columns = preparation.column_names

    def read(names: Sequence[str]) -> NDArray[np.float64]:
        _, sample = read_sample(
            connection, matrix_table, names, seed=spec.seed, limit=limits.sample_customers
        )
        return sample.astype(np.float64)

    matrix = read(columns)
    found = search_candidates(
        matrix,
        k_range=_tries(home, name),
        seed=spec.seed,
        n_init=spec.starts,
        minimum_share=spec.smallest_share,
        silhouette_sample=spec.silhouette_customers,
        privacy_floor=limits.smallest_group,
        workers=limits.threads or 2,
    )
    chosen = choose_candidate(found, fixed_k=spec.segments)
    if chosen.centroids is None:
        raise TypeError("a chosen candidate has centroids")
    unclipped = preparation.unclipped_names
    fitted = kmeans_model(
        chosen.centroids,
        matrix,
        columns,
        {
            "k": chosen.k,
            "seed": spec.seed,
            "starts": spec.starts,
            "silhouette": chosen.silhouette,
            "reason": chosen.reason,
            "preparation": preparation.to_json(),
        },
        unclipped=read(unclipped) if unclipped != columns else None,
    )
    record = register_champion(
        connection,
        home.models,
        fitted,
        build,
        segmentation=name,
        specification_digest=fitting_digest(home.segmentations[name]),
        preparation_digest=preparation.digest,
        reason=chosen.reason,
    )
    context.log.info(f"{name}: model version {record.model_version}, k = {chosen.k}")
    _write(connection, name, explain_choice(found, chosen), chosen, columns, build)
    return record


def _keep_champion(
    context: dg.AssetExecutionContext,
    connection: Connection,
    champion: Champion,
    name: str,
    build: Build,
) -> ModelRecord:
    """Say that this night scores with the model that is in force."""
    mismatch = library_mismatch(champion.record)
    if mismatch is not None:
        context.log.warning(mismatch)
    record_build(connection, Table(name, "model_candidates"), build)
    record_build(connection, Table(name, "segment_model"), build)
    return champion.record


def _judge(connection: Connection, home: Home, name: str, champion: Champion) -> StructureVerdict:
    """Examine a model on a sample of this night's customers."""
    spec, table = home.segmentations[name], Table(name, "engineered_features")
    preparation = Preparation.from_json(champion.preparation)
    features = list(dict.fromkeys(row.feature for row in preparation.scalings))
    sample = read_feature_sample(
        connection, table, features, seed=spec.clustering.seed, limit=SAMPLE_ROWS
    )
    return judge_model(
        champion.model,
        preparation,
        sample,
        spec,
        column_types(connection, table),
        tried=_tries(home, name),
        workers=home.customers.limits.threads or 2,
    )


def _write(
    connection: Connection,
    name: str,
    candidates: Sequence[Candidate],
    chosen: Candidate,
    columns: Sequence[str],
    build: Build,
) -> None:
    write_rows(
        connection,
        Table(name, "model_candidates"),
        CANDIDATES_SCHEMA,
        candidate_rows(candidates, chosen),
        build,
    )
    write_rows(
        connection,
        Table(name, "segment_model"),
        CENTROIDS_SCHEMA,
        centroid_rows(chosen, columns),
        build,
    )


def _tries(home: Home, name: str) -> range:
    spec = home.segmentations[name].clustering
    if spec.segments is not None:
        return range(max(spec.segments, 2), max(spec.segments, 2) + 1)
    return range(spec.minimum_segments, spec.maximum_segments + 1)
