import numpy as np
import pytest

from segmentation_pipeline.clustering.structure.raw_features import RawFeature, dithered, take_rows
from segmentation_pipeline.errors import ClusteringError

ROLES = np.array(["nurse", None, "surgeon", "nurse", float("nan")], dtype=object)


def test_missing_values_are_known_in_numbers_and_in_categories():
    age = RawFeature("age", np.array([31.0, np.nan, 55.0]), "continuous")
    assert age.missing().tolist() == [False, True, False]
    assert RawFeature("role", ROLES, "categorical").missing().tolist() == [
        False,
        True,
        False,
        False,
        True,
    ]


def test_category_codes_are_sorted_and_minus_one_where_missing():
    codes, names = RawFeature("role", ROLES, "categorical").category_codes()
    assert names == ["nurse", "surgeon"]
    assert codes.tolist() == [0, -1, 1, 0, -1]


def test_rows_are_taken_from_every_feature():
    features = [RawFeature("role", ROLES, "categorical"), RawFeature("n", np.arange(5), "integer")]
    role, number = take_rows(features, np.array([2, 0]))
    assert role.values.tolist() == ["surgeon", "nurse"]
    assert number.values.tolist() == [2.0, 0.0]


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (np.zeros((2, 2)), "continuous", "one-dimensional"),
        (
            np.array(["low", "high"], dtype=object),
            "ordinal",
            "encode it, or declare it categorical",
        ),
        (np.array([1.0, np.inf]), "continuous", "infinite"),
    ],
)
def test_a_feature_that_is_not_what_it_says_is_refused(values, kind, message):
    with pytest.raises(ClusteringError, match=message):
        RawFeature("x", values, kind)


def test_dithering_fills_half_a_step_to_either_side_and_no_more():
    counts = RawFeature("visits", np.repeat([0.0, 1.0, 2.0, 10.0], 500), "integer")
    moved = dithered(counts, np.random.default_rng(0)).values - counts.values
    for value, half in ((0.0, 0.5), (1.0, 0.5), (2.0, 0.5), (10.0, 4.0)):
        at = moved[counts.values == value]
        assert 0.97 * half < np.abs(at).max() <= half
        assert abs(at.mean()) < 0.1 * half


def test_dithering_keeps_missing_values_missing():
    levels = RawFeature("attitude", np.array([-1.0, np.nan, 0.5]), "ordinal")
    assert dithered(levels, np.random.default_rng(0)).missing().tolist() == [False, True, False]


@pytest.mark.parametrize(
    "feature",
    [
        RawFeature("role", ROLES, "categorical"),
        RawFeature("rate", np.array([0.1, 0.5]), "continuous"),
        RawFeature("constant", np.array([3.0, 3.0, np.nan]), "integer"),
        RawFeature("nothing", np.array([np.nan, np.nan]), "ordinal"),
    ],
)
def test_nothing_else_is_dithered(feature):
    assert dithered(feature, np.random.default_rng(0)) is feature
