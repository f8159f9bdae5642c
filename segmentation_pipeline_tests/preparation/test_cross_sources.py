"""What holds between sources, counted on rows whose ids and dates are known."""

import datetime as dt

import pytest

from segmentation_pipeline.assets.cross_checks import look_across_sources
from segmentation_pipeline.preparation.cross_sources import KnownIds, count_known_ids
from segmentation_pipeline.preparation.rows import SourceRows

AS_OF = dt.date(2026, 3, 31)
CRM = {"columns": {"joined_on": {"type": "date"}, "name": {"type": "text"}}}
WEB = {
    "kind": "web",
    "time": "seen_on",
    "columns": {
        "seen_on": {"type": "date"},
        "amount": {"type": "number"},
        "note": {"type": "text"},
    },
}
JOINED = {"name": "after_joining", "predicate": "seen_on >= customers.joined_on"}


def day(number):
    return dt.date(2026, 3, number)


def event(customer, number, amount=1.0, note=None):
    return (customer, day(number), amount, note)


CRM_ROWS = {
    # The second snapshot is in force: c4 left, c5 came.
    1: [(f"c{n}", day(1), "A") for n in (1, 2, 3, 4)],
    2: [(f"c{n}", day(10), "A") for n in (1, 2, 3, 5)],
}
WEB_ROWS = [
    *(event("c1", n) for n in range(2, 30)),
    event("c2", 9),
    event("c4", 12),
    event("x1", 12),
    event("x1", 13),
]


def asked(references=(), expectations=()):
    web = {**WEB, "references": references or [], "expectations": list(expectations)}
    return {"crm": CRM, "web": web}


def results(opened):
    note_snapshots(opened)
    opened.make(crm=2)
    found = look_across_sources(opened.connection, opened.spec, AS_OF)
    return {one.expectation.name: one for one in found}


def note_snapshots(opened):
    for load_id, date in ((1, day(5)), (2, day(20)), (3, day(31) + dt.timedelta(days=9))):
        opened.connection.execute(
            "INSERT INTO core.source_loads VALUES (?, 'crm', 'crm', 'f', 'd', 's', 1, 1, 0, 0, 0,"
            " ?, 'run', ?)",
            [load_id, date, date],
        )


@pytest.mark.parametrize(("at_least", "holds"), [(0.75, True), (0.76, False)])
def test_different_ids_are_counted_however_many_rows_they_have(night, at_least, holds):
    sources = asked(references={"source": "crm", "at_least": at_least})
    with night(sources, {"crm": CRM_ROWS, "web": WEB_ROWS}) as opened:
        found = results(opened)["web__references_crm"]

    # c1, c2, c4 (a former customer, who is known) and x1, whom nobody knows.
    assert (found.success, found.outcome) == (holds, "held" if holds else "failed")
    assert (found.evaluated_rows, found.unexpected_rows, found.unexpected_share) == (4, 1, 0.25)
    assert found.message == (
        "3 of 4 ids are known to `crm`, 1 of them of former customers; at least "
        f"{100 * at_least:g} % must be"
    )


def test_a_snapshot_of_a_later_date_knows_nobody_yet(night):
    rows = {**CRM_ROWS, 3: [("x1", day(1), "A")]}
    with night(asked(), {"crm": rows, "web": WEB_ROWS}) as opened:
        note_snapshots(opened)
        web, crm = (
            SourceRows(name, opened.spec.sources[name], AS_OF, snapshot)
            for name, snapshot in (("web", None), ("crm", 2))
        )
        opened.make(crm=2)

        assert count_known_ids(opened.connection, web, [crm]) == [KnownIds(4, 3, 1)]


def test_an_erased_customer_is_on_neither_side(night):
    """Erasing takes a customer's rows out of every raw table, and loading leaves them out."""
    sources = asked(references={"source": "crm"})
    web = [event("c1", 3), event("c4", 3)]
    with night(sources, {"crm": CRM_ROWS, "web": web}) as opened:
        for table in ("raw.raw_crm", "raw.raw_web"):
            opened.connection.execute(f"DELETE FROM {table} WHERE customer_id = 'c4'")
        found = results(opened)["web__references_crm"]

    assert (found.success, found.evaluated_rows, found.unexpected_rows) == (True, 1, 0)
    assert "former" not in found.message


def test_events_after_the_night_and_rows_set_aside_are_not_looked_at(night):
    bots = {"name": "no_bot", "predicate": "note <> 'bot'", "quarantine": "row", "maximum_share": 1}
    late = ("x2", AS_OF + dt.timedelta(days=1), 1.0, None)
    web = [event("c1", 3), event("x1", 3, note="bot"), late]
    sources = asked(references={"source": "crm"}, expectations=[bots])
    with night(sources, {"crm": CRM_ROWS, "web": web}) as opened:
        assert results(opened)["web__references_crm"].evaluated_rows == 1


def test_a_source_without_ids_does_not_hold_vacuously(night):
    web = [("c1", AS_OF + dt.timedelta(days=1), 1.0, None)]
    with night(asked(references={"source": "crm"}), {"crm": CRM_ROWS, "web": web}) as opened:
        found = results(opened)["web__references_crm"]

    assert (found.success, found.message) == (False, "there is no id to look at")


def test_two_references_are_counted_in_one_look(night):
    survey = {"kind": "survey", "time": "said_on", "columns": {"said_on": {"type": "date"}}}
    sources = {
        **asked(references=[{"source": "crm"}, {"source": "survey", "severity": "warning"}]),
        "survey": survey,
    }
    rows = {"crm": CRM_ROWS, "web": WEB_ROWS, "survey": [("c1", day(1)), ("x1", day(1))]}
    with night(sources, rows) as opened:
        found = results(opened)

    by_name = {name: (one.unexpected_rows, one.expectation.severity) for name, one in found.items()}
    assert by_name == {
        "web__references_crm": (1, "error"),
        "web__references_survey": (2, "warning"),
    }


@pytest.mark.parametrize(("share", "holds"), [(0.2, False), (0.25, True)])
def test_rows_are_compared_with_their_customer(night, share, holds):
    web = [event("c1", 9), event("c1", 10), event("c2", 30), event("c3", 11), event("x1", 1)]
    sources = asked(expectations=[{**JOINED, "maximum_share": share}])
    with night(sources, {"crm": CRM_ROWS, "web": web}) as opened:
        found = results(opened)["web__beside_customer__after_joining"]

    # All joined on the 10th; x1 is no customer, and not looked at.
    assert (found.success, found.evaluated_rows, found.unexpected_rows) == (holds, 4, 1)
    assert found.message == f"1 of 4 rows do not hold; {100 * share:g} % may"


def test_rows_of_nobody_do_not_hold_vacuously(night):
    web = [event("x1", 12)]
    with night(asked(expectations=[JOINED]), {"crm": CRM_ROWS, "web": web}) as opened:
        found = results(opened)["web__beside_customer__after_joining"]

    assert (found.success, found.message) == (False, "no row to evaluate")


def test_a_predicate_that_cannot_run_fails_alone_and_tells_no_value(night):
    failing = {"name": "number", "predicate": "note::INTEGER > length(customers.name)"}
    web = [event("c1", 12, note="secret")]
    sources = asked(expectations=[JOINED, failing])
    with night(sources, {"crm": CRM_ROWS, "web": web}) as opened:
        found = results(opened)

    assert found["web__beside_customer__after_joining"].success
    broken = found["web__beside_customer__number"]
    assert (broken.success, broken.outcome) == (False, "not_run")
    assert broken.message == "could not run (ConversionException), which is a failure"
