"""Whoever is drawn stays as drawn, one strategy at a time; who isn't is counted with the reason."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.measurement.experiments import running_experiments

PEOPLE = [f"c{number:02d}" for number in range(40)]
IN_ONE = {"lens": dict.fromkeys(PEOPLE, "1")}
NIGHT = "2025-06-10"


def assignments(bench, columns="*"):
    return bench.read(f"SELECT {columns} FROM lens.strategy_assignments ORDER BY ALL")


def audience(bench, segmentation="lens"):
    rows = bench.connection.sql(f"FROM {segmentation}.strategy_audience").to_arrow_table()
    return {row["strategy"]: row for row in rows.to_pylist()}


def test_everybody_in_the_segment_is_drawn_into_an_arm(bench):
    assert bench.night(NIGHT, {"lens": {**IN_ONE["lens"], "other": "2"}}) == 40

    found = assignments(bench, "customer_id, segment_id, assigned_date::TEXT, end_date::TEXT")
    assert found == [(one, "lens-1", NIGHT, "2025-06-20") for one in PEOPLE]
    counts = audience(bench)["write"]
    assert counts["eligible_count"] == counts["treated_count"] + counts["hold_out_count"] == 40
    assert 8 < counts["hold_out_count"] < 32
    assert counts["listed_count"] == counts["treated_count"]


def test_the_same_date_again_changes_nothing(bench):
    bench.night(NIGHT, IN_ONE)
    before = assignments(bench), audience(bench)

    assert bench.night(NIGHT, IN_ONE) == 0
    assert (assignments(bench), audience(bench)) == before


def test_who_leaves_the_segment_stays_in_the_arm_and_who_comes_is_drawn(bench):
    bench.night(NIGHT, IN_ONE)
    before = set(assignments(bench))
    listed = set(bench.read("SELECT customer_id FROM core.strategy_lists"))

    moved = {**dict.fromkeys(PEOPLE, "2"), "late": "1"}
    assert bench.night("2025-06-12", {"lens": moved}) == 1

    assert {row for row in assignments(bench) if row[1] != "late"} == before
    assert listed <= set(bench.read("SELECT customer_id FROM core.strategy_lists"))
    assert audience(bench)["write"]["eligible_count"] == 1


def test_a_past_date_draws_nobody_and_takes_nothing_back(bench):
    bench.night(NIGHT, IN_ONE)
    before = assignments(bench)

    assert bench.night("2025-06-08", {"lens": {**IN_ONE["lens"], "new": "1"}}) == 0
    assert assignments(bench) == before
    assert audience(bench)["write"]["waiting_count"] == 41


def test_permission_is_asked_for_each_night_and_its_lack_is_counted(bench):
    bench.night(NIGHT, IN_ONE, without_permission=("c00", "c01"))

    counts = audience(bench)["write"]
    assert counts["without_permission_count"] == 2
    assert counts["treated_count"] + counts["hold_out_count"] == 38

    (treated,) = bench.read("SELECT min(customer_id) FROM core.strategy_lists")[0]
    bench.night("2025-06-11", IN_ONE, without_permission=(treated,))
    assert (treated,) not in bench.read("SELECT customer_id FROM core.strategy_lists")
    assert bench.read(
        f"SELECT arm FROM lens.strategy_assignments WHERE customer_id = '{treated}'"
    ) == [("treated",)]


def test_frequency_caps_count_what_was_sent_in_their_days(bench):
    bench.exposures(
        ("c00", "other", "sent", "2025-06-09"),
        ("c00", "other", "sent", "2025-06-05"),
        ("c01", "other", "sent", "2025-06-09"),
        ("c01", "other", "sent", "2025-06-03"),
        ("c02", "other", "sent", "2025-06-09"),
        ("c02", "other", "bounced", "2025-06-09"),
        ("c03", "other", "sent", "2025-06-10"),
        ("c03", "other", "sent", "2025-06-11"),
    )
    caps = {"frequency_caps": [{"maximum_contacts": 2, "days": 7}]}
    bench.customers["experiments"] = bench.customers["experiments"] | caps

    bench.night(NIGHT, IN_ONE)

    assert audience(bench)["write"]["capped_count"] == 1
    assert ("c00",) not in assignments(bench, "customer_id")
    assert ("c03",) in assignments(bench, "customer_id")
    # On the next night c03 has had two; who is in an arm stays there, and off the list.
    bench.night("2025-06-11", IN_ONE)
    assert ("c03",) not in bench.read("SELECT customer_id FROM core.strategy_lists")
    assert ("c03",) in assignments(bench, "customer_id")


@pytest.mark.parametrize(
    ("order", "priorities", "first"),
    [([], (1, 1), "lens"), (["second"], (1, 1), "second"), (["second"], (1, 2), "lens")],
)
def test_one_strategy_at_a_time_by_priority_then_by_the_order_of_segmentations(
    bench, strategy, playbook, order, priorities, first
):
    bench.playbooks["lens"] = playbook(write=strategy(priorities[0], hold_out=0.5, days=10))
    bench.playbooks["second"] = playbook(call=strategy(priorities[1], hold_out=0.5, days=10))
    bench.customers["experiments"] = bench.customers["experiments"] | {"order": order}
    both = {"lens": IN_ONE["lens"], "second": IN_ONE["lens"]}

    bench.night(NIGHT, both)

    drawn = dict(
        bench.read("SELECT segmentation, count(*) FROM core.strategy_assignments GROUP BY 1")
    )
    assert drawn == {first: 40}
    busy = {"lens": "second", "second": "lens"}[first]
    (counts,) = audience(bench, busy).values()
    assert counts["busy_count"] == counts["eligible_count"] == 40
    # When its days are over, the customers are free for the other.
    bench.night("2025-06-19", both)
    assert bench.read("SELECT count(*) FROM core.strategy_assignments") == [(40,)]
    bench.night("2025-06-20", both)
    assert bench.read(
        "SELECT count(DISTINCT customer_id), count(*) FROM core.strategy_assignments"
    ) == [(40, 80)]


def test_within_a_playbook_the_first_priority_goes_first(bench, strategy, playbook):
    bench.playbooks["lens"] = playbook(
        second=strategy(2, hold_out=0.5, days=10),
        first=strategy(1, hold_out=0.5, days=10),
        advice=strategy(1),
    )

    bench.night(NIGHT, IN_ONE)

    assert {row[0] for row in assignments(bench, "strategy")} == {"first"}
    assert set(audience(bench)) == {"first", "second"}


def test_a_segmentation_that_failed_keeps_who_it_has(bench, strategy, playbook):
    bench.playbooks["second"] = playbook(call=strategy(2, hold_out=0.5, days=10))
    bench.night(NIGHT, {"lens": IN_ONE["lens"], "second": {}})
    both = {"lens": {**IN_ONE["lens"], "late": "1"}, "second": {"late": "1"}}

    assert bench.night("2025-06-11", both, ready=["second"]) == 1

    assert bench.read(
        "SELECT segmentation FROM core.strategy_assignments WHERE customer_id = 'late'"
    ) == [("second",)]
    assert bench.read("SELECT count(*) FROM lens.strategy_assignments") == [(40,)]


def test_nobody_is_drawn_before_the_start(bench, strategy, playbook):
    bench.playbooks["lens"] = playbook(write=strategy(hold_out=0.5, days=10, start="2025-06-11"))

    assert bench.night(NIGHT, IN_ONE) == 0
    assert audience(bench)["write"]["eligible_count"] == 0
    assert bench.night("2025-06-11", IN_ONE) == 40


def test_an_experiment_that_began_goes_on_as_it_was_declared(bench, strategy, playbook):
    bench.night(NIGHT, IN_ONE)
    bench.playbooks["lens"] = playbook(write=strategy(hold_out=0.9, days=10))

    bench.night("2025-06-11", {"lens": dict.fromkeys([f"n{i}" for i in range(200)], "1")})

    ((share, drawn),) = bench.read(
        "SELECT avg((arm = 'hold_out')::INT), count(*) FROM lens.strategy_assignments"
        " WHERE assigned_date = DATE '2025-06-11'"
    )
    assert drawn == 200
    assert 0.4 < share < 0.6
    assert [one.is_changed for one in running_experiments(bench.connection, bench.home())] == [True]


def test_exposures_tell_who_was_sent_it_in_the_time_of_the_experiment(bench):
    bench.exposures(
        ("c00", "write", "sent", "2025-06-09"),
        ("c00", "write", "sent", "2025-06-10"),
        ("c00", "write", "delivered", "2025-06-11"),
        ("c01", "write", "sent", "2025-06-20"),
        ("c01", "write", "bounced", "2025-06-20"),
        ("c02", "write", "sent", "2025-06-21"),
        ("c03", "other", "sent", "2025-06-11"),
    )
    bench.night(NIGHT, IN_ONE)
    bench.night("2025-06-25", IN_ONE)

    columns = "customer_id, sent_count, delivered_count, bounced_count"
    assert assignments(bench, columns)[:4] == [
        ("c00", 1, 1, 0),
        ("c01", 1, 0, 1),
        ("c02", 0, 0, 0),
        ("c03", 0, 0, 0),
    ]
    # A past date that is run again takes nothing back: the table tells of all dates.
    bench.night("2025-06-12", IN_ONE)
    assert assignments(bench, columns)[:2] == [("c00", 1, 1, 0), ("c01", 1, 0, 1)]


def test_without_a_source_nothing_is_known_of_what_was_sent(bench):
    bench.night(NIGHT, IN_ONE)

    assert set(assignments(bench, "sent_count, delivered_count, bounced_count")) == {(None,) * 3}


def test_small_counts_are_withheld_with_one_more(bench):
    bench.customers["limits"] = {"smallest_group": 5}

    bench.night(NIGHT, IN_ONE, without_permission=("c00", "c01"))

    counts = audience(bench)["write"]
    assert counts["is_suppressed"]
    assert counts["without_permission_count"] is None
    assert sorted([counts["treated_count"] is None, counts["hold_out_count"] is None]) == [
        False,
        True,
    ]


def test_a_home_without_experiments_has_empty_tables(bench, strategy, playbook):
    del bench.customers["experiments"]
    bench.playbooks["lens"] = playbook(write=strategy())

    assert bench.night(NIGHT, IN_ONE) == 0
    assert assignments(bench) == bench.read("FROM core.strategy_lists") == []
    assert audience(bench) == {}


def test_a_key_that_is_not_there_stops_the_night(bench):
    bench.customers["experiments"] = {"key_variable": "NO_SUCH_KEY", "permission": "TRUE"}

    with pytest.raises(SpecificationError, match="NO_SUCH_KEY"):
        bench.night(NIGHT, IN_ONE)
    assert bench.read("SELECT count(*) FROM core.strategy_nights") == [(0,)]
