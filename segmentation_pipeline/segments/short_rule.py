"""How well a few yes-or-no questions tell segments apart.

A tree of eight leaves explains a segmentation; it never assigns anybody, and it is no evidence of
structure: every cut of a continuum along one feature has a perfect rule.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.structure.raw_features import Labels, RawFeature

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
    from sklearn.tree import DecisionTreeClassifier

    if len(np.unique(labels)) < 2:
        return 1.0
    questions = np.column_stack([_answers(feature) for feature in features])
    folds = np.random.default_rng(seed).permutation(len(labels)) % N_FOLDS
    hits = 0
    for fold in range(min(N_FOLDS, len(labels))):
        tree = DecisionTreeClassifier(max_leaf_nodes=MOST_LEAVES, random_state=seed)
        tree.fit(questions[folds != fold], labels[folds != fold])
        held_out = folds == fold
        hits += int((tree.predict(questions[held_out]) == labels[held_out]).sum())
    return hits / len(labels)


def _answers(feature: RawFeature) -> NDArray[np.float64]:
    """Columns (n, questions): the number itself, or whether it is each of the categories."""
    if feature.kind != "categorical":
        return feature.values.astype(np.float64)[:, np.newaxis]
    codes, categories = feature.category_codes()
    is_in: NDArray[np.bool_] = codes[:, np.newaxis] == np.arange(len(categories))
    return is_in.astype(np.float64)
