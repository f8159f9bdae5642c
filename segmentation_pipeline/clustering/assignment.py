"""Customers stream through a model: feature batches in, segments with their distances out.

What belongs here: the Arrow side of assignment, and what its columns mean. The arithmetic belongs
to each family's assigner; which segment a customer is *published* in (identity, hysteresis) belongs
to `segments`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE, Assigned, Assigner, Floats
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features.preparation import UNCLIPPED_SUFFIX

BORDERLINE_MARGIN = 0.1
"""Below this margin a customer is borderline: about 9 % are, in any number of dimensions."""

BORDERLINE_PROBABILITY = 0.6
"""Below this probability one is, where the family has probabilities."""

OUTLIER_PERCENTILE = 99.5
"""A customer farther from the segment than this share of the training rows is an outlier."""

# Large enough that a thread keeps the interpreter's lock for a small share of its time (at 4,096
# rows two threads were slower than one), small enough that its columns stay in the cache.
_SLICE_ROWS = 1 << 15


def assignment_schema(customer_id_type: pa.DataType) -> pa.Schema:
    """Columns and types of an assignment; `customer_id` keeps the type that it came with."""
    return pa.schema(
        [
            pa.field("customer_id", customer_id_type, nullable=False),
            pa.field("raw_segment", pa.int32(), nullable=False),
            pa.field("distance", pa.float64(), nullable=False),
            pa.field("margin", pa.float64()),
            pa.field("probability", pa.float64()),
            pa.field("runner_up", pa.int32()),
            pa.field("is_borderline", pa.bool_(), nullable=False),
            pa.field("is_outlier", pa.bool_(), nullable=False),
        ]
    )


def assign_rows(
    assigner: Assigner,
    feature_names: Sequence[str],
    outlier_distance: float,
    batches: Iterable[pa.RecordBatch],
    *,
    noise: Literal["keep", "nearest"] = "keep",
    threads: int = 1,
) -> Iterator[pa.RecordBatch]:
    """Assign every customer of a stream to a segment, or say that none holds the customer.

    In: `customer_id` and the model's features (floats, nothing missing), in any column order; other
    columns are ignored. Out, in the same row order (see `assignment_schema`):

    - raw_segment: the segment's label, 0 to k - 1; -1 for noise, unless `noise` is "nearest";
    - distance: the one to the segment, in the model's metric and the units of the prepared
      features; of noise the one to the nearest segment;
    - runner_up: the second best segment, of noise the nearest; NULL where there is none;
    - margin: 0 on the border between the two and 1 where the row is typical of its own (for
      prototypes t = (d_second^2 - d_own^2) / d(own, second)^2); NULL for noise, and where k = 1;
    - probability: of the own segment; NULL where the family has none;
    - is_borderline: margin < 0.1, or probability < 0.6 where there is one; false for noise;
    - is_outlier: the distance is beyond `outlier_distance`. Where a batch has a column
      `<feature>:unclipped`, this distance (only) is taken from it.

    Every value is the same for any batch size, row order and thread count, as the assigner's are.
    Memory is that of one batch, and of what the assigner takes for 32,768 rows on each thread.

    Raises ClusteringError for a missing feature, and a value that is NULL, NaN or infinite.
    """
    workers = Workers(threads)
    query = assigner.nearest if noise == "nearest" else assigner.query
    for batch in batches:
        columns = read_columns(batch, feature_names)
        found = query_slices(query, columns, workers)
        reach = found.distance
        unclipped = [name + UNCLIPPED_SUFFIX for name in feature_names]
        if not set(unclipped).isdisjoint(batch.schema.names):
            names = [
                other if other in batch.schema.names else name
                for name, other in zip(feature_names, unclipped, strict=True)
            ]
            reach = distance_slices(
                assigner, read_columns(batch, names), nearest_segments(found), workers
            )
        if not (np.isfinite(found.distance).all() and np.isfinite(reach).all()):
            raise ClusteringError(
                "prepared features are finite, but too large for a distance to be computed"
            )
        yield _assignment(batch, found, reach > outlier_distance)


def read_columns(batch: pa.RecordBatch, names: Sequence[str]) -> list[Floats]:
    """Columns of a batch as arrays (n,), in the order of their names.

    Raises ClusteringError naming those that are missing, no floats, NULL, NaN or infinite.
    """
    columns = [_numbers(batch, name) for name in names]
    faults = [
        f"{name} ({count})"
        for name, column in zip(names, columns, strict=True)
        if (count := column.size - int(np.count_nonzero(np.isfinite(column))))
    ]
    if faults:
        raise ClusteringError(
            f"prepared features are NaN or infinite (customers of a batch): {', '.join(faults)}"
        )
    return columns


def query_slices(
    query: Callable[[Sequence[Floats]], Assigned], columns: Sequence[Floats], workers: Workers
) -> Assigned:
    """Assign rows slice by slice, several at once; `query` is an assigner's."""
    parts = workers.map(
        lambda part: query([column[part] for column in columns]), _slices(len(columns[0]))
    )
    probabilities = [part.probability for part in parts if part.probability is not None]
    return Assigned(
        own=np.concatenate([part.own for part in parts]),
        runner_up=np.concatenate([part.runner_up for part in parts]),
        distance=np.concatenate([part.distance for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
        probability=np.concatenate(probabilities) if probabilities else None,
    )


def distance_slices(
    assigner: Assigner,
    columns: Sequence[Floats],
    labels: NDArray[np.int32],
    workers: Workers,
) -> NDArray[np.float64]:
    """Measure the distance of rows to the segments of their labels, slice by slice."""
    return np.concatenate(
        workers.map(
            lambda part: assigner.distances([column[part] for column in columns], labels[part]),
            _slices(len(labels)),
        )
    )


def nearest_segments(found: Assigned) -> NDArray[np.int32]:
    """Label of the own segment (n,), of noise that of the nearest."""
    return np.where(found.own == NOISE, found.runner_up, found.own)


def _slices(rows: int) -> list[slice]:
    return [slice(start, start + _SLICE_ROWS) for start in range(0, max(rows, 1), _SLICE_ROWS)]


def _assignment(
    batch: pa.RecordBatch, found: Assigned, is_outlier: NDArray[np.bool_]
) -> pa.RecordBatch:
    is_unclear = (
        found.margin < BORDERLINE_MARGIN
        if found.probability is None
        else found.probability < BORDERLINE_PROBABILITY
    )
    return pa.record_batch(
        [
            batch.column("customer_id"),
            pa.array(found.own),
            pa.array(found.distance),
            pa.array(found.margin, mask=np.isnan(found.margin)),
            pa.nulls(batch.num_rows, pa.float64())
            if found.probability is None
            else pa.array(found.probability),
            pa.array(found.runner_up, mask=found.runner_up < 0),
            pa.array(is_unclear & (found.own != NOISE)),
            pa.array(is_outlier),
        ],
        schema=assignment_schema(batch.schema.field("customer_id").type),
    )


def _numbers(batch: pa.RecordBatch, name: str) -> Floats:
    if name not in batch.schema.names:
        raise ClusteringError(f"the feature {name} of the model is not in the feature matrix")
    column = batch.column(name)
    if not pa.types.is_floating(column.type):
        raise ClusteringError(f"the feature {name} is {column.type}, not a float")
    if column.null_count:
        raise ClusteringError(
            f"the feature {name} is NULL for {column.null_count} customers of a batch: "
            "the prepared features must say what a missing value becomes"
        )
    numbers: Floats = column.to_numpy()
    return numbers
