"""The short rules of a segmentation's segments, and how well they do on customers held out.

One tree of as few leaves as do, eight at most, speaks of all segments; a segment that it has no
leaf for gets a tree of its own. A rule explains a segment. It never assigns anybody, and a good one
is no evidence of structure (see `short_rule`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.segments.leaves import Leaf
from segmentation_pipeline.segments.rule_tree import Asked, read_leaves
from segmentation_pipeline.segments.short_rule import grow_tree, held_out_labels, tree_labels

Labels = NDArray[np.intp]

GOOD_ENOUGH = 0.85
"""Below this, a rule is called approximate (in any of fidelity, precision and recall)."""
_MOST_OWN_TREES = 20
"""So many segments at most get a tree of their own: one takes a quarter of a second."""
_ALMOST_AS_GOOD = 0.01
_ROUNDING = 3


@dataclass(frozen=True)
class FoundRule:
    """The leaves that are a segment, and what cross-validation says of them.

    `precision` is the share of the segment among whom the rule finds, None where it finds nobody;
    `recall` is the share of the segment whom it finds. Both are of customers held out, whom other
    trees than the one that is told were grown without.
    """

    leaves: Sequence[Leaf]
    precision: float | None
    recall: float

    def is_approximate(self, fidelity: float) -> bool:
        """Whether it must be told as such."""
        return min(fidelity, self.precision or 0.0, self.recall) < GOOD_ENOUGH


@dataclass(frozen=True)
class FoundRules:
    """Rules of the segments that have one, by label, and the fidelity of the common tree.

    `fidelity` is the share of customers held out whom that tree puts into their segment.
    """

    rules: Mapping[int, FoundRule]
    fidelity: float


def find_rules(
    asked: Sequence[Asked], labels: Labels, *, seed: int, smallest_group: int
) -> FoundRules:
    """Find a short rule for each segment of a sample.

    Of the trees of at most eight leaves, the one with the fewest is taken that speaks of as many
    segments as any and whose fidelity is within .01 of the best.

    Args:
        asked: raw features of the customers of the sample.
        labels: their segments, shape (n,), noise as one more.
        seed: of the folds and of ties between questions.
        smallest_group: the privacy floor; no leaf has fewer customers.

    """
    names, sizes = np.unique(labels, return_counts=True)
    if len(names) < 2:
        return FoundRules({int(label): FoundRule([{}], 1.0, 1.0) for label in names}, 1.0)
    if not asked:
        return FoundRules({}, float(sizes.max() / len(labels)))
    found = _common_rules(asked, labels, seed, smallest_group)
    rules = dict(found.rules)
    lacking = [
        int(label)
        for label, size in zip(names, sizes, strict=True)
        if int(label) not in rules and size >= smallest_group
    ]
    for label in lacking[:_MOST_OWN_TREES]:
        is_in = (labels == label).astype(np.intp)
        own = _common_rules(asked, is_in, seed, smallest_group)
        if 1 in own.rules:
            rules[label] = own.rules[1]
    return FoundRules(rules, found.fidelity)


def _common_rules(
    asked: Sequence[Asked], labels: Labels, seed: int, smallest_group: int
) -> FoundRules:
    questions = np.column_stack([one.questions for one in asked])
    tree = grow_tree(questions, labels, seed=seed, smallest_leaf=smallest_group)
    held_out = held_out_labels(questions, labels, seed=seed, smallest_leaf=smallest_group)
    spoken_of = {
        leaves: len(np.unique(tree_labels(tree, questions, leaves))) for leaves in held_out
    }
    fidelities = {
        leaves: float((told == labels).mean())
        for leaves, told in held_out.items()
        if spoken_of[leaves] == max(spoken_of.values())
    }
    best = max(fidelities.values())
    leaves = next(one for one, got in fidelities.items() if got >= best - _ALMOST_AS_GOOD)
    told = held_out[leaves]
    rules = {
        label: _judged(own, told == label, labels == label)
        for label, own in read_leaves(tree, asked, labels, leaves=leaves).items()
    }
    return FoundRules(rules, round(fidelities[leaves], _ROUNDING))


def _judged(
    leaves: Sequence[Leaf], is_found: NDArray[np.bool_], is_in: NDArray[np.bool_]
) -> FoundRule:
    hits = int((is_found & is_in).sum())
    found, inside = int(is_found.sum()), int(is_in.sum())
    precision = round(hits / found, _ROUNDING) if found else None
    return FoundRule(leaves, precision, round(hits / inside, _ROUNDING) if inside else 0.0)
