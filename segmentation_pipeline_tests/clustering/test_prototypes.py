"""Assignment to prototypes: against a plain loop, by hand, and row by row."""

import numpy as np
import pytest

from segmentation_pipeline.clustering import prototypes as prototypes_module
from segmentation_pipeline.clustering.metrics import EUCLIDEAN, Similarity
from segmentation_pipeline.clustering.nearest import NearestCentroids
from segmentation_pipeline.clustering.prototypes import in_canonical_order, nearest_prototypes
from segmentation_pipeline.errors import ClusteringError

SIMILARITIES = [
    EUCLIDEAN,
    Similarity("manhattan"),
    Similarity("minkowski", 3),
    Similarity("minkowski", 1.5),
    Similarity("cosine"),
]
each = pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)


@each
@pytest.mark.parametrize("k", [2, 7, 150])
def test_it_is_the_nearest_by_the_definition(similarity, k):
    rng = np.random.default_rng(k)
    prototypes = rng.normal(size=(k, 4))
    rows = np.concatenate([rng.normal(size=(900, 4)), np.zeros((3, 4)), prototypes])
    rows = rows.astype(np.float32)
    found = nearest_prototypes(prototypes, similarity).query(list(rows.T))
    distances = similarity.pairwise(rows, prototypes)
    order = np.argsort(distances, axis=1, kind="stable")
    np.testing.assert_array_equal(found.own, order[:, 0])
    np.testing.assert_array_equal(found.runner_up, order[:, 1])
    np.testing.assert_array_equal(found.distance, np.sort(distances, axis=1)[:, 0])
    assert found.probability is None
    # By cosine the margin is one of squared chords, which are twice the distance.
    squared = 2 * distances if similarity.metric == "cosine" else distances**2
    between = similarity.pairwise(prototypes, prototypes)
    between = 2 * between if similarity.metric == "cosine" else between**2
    first, second = np.sort(squared, axis=1)[:, :2].T
    expected = (second - first) / between[found.own, found.runner_up]
    np.testing.assert_allclose(found.margin, expected, rtol=1e-9, atol=1e-9)


@each
def test_a_value_depends_on_its_row_alone(similarity, monkeypatch):
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(5, 6))
    rows = rng.normal(size=(3000, 6)).astype(np.float32)
    # Half of them within rounding of a border between two.
    pairs = rng.integers(0, 5, (1500, 2))
    rows[::2] = (prototypes[pairs[:, 0]] + prototypes[pairs[:, 1]]) / 2
    assigner = nearest_prototypes(prototypes, similarity)
    whole = assigner.query(list(rows.T))
    names = ("own", "runner_up", "distance", "margin")

    def assert_same(found, part):
        for name in names:
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[part])

    order = rng.permutation(len(rows))
    assert_same(assigner.query(list(rows[order].T)), order)
    for batch, most in ((1, 100), (7, 700), (1000, 3000)):
        for start in range(0, most, batch):
            part = slice(start, start + batch)
            assert_same(assigner.query([column[part] for column in rows.T]), part)
    monkeypatch.setattr(prototypes_module, "_BLOCK_DISTANCES", 5 * 13)
    assert_same(assigner.query(list(rows.T)), slice(None))


@each
def test_distances_to_given_segments_are_those_of_the_query(similarity):
    rng = np.random.default_rng(1)
    prototypes, rows = rng.normal(size=(6, 3)), rng.normal(size=(500, 3))
    assigner = nearest_prototypes(prototypes, similarity)
    found = assigner.query(list(rows.T))
    np.testing.assert_array_equal(assigner.distances(list(rows.T), found.own), found.distance)
    farther = assigner.distances(list(rows.T), found.runner_up)
    assert (farther >= found.distance).all()
    assert assigner.segments == 6


def test_euclidean_is_the_exact_search_and_minkowski_2_is_euclidean():
    rng = np.random.default_rng(2)
    prototypes, rows = rng.normal(size=(4, 3)), rng.normal(size=(200, 3)).astype(np.float32)
    exact = NearestCentroids(prototypes).query(list(rows.T))
    for similarity in (EUCLIDEAN, Similarity("minkowski", 2.0)):
        found = nearest_prototypes(prototypes, similarity).query(list(rows.T))
        np.testing.assert_array_equal(found.own, exact.own)
        np.testing.assert_array_equal(found.distance, np.sqrt(exact.own_squared))
        np.testing.assert_array_equal(found.margin, exact.margin)


def test_manhattan_by_hand():
    assigner = nearest_prototypes(np.array([[0.0, 0.0], [4.0, 0.0]]), Similarity("manhattan"))
    rows = np.array([[1, 1], [2, 0], [3, 2], [-4, 0]], dtype=np.float32)
    found = assigner.query(list(rows.T))
    assert found.own.tolist() == [0, 0, 1, 0]
    assert found.runner_up.tolist() == [1, 1, 0, 1]
    assert found.distance.tolist() == [2, 2, 3, 4]
    # (16 - 4) / 16, the border, (25 - 9) / 16, (64 - 16) / 16
    assert found.margin.tolist() == [0.75, 0, 1, 3]


def test_cosine_by_hand():
    # Two directions at a right angle; lengths don't matter. (Squared) chords: 2 (1 - cos).
    assigner = nearest_prototypes(np.array([[5.0, 0.0], [0.0, 2.0]]), Similarity("cosine"))
    rows = np.array([[7.0, 0.0], [3.0, 4.0], [1.0, 1.0], [0.0, 0.0]])
    found = assigner.query(list(rows.T))
    assert found.own.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(found.distance, [0, 0.2, 1 - np.sqrt(0.5), 1], atol=1e-15)
    # (2 - 0) / 2, (0.8 - 0.4) / 2, the border, no direction: as near to one as to the other
    np.testing.assert_allclose(found.margin, [1, 0.2, 0, 0], atol=1e-15)


def test_a_prototype_of_zeros_holds_the_rows_of_zeros():
    assigner = nearest_prototypes(np.array([[1.0, 0.0], [0.0, 0.0]]), Similarity("cosine"))
    found = assigner.query([np.array([0.0, 3.0, 0.5]), np.array([0.0, 0.0, 2.0])])
    assert found.own.tolist() == [1, 0, 0]
    assert found.distance[:2].tolist() == [0, 0]
    assert found.margin[:2].tolist() == [1, 1]


@each
def test_one_prototype_has_no_runner_up_and_no_rows_no_labels(similarity):
    assigner = nearest_prototypes(np.array([[1.0, 2.0]]), similarity)
    found = assigner.query([np.array([1.0, 4.0]), np.array([2.0, 2.0])])
    assert found.own.tolist() == [0, 0]
    assert found.runner_up.tolist() == [-1, -1]
    assert found.distance[0] == pytest.approx(0, abs=1e-15)
    assert np.isnan(found.margin).all()
    for prototypes in (np.array([[1.0, 2.0]]), np.array([[1.0, 2.0], [2.0, 1.0]])):
        empty = nearest_prototypes(prototypes, similarity).query([np.empty(0), np.empty(0)])
        assert len(empty.own) == len(empty.margin) == 0


@each
def test_nobody_is_noise(similarity):
    rng = np.random.default_rng(3)
    assigner = nearest_prototypes(rng.normal(size=(3, 2)), similarity)
    columns = list(100 * rng.normal(size=(2, 50)))
    np.testing.assert_array_equal(assigner.nearest(columns).own, assigner.query(columns).own)


@each
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_has_no_finite_distance(similarity, value):
    assigner = nearest_prototypes(np.array([[1.0, 2.0], [2.0, 1.0]]), similarity)
    found = assigner.query([np.array([value, 1.0]), np.array([1.0, 2.0])])
    assert np.isfinite(found.distance).tolist() == [False, True]


@each
def test_prototypes_that_divide_nothing_are_refused(similarity):
    with pytest.raises(ClusteringError, match="are equal"):
        nearest_prototypes(np.array([[1.0, 2.0], [1.0, 2.0]]), similarity)
    with pytest.raises(ClusteringError, match="not finite"):
        nearest_prototypes(np.array([[1.0, np.nan], [1.0, 2.0]]), similarity)


def test_prototypes_of_one_direction_are_equal_by_cosine():
    with pytest.raises(ClusteringError, match="are equal"):
        nearest_prototypes(np.array([[1.0, 2.0], [2.0, 4.0]]), Similarity("cosine"))


def test_the_canonical_order_is_by_size_then_by_coordinates():
    rows = np.array([[0.0], [10.0], [10.5], [20.0], [30.0], [30.1], [30.2]])
    prototypes = np.array([[20.0], [0.0], [10.0], [30.0]])
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        found = in_canonical_order(prototypes[order], rows, Similarity("manhattan"))
        assert found.ravel().tolist() == [30, 10, 0, 20]
