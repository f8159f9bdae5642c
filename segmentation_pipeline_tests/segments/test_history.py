"""The history says of any date who was in which segment, whatever was run again."""

import datetime as dt
import itertools

import numpy as np
import pytest

from segmentation_pipeline.errors import StaleUpstreamError
from segmentation_pipeline.kept import keep_from
from segmentation_pipeline.segments.history import (
    erase_from_history,
    keep_history_from,
    matrix_with_last_night_sql,
    segments_on_sql,
)
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.migration import make_segment_migration
from segmentation_pipeline.segments.movements import make_segment_movements, record_night
from segmentation_pipeline.segments.nights import (
    Night,
    NightChanges,
    make_segment_nights,
    refuse_cut_night,
)
from segmentation_pipeline.warehouse import Build, Table, open_in_memory, write_table

HISTORY = "SELECT * FROM x.segment_history ORDER BY customer_id, valid_from"


@pytest.fixture
def connection():
    with open_in_memory() as opened:
        opened.execute(
            "CREATE SCHEMA core; CREATE TABLE core.builds (table_name VARCHAR PRIMARY KEY,"
            " as_of DATE, run_id VARCHAR, rows BIGINT)"
        )
        yield opened


def day(number):
    return dt.date(2025, 6, number)


def build(number):
    return Build(day(number), f"run-{number}")


def run(connection, number, members, *, model=1, raw=None, hold="margin"):
    """Run a night whose customers are in the segments of `members`: {"a": "1"}."""
    raw = {} if raw is None else raw
    rows = [f"('{c}', 'x-{s}', 'x-{raw.get(c, s)}')" for c, s in members.items()]
    query = f"SELECT * FROM (VALUES {', '.join(rows)}) t(customer_id, segment_id, raw_segment_id)"
    write_table(connection, Table("x", "customer_segments"), query, build(number))
    return record_night(connection, "x", Night(day(number), model), build(number), hold=hold)


def spells(connection, customer=None):
    rows = connection.execute(HISTORY).fetchall()
    return [
        (c, s.removeprefix("x-"), begin.day, end and end.day, reason, end_reason)
        for c, s, begin, end, reason, end_reason in rows
        if customer in (None, c)
    ]


def test_customers_enter_move_leave_and_come_back(connection):
    run(connection, 1, {"a": "1", "b": "1"})
    run(connection, 2, {"a": "2", "b": "1", "c": "2"})
    run(connection, 3, {"a": "2", "c": "2"})
    changes = run(connection, 5, {"a": "1", "b": "1", "c": "2"})

    assert spells(connection) == [
        ("a", "1", 1, 2, "entered", "moved"),
        ("a", "2", 2, 5, "moved", "moved"),
        ("a", "1", 5, None, "moved", None),
        ("b", "1", 1, 3, "entered", "left"),
        ("b", "1", 5, None, "entered", None),
        ("c", "2", 2, None, "entered", None),
    ]
    assert changes == NightChanges(3, 1, 0, 1, 0, 0, 0)
    assert changes.churn_share == 0.5


def test_segment_at_the_time_of_the_order(connection):
    run(connection, 1, {"a": "1", "b": "1"})
    run(connection, 4, {"a": "2"})
    connection.execute(
        "CREATE TABLE orders AS SELECT * FROM (VALUES ('a', DATE '2025-06-01'),"
        " ('a', DATE '2025-06-03'), ('a', DATE '2025-06-04'), ('b', DATE '2025-06-03'),"
        " ('b', DATE '2025-06-04')) t(customer_id, ordered_date)"
    )

    found = connection.execute(
        "SELECT o.customer_id, ordered_date, segment_id FROM orders o"
        " LEFT JOIN x.segment_history h ON h.customer_id = o.customer_id"
        " AND valid_from <= ordered_date AND (valid_to IS NULL OR ordered_date < valid_to)"
        " ORDER BY ALL"
    ).fetchall()

    assert [segment for *_, segment in found] == ["x-1", "x-1", "x-2", "x-1", None]


def test_a_date_run_again_adds_nothing_and_corrects_itself(connection):
    run(connection, 1, {"a": "1", "b": "1"})
    first = run(connection, 2, {"a": "2", "b": "1", "c": "1"})
    once = spells(connection)

    assert run(connection, 2, {"a": "2", "b": "1", "c": "1"}) == first
    assert spells(connection) == once
    run(connection, 2, {"a": "1", "b": "2"})
    assert spells(connection) == [
        ("a", "1", 1, None, "entered", None),
        ("b", "1", 1, 2, "entered", "moved"),
        ("b", "2", 2, None, "moved", None),
    ]


def test_a_date_in_the_middle_replaces_its_own_night_only(connection):
    run(connection, 1, {"a": "1", "b": "1", "c": "1"})
    run(connection, 2, {"a": "1", "b": "2", "c": "1"})
    run(connection, 3, {"a": "1", "b": "2", "c": "2", "d": "1"})
    run(connection, 2, {"a": "3", "b": "1", "d": "1"})

    assert spells(connection) == [
        ("a", "1", 1, 2, "entered", "moved"),
        ("a", "3", 2, 3, "moved", "moved"),
        ("a", "1", 3, None, "moved", None),
        ("b", "1", 1, 3, "entered", "moved"),
        ("b", "2", 3, None, "moved", None),
        ("c", "1", 1, 2, "entered", "left"),
        ("c", "2", 3, None, "entered", None),
        ("d", "1", 2, None, "entered", None),
    ]


def test_a_change_of_model_is_no_move(connection):
    run(connection, 1, {"a": "1", "b": "1"})
    changes = run(connection, 2, {"a": "2", "b": "1", "c": "2"}, model=2)
    run(connection, 3, {"a": "1", "b": "1", "c": "2"}, model=2)

    assert (changes.moved_count, changes.model_count, changes.entered_count) == (0, 1, 1)
    assert spells(connection, "a") == [
        ("a", "1", 1, 2, "entered", "model"),
        ("a", "2", 2, 3, "model", "moved"),
        ("a", "1", 3, None, "moved", None),
    ]
    # The same date again with the first model: its change is a move, the next night's is not.
    run(connection, 2, {"a": "2", "b": "1", "c": "2"}, model=1)
    assert spells(connection, "a")[0] == ("a", "1", 1, 2, "entered", "moved")
    assert spells(connection, "a")[1][4:] == ("moved", "model")


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_nights_leads_to_the_same_history(connection, seed):
    """Nights run in any order, some twice and wrongly first, agree with what was last said."""
    rng = np.random.default_rng(seed)
    customers = [f"c{number}" for number in range(30)]

    def members():
        draw = rng.integers(0, 4, len(customers))
        return {c: str(s) for c, s in zip(customers, draw, strict=True) if s} or {"c0": "1"}

    truth = {number: (members(), 1 + number // 4) for number in (1, 2, 3, 5, 6, 8)}
    for number in rng.permutation(list(truth)).tolist():
        if rng.random() < 0.6:
            run(connection, number, members(), model=truth[number][1])
        run(connection, number, truth[number][0], model=truth[number][1])
    for number, (expected, _) in truth.items():
        found = connection.execute(segments_on_sql("x", day(number))).fetchall()
        assert dict(found) == {c: f"x-{s}" for c, s in expected.items()}
    # In order once more: reasons too are those of an undisturbed run.
    for number, (expected, model) in truth.items():
        run(connection, number, expected, model=model)
    again = spells(connection)
    with open_in_memory() as other:
        other.execute(
            "CREATE SCHEMA core; CREATE TABLE core.builds (table_name VARCHAR PRIMARY KEY,"
            " as_of DATE, run_id VARCHAR, rows BIGINT)"
        )
        for number, (expected, model) in truth.items():
            run(other, number, expected, model=model)
        assert again == spells(other)
    for one, following in itertools.pairwise(again):
        if one[0] == following[0]:
            assert one[3] <= following[2]
            assert (one[3], one[1]) != (following[2], following[1])


def test_movements_and_migration_of_a_night(connection):
    run(connection, 1, {"a": "1", "b": "1", "c": "1", "d": "2"})
    run(connection, 2, {"a": "2", "b": "1", "d": "2", "e": "2"})

    assert make_segment_movements(connection, "x", build(2)) == 3
    assert connection.execute("FROM x.segment_movements ORDER BY customer_id").fetchall() == [
        ("a", "x-1", "x-2", "moved"),
        ("c", "x-1", None, "left"),
        ("e", None, "x-2", "entered"),
    ]
    assert make_segment_migration(connection, "x", build(2), 1) == 5
    assert connection.execute("FROM x.segment_migration").fetchall() == [
        ("x-1", "x-1", "stayed", 1, 1 / 3, False),
        ("x-1", "x-2", "moved", 1, 1 / 3, False),
        ("x-1", None, "left", 1, 1 / 3, False),
        ("x-2", "x-2", "stayed", 1, 1.0, False),
        (None, "x-2", "entered", 1, None, False),
    ]
    assert make_segment_nights(connection, "x", build(2)) == 1
    found = connection.execute("FROM x.segment_nights").fetchall()
    assert found == [(4, 1, 1, 1, 0, 0, 0, 1 / 3)]


def test_the_first_night_has_no_churn(connection):
    changes = run(connection, 1, {"a": "1", "b": "2"}, raw={"b": "1"})

    assert changes == NightChanges(2, 2, 0, 0, 0, 0, 1)
    assert changes.churn_share is None
    make_segment_nights(connection, "x", build(1))
    assert connection.execute("SELECT churn_share FROM x.segment_nights").fetchall() == [(None,)]


def test_a_night_with_few_changes_writes_few_rows(connection):
    everybody = {f"c{number}": "1" for number in range(5000)}
    run(connection, 1, everybody)
    before = connection.execute("SELECT max(rowid) FROM x.segment_history").fetchall()[0][0]
    run(connection, 2, everybody | {"c7": "2", "c8": "2"})

    after = connection.execute("SELECT count(*), max(rowid) FROM x.segment_history").fetchall()[0]
    assert after == (5002, before + 4)


def test_an_erased_person_is_gone_and_the_counts_tell_it(connection):
    run(connection, 1, {"a": "1", "b": "1", "c": "1"})
    run(connection, 2, {"a": "2", "b": "1", "c": "1"}, raw={"a": "1"}, hold="nights")
    connection.execute("CREATE TABLE tombstones AS SELECT 'a' AS customer_id")

    assert erase_from_history(connection, "x", Table("main", "tombstones"), day(3)) == 2
    changes = run(connection, 3, {"b": "1"})

    assert spells(connection) == [
        ("b", "1", 1, None, "entered", None),
        ("c", "1", 1, 3, "entered", "left"),
        ("erased-1", "2", 2, 3, "moved", "erased"),
    ]
    assert (changes.left_count, changes.erased_count) == (1, 1)
    assert make_segment_movements(connection, "x", build(3)) == 1
    make_segment_migration(connection, "x", build(3), 1)
    assert ("x-2", None, "erased", 1, 1.0, False) in connection.execute(
        "FROM x.segment_migration"
    ).fetchall()
    assert connection.execute("FROM x.segment_pending").fetchall() == []
    # Nobody belongs to such a spell: running dates again leaves it alone.
    run(connection, 2, {"b": "1", "c": "1"})
    assert spells(connection, "erased-1") == [("erased-1", "2", 2, 3, "moved", "erased")]


def known(connection, number, model=1):
    """What the stream of a night is told of each customer."""
    query = "SELECT unnest(['a', 'b', 'c', 'd']) AS customer_id, 0.5::FLOAT AS visits"
    write_table(connection, Table("x", "feature_matrix"), query, build(number))
    night = Night(day(number), model)
    sql = matrix_with_last_night_sql(connection, "x", Table("x", "feature_matrix"), night)
    rows = connection.execute(f"SELECT * EXCLUDE (visits) FROM ({sql}) ORDER BY ALL").fetchall()
    return {customer: tuple(labels) for customer, *labels in rows}


def test_the_stream_is_told_of_the_night_before(connection):
    segment_ids(connection, "x", 1, 2)
    nothing = dict.fromkeys("abcd", (None, None, None))
    assert known(connection, 1) == nothing
    run(connection, 1, {"a": "1", "b": "2", "c": "noise"}, hold="nights")
    assert known(connection, 2) == nothing | {
        "a": (0, None, None),
        "b": (1, None, None),
        "c": (-1, None, None),
    }
    for number, nights in ((2, 1), (3, 2)):
        run(
            connection,
            number,
            {"a": "1", "b": "2", "c": "noise"},
            raw={"a": "noise", "c": "2"},
            hold="nights",
        )
        assert known(connection, number + 1)["a"] == (0, -1, nights)
        assert known(connection, number + 1)["c"] == (-1, 1, nights)
    # A date run again starts from the night before it, not from its own first run.
    assert known(connection, 3)["a"] == (0, -1, 1)
    assert known(connection, 2)["a"] == (0, None, None)
    assert known(connection, 4, model=2) == nothing


def test_a_row_of_nights_ends_where_another_label_comes(connection):
    segment_ids(connection, "x", 1, 3)
    run(connection, 1, {"a": "1"}, hold="nights")
    run(connection, 2, {"a": "1"}, raw={"a": "2"}, hold="nights")
    run(connection, 3, {"a": "1"}, raw={"a": "3"}, hold="nights")
    assert known(connection, 4)["a"] == (0, 2, 1)
    run(connection, 4, {"a": "1"}, hold="nights")
    assert known(connection, 5)["a"] == (0, None, None)


def test_whom_a_model_holds_by_distance_is_not_noted(connection):
    run(connection, 1, {"a": "1"})
    changes = run(connection, 2, {"a": "1"}, raw={"a": "2"})

    assert changes.held_count == 1
    assert connection.execute("FROM x.segment_pending").fetchall() == []


def test_after_a_cut_the_first_date_that_is_kept_runs_again_as_it_was_and_no_earlier_one(
    connection,
):
    refuse_cut_night(connection, day(1))
    for number, segment in enumerate("11221", start=1):
        run(connection, number, {"a": segment, "b": "1"} if number < 4 else {"a": segment})
    counted = run(connection, 4, {"a": "2"})
    assert (counted.left_count, counted.entered_count) == (1, 0)

    keep_history_from(connection, "x", day(4))
    keep_from(connection, "segment_history", day(4))

    assert run(connection, 4, {"a": "2"}) == counted
    refuse_cut_night(connection, day(4))
    with pytest.raises(StaleUpstreamError, match="run a date from 2025-06-04 on"):
        refuse_cut_night(connection, day(3))
    # What it is refused for: `a` was there on the eve, and nobody knows any more.
    assert run(connection, 2, {"a": "1", "b": "1"}).entered_count == 1
