"""What an autoencoder learned, as a table; only for segmentations that try one."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import table_result
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.clustering.latent import make_latent_vectors
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, require_builds


def build_latent_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the asset of the latent vectors, where an autoencoder is among the algorithms."""
    if "autoencoder" not in home.segmentations[name].clustering.algorithms:
        return []

    @dg.asset(
        key_prefix=[name],
        deps=[[name, "feature_matrix"], [name, "segment_model"]],
        kinds={"duckdb", "numpy"},
    )
    def latent_vectors(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Each customer in the space that the autoencoder learned; none if another model won."""
        with workshop.step(context) as (connection, build):
            needed = [Table(name, "feature_matrix"), Table(name, "segment_model")]
            require_builds(connection, needed, build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            rows = make_latent_vectors(connection, name, champion.model, build)
            table = Table(name, "latent_vectors")
            return table_result(connection, table, rows, build)

    return [latent_vectors]
