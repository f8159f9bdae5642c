"""How well a few yes-or-no questions tell segments apart.

A tree of eight leaves explains a segmentation; it never assigns anybody, and it is no evidence of
structure: every cut of a continuum along one feature has a perfect rule.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.structure.raw_features import Labels, RawFeature

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

MOST_LEAVES = 8
N_FOLDS = 5


def short_rule_fidelity(features: Sequence[RawFeature], labels: Labels, *, seed: int) -> float:
    """Share of customers whom a tree of eight leaves puts into their segment.

    Cross-validated in five folds, each tree grown without the customers that it is judged on.
    Questions are asked of raw features: of numbers by threshold, of categories by membership.
    Noise counts as one more group.

    Args:
        features: raw features of the same customers.
        labels: their segments, -1 for noise, shape (n,).
        seed: of the folds and of ties between questions.

    Returns:
        A share; 1 where there is one group only.

    """
    if len(np.unique(labels)) < 2:
        return 1.0
    questions = np.column_stack([answers(feature) for feature in features])
    return float((held_out_labels(questions, labels, seed=seed)[MOST_LEAVES] == labels).mean())


def answers(feature: RawFeature) -> NDArray[np.float64]:
    """Columns (n, questions): the number itself, or whether it is each of the categories."""
    if feature.kind != "categorical":
        return feature.values.astype(np.float64)[:, np.newaxis]
    codes, categories = feature.category_codes()
    is_in: NDArray[np.bool_] = codes[:, np.newaxis] == np.arange(len(categories))
    return is_in.astype(np.float64)


def grow_tree(
    questions: NDArray[np.float64], labels: Labels, *, seed: int, smallest_leaf: int = 1
) -> "DecisionTreeClassifier":
    """Grow a tree of at most eight leaves, each of at least `smallest_leaf` customers.

    `questions` has shape (n, questions), with NaN where a number is missing: then the tree asks for
    that too.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=MOST_LEAVES, min_samples_leaf=smallest_leaf, random_state=seed
    )
    return tree.fit(questions, labels)


def asking_nodes(tree: "DecisionTreeClassifier", leaves: int) -> frozenset[int]:
    """Name the nodes that ask something in the same tree, grown to so many leaves only.

    Trees with a bound on their leaves grow where it helps most, and number nodes as they come: the
    smaller tree is the beginning of the larger one.
    """
    left = tree.tree_.children_left
    asking = sorted(np.flatnonzero(left >= 0), key=lambda node: int(left[node]))
    return frozenset(int(node) for node in asking[: leaves - 1])


def tree_labels(
    tree: "DecisionTreeClassifier", questions: NDArray[np.float64], leaves: int
) -> Labels:
    """Label customers (n,) by the tree, grown to so many leaves only."""
    asking, nodes = asking_nodes(tree, leaves), tree.tree_
    ends = np.arange(nodes.node_count)
    # Children have larger numbers than their parents.
    for node in range(nodes.node_count):
        for child in (nodes.children_left[node], nodes.children_right[node]):
            if child >= 0 and node not in asking:
                ends[child] = ends[node]
    of_nodes = tree.classes_[nodes.value[:, 0].argmax(axis=1)]
    labels: Labels = of_nodes[ends[tree.apply(questions)]]
    return labels


def held_out_labels(
    questions: NDArray[np.float64], labels: Labels, *, seed: int, smallest_leaf: int = 1
) -> dict[int, Labels]:
    """Label each customer (n,) by a tree that was grown without them, in five folds.

    Returns the labels by trees of each number of leaves, from 2 to 8.
    """
    folds = np.random.default_rng(seed).permutation(len(labels)) % N_FOLDS
    found = {leaves: np.empty_like(labels) for leaves in range(2, MOST_LEAVES + 1)}
    for fold in range(min(N_FOLDS, len(labels))):
        held_out = folds == fold
        tree = grow_tree(
            questions[~held_out], labels[~held_out], seed=seed, smallest_leaf=smallest_leaf
        )
        for leaves, told in found.items():
            told[held_out] = tree_labels(tree, questions[held_out], leaves)
    return found
