"""What is withheld stays unknown to a reader who adds, subtracts and solves for it."""

import datetime as dt
from itertools import groupby, pairwise

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import linprog

from segmentation_pipeline.publication import read_published
from segmentation_pipeline.segments.overlap import make_segment_crosstabs
from segmentation_pipeline.segments.suppression import (
    completed_counts,
    hidden_cells,
    hidden_groups,
)
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_batches

FLOOR = 10


def inferred(counts, hidden, *, has_total_row):
    """Smallest and largest count of each withheld cell that all totals allow, by programming.

    The reader knows all that is published, the sizes of the rows and, where there are totals, that
    a column adds up to its own; else the totals of the columns. Counts are not negative.
    """
    table = np.vstack([counts, counts.sum(axis=0)]) if has_total_row else counts
    places = [tuple(place) for place in np.argwhere(hidden)]
    number = {place: index for index, place in enumerate(places)}
    equations, sums = [], []

    def add(cells, known):
        row = np.zeros(len(places))
        for place, sign in cells:
            if place in number:
                row[number[place]] += sign
            else:
                known -= sign * table[place]
        equations.append(row)
        sums.append(known)

    rows, columns = table.shape
    for row in range(rows):
        add([((row, column), 1) for column in range(columns)], table[row].sum())
    for column in range(columns):
        cells = [((row, column), 1) for row in range(len(counts))]
        if has_total_row:
            add([*cells, ((rows - 1, column), -1)], 0)
        else:
            add(cells, counts[:, column].sum())
    found = {}
    for place, index in number.items():
        ends = []
        for sign in (1, -1):
            aim = np.zeros(len(places))
            aim[index] = sign
            solved = linprog(aim, A_eq=np.array(equations), b_eq=np.array(sums), method="highs")
            assert solved.success
            ends.append(sign * solved.fun)
        found[place] = tuple(ends)
    return found


TABLES = {
    "one small cell": [[3, 40, 50], [30, 20, 25], [60, 15, 22]],
    "a small category": [[3, 80, 17], [2, 60, 30], [1, 40, 33]],
    "two pairs that a bridge would join": [
        [2, 3, 40, 50, 60], [4, 5, 70, 80, 90], [30, 30, 30, 6, 7], [20, 90, 45, 8, 9],
    ],
    "one segment": [[4, 30, 60]],
    "two categories": [[5, 95], [40, 60], [70, 30]],
    "with zeros": [[0, 7, 60], [80, 0, 0], [50, 40, 0]],
}  # fmt: skip


@pytest.mark.parametrize("has_total_row", [True, False])
@pytest.mark.parametrize("counts", TABLES.values(), ids=TABLES)
def test_no_withheld_cell_can_be_told_from_the_totals(counts, has_total_row):
    counts = np.array(counts)
    hidden = hidden_cells(counts, FLOOR, has_total_row=has_total_row)

    assert not ((counts > 0) & (counts < FLOOR) & ~hidden[: len(counts)]).any()
    if len(counts) == 1 and not has_total_row:
        return  # The totals of the columns are the cells.
    for lower, upper in inferred(counts, hidden, has_total_row=has_total_row).values():
        # Where the total of a column is known and small, no more than that can be elsewhere.
        most = FLOOR if has_total_row else min(FLOOR, counts.sum(axis=0).min())
        assert upper - lower >= most - 1e-6


def test_the_attack_succeeds_where_only_the_small_cells_are_withheld():
    counts = np.array(TABLES["one small cell"])
    small = np.zeros((4, 3), dtype=bool)
    small[0, 0] = True

    (ends,) = inferred(counts, small, has_total_row=True).values()

    assert ends == pytest.approx((3, 3))


@pytest.mark.parametrize("seed", range(6))
def test_random_tables_keep_their_small_cells(seed):
    generator = np.random.default_rng(seed)
    counts = generator.negative_binomial(1, 0.04, size=(5, 6)) + np.eye(5, 6, dtype=int) * 30
    hidden = hidden_cells(counts, FLOOR, has_total_row=True)

    assert hidden.any()
    assert not hidden.all()
    for lower, upper in inferred(counts, hidden, has_total_row=True).values():
        assert upper - lower >= FLOOR - 1e-6


def test_nothing_is_withheld_where_nothing_is_small():
    counts = np.array([[10, 0, 90], [50, 50, 0]])

    assert not hidden_cells(counts, FLOOR, has_total_row=True).any()
    assert not hidden_groups(np.array([10, 0, 90]), FLOOR).any()


def test_as_few_customers_as_possible_are_withheld_besides():
    counts = np.array([[3, 20, 500], [12, 40, 500], [300, 400, 500]])

    hidden = hidden_cells(counts, FLOOR, has_total_row=True)

    assert hidden[:2, :2].all()
    assert hidden.sum() == 4


def test_the_choice_is_the_same_whatever_the_counts_are_read_from():
    counts = np.array(TABLES["one small cell"])
    first = hidden_cells(counts, FLOOR, has_total_row=True)

    assert (hidden_cells(counts.copy(), FLOOR, has_total_row=True) == first).all()
    assert counts.tolist() == TABLES["one small cell"]


def test_a_group_is_withheld_with_the_next_smallest_until_they_are_many():
    hidden = hidden_groups(np.array([3, 4, 0, 40, 90]), FLOOR)

    assert hidden.tolist() == [True, True, False, True, False]
    assert hidden_groups(np.array([12, 4, 90]), FLOOR).tolist() == [True, True, False]


def test_a_large_table_is_done_in_a_second_or_two():
    counts = np.random.default_rng(1).negative_binomial(1, 0.02, size=(300, 30))

    hidden = hidden_cells(counts, FLOOR, has_total_row=True)

    assert (hidden[:-1] >= ((counts > 0) & (counts < FLOOR))).all()
    assert (hidden.sum(axis=1) != 1).all()
    assert (hidden.sum(axis=0) != 1).all()


def test_withheld_counts_are_completed_from_the_totals_alone():
    counts = np.array([[3.0, 20, 500], [12, 40, 500], [300, 400, 500]])
    known = counts.copy()
    known[:2, :2] = np.nan

    completed = completed_counts(known, counts.sum(axis=1), counts.sum(axis=0))

    assert completed.sum(axis=1) == pytest.approx(counts.sum(axis=1))
    assert completed.sum(axis=0) == pytest.approx(counts.sum(axis=0))
    # 75 customers, 23 of them in the first row and 15 in the first column.
    assert completed[0, 0] == pytest.approx(23 * 15 / 75)
    assert all(a >= 0 for row in completed for a in row)
    assert completed_counts(counts, counts.sum(axis=1), counts.sum(axis=0)) is counts


def test_unknown_totals_are_shared_evenly():
    known = np.array([[np.nan, np.nan, 50.0], [np.nan, np.nan, 40.0]])

    completed = completed_counts(known, np.array([70.0, 50.0]), np.array([np.nan, np.nan, 90.0]))

    assert completed[:, :2].tolist() == pytest.approx(np.array([[10.0, 10.0], [5.0, 5.0]]))
    assert all(a[2] >= b[2] for a, b in pairwise(completed))


def test_what_is_published_of_categories_gives_no_small_group_back(published_home):
    """Whole tables, as a reader has them: counts, shares, totals and sizes."""
    rows = read_published(
        published_home / "published",
        "SELECT segmentation, feature, segment_id, category, customers, share, overall_share, lift,"
        " is_suppressed FROM segment_category_shares ORDER BY ALL",
    )
    withheld = 0
    with open_warehouse(published_home / "warehouse.duckdb", read_only=True) as connection:
        for (name, feature), found in groupby(rows, key=lambda row: row[:2]):
            cells = {row[2:4]: row[4:] for row in found}
            segments, categories = (sorted(set(names)) for names in zip(*cells, strict=True))
            counts = np.array(
                [
                    [
                        connection.execute(
                            f"SELECT count(*) FROM {name}.engineered_features"
                            f" JOIN {name}.customer_segments USING (customer_id)"
                            f" WHERE segment_id = ? AND coalesce({feature}, 'missing') = ?",
                            [segment, category],
                        ).fetchall()[0][0]
                        for category in categories
                    ]
                    for segment in segments
                ]
            )
            hidden = np.zeros((len(segments) + 1, len(categories)), dtype=bool)
            for (segment, category), figures in cells.items():
                customers, share, overall_share, lift, is_suppressed = figures
                place = segments.index(segment), categories.index(category)
                hidden[place] = customers is None
                hidden[-1, place[1]] = overall_share is None
                assert is_suppressed == (lift is None)
                assert (share is None) == (customers is None)
                assert customers in (None, counts[place])
            assert not (hidden[:-1] < ((counts > 0) & (counts < FLOOR))).any()
            for lower, upper in inferred(counts, hidden, has_total_row=True).values():
                withheld += 1
                assert upper - lower >= FLOOR - 1e-6
    assert withheld > 20


def test_what_is_published_of_two_segmentations_is_the_same_from_either_side(published_home):
    rows = read_published(
        published_home / "published",
        "SELECT segment_id, other_segment_id, customers FROM segment_crosstab ORDER BY ALL",
    )

    counted = {(mine, theirs): customers for mine, theirs, customers in rows}

    assert counted
    assert all(counted[theirs, mine] == customers for (mine, theirs), customers in counted.items())
    assert all(customers is None or customers >= FLOOR for customers in counted.values())


def test_small_pairs_of_segments_are_withheld_from_both_sides(tmp_path):
    night = Build(dt.date(2025, 6, 30), "run-1")
    counts = np.array(TABLES["with zeros"])
    pairs = [
        (f"x-{row}", f"y-{column}")
        for (row, column), customers in np.ndenumerate(counts)
        for _ in range(customers)
    ]
    with open_warehouse(tmp_path / "w.duckdb") as connection:
        for side, name in enumerate(("x", "y")):
            table = pa.table(
                {
                    "customer_id": [f"c{number}" for number in range(len(pairs))],
                    "segment_id": [pair[side] for pair in pairs],
                }
            )
            place = Table(name, "customer_segments")
            write_batches(connection, place, table.schema, table.to_batches(), night)

        make_segment_crosstabs(connection, ["x", "y"], FLOOR, night)

        query = "SELECT segment_id, other_segment_id, customers, is_suppressed FROM {}"
        mine, theirs = (
            {row[:2]: row[2:] for row in connection.execute(query.format(table)).fetchall()}
            for table in ("x.segment_crosstab", "y.segment_crosstab")
        )
    assert mine == {(first, second): found for (second, first), found in theirs.items()}
    hidden = np.array(
        [[mine.get((f"x-{r}", f"y-{c}"), (0, False))[1] for c in range(3)] for r in range(3)]
    )
    assert hidden[0, 1]
    for lower, upper in inferred(counts, hidden, has_total_row=False).values():
        assert upper - lower >= FLOOR - 1e-6
