"""Which segments of a new model are those of the one before: by the customers that they share.

What belongs here: the rules of matching, as arithmetic on counts, so that it doesn't matter how
many customers there are. How they are counted belongs to `overlap`, what ids follow to `identity`.

After MONIC (Spiliopoulou et al. 2006, doi:10.1145/1150402.1150491), but symmetric: identity asks
for the Jaccard index of both sets, not for the share of the old one alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import MatchingRefusedError

SAME_JACCARD = 0.5
"""From here on two segments are one and the same; above, no third can be so like either."""
LEAST_JACCARD = 0.1
"""Below, neither descends from the other."""
LEAST_PART = 0.3
"""A child takes at least this share of the segment that splits; of a merger's result, a part is."""
LEAST_WHOLE = 0.5
"""A child comes from its parent by at least this share; a part that merges goes by it."""
LEAST_SHARED = 0.5
"""Share of either side's customers that both must know before anything may be concluded."""

Kind = Literal["kept", "split", "merged", "born", "retired"]
Counts = NDArray[np.int64]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Contingency:
    """Two labelings of customers on one date, counted against each other.

    `counts` (k_old, k_new) are the customers of each pair of segments. `old_sizes` (k_old,) and
    `new_sizes` (k_new,) are the segments' customers among those whom both labelings know, noise of
    the other one included: it is no segment to be matched, but whom a segment loses to it, it has
    lost. `shared` is the number of customers that both know, `old_customers` and `new_customers`
    are those that either knows.
    """

    counts: Counts
    old_sizes: Counts
    new_sizes: Counts
    shared: int
    old_customers: int
    new_customers: int


@dataclass(frozen=True)
class Transition:
    """What became of a segment, or where one comes from; labels are those of the two models.

    - kept: `new` is `old`;
    - split: `old` fell apart, and `new` is a child that doesn't have its id;
    - merged: `old` went into `new`, and doesn't give it its id;
    - born: `new` is none of the old ones; `old` is where most of it comes from, if that is one;
    - retired: `old` is none of the new ones; `new` is where most of it went, if that is one.

    `customers` are in both; `old_share` and `new_share` are their shares of either; all NULL-like
    (None) where there is no pair.
    """

    kind: Kind
    old: int | None
    new: int | None
    customers: int | None = None
    old_share: float | None = None
    new_share: float | None = None
    jaccard: float | None = None


def match_segments(
    contingency: Contingency,
    distances: Doubles | None = None,
    named: Sequence[tuple[int, int]] = (),
) -> tuple[Transition, ...]:
    """Say of each segment of two models what became of it, or where it comes from.

    Segments are the same from a Jaccard index of .5 on. Where an index of exactly .5 allows several
    answers (halves of one segment), the nearer centroids decide, else the lower labels.

    Args:
        contingency: both labelings of the same customers on the same date.
        distances: between old and new centroids (k_old, k_new), if they are in one space.
        named: pairs (old, new) that are the same by their names, whoever is in them.

    Returns:
        Each old segment is in one transition or more, and so is each new one.

    Raises:
        MatchingRefusedError: where the two share fewer than half of either's customers.

    """
    _refuse_strangers(contingency)
    overlap = _Overlap(contingency)
    kept = _kept(overlap.jaccard, distances, named)
    found = [overlap.transition("kept", old, new) for old, new in kept]
    found += _splits_and_mergers(overlap, kept)
    found += _births(overlap, {link.new for link in found})
    ended = {link.old for link in found if link.kind in ("kept", "split", "merged")}
    found += _retirements(overlap, ended)
    return tuple(found)


def all_born(segments: int) -> tuple[Transition, ...]:
    """Transitions of a model that has none before it."""
    return tuple(Transition("born", None, label) for label in range(segments))


def same_names(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (old, new) of labels whose segments are called the same; names are unique in a model.

    >>> same_names(["new", "loyal"], ["loyal", "lost"])
    [(1, 0)]
    """
    labels = {name: label for label, name in enumerate(new)}
    return [(label, labels[name]) for label, name in enumerate(old) if name in labels]


def start_anew(old_segments: int, new_segments: int) -> tuple[Transition, ...]:
    """Transitions where a person decided that no segment of the two models is the same."""
    retired = (Transition("retired", label, None) for label in range(old_segments))
    return (*all_born(new_segments), *retired)


class _Overlap:
    """Shares and Jaccard indexes of all pairs; 0 where a segment is empty."""

    def __init__(self, contingency: Contingency) -> None:
        self.counts = contingency.counts
        old, new = contingency.old_sizes[:, np.newaxis], contingency.new_sizes[np.newaxis, :]
        self.old_share = self.counts / np.maximum(old, 1)
        self.new_share = self.counts / np.maximum(new, 1)
        self.jaccard = self.counts / np.maximum(old + new - self.counts, 1)

    def transition(self, kind: Kind, old: int, new: int) -> Transition:
        pair = old, new
        return Transition(
            kind,
            old,
            new,
            int(self.counts[pair]),
            float(self.old_share[pair]),
            float(self.new_share[pair]),
            float(self.jaccard[pair]),
        )


def _refuse_strangers(contingency: Contingency) -> None:
    for side, customers in (
        ("the model before", contingency.old_customers),
        ("the new model", contingency.new_customers),
    ):
        share = contingency.shared / customers if customers else 0.0
        if share < LEAST_SHARED:
            raise MatchingRefusedError(
                f"the two models share {contingency.shared} customers, {share:.0%} of those of "
                f"{side}: below {LEAST_SHARED:.0%} it can't be said which segments are the same. "
                "Check `where` and the sources; if the change is meant, let all segments be new "
                "ones (`segmentation run --new-segment-ids`)"
            )


def _kept(
    jaccard: Doubles, distances: Doubles | None, named: Sequence[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Pairs of the same segment: the assignment of the largest sum of indexes from .5 on.

    Two sets have such an index with a third only if each is exactly a half of it. So an assignment
    has no choice but between such halves, and taking the best pair first finds what the Hungarian
    algorithm would. That one, let loose on all pairs, prefers two of .33 to one of .51, and would
    give nobody an id.
    """
    near = np.zeros(jaccard.shape) if distances is None else distances
    pairs = [(old, new) for old, new in np.argwhere(jaccard >= SAME_JACCARD).tolist()]
    pairs.sort(key=lambda pair: (-jaccard[pair], near[pair], pair))
    found = list(named)
    taken_old, taken_new = {old for old, _ in named}, {new for _, new in named}
    for old, new in pairs:
        if old not in taken_old and new not in taken_new:
            found.append((old, new))
            taken_old.add(old)
            taken_new.add(new)
    return sorted(found)


def _splits_and_mergers(overlap: _Overlap, kept: list[tuple[int, int]]) -> Iterator[Transition]:
    is_child = (overlap.old_share >= LEAST_PART) & (overlap.new_share >= LEAST_WHOLE)
    is_part = (overlap.new_share >= LEAST_PART) & (overlap.old_share >= LEAST_WHOLE)
    splits = is_child & (is_child.sum(axis=1, keepdims=True) >= 2)
    mergers = is_part & (is_part.sum(axis=0, keepdims=True) >= 2)
    # What goes on under its own name is no child of another, and has not gone into another.
    splits[:, [new for _, new in kept]] = False
    mergers[[old for old, _ in kept], :] = False
    for old, new in np.argwhere(splits | mergers).tolist():
        yield overlap.transition("split" if splits[old, new] else "merged", old, new)


def _births(overlap: _Overlap, explained: set[int | None]) -> Iterator[Transition]:
    for new in range(overlap.counts.shape[1]):
        if new not in explained:
            old = int(overlap.new_share[:, new].argmax())
            descends = (
                overlap.new_share[old, new] >= LEAST_WHOLE
                and overlap.jaccard[old, new] >= LEAST_JACCARD
            )
            yield (
                overlap.transition("born", old, new) if descends else Transition("born", None, new)
            )


def _retirements(overlap: _Overlap, explained: set[int | None]) -> Iterator[Transition]:
    for old in range(overlap.counts.shape[0]):
        if old not in explained:
            new = int(overlap.old_share[old].argmax())
            goes_on = (
                overlap.old_share[old, new] >= LEAST_WHOLE
                and overlap.jaccard[old, new] >= LEAST_JACCARD
            )
            yield (
                overlap.transition("retired", old, new)
                if goes_on
                else Transition("retired", old, None)
            )
