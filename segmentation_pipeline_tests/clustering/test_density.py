import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components

from segmentation_pipeline.clustering import density
from segmentation_pipeline.clustering.density import (
    canonical_segments,
    connected,
    core_distances,
    default_neighbours,
    labels_of,
    same_segments,
    smallest_size,
)
from segmentation_pipeline.clustering.k_distance import (
    given_radius,
    knee_share,
    radii_around_knee,
    radii_beyond,
    radius_at,
)
from segmentation_pipeline.clustering.metrics import Similarity

EUCLIDEAN = Similarity("euclidean")


@pytest.mark.parametrize(("rows", "neighbours"), [(10, 4), (400, 10), (2000, 22), (4000, 32)])
def test_neighbours_grow_with_the_square_root(rows, neighbours):
    assert default_neighbours(rows) == neighbours


def test_core_distances_count_oneself():
    rows = np.array([[0.0], [1.0], [3.0]])
    assert core_distances(rows, 1, EUCLIDEAN).tolist() == [0, 0, 0]
    assert core_distances(rows, 2, EUCLIDEAN).tolist() == [1, 1, 2]
    assert core_distances(rows, 3, EUCLIDEAN).tolist() == [3, 2, 3]
    assert core_distances(rows, 4, EUCLIDEAN).tolist() == [np.inf] * 3


@pytest.mark.parametrize("metric", ["euclidean", "manhattan"])
@pytest.mark.parametrize("radius", [0.05, 0.15, 0.4, 10.0])
def test_components_are_those_of_the_graph(metric, radius, monkeypatch):
    monkeypatch.setattr(density, "_BLOCK_PAIRS", 1000)
    similarity = Similarity(metric)
    rows = np.random.default_rng(0).normal(size=(200, 2))
    found = connected(rows, radius, similarity)
    graph = similarity.pairwise(rows, rows) <= radius
    _, expected = connected_components(graph, directed=False)
    # Both number components by their first row.
    np.testing.assert_array_equal(found, expected)


def test_a_pair_just_so_far_apart_is_connected():
    assert connected(np.array([[0.0], [1.0], [2.5]]), 1.0, EUCLIDEAN).tolist() == [0, 0, 1]


def test_segments_are_numbered_by_size_then_coordinates_and_specks_are_noise():
    rows = np.array([[9.0], [9.1], [0.0], [0.1], [4.0], [4.1], [4.2], [6.0]])
    labels = np.array([7, 7, 3, 3, 5, 5, 5, 1])
    arrays = canonical_segments(rows, rows, labels, np.full(8, 0.5), 2, EUCLIDEAN)
    assert arrays["core_points"].ravel().tolist() == [4.0, 4.1, 4.2, 0.0, 0.1, 9.0, 9.1]
    assert arrays["core_labels"].tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert arrays["reaches"].tolist() == [0.5, 0.5, 0.5]
    assert labels_of(arrays, rows, EUCLIDEAN).tolist() == [2, 2, 1, 1, 0, 0, 0, -1]
    assert canonical_segments(rows, rows, labels, np.full(8, 0.5), 4, EUCLIDEAN) is None
    assert labels_of(None, rows, EUCLIDEAN).tolist() == [-1] * 8


def test_the_largest_core_distance_is_the_segment_s_reach():
    rows = np.array([[0.0], [1.0], [5.0], [6.0]])
    reaches = np.array([0.25, 0.5, 2.0, 1.0])
    arrays = canonical_segments(rows, rows, np.array([0, 0, 1, 1]), reaches, 2, EUCLIDEAN)
    assert arrays["reaches"].tolist() == [0.5, 2.0]


def test_border_rows_count_for_the_size():
    rows = np.array([[0.0], [5.0], [5.4], [4.6]])
    is_core = np.array([True, True, False, False])
    arrays = canonical_segments(
        rows, rows[is_core], np.array([0, 1]), np.full(2, 0.5), 1, EUCLIDEAN
    )
    assert arrays["core_points"].ravel().tolist() == [5, 0]


def test_the_smallest_segment_is_dense_somewhere():
    assert smallest_size(4000, 0.01, 32) == 40
    assert smallest_size(500, 0.01, 11) == 11
    assert smallest_size(101, 0.1, 4) == 11


def test_partitions_are_the_same_up_to_their_rims():
    one = np.array([0, 0, 0, 1, 1, 1, -1])
    assert same_segments(one, np.array([1, 1, 1, 0, 0, -1, -1]))
    assert not same_segments(one, np.array([0, 0, 0, 1, 1, 2, 2]))
    assert not same_segments(one, np.array([0, 1, 0, 1, 0, 1, 0]))
    assert same_segments(np.full(3, -1), np.full(3, -1))


def test_the_knee_is_where_customers_begin_to_be_far():
    near, far = np.full(90, 1.0), np.full(10, 50.0)
    distances = np.concatenate([near, far])
    assert knee_share(distances) == 0.9
    assert knee_share(distances[np.random.default_rng(0).permutation(100)]) == 0.9
    # Remote ones don't move it to themselves.
    assert knee_share(np.concatenate([near, far[:-1], [1e4]])) == pytest.approx(0.9, abs=0.01)
    assert knee_share(np.concatenate([np.zeros(50), near[:40], far])) == 0.9
    assert knee_share(np.full(10, 2.0)) == 1.0
    assert knee_share(np.zeros(10)) == 1.0


def test_a_radius_holds_the_share_that_it_is_named_for():
    distances = np.random.default_rng(1).uniform(1, 2, 200)
    radius = radius_at(distances, 0.75, EUCLIDEAN)
    assert np.mean(distances <= radius.in_tree) == 0.75
    assert radius.value == radius.in_tree
    by_cosine = radius_at(distances, 0.75, Similarity("cosine"))
    assert by_cosine.value == pytest.approx(by_cosine.in_tree**2 / 2)
    assert given_radius(0.5, Similarity("cosine")) == (0.5, 1.0, None)


def test_radii_lie_on_both_sides_of_the_knee():
    distances = np.exp(np.concatenate([np.linspace(0, 0.2, 360), np.linspace(0.2, 3, 40)]))
    radii = radii_around_knee(distances, EUCLIDEAN)
    values = [radius.value for radius in radii]
    assert len(values) == 13
    assert values == sorted(values)
    sparse = 1 - knee_share(distances)
    assert sparse == pytest.approx(0.1, abs=0.003)
    assert [1 - radii[i].core_share for i in (0, 6, 12)] == pytest.approx(
        [4 * sparse, sparse, sparse / 4]
    )
    assert radii_around_knee(np.zeros(50), EUCLIDEAN) == []


def test_radii_beyond_the_curve_grow_from_its_end():
    radii = radii_beyond(given_radius(2.0, EUCLIDEAN), EUCLIDEAN)
    assert [radius.value for radius in radii] == pytest.approx(
        [2.0 * 2.0 ** (step / 6) for step in range(1, 10)]
    )
    assert {radius.core_share for radius in radii} == {None}
    by_cosine = radii_beyond(given_radius(0.5, Similarity("cosine")), Similarity("cosine"))[5]
    assert by_cosine.in_tree == pytest.approx(2.0)
    assert by_cosine.value == pytest.approx(2.0)
