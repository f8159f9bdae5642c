"""All customers, assigned by a model: rules by DuckDB, others by their assigner."""

from collections.abc import Iterator

import pyarrow as pa

from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import outlier_distance
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.rules import rules_assignment_sql
from segmentation_pipeline.specification.clustering import Clustering
from segmentation_pipeline.warehouse import Connection, Table, read_batches


def assigned_customers(
    connection: Connection,
    segmentation: str,
    spec: Clustering,
    model: SegmentModel,
    *,
    features: Table | None = None,
    query: str | None = None,
    threads: int = 1,
) -> Iterator[pa.RecordBatch]:
    """Stream the assignments (`assignment.assignment_schema`) of tonight's customers.

    `query` selects their prepared features; the segmentation's feature matrix where it is None.
    `features` holds the engineered ones, by which rules go, of the customers who are grouped;
    everybody's where it is None.
    `connection` is busy until the stream ends. Raises ClusteringError as `assign_rows` does.
    """
    if model.algorithm == "rules":
        engineered = features or Table(segmentation, "engineered_features")
        yield from read_batches(connection, rules_assignment_sql(model, engineered.sql))
        return
    matrix = Table(segmentation, "feature_matrix")
    yield from assign_rows(
        assigner_of(model),
        model.feature_names,
        outlier_distance(model),
        read_batches(connection, query or f"SELECT * FROM {matrix.sql}"),
        noise=spec.noise,
        threads=threads,
    )
