"""`segmentation similar`: the customers nearest to one, and the features that make them so."""

from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.clustering.families import similarity_of
from segmentation_pipeline.clustering.similar import Similar, similar_customers
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import read_sample
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    literal,
    quote,
    read_batches,
    read_build,
)

# Against how many customers likeness is told: a share of 1 % is known to a tenth of itself.
_SAMPLE_CUSTOMERS = 10_000


@dataclass(frozen=True)
class Neighbour:
    """A similar customer, and the segment of the last night."""

    similar: Similar
    segment_id: str


def find_similar(
    connection: Connection, home: Home, segmentation: str, customer_id: str, count: int
) -> list[Neighbour]:
    """Find the customers nearest to one, by a segmentation's features and its metric.

    They are those of the last night that was run. Memory is that of one batch of the feature
    matrix, and of a sample.

    Raises PipelineError where no night has been run, or the customer takes no part.
    """
    table = Table(segmentation, "feature_matrix")
    build = read_build(connection, table)
    if build is None:
        raise PipelineError(
            f"{home.path}: no night of {segmentation} has been run: `segmentation run` first"
        )
    champion = require_champion(connection, home, segmentation, build.as_of)
    preparation = Preparation.from_json(champion.preparation)
    features = {row.column_name: row.feature for row in preparation.scalings}
    columns = ", ".join(quote(column) for column in features)
    found = connection.execute(
        f"SELECT {columns} FROM {table.sql} WHERE customer_id = ?", [customer_id]
    ).fetchall()
    if not found:
        raise PipelineError(
            f"{home.path}: there is no such customer in {segmentation} on {build.as_of}: ids are "
            "written as in the published tables"
        )
    seed = home.segmentations[segmentation].clustering.seed
    _, sample = read_sample(connection, table, list(features), seed, _SAMPLE_CUSTOMERS)
    with connection.cursor() as reading:
        nearest = similar_customers(
            customer_id,
            np.array(found[0], dtype=np.float64),
            read_batches(reading, f"SELECT customer_id, {columns} FROM {table.sql}"),
            sample,
            features,
            similarity_of(home.segmentations[segmentation].clustering),
            count,
        )
    listed = ", ".join(literal(str(one.customer_id)) for one in nearest)
    segments = dict(
        connection.execute(
            f"SELECT customer_id, segment_id FROM {Table(segmentation, 'customer_segments').sql}"
            f" WHERE customer_id IN ({listed or 'NULL'})"
        ).fetchall()
    )
    return [Neighbour(one, segments[str(one.customer_id)]) for one in nearest]
