"""The fast search against the definition: every label, every distance, to the last bit."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from segmentation_pipeline.clustering import nearest as nearest_module
from segmentation_pipeline.clustering.nearest import NearestCentroids
from segmentation_pipeline.errors import ClusteringError


def by_definition(centroids, rows):
    """Own label, runner-up and d^2 to every centroid, feature by feature in float64."""
    squared = np.zeros((len(rows), len(centroids)))
    for feature in range(centroids.shape[1]):
        squared += (rows[:, feature, None].astype(np.float64) - centroids[:, feature]) ** 2
    order = np.argsort(squared, axis=1, kind="stable")
    return order[:, 0], order[:, 1], squared


def assert_by_definition(centroids, rows):
    found = NearestCentroids(centroids).query(list(rows.T))
    own, runner_up, squared = by_definition(centroids, rows)
    np.testing.assert_array_equal(found.own, own)
    np.testing.assert_array_equal(found.runner_up, runner_up)
    np.testing.assert_array_equal(found.own_squared, squared[np.arange(len(rows)), own])
    return found


def near_ties(centroids, rng, count):
    """Float32 rows within rounding of equally far from two or three centroids."""
    rows = []
    for _ in range(count):
        ends = centroids[rng.choice(len(centroids), min(3, len(centroids)), replace=False)]
        edges = ends[1:] - ends[0]
        # The point with |x - a| = |x - b| = |x - c| in the plane of the three (of one line: none,
        # then the nearest thing to it).
        step = np.linalg.lstsq(edges, (edges * edges).sum(axis=1) / 2, rcond=None)[0]
        rows.append(ends[0] + step)
    middle = centroids[rng.integers(0, len(centroids), (count, 2))].mean(axis=1)
    ties = np.concatenate([np.array(rows), middle])
    nudge = rng.choice([0.0, 1e-7, 1e-6, 1e-5], (len(ties), 1)) * rng.normal(size=ties.shape)
    return (ties * (1 + nudge)).astype(np.float32)


@pytest.mark.parametrize("k", [2, 3, 8, 64, 128, 129, 1300])
@pytest.mark.parametrize("features", [1, 2, 18])
def test_labels_and_distances_are_those_of_the_definition(k, features):
    rng = np.random.default_rng(k)
    centroids = rng.normal(size=(k, features))
    rows = np.concatenate(
        [rng.normal(size=(500, features)).astype(np.float32), near_ties(centroids, rng, 500)]
    )
    assert_by_definition(centroids, rows)


@pytest.mark.parametrize(("shift", "scale"), [(0, 1e-30), (0, 1e25), (1e6, 1), (-3e4, 1e-3)])
@pytest.mark.parametrize("k", [5, 200])
def test_scales_at_which_float32_products_lose_everything(k, shift, scale):
    rng = np.random.default_rng(k)
    centroids = shift + scale * rng.normal(size=(k, 4))
    rows = np.concatenate(
        [
            (shift + scale * rng.normal(size=(300, 4))).astype(np.float32),
            near_ties(centroids, rng, 100),
            np.full((1, 4), 1e30, dtype=np.float32),  # One outlier in the block.
        ]
    )
    assert_by_definition(centroids, rows)


def test_equal_distances_go_to_the_lowest_label():
    grid = np.array([[x, y] for x in range(12) for y in range(12)], dtype=np.float64)
    rng = np.random.default_rng(0)
    for centroids in (grid[rng.permutation(144)], grid[rng.permutation(144)[:9]]):
        rows = (np.floor(rng.uniform(0, 22, size=(2000, 2))) / 2).astype(np.float32)
        found = assert_by_definition(centroids, rows)
        assert np.count_nonzero(found.margin == 0) > 50


@pytest.mark.parametrize("k", [8, 200])
def test_the_product_alone_would_depend_on_rounding_and_the_answer_does_not(k, monkeypatch):
    rng = np.random.default_rng(7)
    centroids = rng.normal(size=(k, 18))
    rows = near_ties(centroids, rng, 4000)
    columns = list(rows.T)
    whole = NearestCentroids(centroids).query(columns)
    with threadpool_limits(1):
        single = NearestCentroids(centroids).query(columns)
    monkeypatch.setattr(nearest_module, "_BLOCK_SCORES", 37 * k)
    blocks = NearestCentroids(centroids).query(columns)
    each = [
        NearestCentroids(centroids).query([column[i : i + 1] for column in columns])
        for i in range(200)
    ]
    for other in (single, blocks):
        for name in ("own", "runner_up", "own_squared", "margin"):
            np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))
    assert [found.own[0] for found in each] == whole.own[:200].tolist()
    # What that takes: a float32 product alone orders some of these rows otherwise.
    scores = (centroids**2).sum(axis=1).astype(np.float32) - np.float32(2) * (
        rows @ centroids.T.astype(np.float32)
    )
    pairs = np.argsort(scores, axis=1, kind="stable")[:, :2]
    is_other = (pairs[:, 0] != whole.own) | (pairs[:, 1] != whole.runner_up)
    assert np.count_nonzero(is_other) > 20


def test_few_rows_are_compared_with_every_centroid():
    rng = np.random.default_rng(3)
    for k in (8, 64, 1300):
        centroids = 2 * rng.normal(size=(k, 18))
        rows = centroids[rng.integers(0, k, 20_000)] + rng.normal(size=(20_000, 18))
        is_certain = NearestCentroids(centroids)._shortlist(list(rows.astype(np.float32).T))[2]
        assert np.mean(~is_certain) < 0.005


def test_margin_and_distance_by_hand():
    centroids = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 10.0]])
    rows = np.array([[1, 0], [1, 3], [-4, 0], [2, 0], [0, 9]], dtype=np.float32)
    found = NearestCentroids(centroids).query(list(rows.T))
    assert found.own.tolist() == [0, 0, 0, 0, 2]
    assert found.runner_up.tolist() == [1, 1, 1, 1, 0]
    assert found.own_squared.tolist() == [1, 10, 16, 4, 1]
    # (9-1)/16, (18-10)/16, (64-16)/16, the border, (81-1)/100
    assert found.margin.tolist() == [0.5, 0.5, 3.0, 0.0, 0.8]


def test_one_centroid_has_no_runner_up():
    found = NearestCentroids(np.array([[1.0, 2.0]])).query([np.array([1.0, 4.0]), np.full(2, 2.0)])
    assert found.own.tolist() == [0, 0]
    assert found.runner_up.tolist() == [-1, -1]
    assert found.own_squared.tolist() == [0, 9]
    assert np.isnan(found.margin).all()


def test_no_rows_give_no_labels():
    for k in (1, 3, 200):
        centroids = np.arange(float(k))[:, None]
        assert len(NearestCentroids(centroids).query([np.empty(0, np.float32)]).own) == 0


@pytest.mark.parametrize(
    ("centroids", "message"),
    [
        (np.zeros((2, 3)), "two centroids are equal"),
        (np.array([[0.0], [-0.0]]), "two centroids are equal"),
        (np.array([[np.nan]]), "not finite"),
        (np.zeros((0, 3)), "shape"),
        (np.zeros(3), "shape"),
    ],
)
def test_centroids_that_divide_nothing_are_refused(centroids, message):
    with pytest.raises(ClusteringError, match=message):
        NearestCentroids(centroids)
