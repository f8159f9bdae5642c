"""Who moves tonight: by t in any number of dimensions, by odds, or by three nights."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import multivariate_normal

from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.gaussian_components import GaussianComponents
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.prototypes import nearest_prototypes
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.segments.hysteresis import (
    LEAST_MARGIN,
    LEAST_ODDS,
    PENDING,
    PENDING_NIGHTS,
    PREVIOUS,
    HoldRule,
    MixtureOdds,
    PrototypeMargin,
    hold_batches,
    hold_kind,
    hold_rule,
)


def batch_of(points, previous, pending=None, nights=None):
    points = np.asarray(points, dtype=np.float32)
    nothing = [None] * len(points)
    names = [f"x{feature}" for feature in range(points.shape[1])]
    return pa.record_batch(
        [
            pa.array([f"c{row}" for row in range(len(points))], pa.string()),
            *(pa.array(np.ascontiguousarray(column)) for column in points.T),
            pa.array(previous, pa.int32()),
            pa.array(nothing if pending is None else pending, pa.int32()),
            pa.array(nothing if nights is None else nights, pa.int32()),
        ],
        ["customer_id", *names, PREVIOUS, PENDING, PENDING_NIGHTS],
    ), names


def held(prototypes, batches, names, rule=None, metric="euclidean", threads=1):
    prototypes = np.asarray(prototypes, dtype=np.float64)
    assigner = nearest_prototypes(prototypes, Similarity(metric))
    rule = rule or HoldRule(PrototypeMargin(assigner, prototypes, metric), LEAST_MARGIN)

    def assign(stream):
        return assign_rows(assigner, names, 1e9, stream, threads=threads)

    return pa.Table.from_batches(hold_batches(batches, assign, names, rule))


def segments(*args, **settings):
    return held(*args, **settings)["segment"].to_pylist()


def test_a_customer_moves_a_fifth_of_the_way_beyond_the_border():
    # Centres at 0 and 10: t = (x^2 - (10 - x)^2) / 100 is .2 at x = 6.
    batch, names = batch_of([[4.0], [5.5], [5.99], [6.0], [9.0]], [0] * 5)

    found = held([[0.0], [10.0]], [batch], names)

    assert found["raw_segment"].to_pylist() == [0, 1, 1, 1, 1]
    assert found["segment"].to_pylist() == [0, 0, 0, 1, 1]


def test_the_old_segment_need_not_be_the_runner_up():
    # From the far end the customer crosses two borders; t is measured against where it was.
    batch, names = batch_of([[5.5], [16.0]], [0, 0])

    assert segments([[0.0], [10.0], [20.0]], [batch], names) == [0, 2]


def test_whoever_has_no_segment_of_the_night_before_gets_the_raw_one():
    batch, names = batch_of([[4.0], [5.5], [9.0]], [None, None, None])

    assert segments([[0.0], [10.0]], [batch], names) == [0, 1, 1]


@pytest.mark.parametrize("features", [2, 50])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_t_has_the_same_meaning_in_any_number_of_dimensions(features, metric):
    rng = np.random.default_rng(features)
    prototypes = np.zeros((2, features))
    prototypes[0, 0] = prototypes[1, 1] = 6.0
    ways = np.array([0.05, 0.45, 0.549, 0.55, 0.601, 0.65, 0.95])
    if metric == "euclidean":
        # (1 + t) / 2 of the way from the old centre to the new one, and anywhere beside it.
        points = prototypes[0] + ways[:, np.newaxis] * (prototypes[1] - prototypes[0])
        aside = rng.normal(size=(len(ways), features))
        aside[:, :2] = aside[:, :1]
        points += aside
        expected = [0, 0, 0, 0, 1, 1, 1]
    else:
        # On the circle, t = sin a - cos a for an angle a; .2 is at 53.13 degrees.
        angles = np.array([5.0, 44.0, 46.0, 53.0, 53.2, 60.0, 85.0]) * np.pi / 180
        points = np.zeros((len(angles), features))
        points[:, 0], points[:, 1] = 3 * np.cos(angles), 3 * np.sin(angles)
        expected = [0, 0, 0, 0, 1, 1, 1]
    batch, names = batch_of(points, [0] * len(points))

    assert segments(prototypes, [batch], names, metric=metric) == expected


def test_true_movers_are_found_at_50_features_as_at_2():
    # A ratio of distances of .2 finds 4 in 10 of these at 50 features, and nearly all at 2.
    rng = np.random.default_rng(11)
    found = {}
    for features in (2, 50):
        prototypes = np.zeros((2, features))
        prototypes[1, 0] = 5.0
        points = rng.normal(size=(4000, features)) + prototypes[1]
        batch, names = batch_of(points, [0] * 4000)
        found[features] = np.mean(segments(prototypes, [batch], names))

    # x > 3, of a mean of 5: the normal distribution's share is .977.
    assert found[2] == pytest.approx(0.977, abs=0.01)
    assert found[50] == pytest.approx(0.977, abs=0.01)


def test_values_depend_on_their_row_alone():
    rng = np.random.default_rng(3)
    prototypes = rng.normal(size=(7, 5))
    points = rng.normal(size=(3000, 5))
    previous = rng.integers(0, 7, 3000)
    whole, names = batch_of(points, previous)
    expected = held(prototypes, [whole], names)

    assert 0 < np.mean(np.array(expected["segment"]) == previous) < 1
    for size in (1, 7, 1000):
        rows = 60 if size == 1 else 3000
        parts = [whole.slice(start, size) for start in range(0, rows, size)]
        assert held(prototypes, parts, names, threads=2).equals(expected.slice(0, rows))
    order = pa.array(rng.permutation(3000))
    assert held(prototypes, [whole.take(order)], names).equals(expected.take(order))


def test_odds_of_a_mixture_decide():
    odds = np.array([2.9, 3.0, 9.0])

    def clearance(columns, new, old):
        assert (new.tolist(), old.tolist()) == ([1, 1, 1], [0, 0, 0])
        return odds

    batch, names = batch_of([[9.0], [9.0], [1.0], [9.0]], [0, 0, 0, 0])

    assert segments([[0.0], [10.0]], [batch], names, HoldRule(clearance, LEAST_ODDS)) == [
        0,
        1,
        0,
        1,
    ]


def test_odds_are_those_of_the_posterior():
    arrays = {
        "weights": np.array([0.2, 0.5, 0.3]),
        "means": np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]),
        "precisions_cholesky": np.array(
            [np.eye(2), [[0.5, 0.1], [0.0, 2.0]], [[1.5, 0.0], [0.0, 0.7]]]
        ),
    }
    points = np.random.default_rng(1).normal(1, 2, size=(200, 2))
    components = GaussianComponents(arrays)
    columns = list(points.T)
    new, old = np.random.default_rng(2).integers(0, 3, (2, 200)).astype(np.int32)

    found = MixtureOdds(components, arrays)(columns, new, old)

    densities = np.array(
        [
            weight * multivariate_normal(mean, np.linalg.inv(factor @ factor.T)).pdf(points)
            for weight, mean, factor in zip(*arrays.values(), strict=True)
        ]
    )
    rows = np.arange(200)
    np.testing.assert_allclose(found, densities[new, rows] / densities[old, rows], rtol=1e-9)


def test_a_rule_for_each_kind():
    prototypes = np.array([[0.0], [10.0]])
    assigner = nearest_prototypes(prototypes, Similarity("euclidean"))
    batch, names = batch_of([[5.9], [6.1]], [0, 0], [None, 1], [None, 2])

    rules = {
        kind: hold_rule(kind, assigner, {"prototypes": prototypes}, "euclidean")
        for kind in ("margin", "nights", "none")
    }

    assert {kind: segments(prototypes, [batch], names, rule) for kind, rule in rules.items()} == {
        "margin": [0, 1],
        "nights": [0, 1],
        "none": [1, 1],
    }
    mixture = {"weights": np.array([1.0]), "precisions_cholesky": np.ones((1, 1, 1))}
    assert hold_rule("odds", assigner, mixture, "euclidean").least == 3.0


def test_latent_prototypes_are_measured_where_they_are():
    # Like an autoencoder's: the assigner halves one of two features, and looks at nothing else.
    prototypes = np.array([[0.0], [10.0]])
    inner = nearest_prototypes(prototypes, Similarity("euclidean"))

    class Latent:
        def distances(self, columns, labels):
            return inner.distances([columns[0] / 2], labels)

    margin = PrototypeMargin(Latent(), prototypes, "euclidean")
    columns = [np.array([10.0, 12.0, 20.0]), np.zeros(3)]
    found = margin(columns, np.full(3, 1, np.int32), np.full(3, 0, np.int32))

    assert found.tolist() == [0.0, 0.2, 1.0]


def test_by_nights_the_third_with_the_same_other_label_moves():
    batch, names = batch_of(
        [[9.0]] * 6,
        previous=[0, 0, 0, 0, 1, None],
        pending=[None, 1, 1, 2, None, None],
        nights=[None, 1, 2, 2, None, None],
    )

    assert segments([[0.0], [10.0]], [batch], names, HoldRule()) == [0, 0, 1, 0, 1, 1]


def test_noise_is_a_label_like_any_other():
    batch, names = batch_of([[9.0], [9.0]], [-1, -1], [1, 1], [1, 2])

    assert segments([[0.0], [10.0]], [batch], names, HoldRule()) == [-1, 1]


def test_rules_hold_nobody():
    batch, names = batch_of([[5.1]], [0])

    assert segments([[0.0], [10.0]], [batch], names, HoldRule(nights=1)) == [1]


def test_an_empty_batch():
    batch, names = batch_of(np.empty((0, 1)), [])

    assert held([[0.0], [10.0]], [batch], names).num_rows == 0


@pytest.mark.parametrize(
    ("algorithm", "metric", "kind"),
    [
        ("k_means", "euclidean", "margin"),
        ("k_means", "cosine", "margin"),
        ("k_medoids", "euclidean", "margin"),
        ("k_medoids", "manhattan", "nights"),
        ("autoencoder", "euclidean", "margin"),
        ("gaussian_mixture", "euclidean", "odds"),
        ("dbscan", "euclidean", "nights"),
        ("hdbscan", "cosine", "nights"),
        ("rules", "euclidean", "none"),
    ],
)
def test_each_family_holds_in_its_way(algorithm, metric, kind):
    assert hold_kind(algorithm, metric) == kind


def test_no_straight_line_no_t():
    prototypes = np.array([[0.0], [1.0]])
    assigner = nearest_prototypes(prototypes, Similarity("manhattan"))

    with pytest.raises(ClusteringError, match="no straight line"):
        PrototypeMargin(assigner, prototypes, "manhattan")
