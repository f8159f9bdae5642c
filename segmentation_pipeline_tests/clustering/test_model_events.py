"""What became of each model follows from who decided what for which date, in that order."""

import datetime as dt

import pytest

from segmentation_pipeline.clustering.model_events import (
    SYSTEM,
    Wanted,
    add_event,
    challengers_on,
    champion_on,
    decisions_digest,
    events_before,
    make_model_events,
    read_events,
    settle,
    statuses_on,
)
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.warehouse import Build, Table, open_warehouse


def day(number):
    return dt.date(2025, 1, number)


def night(number, run="run"):
    return Build(day(number), run)


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        create_registry(connection)
        yield connection


def add(connection, version, status, number, decided=None, who=SYSTEM):
    build = night(decided or number)
    return add_event(
        connection, "x", version, status, as_of=day(number), build=build, who=who, reason="why"
    )


@pytest.fixture
def story(connection):
    """A first model, a challenger that is promoted on the third day, a return to the first."""
    add(connection, 1, "champion", 1)
    add(connection, 2, "challenger", 3)
    add(connection, 2, "champion", 6, decided=5)
    add(connection, 1, "champion", 9, decided=8, who="ann")
    return connection


def test_a_date_knows_what_was_so_on_it_and_no_more(story):
    events = read_events(story, "x")

    assert statuses_on(events, dt.date(2024, 12, 31)) == {}
    assert statuses_on(events, day(2)) == {1: "champion"}
    assert statuses_on(events, day(3)) == {1: "champion", 2: "challenger"}
    assert statuses_on(events, day(6)) == {1: "retired", 2: "champion"}
    assert statuses_on(events, day(9)) == {1: "champion", 2: "retired"}
    assert statuses_on(events) == {1: "champion", 2: "retired"}
    assert [champion_on(events, day(one)) for one in (2, 5, 6, 8, 9)] == [1, 1, 2, 2, 1]
    assert [challengers_on(events, day(one)) for one in (2, 3, 5, 6)] == [[], [2], [2], []]


def test_a_decision_for_an_older_date_leaves_later_ones_alone(story):
    add(story, 3, "champion", 2)

    events = read_events(story, "x")
    assert [champion_on(events, day(one)) for one in (1, 2, 5, 6, 9)] == [1, 3, 3, 2, 1]


def test_of_two_decisions_for_a_date_the_later_one_counts(story):
    add(story, 2, "champion", 9, who="bob")

    assert champion_on(read_events(story, "x"), day(9)) == 2


def test_a_date_run_again_keeps_what_it_decided_alike_and_withdraws_the_rest(connection):
    add(connection, 1, "champion", 1)
    first = [Wanted(2, "challenger", day(3), "drift"), Wanted(2, "champion", day(4), "gates")]
    settle(connection, "x", first, night(3, "run-1"))
    before = read_events(connection, "x")
    assert champion_on(before, day(4)) == 2

    settle(connection, "x", first, night(3, "run-2"))
    assert read_events(connection, "x") == before

    settle(connection, "x", [Wanted(3, "challenger", day(3), "drift")], night(3, "run-3"))
    events = read_events(connection, "x")
    assert statuses_on(events) == {1: "champion", 3: "challenger"}
    assert champion_on(events, day(4)) == 1
    withdrawn = connection.execute(
        "SELECT count(*) FROM core.model_events WHERE is_withdrawn"
    ).fetchall()
    assert withdrawn == [(2,)]


def test_a_night_leaves_alone_what_people_other_nights_and_first_models_decided(connection):
    add(connection, 1, "champion", 3)
    add(connection, 2, "challenger", 2)
    add(connection, 2, "rejected", 4, decided=3, who="ann")
    before = read_events(connection, "x")

    settle(connection, "x", [], night(3))

    assert read_events(connection, "x") == before
    assert events_before(before, day(3)) == before
    assert [event.number for event in events_before(before, day(2))] == [1, 3]


def test_segmentations_are_counted_apart(story):
    add_event(story, "y", 7, "champion", as_of=day(1), build=night(1), who=SYSTEM, reason="why")

    assert [event.number for event in read_events(story, "y")] == [1]
    assert len(read_events(story, "x")) == 4


def test_the_digest_is_of_what_a_night_knows(story):
    events = read_events(story, "x")

    assert decisions_digest(events, day(5)) == decisions_digest(events[:3], day(5))
    assert decisions_digest(events, day(8)) != decisions_digest(events, day(5))


def test_the_published_table_names_who_why_and_whom_it_retires(story):
    make_model_events(story, "x", night(9))

    rows = story.execute(
        f"SELECT event, version, status, from_date, decided_date, decided_by, reason,"
        f" retired_version FROM {Table('x', 'model_events').sql} ORDER BY event"
    ).fetchall()
    assert rows == [
        (1, 1, "champion", day(1), day(1), "system", "why", None),
        (2, 2, "challenger", day(3), day(3), "system", "why", None),
        (3, 2, "champion", day(6), day(5), "system", "why", 1),
        (4, 1, "champion", day(9), day(8), "ann", "why", 2),
    ]
