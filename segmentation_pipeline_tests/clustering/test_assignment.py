"""Assignment of a stream: the columns' meaning, and that nothing but the customer decides them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.clustering.assignment import assign_rows, assignment_schema
from segmentation_pipeline.clustering.family import Assigned, Assigner
from segmentation_pipeline.clustering.fitted_model import distance_percentiles
from segmentation_pipeline.clustering.metrics import EUCLIDEAN, Similarity
from segmentation_pipeline.clustering.prototypes import nearest_prototypes
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.warehouse import open_in_memory, read_batches


def batch_of(rows, names, ids=None, dtype=np.float32):
    rows = np.asarray(rows, dtype=dtype)
    ids = [f"c{i}" for i in range(len(rows))] if ids is None else ids
    columns = [pa.array(np.ascontiguousarray(column)) for column in rows.T]
    return pa.record_batch([pa.array(ids, pa.string()), *columns], ["customer_id", *names])


class Model(NamedTuple):
    assigner: Assigner
    names: Sequence[str]
    outlier_distance: float

    def assign(self, batches, threads=1):
        return assign_rows(*self, batches, threads=threads)


def model_of(centroids, outlier_distance=100.0, names=("x", "y")):
    prototypes = np.asarray(centroids, dtype=np.float64)
    return Model(nearest_prototypes(prototypes, EUCLIDEAN), names, outlier_distance)


def collect(model, batches, threads=1):
    return pa.Table.from_batches(
        list(model.assign(batches, threads)), assignment_schema(pa.string())
    )


def test_every_column_by_hand():
    model = model_of([[0, 0], [4, 0], [0, 10]], outlier_distance=3.0)
    batch = batch_of([[1, 0], [2, 0], [1.875, 0], [-4, 0], [0, 13]], ["x", "y"])
    assert collect(model, [batch]).to_pydict() == {
        "customer_id": ["c0", "c1", "c2", "c3", "c4"],
        "raw_segment": [0, 0, 0, 0, 2],
        "distance": [1.0, 2.0, 1.875, 4.0, 3.0],
        "margin": [0.5, 0.0, 0.0625, 3.0, 1.6],
        "probability": [None] * 5,
        "runner_up": [1, 1, 1, 1, 0],
        "is_borderline": [False, True, True, False, False],
        "is_outlier": [False, False, False, True, False],
    }


def test_one_segment_has_no_margin():
    model = model_of([[1, 1]], outlier_distance=1.0)
    assert collect(model, [batch_of([[1, 1], [1, 3]], ["x", "y"])]).to_pydict() == {
        "customer_id": ["c0", "c1"],
        "raw_segment": [0, 0],
        "distance": [0.0, 2.0],
        "margin": [None, None],
        "probability": [None, None],
        "runner_up": [None, None],
        "is_borderline": [False, False],
        "is_outlier": [False, True],
    }


class Balls:
    """Segments 0 and 1 are within 1 of 0 and of 10, all else is noise; x = 0.5 is uncertain."""

    segments = 2

    def __init__(self, has_probability=False):
        self._has_probability = has_probability

    def query(self, columns):
        found = self.nearest(columns)
        is_noise = found.distance > 1
        own = np.where(is_noise, -1, found.own).astype(np.int32)
        runner_up = np.where(is_noise, found.own, found.runner_up).astype(np.int32)
        margin = np.where(is_noise, np.nan, found.margin)
        probability = None if found.probability is None else np.where(is_noise, 0, found.margin)
        return Assigned(own, runner_up, found.distance, margin, probability)

    def nearest(self, columns):
        (x,) = columns
        own = (x > 5).astype(np.int32)
        distance = self.distances(columns, own)
        margin = 1 - distance / 5
        probability = margin if self._has_probability else None
        return Assigned(own, 1 - own, distance, margin, probability)

    def distances(self, columns, labels):
        return np.abs(columns[0].astype(np.float64) - 10.0 * labels)


def test_noise_is_an_answer_with_the_segment_nearest_to_it():
    batch = batch_of([[0.5], [4.75], [11.0], [20.0]], ["x"])
    (found,) = assign_rows(Balls(), ["x"], 6.0, [batch])
    assert found.to_pydict() == {
        "customer_id": ["c0", "c1", "c2", "c3"],
        "raw_segment": [0, -1, 1, -1],
        "distance": [0.5, 4.75, 1.0, 10.0],
        "margin": [0.9, None, 0.8, None],
        "probability": [None] * 4,
        "runner_up": [1, 0, 0, 1],
        "is_borderline": [False, False, False, False],
        "is_outlier": [False, False, False, True],
    }
    (kept,) = assign_rows(Balls(), ["x"], 6.0, [batch], noise="nearest")
    assert kept["raw_segment"].to_pylist() == [0, 0, 1, 1]
    assert kept["runner_up"].to_pylist() == [1, 1, 0, 0]
    assert kept["is_borderline"].to_pylist() == [False, True, False, True]


def test_where_there_is_a_probability_it_says_who_is_borderline():
    batch = batch_of([[0.5], [2.0], [2.5], [20.0]], ["x"])
    model = Balls(has_probability=True)
    (found,) = assign_rows(model, ["x"], 6.0, [batch], noise="nearest")
    assert found["probability"].to_pylist() == [0.9, 0.6, 0.5, -1.0]
    assert found["is_borderline"].to_pylist() == [False, False, True, True]
    (found,) = assign_rows(model, ["x"], 6.0, [batch])
    assert found["is_borderline"].to_pylist() == [False, False, False, False]


def test_an_unclipped_value_of_noise_is_held_against_the_nearest_segment():
    batch = batch_of([[13.0], [13.0]], ["x"]).append_column(
        "x:unclipped", pa.array([13.0, 17.0], pa.float32())
    )
    (found,) = assign_rows(Balls(), ["x"], 6.0, [batch])
    assert found["raw_segment"].to_pylist() == [-1, -1]
    assert found["distance"].to_pylist() == [3.0, 3.0]
    assert found["is_outlier"].to_pylist() == [False, True]


@pytest.mark.parametrize(
    "similarity", [Similarity("manhattan"), Similarity("minkowski", 2.5), Similarity("cosine")]
)
def test_other_metrics_depend_on_the_customer_alone_too(similarity):
    rng = np.random.default_rng(0)
    names = [f"f{i}" for i in range(5)]
    assigner = nearest_prototypes(rng.normal(size=(4, 5)), similarity)
    rows = rng.normal(size=(70_000, 5))
    rows[::1000] = 0.0
    whole = batch_of(rows, names)

    def assigned(batches, threads=1):
        return pa.Table.from_batches(
            list(assign_rows(assigner, names, 2.0, batches, threads=threads))
        )

    expected = assigned([whole])
    assert assigned([whole], threads=2).equals(expected)
    parts = [whole.slice(start, 997) for start in range(0, len(rows), 997)]
    assert assigned(parts, threads=2).equals(expected)
    order = pa.array(rng.permutation(len(rows)))
    assert assigned([whole.take(order)]).equals(expected.take(order))


def test_a_value_too_large_for_its_distance_is_refused():
    assigner = nearest_prototypes(np.array([[0.0], [1.0]]), Similarity("minkowski", 16))
    with pytest.raises(ClusteringError, match="too large for a distance"):
        list(assign_rows(assigner, ["x"], 1.0, [batch_of([[1e30]], ["x"])]))


@pytest.mark.parametrize("k", [8, 200])
def test_labels_depend_on_the_customer_alone(k):
    rng = np.random.default_rng(k)
    names = [f"f{i}" for i in range(6)]
    centroids = rng.normal(size=(k, 6))
    pairs = rng.integers(0, k, (70_000, 2))
    # Half the customers are within rounding of a border.
    rows = ((centroids[pairs[:, 0]] + centroids[pairs[:, 1]]) / 2).astype(np.float32)
    rows[::2] = rng.normal(size=(35_000, 6))
    model = model_of(centroids, names=names)
    whole = batch_of(rows, names)
    expected = collect(model, [whole])
    assert collect(model, [whole], threads=2).equals(expected)
    for size in (997, 40_000):
        parts = [whole.slice(start, size) for start in range(0, len(rows), size)]
        assert collect(model, parts, threads=2).equals(expected)
    order = rng.permutation(len(rows))
    shuffled = collect(model, [whole.take(pa.array(order))], threads=2)
    assert shuffled.equals(expected.take(pa.array(order)))


def test_labels_don_t_depend_on_the_order_of_columns_and_extra_ones_are_ignored():
    model = model_of([[0, 0], [4, 0]])
    batch = pa.record_batch(
        [pa.array([0.0], pa.float32()), pa.array(["c"]), pa.array([3.0], pa.float32())],
        ["y", "customer_id", "x"],
    ).append_column("z", pa.array(["not a number"]))
    assert collect(model, [batch])["raw_segment"].to_pylist() == [1]


def test_an_outlier_is_judged_by_what_it_was_before_clipping():
    model = model_of([[0, 0], [4, 0]], outlier_distance=2.0)
    batch = batch_of([[-1, 0], [-1, 0]], ["x", "y"]).append_column(
        "x:unclipped", pa.array([-1.0, -50.0], pa.float32())
    )
    found = collect(model, [batch])
    assert found["is_outlier"].to_pylist() == [False, True]
    assert found["distance"].to_pylist() == [1.0, 1.0]


def test_about_one_training_row_in_two_hundred_is_an_outlier():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(10_000, 2)).astype(np.float32)
    centroids = [[-1.0, 0.0], [1.0, 0.0]]
    _, (_, distance) = distance_percentiles(model_of(centroids).assigner, rows.astype(float))
    model = model_of(centroids, outlier_distance=distance)
    flagged = collect(model, [batch_of(rows, ["x", "y"])])["is_outlier"].to_pylist()
    assert sum(flagged) == 49  # The 99.5th percentile is an occurring distance; 49 lie beyond it.


def test_a_stream_from_duckdb_and_an_empty_batch():
    model = model_of([[0, 0], [4, 0]])
    with open_in_memory() as connection:
        query = (
            "SELECT i AS customer_id, (i % 5)::FLOAT AS x, 0::FLOAT AS y FROM range(10_000) t(i)"
        )
        stream = list(model.assign(read_batches(connection, query, 2048)))
    assert stream[0].schema == assignment_schema(pa.int64())
    labels = pa.Table.from_batches(stream).sort_by("customer_id")["raw_segment"].to_pylist()
    assert labels == [0, 0, 0, 1, 1] * 2000
    empty = batch_of(np.empty((0, 2)), ["x", "y"])
    assert collect(model, [empty]).num_rows == 0
    assert list(model.assign([])) == []


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([1.0, None], pa.float32()), "y is NULL for 1 customers"),
        (pa.array([1.0, np.nan], pa.float32()), r"NaN or infinite .*: y \(1\)"),
        (pa.array([np.inf, -np.inf], pa.float32()), r"NaN or infinite .*: y \(2\)"),
        (pa.array([1, 2], pa.int32()), "y is int32, not a float"),
        (None, "y of the model is not in"),
    ],
)
@pytest.mark.parametrize("k", [1, 2, 200])
def test_a_feature_that_is_not_a_number_is_named_and_refused(column, message, k):
    columns = {"customer_id": pa.array(["a", "b"]), "x": pa.array([1.0, 2.0], pa.float32())}
    if column is not None:
        columns["y"] = column
    model = model_of([[float(i), 0.0] for i in range(k)])
    with pytest.raises(ClusteringError, match=message):
        list(model.assign([pa.RecordBatch.from_pydict(columns)]))


def test_an_unclipped_value_that_is_not_finite_is_refused():
    batch = batch_of([[1, 0]], ["x", "y"]).append_column(
        "y:unclipped", pa.array([np.nan], pa.float32())
    )
    with pytest.raises(ClusteringError, match=r"y:unclipped \(1\)"):
        list(model_of([[0, 0], [4, 0]]).assign([batch]))
