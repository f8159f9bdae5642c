"""Shares of the distance equal those of all pairs, counted one by one."""

import numpy as np
import pytest

from segmentation_pipeline.features import distance_share
from segmentation_pipeline.features.distance_share import distance_shares

FEATURES = ["age", "role", "role", "visits"]


def customers(count=60, seed=0):
    generator = np.random.default_rng(seed)
    return generator.lognormal(size=(count, 4)) * [1.0, 0.3, 2.0, 0.7] - 1.0


def by_hand(powers):
    """Shares of (n, n, d) differences to a power."""
    columns = powers.sum(axis=(0, 1))
    parts = {"age": columns[0], "role": columns[1] + columns[2], "visits": columns[3]}
    return {feature: part / columns.sum() for feature, part in parts.items()}


@pytest.mark.parametrize(
    ("metric", "p", "exponent"),
    [
        ("euclidean", None, 2),
        ("manhattan", None, 1),
        ("minkowski", 3.0, 3),
        ("minkowski", 1.5, 1.5),
    ],
)
def test_shares_of_all_pairs(metric, p, exponent):
    matrix = customers()
    differences = np.abs(matrix[:, np.newaxis] - matrix) ** exponent

    found = distance_shares(matrix, FEATURES, metric, minkowski_p=p)

    assert found == pytest.approx(by_hand(differences))
    assert sum(found.values()) == pytest.approx(1)


def test_cosine_shares_are_those_of_the_chord():
    matrix = customers()
    units = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

    found = distance_shares(matrix, FEATURES, "cosine")

    assert found == pytest.approx(by_hand((units[:, np.newaxis] - units) ** 2))
    # The length of a row says nothing.
    lengths = np.random.default_rng(1).lognormal(size=(60, 1))
    assert distance_shares(matrix * lengths, FEATURES, "cosine") == pytest.approx(found)


def test_customers_without_a_direction():
    matrix = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 2.0]])

    assert distance_shares(matrix, ["a", "b"], "cosine") == {"a": 0.5, "b": 0.5}


def test_standard_scaling_gives_equal_shares():
    matrix = customers(500)
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)

    found = distance_shares(matrix, FEATURES, "euclidean")

    assert found == pytest.approx({"age": 0.25, "role": 0.5, "visits": 0.25})


def test_drawn_pairs_come_near_all_of_them(monkeypatch):
    matrix = customers(500)
    exact = distance_shares(matrix, FEATURES, "minkowski", minkowski_p=3.0)
    monkeypatch.setattr(distance_share, "DRAWN_PAIRS", 20_000)

    drawn = distance_shares(matrix, FEATURES, "minkowski", minkowski_p=3.0, seed=4)

    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.1)
    assert drawn == distance_shares(matrix, FEATURES, "minkowski", minkowski_p=3.0, seed=4)


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_where_nobody_differs_nothing_is_shared(metric):
    assert distance_shares(np.ones((3, 2)), ["a", "b"], metric) == {"a": 0.0, "b": 0.0}
    assert distance_shares(np.ones((1, 2)), ["a", "b"], metric) == {"a": 0.0, "b": 0.0}


def test_one_customer_has_no_pairs():
    found = distance_shares(np.ones((1, 1)), ["a"], "minkowski", minkowski_p=3.0)

    assert found == {"a": 0.0}
