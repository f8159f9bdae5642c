"""An effect is read once, at the horizon, of the right days, and planted ones are found."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.measurement.compared import Arm
from segmentation_pipeline.measurement.effects import estimate_effect
from segmentation_pipeline.measurement.sample_ratio import sample_ratio_p

PEOPLE = [f"c{number:04d}" for number in range(1400)]
IN_ONE = {"lens": dict.fromkeys(PEOPLE, "1")}
FIRST = dt.date(2025, 6, 10)
END = dt.date(2025, 6, 20)


def day(offset):
    return (FIRST + dt.timedelta(days=offset)).isoformat()


def visits_of(bench, *, lift, seed=5, people=PEOPLE, strategy="write"):
    """Draw visits: about 3 in the ten days up to the draw; as many after it, more if treated."""
    rng = np.random.default_rng(seed)
    treated = {
        one
        for (one,) in bench.read(
            "SELECT customer_id FROM core.strategy_assignments"
            f" WHERE arm = 'treated' AND strategy = '{strategy}'"
        )
    }
    rows = []
    for one in people:
        rate = rng.gamma(4, 0.75)
        after = rate * (1 + lift * (one in treated))
        rows += [(one, day(-int(back))) for back in rng.integers(0, 10, rng.poisson(rate))]
        rows += [(one, day(1 + int(later))) for later in rng.integers(0, 10, rng.poisson(after))]
    return rows


def counted(rows, first, last):
    found = dict.fromkeys(PEOPLE, 0)
    for one, date in rows:
        if first <= date <= last:
            found[one] += 1
    return found


def night_of_the_draw(bench, **kwargs):
    bench.night(day(0), IN_ONE, **kwargs)


def final(bench, **kwargs):
    bench.night(day(10), IN_ONE, **kwargs)
    return bench.effects(day(10))


def test_a_planted_effect_is_found_and_is_what_the_statistics_give(bench):
    night_of_the_draw(bench)
    rows = visits_of(bench, lift=0.4)
    # Neither the eleventh day before, nor the eleventh after, nor a later one counts.
    others = [(one, day(-10)) for one in PEOPLE[:300]] + [(one, day(11)) for one in PEOPLE[:700]]
    bench.visits(*rows, *others)

    found = final(bench)["write", "all"]

    arms = dict(bench.read("SELECT customer_id, arm FROM core.strategy_assignments"))
    after, before = counted(rows, day(1), day(10)), counted(rows, day(-9), day(0))
    treated, control = (
        Arm(
            np.array([after[one] for one in PEOPLE if arms[one] == arm], dtype=float),
            None,
            np.array([before[one] for one in PEOPLE if arms[one] == arm], dtype=float),
        )
        for arm in ("treated", "hold_out")
    )
    expected = estimate_effect(treated, control, kind="mean", comparisons=1, seed=1)
    assert found["effect"] == pytest.approx(expected.effect, rel=1e-12)
    assert (found["lower"], found["upper"]) == pytest.approx((expected.lower, expected.upper))
    assert found["p_value"] == found["corrected_p"] == pytest.approx(expected.p_value)
    assert found["lower"] < 1.2 < found["upper"]
    assert found["corrected_p"] < 0.001
    assert found["is_final"]
    assert found["has_history"]
    sizes = found["treated_count"], found["hold_out_count"]
    assert sizes == (len(treated.numerator), len(control.numerator))
    assert found["sample_ratio_p"] == sample_ratio_p(*sizes, 0.5)
    assert found["end_date"] == END
    assert found["verdict"].startswith("more by ")


def test_without_an_effect_none_is_claimed_and_the_smallest_is_told(bench):
    night_of_the_draw(bench)
    bench.visits(*visits_of(bench, lift=0))

    found = final(bench)["write", "all"]

    assert found["corrected_p"] > 0.05
    assert found["verdict"].startswith("no detectable effect; smallest detectable = ")


def test_before_the_end_there_are_counts_and_what_could_be_found(bench):
    night_of_the_draw(bench)
    bench.visits(*visits_of(bench, lift=0.4))
    planned = bench.effects(day(0))["write", "all"]
    bench.night(day(9), IN_ONE)

    running = bench.effects(day(9))["write", "all"]

    assert running["verdict"] == "running: to be read on 2025-06-20"
    assert running["treated_count"] + running["hold_out_count"] == 1400
    told = ("effect", "lower", "upper", "p_value", "corrected_p", "treated_mean", "hold_out_mean")
    assert {running[name] for name in told} == {None}
    assert not running["is_final"]
    # Foreseen on the night of the draw, and kept; near to what the end then has.
    assert running["smallest_detectable"] == planned["smallest_detectable"]
    ended = final(bench)["write", "all"]
    assert ended["smallest_detectable"] == pytest.approx(running["smallest_detectable"], rel=0.25)


def test_an_effect_is_read_once(bench):
    night_of_the_draw(bench)
    rows = visits_of(bench, lift=0.4)
    bench.visits(*rows)
    read = final(bench)

    bench.visits(*rows, *((one, day(5)) for one in PEOPLE[:700]))
    bench.night(day(12), IN_ONE)
    later = bench.effects(day(12))
    assert later == read

    # A past date that is run again reads nothing anew either.
    bench.night(day(10), IN_ONE)
    assert bench.effects(day(10)) == read


def test_the_night_of_the_reading_run_again_reads_what_there_is_now(bench):
    night_of_the_draw(bench)
    rows = visits_of(bench, lift=0.4)
    bench.visits(*rows)
    read = final(bench)

    assert final(bench) == read
    bench.visits(*rows, *((one, day(5)) for one in PEOPLE[:700]))
    assert final(bench)["write", "all"]["effect"] != read["write", "all"]["effect"]


def test_who_left_the_segment_counts_as_drawn(bench):
    night_of_the_draw(bench)
    rows = visits_of(bench, lift=0.4)
    bench.visits(*rows)
    expected = final(bench)
    bench.read("DELETE FROM core.strategy_readings WHERE stage = 'final'")

    bench.night(day(10), {"lens": dict.fromkeys(PEOPLE, "2")})

    assert bench.effects(day(10)) == expected


def test_who_is_no_customer_any_more_has_no_value(bench):
    night_of_the_draw(bench)
    bench.visits(*visits_of(bench, lift=0))
    treated = [
        one for (one,) in bench.read("SELECT customer_id FROM core.strategy_lists ORDER BY ALL")
    ]

    found = final(bench, left=tuple(treated[:60]))["write", "all"]

    assert found["verdict"].startswith("invalid: customers without a value are more frequent")


def test_comparisons_of_all_experiments_are_one_family(bench, strategy, playbook):
    half = len(PEOPLE) // 2
    bench.playbooks["lens"] = playbook(write=strategy(hold_out=0.5, days=10))
    bench.playbooks["second"] = playbook(
        call=strategy(hold_out=0.5, days=10),
        later=strategy(2, hold_out=0.5, days=10, start="2025-07-01"),
    )
    both = {
        "lens": dict.fromkeys(PEOPLE[:half], "1"),
        "second": dict.fromkeys(PEOPLE[half:], "1"),
    }
    bench.night(day(0), both)
    bench.visits(
        *visits_of(bench, lift=0.5, people=PEOPLE[:half]),
        *visits_of(bench, lift=0.25, people=PEOPLE[half:], strategy="call"),
    )
    bench.night(day(10), both)

    found = bench.effects(day(10))

    one, other = found["write", "all"], found["call", "all"]
    assert one["p_value"] < other["p_value"]
    assert one["corrected_p"] == pytest.approx(3 * one["p_value"])
    assert other["corrected_p"] == pytest.approx(max(3 * one["p_value"], 2 * other["p_value"]))
    assert found["later", "all"]["verdict"].startswith("not begun")
    assert {row["comparisons"] for row in found.values()} == {3}


def test_segments_are_comparisons_of_their_own_where_declared(bench, strategy, playbook):
    bench.playbooks["lens"] = playbook(write=strategy(hold_out=0.5, days=10, by_segment=True))
    night_of_the_draw(bench)
    # Two segments to which it applies: who was in which one is frozen.
    bench.read(
        "UPDATE core.strategy_assignments SET segment_id = 'lens-3' WHERE customer_id < 'c0700'"
    )
    bench.visits(*visits_of(bench, lift=0.5))

    found = final(bench)

    assert set(found) == {("write", "all"), ("write", "lens-1"), ("write", "lens-3")}
    assert {row["comparisons"] for row in found.values()} == {3}
    parts = [found["write", one] for one in ("lens-1", "lens-3")]
    assert sum(row["treated_count"] for row in parts) == found["write", "all"]["treated_count"]
    assert all(row["verdict"].startswith("more by ") for row in found.values())


def test_what_was_not_sent_is_told_from_what_has_no_effect(bench):
    bench.exposures()
    night_of_the_draw(bench)
    bench.visits(*visits_of(bench, lift=0))

    assert final(bench)["write", "all"]["verdict"].startswith("not sent: none of the ")

    arms = bench.read("SELECT customer_id, arm FROM core.strategy_assignments ORDER BY 1")
    treated = [one for one, arm in arms if arm == "treated"]
    held_out = [one for one, arm in arms if arm == "hold_out"]
    reached = [*treated[: len(treated) // 2], *held_out[:1]]
    bench.exposures(*((one, "write", "sent", day(2)) for one in reached))
    found = final(bench)["write", "all"]
    assert found["sent_share"] == pytest.approx(0.5, abs=0.001)
    assert found["hold_out_sent_share"] == 1 / len(held_out)
    assert "% of those held out were sent it all the same" in found["verdict"]


def test_arms_that_are_not_as_planned_make_it_invalid(bench):
    night_of_the_draw(bench)
    bench.visits(*visits_of(bench, lift=0.4))
    bench.read("DELETE FROM core.strategy_assignments WHERE arm = 'hold_out'"
               " AND customer_id < 'c0400'")  # fmt: skip

    found = final(bench)["write", "all"]

    assert found["sample_ratio_p"] < 0.001
    assert found["verdict"].startswith("invalid: ")


def test_small_arms_get_no_verdict_and_smaller_ones_no_count(bench):
    few = {"lens": dict.fromkeys(PEOPLE[:300], "1")}
    bench.night(day(0), few)
    assert bench.effects(day(0))["write", "all"]["verdict"].startswith("too few: ")

    bench.customers["limits"] = {"smallest_group": 200}
    found = bench.effects(day(0))["write", "all"]
    assert found["is_suppressed"]
    assert found["treated_count"] is None
    assert found["verdict"].startswith("too few: an arm has fewer than 200 customers")


def test_who_is_typed_counts_in_no_effect(bench):
    night_of_the_draw(bench)
    bench.read("UPDATE core.strategy_assignments SET is_typed = customer_id < 'c0100'")
    bench.night(day(1), IN_ONE)

    found = bench.effects(day(1))["write", "all"]

    assert found["treated_count"] + found["hold_out_count"] == 1300


def test_only_customers_of_the_enrolment_count(bench, strategy, playbook):
    bench.playbooks["lens"] = playbook(write=strategy(hold_out=0.5, days=10, enrolment_days=3))
    bench.night(day(0), {"lens": dict.fromkeys(PEOPLE[:500], "1")})
    bench.night(day(2), {"lens": dict.fromkeys(PEOPLE[:1000], "1")})
    bench.night(day(3), IN_ONE)

    found = bench.effects(day(3))["write", "all"]

    assert found["treated_count"] + found["hold_out_count"] == 1000
    assert found["end_date"] == END + dt.timedelta(days=2)


def test_nightly_looks_have_a_p_of_their_own(bench, strategy, playbook):
    bench.playbooks["lens"] = playbook(
        write=strategy(hold_out=0.5, days=2, enrolment_days=4, look="nightly")
    )
    bench.customers["kpis"]["visits"] = bench.customers["kpis"]["visits"] | {"window_days": 2}
    for night in range(4):
        bench.night(day(night), {"lens": dict.fromkeys(PEOPLE[: 350 * (night + 1)], "1")})
        bench.effects(day(night))
    rng = np.random.default_rng(3)
    arms = bench.read("SELECT customer_id, arm, assigned_date FROM core.strategy_assignments")
    rows = []
    for one, arm, date in sorted(arms):
        rows += [(one, str(date))] * rng.poisson(3)
        rows += [(one, str(date + dt.timedelta(days=1)))] * rng.poisson(
            6 if arm == "treated" else 3
        )
    bench.visits(*rows)
    p_values = []
    for night in (4, 5):
        bench.night(day(night), IN_ONE)
        p_values.append(bench.effects(day(night))["write", "all"])

    looked, ended = p_values
    assert not looked["is_final"]
    assert looked["corrected_p"] < 0.05
    assert "seen before the last day (p for nightly looks" in looked["verdict"]
    assert ended["is_final"]
    assert ended["p_value"] <= looked["p_value"]


def test_an_expression_is_compared_with_its_value_on_the_night_of_the_draw(
    bench, strategy, playbook
):
    bench.customers["kpis"] = bench.customers["kpis"] | {
        "papers": {
            "description": "Papers",
            "kind": "mean",
            "expression": "papers",
            "window_days": 30,
        }
    }
    bench.playbooks["lens"] = playbook(
        write=strategy(hold_out=0.5, days=10) | {"goal_kpi": "papers"}
    )
    rng = np.random.default_rng(1)
    written = dict(zip(PEOPLE, rng.poisson(5, len(PEOPLE)).tolist(), strict=True))
    bench.papers = written
    night_of_the_draw(bench)
    arms = dict(bench.read("SELECT customer_id, arm FROM core.strategy_assignments"))
    bench.papers = {
        one: papers + int(rng.poisson(2 if arms[one] == "treated" else 1))
        for one, papers in written.items()
    }

    found = final(bench)["write", "all"]

    assert bench.read("SELECT sum(value_before) FROM core.strategy_assignments") == [
        (sum(written.values()),)
    ]
    assert found["has_history"]
    assert found["lower"] < 1 < found["upper"]
    # Adjusted by the papers before, the interval is that of what was written since.
    assert found["upper"] - found["lower"] < 0.35


def test_a_small_global_hold_out_withholds_nothing_but_itself(bench):
    bench.customers["experiments"] = bench.customers["experiments"] | {"global_hold_out": 0.05}
    bench.customers["limits"] = {"smallest_group": 100}
    night_of_the_draw(bench)

    found = bench.effects(day(0))["write", "all"]

    assert found["global_hold_out_count"] is None
    assert found["treated_count"] > 500
    assert found["verdict"].startswith("running: ")
