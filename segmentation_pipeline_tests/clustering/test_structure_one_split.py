import numpy as np
import pytest

from segmentation_pipeline.clustering.structure.one_split import one_split, roundest
from segmentation_pipeline.clustering.structure.raw_features import RawFeature


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_rule_is_found_with_its_feature_and_threshold(rng):
    publications = rng.integers(0, 21, 400).astype(float)
    noise = RawFeature("age", rng.normal(size=400), "continuous")
    found = one_split(
        [noise, RawFeature("publications", publications, "integer")],
        (publications >= 10).astype(np.intp) + 3,
        seed=0,
    )
    assert found is not None
    assert (found.rule, found.fidelity, found.recall) == ("publications >= 10", 1.0, 1.0)
    assert found.nearly_the_same


def test_two_features_that_are_both_needed_are_no_rule(rng):
    matrix = rng.normal(size=(400, 2))
    features = [RawFeature(f"x{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    found = one_split(features, (matrix.sum(axis=1) > 0.0).astype(np.intp), seed=0)
    assert found is not None
    assert 0.7 < found.fidelity < 0.8
    assert not found.nearly_the_same


def test_categories_are_cut_into_the_best_two_sets(rng):
    role = rng.choice(np.array(["chief", "intern", "nurse", "surgeon"], dtype=object), 300)
    role[:30] = None
    feature = RawFeature("role", role, "categorical")
    leading = np.isin(role.astype(str), ["chief", "surgeon"]).astype(np.intp)
    found = one_split([feature], leading, seed=0)
    assert found is not None
    assert (found.rule, found.fidelity) == ("role is chief or surgeon", 1.0)
    absent = one_split([feature], (role == np.array(None)).astype(np.intp), seed=0)
    assert absent is not None
    assert absent.rule == "role is missing"


def test_a_missing_number_lies_below_every_threshold():
    age = np.r_[np.full(50, np.nan), np.linspace(30.0, 40.0, 50)]
    found = one_split([RawFeature("age", age, "continuous")], np.repeat([0, 1], 50), seed=0)
    assert found is not None
    # The customer of 30 is held out once: the threshold is then that of the next one.
    assert (found.rule, found.fidelity) == ("age >= 30", 0.99)


def test_naming_everybody_after_the_largest_segment_is_no_rule(rng):
    labels = (np.arange(1000) % 50 == 0).astype(np.intp)
    found = one_split([RawFeature("x", rng.normal(size=1000), "continuous")], labels, seed=0)
    assert found is not None
    assert found.fidelity > 0.95
    assert found.recall < 0.5
    assert not found.nearly_the_same


def test_noise_is_left_out():
    x = np.arange(100.0)
    labels = np.where(x < 50, 0, 1)
    labels[::7] = -1
    found = one_split([RawFeature("x", x, "continuous")], labels, seed=0)
    assert found is not None
    assert found.fidelity == 1.0


def test_one_cut_tells_exactly_two_segments_apart():
    x = RawFeature("x", np.arange(30.0), "continuous")
    assert one_split([x], np.arange(30) % 3, seed=0) is None
    assert one_split([x], np.zeros(30, dtype=np.intp), seed=0) is None
    constant = RawFeature("c", np.ones(30), "continuous")
    assert one_split([constant], np.arange(30) % 2, seed=0) is None


@pytest.mark.parametrize(
    ("below", "above", "expected"),
    [
        (9, 10, 10),
        (-np.inf, 3.25, 3.25),
        (-0.31, -0.26, -0.3),
        (1999.5, 2001, 2000),
    ],
)
def test_thresholds_are_as_round_as_the_gap_allows(below, above, expected):
    found = roundest(below, above)
    assert below < found <= above
    assert found == pytest.approx(expected)
