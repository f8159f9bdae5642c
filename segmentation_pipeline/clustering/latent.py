"""Where an autoencoder puts each customer: the vectors that its segments were found in."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from segmentation_pipeline.clustering.assignment import read_columns
from segmentation_pipeline.clustering.autoencoder import AutoencoderAssigner
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.warehouse import Build, Connection, Table, read_batches, write_batches


def make_latent_vectors(
    connection: Connection, name: str, model: SegmentModel, build: Build
) -> int:
    """Write `<name>.latent_vectors`: customer_id, latent_1, latent_2, ..., reconstruction_error.

    Returns its rows: none where the model in force is no autoencoder's. The vectors have no unit:
    each component has variance 1 over the rows that the network was trained on. The error is the
    Euclidean distance of a customer to what the network makes of the vector, in the units of the
    prepared features. All customers stream.
    """
    assigner = assigner_of(model) if model.algorithm == "autoencoder" else None
    latent = model.arrays["prototypes"].shape[1] if assigner is not None else 0
    schema = pa.schema(
        [
            pa.field("customer_id", pa.string()),
            *(pa.field(f"latent_{i + 1}", pa.float64()) for i in range(latent)),
            pa.field("reconstruction_error", pa.float64()),
        ]
    )
    table = Table(name, "latent_vectors")
    if not isinstance(assigner, AutoencoderAssigner):
        return write_batches(connection, table, schema, iter(()), build)
    with connection.cursor() as reading:
        batches = read_batches(reading, f"FROM {Table(name, 'feature_matrix').sql}")
        return write_batches(
            connection, table, schema, _vectors(assigner, model, batches, schema), build
        )


def _vectors(
    assigner: AutoencoderAssigner,
    model: SegmentModel,
    batches: pa.RecordBatchReader,
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        columns = read_columns(batch, model.feature_names)
        vectors = assigner.latent_vectors(columns)
        yield pa.record_batch(
            [
                batch.column("customer_id").cast(pa.string()),
                *(pa.array(np.ascontiguousarray(vector)) for vector in vectors.T),
                pa.array(assigner.reconstruction_errors(columns)),
            ],
            schema=schema,
        )
