"""Customers stream through a model: feature batches in, segments with their distances out.

What belongs here: the Arrow side of assignment, and what its columns mean. The arithmetic belongs
to `nearest`; which segment a customer is *published* in (identity, hysteresis) belongs to
`segments`.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from segmentation_pipeline.clustering.kmeans import OUTLIER_PERCENTILE
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.nearest import Floats, Nearest, NearestCentroids
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features.preparation import UNCLIPPED_SUFFIX

BORDERLINE_MARGIN = 0.1
"""Below this margin a customer is borderline: about 9 % are, in any number of dimensions."""

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
            pa.field("runner_up", pa.int32()),
            pa.field("is_borderline", pa.bool_(), nullable=False),
            pa.field("is_outlier", pa.bool_(), nullable=False),
        ]
    )


def assign_batches(
    model: SegmentModel, batches: Iterable[pa.RecordBatch], *, threads: int = 1
) -> Iterator[pa.RecordBatch]:
    """Assign every customer of a stream to the nearest segment.

    In: `customer_id` and the model's features (float32, nothing missing), in any column order;
    other columns are ignored. Out, in the same row order (see `assignment_schema`):

    - raw_segment: the nearest centroid's label, 0 to k - 1; of equally near ones the lowest;
    - distance: d_own, Euclidean, in the units of the prepared features;
    - runner_up: the second nearest centroid's label; NULL where k = 1;
    - margin: t = (d_second^2 - d_own^2) / |c_own - c_second|^2, which is 0 on the border between
      the two, 1 at the own centroid (also beyond 1, behind it); NULL where k = 1;
    - is_borderline: margin < 0.1 (false where k = 1);
    - is_outlier: the distance is beyond the 99.5th percentile of the training rows. Where a batch
      has a column `<feature>:unclipped`, this distance (only) is taken from it.

    Every value is the same for any batch size, row order and thread count (`nearest` says how).
    Memory is that of one batch, plus 4 MB of scores for each thread.

    Raises ClusteringError for a model of another algorithm, a missing feature, and a value that is
    NULL, NaN or infinite.
    """
    if (model.algorithm, model.metric) != ("k_means", "euclidean"):
        raise ClusteringError(
            f"a model of {model.algorithm} with {model.metric} distances cannot be assigned by "
            "nearest centroids"
        )
    nearest = NearestCentroids(model.arrays["centroids"])
    reference = dict(model.arrays["distance_percentiles"].tolist())
    limit = float(reference[OUTLIER_PERCENTILE])
    workers = Workers(threads)
    for batch in batches:
        yield _assign(model.feature_names, nearest, limit, batch, workers)


def _assign(
    feature_names: Sequence[str],
    nearest: NearestCentroids,
    outlier_distance: float,
    batch: pa.RecordBatch,
    workers: Workers,
) -> pa.RecordBatch:
    columns = [_numbers(batch, name) for name in feature_names]
    found = _query_in_slices(nearest, columns, batch.num_rows, workers)
    if not np.isfinite(found.own_squared).all():
        raise _not_finite(feature_names, columns)
    is_alone = nearest.count == 1
    distance = np.sqrt(found.own_squared)
    return pa.record_batch(
        [
            batch.column("customer_id"),
            pa.array(found.own),
            pa.array(distance),
            pa.nulls(batch.num_rows, pa.float64()) if is_alone else pa.array(found.margin),
            pa.nulls(batch.num_rows, pa.int32()) if is_alone else pa.array(found.runner_up),
            pa.array(found.margin < BORDERLINE_MARGIN),
            pa.array(
                _unclipped_distance(feature_names, columns, nearest, batch, found, distance)
                > outlier_distance
            ),
        ],
        schema=assignment_schema(batch.schema.field("customer_id").type),
    )


def _query_in_slices(
    nearest: NearestCentroids, columns: Sequence[Floats], rows: int, workers: Workers
) -> Nearest:
    slices = [slice(start, start + _SLICE_ROWS) for start in range(0, max(rows, 1), _SLICE_ROWS)]
    parts = workers.map(lambda part: nearest.query([column[part] for column in columns]), slices)
    return Nearest(
        own=np.concatenate([part.own for part in parts]),
        runner_up=np.concatenate([part.runner_up for part in parts]),
        own_squared=np.concatenate([part.own_squared for part in parts]),
        margin=np.concatenate([part.margin for part in parts]),
    )


def _unclipped_distance(
    feature_names: Sequence[str],
    columns: Sequence[Floats],
    nearest: NearestCentroids,
    batch: pa.RecordBatch,
    found: Nearest,
    distance: Floats,
) -> Floats:
    present = set(batch.schema.names)
    unclipped = [name + UNCLIPPED_SUFFIX for name in feature_names]
    if present.isdisjoint(unclipped):
        return distance
    true_columns = [
        _numbers(batch, name) if name in present else column
        for name, column in zip(unclipped, columns, strict=True)
    ]
    squared = nearest.squared_distances(true_columns, found.own.astype(np.intp))
    if not np.isfinite(squared).all():
        raise _not_finite(unclipped, true_columns)
    return np.sqrt(squared)


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


def _not_finite(names: Sequence[str], columns: Sequence[Floats]) -> ClusteringError:
    found = [
        f"{name} ({count})"
        for name, column in zip(names, columns, strict=True)
        if (count := int(np.count_nonzero(~np.isfinite(column))))
    ]
    return ClusteringError(
        "prepared features are NaN or infinite (customers of a batch): "
        + (", ".join(found) or "too large to be squared")
    )
