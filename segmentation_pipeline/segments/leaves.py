"""The leaves of one segment: which of their conditions the others make needless, and how it's said.

What belongs here: alternatives of conditions, as a set of customers and as text. Where leaves come
from belongs to `rule_tree`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.segments.conditions import AskedFeature, Condition

Leaf = Mapping[str, Condition]
"""Feature -> what is asked of it; of features that are not there, nothing."""


@dataclass(frozen=True)
class LeafPart:
    """A leaf with a condition on every feature, and how many of the segment are in it."""

    leaf: Mapping[str, Condition]
    customers: int


def simplified(parts: Sequence[LeafPart], everything: Leaf) -> list[Leaf]:
    """Say the same customers by fewer conditions; the leaf with most of them comes first.

    A condition is dropped or widened where whom it lets in is in another leaf anyway, and a leaf
    that lies within another is left out.
    """
    leaves = [dict(part.leaf) for part in sorted(parts, key=lambda part: -part.customers)]
    position = 0
    while position < len(leaves):
        if _widen(leaves[position], leaves[:position] + leaves[position + 1 :]):
            leaves = _without_inner(leaves)
            position = 0
        else:
            position += 1
    return [{name: one for name, one in leaf.items() if one != everything[name]} for leaf in leaves]


def leaves_words(leaves: Sequence[Leaf], features: Mapping[str, AskedFeature]) -> str:
    """Say the leaves of a segment; what they have in common is said once.

    `features` are those that are asked for, by name. No condition at all is "everybody".
    """
    said = [[one.words(features[name]) for name, one in leaf.items()] for leaf in leaves]
    shared = [words for words in said[0] if all(words in other for other in said)]
    if len(said) == 1:
        return " and ".join(shared) or "everybody"
    rest = [" and ".join(words for words in one if words not in shared) for one in said]
    either = f"either {', or '.join(rest)}"
    return f"{' and '.join(shared)}, and {either}" if shared else either


def leaves_sql(leaves: Sequence[Leaf], features: Mapping[str, AskedFeature]) -> str:
    """Write the leaves of a segment as one predicate."""
    written = [
        " AND ".join(one.predicate_sql(features[name]) for name, one in leaf.items()) or "TRUE"
        for leaf in leaves
    ]
    return written[0] if len(written) == 1 else " OR ".join(f"({one})" for one in written)


def _widen(leaf: dict[str, Condition], others: Sequence[Leaf]) -> bool:
    """Widen one condition of a leaf by that of another leaf which covers the rest of it."""
    for other in others:
        for name, condition in leaf.items():
            if not all(other[g].covers(one) for g, one in leaf.items() if g != name):
                continue
            joined = condition.joined(other[name])
            if joined is None or joined == condition:
                continue
            is_other_inside = all(
                (joined if g == name else leaf[g]).covers(one) for g, one in other.items()
            )
            if is_other_inside or joined.length < condition.length:
                leaf[name] = joined
                return True
    return False


def _without_inner(leaves: Sequence[dict[str, Condition]]) -> list[dict[str, Condition]]:
    """Leave out leaves that lie within another; of equal ones the first stays."""
    return [
        leaf
        for index, leaf in enumerate(leaves)
        if not any(
            _covers(other, leaf) and (position < index or not _covers(leaf, other))
            for position, other in enumerate(leaves)
            if position != index
        )
    ]


def _covers(outer: Leaf, inner: Leaf) -> bool:
    return all(outer[name].covers(one) for name, one in inner.items())
