"""A night's migration without small groups, whoever adds, subtracts and solves for them."""

import numpy as np
import pytest
from scipy.optimize import linprog

from segmentation_pipeline.segments.migration import migration_rows

FLOOR = 10
A, B, C = "s-1", "s-2", "s-3"
ORDINARY = [
    (A, A, "stayed", 480), (B, B, "stayed", 390), (C, C, "stayed", 90),
    (A, B, "moved", 3), (B, A, "moved", 2), (C, A, "moved", 1),
    (A, None, "left", 4), (B, None, "left", 12), (None, A, "entered", 5), (None, C, "entered", 2),
]  # fmt: skip
NIGHTS = {
    "an ordinary night": ORDINARY,
    "one customer moves": [(A, A, "stayed", 480), (B, B, "stayed", 390), (A, B, "moved", 1)],
    "a new model": [
        (A, A, "stayed", 400), (A, B, "model", 80), (B, B, "stayed", 300), (B, A, "model", 4),
    ],
    "somebody is erased": [*ORDINARY, (A, None, "erased", 1)],
    "large ways and one small": [
        (A, A, "stayed", 480), (B, B, "stayed", 390), (A, B, "moved", 40), (B, A, "moved", 30),
        (None, A, "entered", 50), (A, None, "left", 3), (B, None, "left", 60),
    ],
}  # fmt: skip


def way(row):
    origin, target = row["from_segment_id"], row["to_segment_id"]
    return origin or row["reason"], target or row["reason"]


def inferred(flows, rows):
    """Smallest and largest count of each withheld way that the sizes of both nights allow.

    The reader knows how many there were of each segment on both nights, and how many entered, left
    and were erased in all; that nobody comes from nowhere and goes there; and what is published.
    """
    truth = {(a or reason, b or reason): n for a, b, reason, n in flows}
    withheld = [way(row) for row in rows if row["is_suppressed"]]
    equations, sums = [], []
    for side in (0, 1):
        for name in {pair[side] for pair in truth}:
            equations.append([float(pair[side] == name) for pair in withheld])
            of_name = sum(n for pair, n in truth.items() if pair[side] == name)
            told = sum(row["customers"] or 0 for row in rows if way(row)[side] == name)
            sums.append(of_name - told)
    found = {}
    for index, pair in enumerate(withheld):
        aim = np.eye(len(withheld))[index]
        ends = [linprog(sign * aim, A_eq=equations, b_eq=sums, method="highs") for sign in (1, -1)]
        assert all(end.success for end in ends)
        found[pair] = ends[0].fun, -ends[1].fun
    return found


@pytest.mark.parametrize("flows", NIGHTS.values(), ids=NIGHTS)
def test_no_small_way_follows_from_the_sizes(flows):
    rows = list(migration_rows(flows, FLOOR))

    told = {way(row): row["customers"] for row in rows if not row["is_suppressed"]}
    truth = {(a or reason, b or reason): n for a, b, reason, n in flows}
    assert all(n >= FLOOR and truth[pair] == n for pair, n in told.items())
    found = inferred(flows, rows)
    small = {pair for pair, n in truth.items() if n < FLOOR}
    assert small
    for pair in small:
        lower, upper = found[pair]
        # All who entered, or left, are known: of 7 no more than 7 can have come to a segment.
        sums = [sum(n for one, n in truth.items() if one[side] == pair[side]) for side in (0, 1)]
        assert upper - lower >= min(FLOOR, *sums) - 1e-6


def test_the_attack_succeeds_where_only_the_small_ways_are_withheld():
    flows = NIGHTS["large ways and one small"]
    rows = [
        {"from_segment_id": a, "to_segment_id": b, "reason": reason,
         "customers": None if n < FLOOR else n, "is_suppressed": n < FLOOR}
        for a, b, reason, n in flows
    ]  # fmt: skip

    assert inferred(flows, rows) == {(A, "left"): (3, 3)}


def test_withheld_rows_tell_no_figure_and_empty_ways_are_among_them():
    rows = list(migration_rows(NIGHTS["one customer moves"], FLOOR))

    assert [(*way(row), row["reason"]) for row in rows] == [
        (A, A, "stayed"), (A, B, "moved"), (B, A, "moved"), (B, B, "stayed"),
    ]  # fmt: skip
    assert all(row["is_suppressed"] for row in rows)
    assert {row["customers"] for row in rows} == {row["share"] for row in rows} == {None}


def test_large_ways_are_told_with_their_shares():
    flows = [(A, A, "stayed", 60), (A, B, "moved", 20), (A, None, "left", 20),
             (None, B, "entered", 30)]  # fmt: skip

    assert list(migration_rows(flows, FLOOR)) == [
        {"from_segment_id": a, "to_segment_id": b, "reason": reason, "customers": n,
         "share": share, "is_suppressed": False}
        for a, b, reason, n, share in (
            (A, A, "stayed", 60, 0.6), (A, B, "moved", 20, 0.2), (A, None, "left", 20, 0.2),
            (None, B, "entered", 30, None),
        )
    ]  # fmt: skip


def test_without_a_floor_everything_is_told():
    rows = list(migration_rows(ORDINARY, 1))

    assert sorted(row["customers"] for row in rows) == sorted(n for *_, n in ORDINARY)
