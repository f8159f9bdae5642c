"""Ids go from model to model, and are never used twice."""

import datetime as dt

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.segments.identity import (
    is_met,
    label_segments,
    make_segment_registry,
    make_segment_transitions,
    meet_model,
    noise_id,
    segment_ids,
)
from segmentation_pipeline.segments.matching import all_born, match_segments
from segmentation_pipeline.segments.naming import Renaming, apply_names, rename_segment
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.segments.overlap import count_overlap, make_segment_crosstabs
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

FIRST, SECOND = (Build(dt.date(2025, 6, day), f"run-{day}") for day in (1, 2))
OLD, NEW = Table("staff", "labels_before"), Table("staff", "labels_new")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        yield opened


def write_labels(connection, old, new):
    """Labels of two models by customer number; None is who a model doesn't know."""
    rows = [f"('c{n}', {label!r})" for n, label in enumerate(old) if label is not None]
    query = f"SELECT * FROM (VALUES {', '.join(rows)}) t(customer_id, segment_id)"
    write_table(connection, OLD, query, FIRST)
    rows = [f"('c{n}', {label})" for n, label in enumerate(new) if label is not None]
    query = f"SELECT * FROM (VALUES {', '.join(rows)}) t(customer_id, raw_segment)"
    write_table(connection, NEW, query, FIRST)


def test_labels_are_counted_against_each_other_in_the_warehouse(connection):
    a, b, noise = "staff-3", "staff-1", noise_id("staff")
    write_labels(
        connection,
        [a, a, a, b, b, noise, noise, a, None, b],
        [1, 1, 0, 0, -1, 0, -1, None, 1, None],
    )

    found = count_overlap(connection, OLD, NEW, old_ids=[a, b], segments=3)

    assert found.counts.tolist() == [[1, 2, 0], [1, 0, 0]]
    assert found.old_sizes.tolist() == [3, 2]
    assert found.new_sizes.tolist() == [3, 2, 0]
    assert (found.shared, found.old_customers, found.new_customers) == (7, 9, 8)


def split_of_the_second(connection):
    """A second model, whose segments 0 and 2 are parts of the first's segment 1."""
    meet_model(connection, "staff", 1, all_born(2), FIRST, before=None)
    write_labels(
        connection,
        ["staff-1"] * 100 + ["staff-2"] * 100,
        [1] * 100 + [0] * 40 + [2] * 60,
    )
    counted = count_overlap(connection, OLD, NEW, old_ids=["staff-1", "staff-2"], segments=3)
    return meet_model(connection, "staff", 2, match_segments(counted), SECOND, before=1)


def test_a_new_model_gets_the_ids_of_the_one_before(connection):
    assert not is_met(connection, "staff", 1)
    assert split_of_the_second(connection) == ["staff-3", "staff-1", "staff-2"]
    assert is_met(connection, "staff", 2)
    assert segment_ids(connection, "staff", 2, 3) == ["staff-3", "staff-1", "staff-2"]


def test_a_model_is_met_once(connection):
    ids = split_of_the_second(connection)

    assert meet_model(connection, "staff", 2, all_born(3), SECOND, before=1) == ids
    assert make_segment_transitions(connection, "staff", SECOND) == 3


def test_transitions_are_those_of_the_night(connection):
    split_of_the_second(connection)

    assert make_segment_transitions(connection, "staff", FIRST) == 2
    assert make_segment_transitions(connection, "staff", SECOND) == 3
    rows = connection.execute("FROM staff.segment_transitions ORDER BY kind, customers").fetchall()
    assert rows == [
        ("kept", "staff-2", "staff-2", 1, 2, 60, 0.6, 1.0, 0.6),
        ("kept", "staff-1", "staff-1", 1, 2, 100, 1.0, 1.0, 1.0),
        ("split", "staff-2", "staff-3", 1, 2, 40, 0.4, 1.0, 0.4),
    ]
    assert make_segment_transitions(connection, "staff", Build(dt.date(2025, 6, 3), "run")) == 0


def test_ids_are_given_once_and_never_again(connection):
    assert segment_ids(connection, "staff", 1, 2) == ["staff-1", "staff-2"]
    assert segment_ids(connection, "staff", 1, 2) == ["staff-1", "staff-2"]
    assert segment_ids(connection, "staff", 2, 3) == ["staff-3", "staff-4", "staff-5"]
    assert segment_ids(connection, "other", 1, 1) == ["other-1"]


NO_CHANGES = NightChanges(1, 0, 0, 0, 0, 0, 0)


def registry(connection):
    make_segment_registry(connection, "staff", SECOND)
    return connection.execute("FROM staff.segment_registry").fetchall()


def test_the_registry_tells_births_retirements_and_parents(connection):
    split_of_the_second(connection)
    days = [dt.date(2025, 6, day) for day in (1, 2, 3, 4)]
    keep_night(connection, "staff", Night(days[0], 1), NO_CHANGES)
    keep_night(connection, "staff", Night(days[1], 2), NO_CHANGES)
    assert registry(connection) == [
        ("staff-1", None, False, days[0], 1, None, None),
        ("staff-2", None, False, days[0], 1, None, None),
        ("staff-3", None, False, days[1], 2, None, "staff-2"),
    ]

    # Back to the first model: the third segment is retired, the others have never been away.
    keep_night(connection, "staff", Night(days[2], 1), NO_CHANGES)
    assert [row[5] for row in registry(connection)] == [None, None, days[2]]
    keep_night(connection, "staff", Night(days[3], 2), NO_CHANGES)
    assert [row[5] for row in registry(connection)] == [None, None, None]


def test_a_label_once_given_stays_and_a_name_goes_before_it(connection):
    segment_ids(connection, "staff", 1, 2)

    first = label_segments(connection, "staff", {"staff-1": "keen", "staff-2": "quiet"})
    second = label_segments(connection, "staff", {"staff-1": "other words", "staff-2": "quiet"})
    named = apply_names(connection, "staff", {"staff-1": "Readers", "staff-9": "Nobody"})

    assert first == second == {"staff-1": "keen", "staff-2": "quiet"}
    assert named == ([Renaming("staff-1", None, "Readers")], ["staff-9"])
    assert label_segments(connection, "staff", {}) == {"staff-1": "Readers", "staff-2": "quiet"}


def test_a_name_goes_on_to_the_next_model_and_outlives_the_yaml(connection):
    meet_model(connection, "staff", 1, all_born(2), FIRST, before=None)
    apply_names(connection, "staff", {"staff-2": "Readers"})
    split_of_the_second(connection)

    assert apply_names(connection, "staff", {"staff-2": "Readers"}) == ([], [])
    assert apply_names(connection, "staff", {}) == ([], [])
    assert label_segments(connection, "staff", {"staff-2": "low visits"})["staff-2"] == "Readers"
    changed, _ = apply_names(connection, "staff", {"staff-2": "Keen readers"})
    assert changed == [Renaming("staff-2", "Readers", "Keen readers")]


def test_a_person_renames_a_segment(connection):
    segment_ids(connection, "staff", 1, 2)

    done = rename_segment(connection, "staff", "staff-1", "Readers", declared={})

    assert done == Renaming("staff-1", None, "Readers")
    assert label_segments(connection, "staff", {}) == {"staff-1": "Readers"}


@pytest.mark.parametrize(
    ("segment_id", "name", "declared", "message"),
    [
        ("staff-3", "Readers", {}, "no segment `staff-3`; did you mean `staff-"),
        ("staff-1", " ", {}, "at least one letter"),
        ("staff-1", "x" * 81, {}, "at most 80 letters, and this one 81"),
        ("staff-1", " Taken ", {}, "staff-2 is called so already"),
        ("staff-1", "Readers", {"staff-1": "Fans"}, r"named in segmentations/staff\.yaml"),
        ("staff-1", "taken", {}, "staff-2 is called so already"),
    ],
)
def test_a_name_that_would_not_last_is_refused(connection, segment_id, name, declared, message):
    segment_ids(connection, "staff", 1, 2)
    apply_names(connection, "staff", {"staff-2": "Taken"})

    with pytest.raises(SpecificationError, match=message):
        rename_segment(connection, "staff", segment_id, name, declared=declared)


def test_two_segmentations_against_each_other(connection):
    mine = "VALUES ('a', 'x-1'), ('b', 'x-1'), ('c', 'x-2'), ('d', 'x-2'), ('e', 'x-2')"
    theirs = "VALUES ('a', 'y-1'), ('b', 'y-1'), ('c', 'y-1'), ('d', 'y-2'), ('f', 'y-2')"
    for name, rows in (("x", mine), ("y", theirs)):
        query = f"SELECT * FROM ({rows}) t(customer_id, segment_id)"
        write_table(connection, Table(name, "customer_segments"), query, FIRST)

    make_segment_crosstabs(connection, ["x", "y"], 1, FIRST)

    assert connection.execute(
        "FROM x.segment_crosstab ORDER BY segment_id, other_segment_id"
    ).fetchall() == [
        ("x-1", "y", "y-1", 2, 1.0, 0.75, 1 / 0.75, False),
        ("x-2", "y", "y-1", 1, 0.5, 0.75, 0.5 / 0.75, False),
        ("x-2", "y", "y-2", 1, 0.5, 0.25, 2.0, False),
    ]
