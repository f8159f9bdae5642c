import numpy as np
import pytest

from segmentation_pipeline.clustering import core_points as core_points_module
from segmentation_pipeline.clustering.core_points import CorePoints
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError

EUCLIDEAN = Similarity("euclidean")
METRICS = [
    EUCLIDEAN,
    Similarity("manhattan"),
    Similarity("minkowski", 3.0),
    Similarity("minkowski", 1.5),
    Similarity("cosine"),
]


def arrays_of(points, labels, reaches):
    return {
        "core_points": np.array(points, dtype=np.float64),
        "core_labels": np.array(labels, dtype=np.int32),
        "reaches": np.array(reaches, dtype=np.float64),
    }


def crowd(rng, segments=4, features=3, members=60):
    centres = 3 * rng.normal(size=(segments, features))
    labels = np.repeat(np.arange(segments), members)
    points = centres[labels] + rng.normal(size=(len(labels), features))
    return arrays_of(points, labels, rng.uniform(0.1, 0.9, segments))


def values_of(found):
    return [found.own, found.runner_up, found.distance, found.margin]


def test_segment_runner_up_distance_and_margin_by_hand():
    arrays = arrays_of([[0, 0], [1, 0], [5, 0]], [0, 0, 1], [1, 2])
    found = CorePoints(arrays, EUCLIDEAN).query(
        [np.array([0.0, 2.0, 3.0, 3.5, 5.0, 9.0]), np.zeros(6)]
    )
    # Beyond 1 of segment 0 is noise, beyond 2 of segment 1; half way, the lowest label is nearest.
    assert found.own.tolist() == [0, 0, -1, 1, 1, -1]
    assert found.runner_up.tolist() == [1, 1, 0, 0, 0, 1]
    assert found.distance.tolist() == [0, 1, 2, 1.5, 0, 4]
    assert found.margin[[0, 1, 3, 4]].tolist() == [1, 1 - 1 / 3, 1 - 1.5 / 2.5, 1]
    assert np.isnan(found.margin[[2, 5]]).all()


def test_nearest_leaves_nobody_out():
    assigner = CorePoints(arrays_of([[0, 0], [5, 0]], [0, 1], [1, 1]), EUCLIDEAN)
    columns = [np.array([2.5, 100.0, 0.5]), np.zeros(3)]
    assert assigner.query(columns).own.tolist() == [-1, -1, 0]
    found = assigner.nearest(columns)
    assert found.own.tolist() == [0, 1, 0]
    assert found.runner_up.tolist() == [1, 0, 1]
    assert found.margin.tolist() == [0, 1 - 95 / 100, 1 - 0.5 / 4.5]
    labels = np.array([1, 0, 1], dtype=np.int32)
    assert assigner.distances(columns, labels).tolist() == [2.5, 100, 4.5]


def test_on_core_points_of_two_segments_a_row_is_on_their_border():
    assigner = CorePoints(arrays_of([[0.0], [0.0], [2.0]], [0, 1, 1], [1, 1]), EUCLIDEAN)
    found = assigner.query([np.array([0.0, 2.0])])
    assert found.own.tolist() == [0, 1]
    assert found.margin.tolist() == [0, 1]


def test_one_segment_has_no_runner_up():
    assigner = CorePoints(arrays_of([[0.0]], [0], [1]), EUCLIDEAN)
    found = assigner.query([np.array([0.5, 3.0])])
    assert (found.own.tolist(), found.runner_up.tolist()) == ([0, -1], [-1, 0])
    assert np.isnan(found.margin).all()


@pytest.mark.parametrize("similarity", METRICS)
def test_distances_are_those_of_the_metric(similarity):
    rng = np.random.default_rng(0)
    arrays = crowd(rng)
    rows = np.concatenate([5 * rng.normal(size=(300, 3)), np.zeros((1, 3))])
    found = CorePoints(arrays, similarity).nearest(list(rows.T))
    every = similarity.pairwise(rows, arrays["core_points"])
    by_segment = np.array([every[:, arrays["core_labels"] == s].min(axis=1) for s in range(4)]).T
    order = np.argsort(by_segment, axis=1, kind="stable")
    # By cosine a row of zeros is at 1 from everyone, up to rounding.
    np.testing.assert_array_equal(found.own[:-1], order[:-1, 0])
    np.testing.assert_array_equal(found.runner_up[:-1], order[:-1, 1])
    ordered = np.sort(by_segment, axis=1)
    np.testing.assert_allclose(found.distance, ordered[:, 0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.margin, 1 - ordered[:, 0] / ordered[:, 1], atol=1e-12)


@pytest.mark.parametrize("similarity", METRICS)
def test_order_batches_and_threads_change_no_bit(similarity, monkeypatch):
    rng = np.random.default_rng(1)
    arrays = crowd(rng, segments=6)
    if similarity.metric == "cosine":
        arrays["reaches"] /= 1000
    assigner = CorePoints(arrays, similarity)
    rows = (4 * rng.normal(size=(2000, 3))).astype(np.float32)
    whole = values_of(assigner.query(list(rows.T)))
    assert 0 < np.count_nonzero(whole[0] == -1) < len(rows)

    order = rng.permutation(len(rows))
    for one, other in zip(whole, values_of(assigner.query(list(rows[order].T))), strict=True):
        np.testing.assert_array_equal(one[order], other)
    monkeypatch.setattr(core_points_module, "_BLOCK_ROWS", 130)
    for batch, threads in ((1, 1), (7, 2), (1000, 1), (1000, 2)):
        parts = Workers(threads).map(
            lambda start, batch=batch: values_of(
                assigner.query(list(rows[start : start + batch].T))
            ),
            range(0, 300 if batch == 1 else len(rows), batch),
        )
        for one, pieces in zip(whole, zip(*parts, strict=True), strict=True):
            together = np.concatenate(pieces)
            np.testing.assert_array_equal(one[: len(together)], together)


def test_float32_and_float64_are_the_same_rows():
    rng = np.random.default_rng(2)
    assigner = CorePoints(crowd(rng), EUCLIDEAN)
    rows = rng.normal(size=(50, 3)).astype(np.float32)
    single = values_of(assigner.query(list(rows.T)))
    double = values_of(assigner.query(list(rows.astype(np.float64).T)))
    for one, other in zip(single, double, strict=True):
        np.testing.assert_array_equal(one, other)


def test_rows_that_are_not_finite_have_no_distance():
    assigner = CorePoints(arrays_of([[0, 0], [5, 0]], [0, 1], [1, 1]), EUCLIDEAN)
    columns = [np.array([np.nan, np.inf, 0.0]), np.zeros(3)]
    found = assigner.query(columns)
    assert found.own.tolist() == [-1, -1, 0]
    assert np.isnan(found.distance).tolist() == [True, True, False]
    assert np.isnan(assigner.distances(columns, np.zeros(3, np.int32))).tolist() == [1, 1, 0]
    too_large = assigner.query([np.array([1e200]), np.zeros(1)])
    assert (too_large.own.tolist(), np.isfinite(too_large.distance).tolist()) == ([-1], [False])


def test_no_rows_give_no_labels():
    found = CorePoints(arrays_of([[0.0]], [0], [1]), EUCLIDEAN).query([np.empty(0, np.float32)])
    assert [len(values) for values in values_of(found)] == [0, 0, 0, 0]


def test_a_model_from_disk_assigns_alike(tmp_path):
    rng = np.random.default_rng(3)
    arrays = crowd(rng)
    model = SegmentModel("dbscan", "euclidean", ("a", "b", "c"), arrays, {"radius": 0.5})
    digest = save_model(model, tmp_path / "model")
    read = load_model(tmp_path / "model", digest)
    columns = list((3 * rng.normal(size=(3, 400))).astype(np.float32))
    for one, other in zip(
        values_of(CorePoints(arrays, EUCLIDEAN).query(columns)),
        values_of(CorePoints(read.arrays, EUCLIDEAN).query(columns)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("points", "labels", "reaches", "message"),
    [
        ([[0.0], [1.0]], [0, 0], [1, 1], "each segment needs core points"),
        ([[0.0], [1.0]], [0, 2], [1, 1], "each segment needs core points"),
        ([[0.0]], [0, 0], [1], "each segment needs core points"),
        ([0.0], [0], [1], "each segment needs core points"),
        (np.empty((0, 2)), [], [], "each segment needs core points"),
        ([[np.nan]], [0], [1], "not finite"),
        ([[0.0]], [0], [np.inf], "not finite"),
    ],
)
def test_arrays_that_assign_nobody_are_refused(points, labels, reaches, message):
    with pytest.raises(ClusteringError, match=message):
        CorePoints(arrays_of(points, labels, reaches), EUCLIDEAN)
