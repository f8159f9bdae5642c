"""Segments of two models are told the same, apart, or descended, case by case."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from segmentation_pipeline.segments.matching import (
    Contingency,
    MatchingRefusedError,
    Transition,
    all_born,
    match_segments,
    same_names,
    start_anew,
)


def contingency(counts, *, lost=None, found=None, old_only=0, new_only=0):
    """Counts of pairs; `lost` and `found` are noise of the other model, the rest is not shared."""
    counts = np.array(counts, dtype=np.int64)
    lost = np.zeros(len(counts), np.int64) if lost is None else np.array(lost)
    found = np.zeros(counts.shape[1], np.int64) if found is None else np.array(found)
    shared = int(counts.sum() + lost.sum() + found.sum())
    return Contingency(
        counts,
        counts.sum(axis=1) + lost,
        counts.sum(axis=0) + found,
        shared,
        shared + old_only,
        shared + new_only,
    )


def told(transitions):
    return [(link.kind, link.old, link.new) for link in transitions]


def even_migration(segments, share, size=1000):
    moved = round(size * share / (segments - 1))
    counts = np.full((segments, segments), moved)
    np.fill_diagonal(counts, size - moved * (segments - 1))
    return counts


CASES = {
    "nothing but other numbers": (
        [[0, 100], [80, 0]],
        [("kept", 0, 1), ("kept", 1, 0)],
    ),
    "an even migration of 20 %": (
        even_migration(5, 0.2),
        [("kept", label, label) for label in range(5)],
    ),
    "an even migration of 20 % of two": (
        even_migration(2, 0.2),
        [("kept", 0, 0), ("kept", 1, 1)],
    ),
    "a split of 60/40": (
        [[60, 40, 0], [0, 0, 100]],
        [("kept", 0, 0), ("kept", 1, 2), ("split", 0, 1)],
    ),
    "a split of 85/15 is a birth out of the one that stays": (
        [[85, 15, 0], [0, 0, 100]],
        [("kept", 0, 0), ("kept", 1, 2), ("born", 0, 1)],
    ),
    "a split of 95/5 leaves nothing to descend from": (
        [[95, 5]],
        [("kept", 0, 0), ("born", None, 1)],
    ),
    "a split of 45/45/10: no child is the same": (
        [[45, 45, 10]],
        [("split", 0, 0), ("split", 0, 1), ("born", 0, 2)],
    ),
    "a merger of 60/40": (
        [[60, 0], [40, 0], [0, 100]],
        [("kept", 0, 0), ("kept", 2, 1), ("merged", 1, 0)],
    ),
    "a merger of 85/15 is the retirement of one that went into it": (
        [[85, 0], [15, 0], [0, 100]],
        [("kept", 0, 0), ("kept", 2, 1), ("retired", 1, 0)],
    ),
    "a merger of 40/30/30: nobody's id goes on": (
        [[40], [30], [30]],
        [("merged", 0, 0), ("merged", 1, 0), ("merged", 2, 0)],
    ),
    "a birth out of everybody": (
        [[90, 0, 10], [0, 90, 10], [0, 0, 0]],
        [("kept", 0, 0), ("kept", 1, 1), ("born", None, 2), ("retired", 2, None)],
    ),
    "a birth out of three": (
        [[80, 0, 0, 20], [0, 80, 0, 20], [0, 0, 80, 20]],
        [("kept", 0, 0), ("kept", 1, 1), ("kept", 2, 2), ("born", None, 3)],
    ),
    "a death into three": (
        [[80, 0, 0], [0, 80, 0], [0, 0, 80], [20, 20, 20]],
        [("kept", 0, 0), ("kept", 1, 1), ("kept", 2, 2), ("retired", 3, None)],
    ),
    "k + 1, everybody a little elsewhere": (
        [[83, 2, 15, 0], [3, 55, 2, 40]],
        [("kept", 0, 0), ("kept", 1, 1), ("split", 1, 3), ("born", 0, 2)],
    ),
    "k - 1, everybody a little elsewhere": (
        [[90, 5, 5], [3, 92, 5], [4, 6, 70], [2, 4, 44]],
        [("kept", 0, 0), ("kept", 1, 1), ("kept", 2, 2), ("merged", 3, 2)],
    ),
    "like, but not the same: retired into one that was born of it": (
        [[60, 40], [40, 200]],
        [("kept", 1, 1), ("born", 0, 0), ("retired", 0, 0)],
    ),
    "a true pair goes before two middling ones of a larger sum": (
        [[51, 24], [25, 0]],
        [("kept", 0, 0), ("split", 0, 1), ("merged", 1, 0)],
    ),
    "one segment, then one": ([[100]], [("kept", 0, 0)]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_becomes_of_segments(case):
    counts, expected = CASES[case]

    assert sorted(told(match_segments(contingency(counts))), key=str) == sorted(expected, key=str)


@pytest.mark.parametrize("case", CASES)
def test_each_segment_is_told_of_whatever_the_labels(case):
    counts = np.array(CASES[case][0])
    rng = np.random.default_rng(5)
    rows, columns = rng.permutation(len(counts)), rng.permutation(counts.shape[1])

    plain = match_segments(contingency(counts))
    shuffled = match_segments(contingency(counts[rows][:, columns]))

    assert {link.old for link in plain} - {None} == set(range(len(counts)))
    assert {link.new for link in plain} - {None} == set(range(counts.shape[1]))
    # Whom an origin is among equals depends on labels; what is the same does not.
    assert sorted(kept(plain)) == sorted((rows[old], columns[new]) for old, new in kept(shuffled))


def kept(transitions):
    return [(link.old, link.new) for link in transitions if link.kind == "kept"]


def test_figures_of_a_transition():
    (split,) = (
        link for link in match_segments(contingency([[60, 40], [0, 10]])) if link.kind == "split"
    )

    assert split == Transition("split", 0, 1, 40, 0.4, 0.8, 40 / 110)


def test_halves_go_to_the_nearer_centroid_else_to_the_lower_label():
    halves = contingency([[50, 50], [0, 0]])

    assert kept(match_segments(halves)) == [(0, 0)]
    assert kept(match_segments(halves, np.array([[2.0, 1.0], [9.0, 9.0]]))) == [(0, 1)]
    assert kept(match_segments(halves, np.array([[1.0, 1.0], [9.0, 9.0]]))) == [(0, 0)]


def test_distances_decide_ties_and_nothing_else():
    counts = contingency([[51, 50], [0, 0]])

    assert kept(match_segments(counts, np.array([[1e9, 0.0], [0.0, 0.0]]))) == [(0, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_no_assignment_of_same_segments_is_better(seed):
    rng = np.random.default_rng(seed)
    old = rng.integers(0, 6, 400)
    new = np.where(rng.random(400) < rng.uniform(0, 0.6), rng.integers(0, 7, 400), (old + 2) % 6)
    counts = np.zeros((6, 7), dtype=np.int64)
    np.add.at(counts, (old, new), 1)

    found = match_segments(contingency(counts))

    sizes = counts.sum(axis=1)[:, np.newaxis] + counts.sum(axis=0)
    jaccard = counts / (sizes - counts)
    worth = np.where(jaccard >= 0.5, jaccard, 0.0)
    best = worth[linear_sum_assignment(worth, maximize=True)].sum()
    assert sum(link.jaccard for link in found if link.kind == "kept") == pytest.approx(best)


def test_customers_lost_to_noise_are_lost():
    grows = match_segments(contingency([[60, 0], [0, 100]], lost=[40, 0]))
    dissolves = match_segments(contingency([[45, 0], [0, 100]], lost=[55, 0]))
    out_of_noise = match_segments(contingency([[100, 0]], found=[0, 80]))

    assert told(grows) == [("kept", 0, 0), ("kept", 1, 1)]
    assert told(dissolves) == [("kept", 1, 1), ("born", 0, 0), ("retired", 0, None)]
    assert told(out_of_noise) == [("kept", 0, 0), ("born", None, 1)]


@pytest.mark.parametrize(
    ("case", "side"),
    [
        ({"old_only": 101}, "the model before"),
        ({"new_only": 101}, "the new model"),
    ],
)
def test_too_few_shared_customers_are_refused(case, side):
    match_segments(contingency([[100]], old_only=100, new_only=100))

    with pytest.raises(MatchingRefusedError, match=rf"share 100 customers, 50% of those of {side}"):
        match_segments(contingency([[100]], **case))


def test_no_shared_customers_are_refused_and_a_person_may_start_anew():
    strangers = contingency([[0, 0]], old_only=10, new_only=10)

    with pytest.raises(MatchingRefusedError, match=r"share 0 customers, 0%.* --new-segment-ids`"):
        match_segments(strangers)
    assert told(start_anew(1, 2)) == [("born", None, 0), ("born", None, 1), ("retired", 0, None)]


def test_a_thousand_segments_are_matched():
    rng = np.random.default_rng(2)
    order = rng.permutation(1200)
    counts = np.zeros((1200, 1200), dtype=np.int64)
    counts[np.arange(1200), order] = 90
    counts[np.arange(1200), np.roll(order, 1)] = 10

    found = match_segments(contingency(counts))

    assert told(found) == [("kept", label, order[label]) for label in range(1200)]


def test_everybody_is_born_before_the_first_model():
    assert told(all_born(2)) == [("born", None, 0), ("born", None, 1)]


def test_segments_of_the_same_name_are_the_same_whoever_is_in_them():
    counts = [[0, 10, 90], [0, 0, 0], [0, 80, 5]]
    named = same_names(["vip", "lost", "loyal"], ["lost", "vip", "loyal"])

    by_customers, by_name = match_segments(contingency(counts)), named_match(counts, named)

    assert told(by_name) == [("kept", 0, 1), ("kept", 1, 0), ("kept", 2, 2)]
    assert [(link.customers, link.jaccard) for link in by_name] == [
        (10, 10 / 180),
        (0, 0),
        (5, 5 / 175),
    ]
    # Without names, the rule that holds nobody in either model would get another id.
    assert told(by_customers) == [
        ("kept", 0, 2), ("kept", 2, 1), ("born", None, 0), ("retired", 1, None),
    ]  # fmt: skip


def test_what_has_no_namesake_is_matched_by_its_customers():
    named = same_names(["vip", "loyal", "lost"], ["vip", "regulars", "curious"])

    found = named_match([[60, 0, 40], [0, 70, 5], [0, 0, 0]], named)

    assert told(found) == [("kept", 0, 0), ("kept", 1, 1), ("split", 0, 2), ("retired", 2, None)]


def test_what_goes_from_one_rule_to_another_is_neither_a_split_nor_a_merger():
    found = named_match([[94, 0], [94, 70]], same_names(["buyers", "others"], ["buyers", "others"]))

    assert told(found) == [("kept", 0, 0), ("kept", 1, 1)]


def named_match(counts, named):
    return match_segments(contingency(counts), named=named)
