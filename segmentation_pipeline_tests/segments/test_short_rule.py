"""A tree of eight leaves says what can be said in a few questions, and no more."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.segments.short_rule import (
    grow_tree,
    short_rule_fidelity,
    tree_labels,
)

RNG = np.random.default_rng(2)
AGE = RNG.uniform(20, 70, 1000)
DEGREE = RNG.choice(np.array(["Bachelor", "Doctorate", None], dtype=object), 1000)
FEATURES = [RawFeature("age", AGE, "continuous"), RawFeature("degree", DEGREE, "categorical")]


def test_two_questions_tell_segments_that_are_made_by_two_questions():
    labels = np.where(DEGREE == "Doctorate", np.where(AGE >= 45, 2, 1), 0)

    assert short_rule_fidelity(FEATURES, labels, seed=1) == pytest.approx(1.0, abs=0.003)


def test_chance_is_told_no_better_than_by_its_largest_group():
    labels = (RNG.random(1000) < 0.3).astype(np.intp)

    assert short_rule_fidelity(FEATURES, labels, seed=1) <= 0.72


def test_twelve_bands_are_too_many_for_eight_leaves():
    bands = (AGE * 12 // 50.0001).astype(np.intp) % 12

    assert short_rule_fidelity(FEATURES, bands, seed=1) < 0.75


def test_a_missing_number_can_be_asked_for():
    income = np.where(AGE > 50, np.nan, 1.0)
    feature = RawFeature("income", income, "continuous")

    assert short_rule_fidelity([feature], (AGE > 50).astype(np.intp), seed=1) == 1.0


def test_one_group_needs_no_question():
    assert short_rule_fidelity(FEATURES, np.zeros(1000, dtype=np.intp), seed=1) == 1.0


@pytest.mark.parametrize("leaves", range(2, 9))
def test_a_smaller_tree_is_the_beginning_of_the_larger_one(leaves):
    questions = np.column_stack([AGE, AGE % 7, np.where(AGE > 60, np.nan, AGE**0.5)])
    labels = (np.sin(AGE / 4) * 2 + RNG.normal(size=1000)).round().astype(np.intp)

    smaller = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=3).fit(questions, labels)

    tree = grow_tree(questions, labels, seed=3)
    assert (tree_labels(tree, questions, leaves) == smaller.predict(questions)).all()
