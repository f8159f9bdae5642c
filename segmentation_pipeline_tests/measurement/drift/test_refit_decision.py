"""The decision of a night, from nights before it, requests, checks and drift."""

import pytest

from segmentation_pipeline.clustering.model_events import SYSTEM, add_event
from segmentation_pipeline.errors import StaleUpstreamError
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.measurement.refit_decision import decided
from segmentation_pipeline.measurement.refit_requests import (
    ask_for_refit,
    request_refit,
    requests_until,
)
from segmentation_pipeline.validation.expectations import Expectation, ExpectationResult
from segmentation_pipeline.validation.results import record_results
from segmentation_pipeline.warehouse import record_build

VISITS = [0.0, 1.0] * 50
MOVED = [0.0] * 90 + [1.0] * 10
CHANNEL = ["web"] * 60 + ["mail"] * 40


@pytest.fixture
def fitted(lens):
    """A model on night 0, which was run to its end."""
    lens.write_customers(0, VISITS, CHANNEL)
    lens.decide(0)
    lens.register(0)
    lens.end(0, 1)
    return lens


def figures(lens):
    (row,) = lens.rows("refit_decision")
    return row


def test_the_first_night_says_so_before_and_after_its_model_is_there(lens):
    lens.write_customers(0, VISITS, CHANNEL)
    first = lens.decide(0)
    lens.register(0)

    assert (first.decision, first.causes, first.model_version) == ("first", (), None)
    assert lens.decide(0) == first


def test_a_calm_night_keeps_its_model(fitted):
    fitted.write_customers(1, VISITS, CHANNEL)

    found = fitted.decide(1)

    assert (found.decision, found.causes, found.model_version) == ("keep", (), 1)
    row = figures(fitted)
    assert (row["worst_psi"], row["warned_share"], row["age_days"]) == (0, 0, 1)
    assert row["median_distance_ratio"] == 1


def test_a_decision_is_read_as_it_was_made(fitted):
    fitted.write_customers(1, MOVED, CHANNEL)
    made = fitted.decide(1)

    assert made.decision == "refit"
    assert made.causes == ("psi:visits",)
    assert decided(fitted.connection, "lens", fitted.date(1)) == made
    assert (figures(fitted)["worst_feature"], figures(fitted)["warned_share"]) == ("visits", 0.5)
    with pytest.raises(StaleUpstreamError):
        decided(fitted.connection, "lens", fitted.date(2))


def test_a_refit_is_not_asked_for_again_by_the_same_alarm(fitted):
    fitted.write_customers(1, MOVED, CHANNEL)
    verdicts = []
    for number in range(1, 17):
        verdicts.append(fitted.decide(number).decision)
        fitted.end(number, 1)

    assert [number for number, one in enumerate(verdicts, 1) if one == "refit"] == [1, 15]
    assert set(verdicts) == {"keep", "refit"}


def test_a_refit_of_a_night_that_died_is_asked_for_again(fitted):
    fitted.write_customers(1, MOVED, CHANNEL)

    assert fitted.decide(1).decision == "refit"
    assert fitted.decide(2).decision == "refit"


def test_a_date_run_again_decides_as_it_did(fitted):
    fitted.write_customers(1, MOVED, CHANNEL)
    first = fitted.decide(1)
    fitted.end(1, 1)
    later = fitted.decide(2)
    fitted.end(2, 1)

    assert fitted.decide(1) == first
    assert fitted.decide(2) == later


def test_a_challenger_in_its_shadow_is_not_replaced_for_what_is_measured(fitted):
    fitted.declare(refit={"shadow_nights": 3, "rest_days": 0})
    add_event(
        fitted.connection,
        "lens",
        2,
        "challenger",
        as_of=fitted.date(1),
        build=fitted.night(1),
        who=SYSTEM,
        reason="test",
    )
    fitted.write_customers(1, MOVED, CHANNEL)
    verdicts = []
    for number in range(1, 6):
        found = fitted.decide(number)
        verdicts.append(found.decision)
        fitted.end(number, 1)

    # On its first night it wasn't there before; after its third one it waits for a person.
    assert verdicts == ["refit", "keep", "keep", "refit", "refit"]
    assert "a challenger is on trial" in fitted.decide(3).reason


def test_a_changed_specification_asks_for_a_refit(fitted):
    fitted.declare(clustering={"seed": 99})

    assert fitted.decide(1).causes == ("specification",)


def test_a_changed_threshold_is_no_changed_specification(fitted):
    fitted.declare(refit={"age_days": 0 + 1})
    fitted.write_customers(1, VISITS, CHANNEL)

    assert fitted.decide(1).decision == "keep"
    assert fitted.decide(2).causes == ("age",)


def test_a_model_without_a_reference_is_kept_and_can_be_asked_to_go(lens):
    lens.write_customers(0, VISITS, CHANNEL)
    lens.register(0, has_reference=False)
    found = lens.decide(1)

    assert found.decision == "keep"
    assert "no reference" in found.reason
    request_refit(lens.connection, "lens", "build a reference", lens.date(0))
    assert lens.decide(1).causes == ("asked:1",)


def test_what_a_person_asks_is_done_once_by_the_next_night(fitted):
    assert ask_for_refit(fitted.connection, "lens", "new contracts") == fitted.date(0)
    fitted.write_customers(1, VISITS, CHANNEL)

    found = fitted.decide(1)
    assert (found.decision, found.causes) == ("refit", ("asked:1",))
    assert found.reason == "a person asked for it: new contracts"
    fitted.end(1, 1)
    assert fitted.decide(2).decision == "keep"
    assert fitted.decide(1) == found


def test_a_request_outlives_a_night_that_died(fitted):
    ask_for_refit(fitted.connection, "lens", "")
    fitted.write_customers(1, VISITS, CHANNEL)

    assert fitted.decide(1).decision == "refit"
    assert fitted.decide(2).decision == "refit"


def test_an_older_date_that_is_run_again_does_not_act_on_a_request(fitted):
    fitted.end(5, 1)
    ask_for_refit(fitted.connection, "lens", "")

    assert fitted.decide(4).decision == "keep"
    assert fitted.decide(5).decision == "refit"


def test_the_same_request_twice_is_one(fitted):
    connection = fitted.connection
    assert request_refit(connection, "lens", "why", fitted.date(1)) == 1
    assert request_refit(connection, "lens", "why", fitted.date(1)) == 1
    assert request_refit(connection, "lens", "another", fitted.date(1)) == 2
    assert request_refit(connection, "other", "why", None) == 1
    assert requests_until(connection, "lens", fitted.date(1)) == [(1, "why"), (2, "another")]
    assert requests_until(connection, "lens", fitted.date(0)) == []


def test_before_the_first_night_there_is_nothing_to_refit(lens):
    assert ask_for_refit(lens.connection, "lens", "soon") is None
    lens.write_customers(0, VISITS, CHANNEL)

    assert lens.decide(0).decision == "first"
    lens.register(0)
    lens.end(0, 1)
    assert lens.decide(1).decision == "keep"


def test_churn_is_that_of_the_night_before_without_the_model_s_first_night(fitted):
    fitted.end(0, 1, moved=900)
    for number in range(1, 16):
        fitted.end(number, 1, moved=4)
    fitted.write_customers(16, VISITS, CHANNEL)
    assert fitted.decide(16).decision == "keep"
    assert (figures(fitted)["churn_share"], figures(fitted)["churn_median"]) == (0.004, 0.004)

    fitted.end(16, 1, moved=13)

    assert fitted.decide(17).causes == ("churn",)
    assert fitted.decide(16).decision == "keep"


def test_the_nights_of_another_model_are_not_usual(fitted):
    for number in range(1, 16):
        fitted.end(number, 1, moved=4)
    fitted.write_customers(15, VISITS, CHANNEL)
    fitted.register(15)
    for number in (15, 16, 17):
        fitted.end(number, 2, moved=50)

    assert fitted.decide(18).decision == "keep"
    assert (figures(fitted)["churn_share"], figures(fitted)["churn_median"]) == (0.05, 0.05)


def test_a_stale_stream_that_is_summed_up_calls_a_person(fitted):
    fitted.write_customers(1, VISITS, CHANNEL)
    expectation = Expectation(
        "at__freshness_warning",
        "freshness",
        "at",
        parameters={"as_of": fitted.date(1), "maximum_age_days": 2},
        severity="warning",
        description="fresh",
    )
    for source in ("web", "crm"):
        table = raw_table(source)
        fitted.connection.execute(f"CREATE TABLE {table.sql} (number VARCHAR)")
        record_build(fitted.connection, table, fitted.night(1))
        result = ExpectationResult(expectation, False, 10, 1, 0.1, None, f"{source} is old")
        record_results(fitted.connection, table, [result], fitted.night(1))

    found = fitted.decide(1)

    assert (found.decision, found.causes) == ("alert", ("stale:web",))
    assert found.reason == "source `web` is stale: web is old"
