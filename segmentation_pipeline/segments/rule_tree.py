"""From a shallow tree to rules: the leaves of a segment, each as conditions on features.

What belongs here: reading a fitted tree, with thresholds rounded as far as nobody of the sample
changes sides. How well rules do belongs to `found_rules`; how they are said belongs to `leaves`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.structure.one_split import roundest
from segmentation_pipeline.clustering.structure.raw_features import RawFeature
from segmentation_pipeline.segments.conditions import (
    CategoryCondition,
    Condition,
    NumberCondition,
)
from segmentation_pipeline.segments.leaves import Leaf, LeafPart, simplified
from segmentation_pipeline.segments.short_rule import MOST_LEAVES, answers, asking_nodes

if TYPE_CHECKING:
    from sklearn.tree import DecisionTreeClassifier

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Asked:
    """A feature of the sample, as a tree asks about it and as a rule names its values.

    `categories` (n,) are the texts behind a category, an ordinal one included; None of a number.
    """

    feature: RawFeature
    categories: NDArray[np.object_] | None = None

    @cached_property
    def questions(self) -> NDArray[np.float64]:
        """Columns that a tree asks about, shape (n, questions)."""
        return answers(self.feature)

    def named(self, is_in: NDArray[np.bool_]) -> frozenset[str | None]:
        """Which categories some customers have; none of a number."""
        if self.categories is None:
            return frozenset()
        return frozenset(self.categories[is_in].tolist())

    @cached_property
    def everything(self) -> Condition:
        """Make the condition that asks nothing."""
        if self.categories is not None:
            known = frozenset(self.categories.tolist())
            return CategoryCondition(known, known)
        is_missing = bool(self.feature.missing().any())
        is_whole = self.feature.kind == "integer"
        return NumberCondition(has_missing=is_missing, is_whole=is_whole)


@dataclass(frozen=True)
class _Part:
    """A leaf of the tree, or several of one segment that became one: who of the sample is in it."""

    label: int
    leaf: dict[str, Condition]
    customers: int
    """Those of the segment itself."""


def read_leaves(
    tree: "DecisionTreeClassifier",
    asked: Sequence[Asked],
    labels: NDArray[np.intp],
    *,
    leaves: int = MOST_LEAVES,
) -> dict[int, list[Leaf]]:
    """Read a tree grown on a sample: label -> its leaves, the one with most of its customers first.

    It is read as if it had been grown to `leaves` leaves only.

    `asked` are the features whose questions, side by side, the tree was grown on; `labels` (n,) are
    what it learned.
    """
    everything = {one.feature.name: one.everything for one in asked}
    rows = np.arange(len(labels))
    parts = list(_parts(_Grown(tree, asked, labels, leaves), 0, rows, everything))
    found: dict[int, list[Leaf]] = {}
    for label in sorted({part.label for part in parts}):
        own = [LeafPart(part.leaf, part.customers) for part in parts if part.label == label]
        found[label] = simplified(own, everything)
    return found


class _Grown:
    """A fitted tree with what it was grown on."""

    def __init__(
        self,
        tree: "DecisionTreeClassifier",
        asked: Sequence[Asked],
        labels: NDArray[np.intp],
        leaves: int,
    ) -> None:
        self.tree = tree.tree_
        self.classes = tree.classes_
        self.asking = asking_nodes(tree, leaves)
        self.labels = labels
        self.asked = [(one, column) for one in asked for column in range(one.questions.shape[1])]

    def goes_left(self, node: int) -> NDArray[np.bool_]:
        """Whom of all a node sends to its left, shape (n,), as the tree itself decides."""
        one, column = self.asked[self.tree.feature[node]]
        # Trees compare in single precision.
        values = one.questions[:, column].astype(np.float32)
        left: NDArray[np.bool_] = np.where(
            np.isnan(values),
            bool(self.tree.missing_go_to_left[node]),
            values <= self.tree.threshold[node],
        )
        return left


def _parts(grown: _Grown, node: int, rows: Rows, leaf: dict[str, Condition]) -> Iterator[_Part]:
    """Walk down from a node; two children that come to the same segment are their parent."""
    left, right = int(grown.tree.children_left[node]), int(grown.tree.children_right[node])
    if node not in grown.asking:
        label = int(grown.classes[grown.tree.value[node].argmax()])
        yield _Part(label, leaf, int((grown.labels[rows] == label).sum()))
        return
    is_left = grown.goes_left(node)
    one = grown.asked[grown.tree.feature[node]][0]
    name = one.feature.name
    sides = _split(one, leaf[name], rows, is_left)
    below = [
        part
        for child, side, own in zip(
            (left, right), sides, (rows[is_left[rows]], rows[~is_left[rows]]), strict=True
        )
        for part in _parts(grown, child, own, {**leaf, name: side})
    ]
    if len(below) == 2 and below[0].label == below[1].label:
        yield _Part(below[0].label, leaf, below[0].customers + below[1].customers)
    else:
        yield from below


def _split(
    one: Asked, before: Condition, rows: Rows, is_left: NDArray[np.bool_]
) -> tuple[Condition, Condition]:
    """Divide what is asked of a feature between the two sides of a node with some of the rows."""
    if isinstance(before, CategoryCondition):
        # Of all customers, not of this node's: a category that none of them has goes where the tree
        # would send it.
        inside = one.named(is_left)
        return (
            CategoryCondition(before.admitted & inside, before.known),
            CategoryCondition(before.admitted - inside, before.known),
        )
    left, right = rows[is_left[rows]], rows[~is_left[rows]]
    values, missing = one.feature.values, one.feature.missing()
    lower, upper = (values[side][~missing[side]] for side in (left, right))
    gone = [bool(missing[side].any()) for side in (left, right)]
    if not len(lower) or not len(upper):
        return (
            NumberCondition(before.lower, before.upper, bool(len(lower)), gone[0], before.is_whole),
            NumberCondition(before.lower, before.upper, bool(len(upper)), gone[1], before.is_whole),
        )
    threshold = roundest(float(lower.max()), float(upper.min()))
    return (
        NumberCondition(before.lower, threshold, True, gone[0], before.is_whole),
        NumberCondition(threshold, before.upper, True, gone[1], before.is_whole),
    )
