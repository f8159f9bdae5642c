"""Who belongs where: a model's label numbers become segment ids, batch by batch."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CUSTOMER_SEGMENTS_SCHEMA = pa.schema(
    [
        pa.field("customer_id", pa.string(), nullable=False),
        pa.field("segment_id", pa.string(), nullable=False),
        pa.field("raw_segment_id", pa.string(), nullable=False),
        pa.field("runner_up_segment_id", pa.string()),
        pa.field("distance", pa.float64()),
        pa.field("margin", pa.float64()),
        pa.field("probability", pa.float64()),
        pa.field("is_borderline", pa.bool_(), nullable=False),
        pa.field("is_outlier", pa.bool_(), nullable=False),
        pa.field("is_typed", pa.bool_(), nullable=False),
        pa.field("typing_confidence", pa.float64()),
    ]
)


def identify_batches(
    assigned: Iterable[pa.RecordBatch], ids: Sequence[str], noise_id: str
) -> Iterator[pa.RecordBatch]:
    """Turn assignments (`segments.hysteresis.hold_batches`) into rows by segment id.

    `ids[label]` is the id of the model's label, `noise_id` that of noise. `raw_segment_id` is the
    nearest segment tonight; `segment_id` is the one that the customer is counted in.
    """
    names = [*ids, noise_id]
    for batch in assigned:
        yield pa.record_batch(
            [
                batch.column("customer_id").cast(pa.string()),
                named_labels(batch.column("segment"), names),
                named_labels(batch.column("raw_segment"), names),
                pa.array(names, pa.string()).take(batch.column("runner_up")),
                batch.column("distance"),
                batch.column("margin"),
                batch.column("probability"),
                batch.column("is_borderline"),
                batch.column("is_outlier"),
                pa.array(np.zeros(batch.num_rows, dtype=np.bool_)),
                pa.nulls(batch.num_rows, pa.float64()),
            ],
            schema=CUSTOMER_SEGMENTS_SCHEMA,
        )


def named_labels(labels: pa.Array, names: Sequence[str]) -> pa.Array:
    """Put names in the place of labels, the last one in that of noise, which is below 0."""
    noise = pa.scalar(len(names) - 1, pa.int32())
    return pa.array(names, pa.string()).take(pc.if_else(pc.less(labels, 0), noise, labels))
