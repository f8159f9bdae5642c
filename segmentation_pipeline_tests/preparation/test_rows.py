"""Which rows count: those that exist on the night, once each, one per customer where told so."""

import datetime as dt
import re

import pytest

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.preparation import events_sql
from segmentation_pipeline.preparation.repeats import copies_sql
from segmentation_pipeline.preparation.rows import SourceRows

DAY = dt.timedelta(days=1)
NIGHT = dt.date(2026, 3, 31)
NOON = dt.datetime.fromisoformat("2026-03-31T12:00:00")
LATE = dt.datetime.fromisoformat("2026-03-31T23:59:59")

SURVEY = {
    "kind": "survey",
    "time": "answered_at",
    "columns": {
        "answered_at": {"type": "timestamp", "earliest": "2020-01-01"},
        "mood": {"type": "category"},
        "score": {"type": "integer"},
    },
}
WEB = {
    "kind": "web",
    "time": "happened_at",
    "columns": {
        "happened_at": {"type": "timestamp", "earliest": "2020-01-01"},
        "event": {"type": "category", "categories": ["visit", "mail"]},
        "seconds": {"type": "number", "minimum": 0},
    },
}
CRM = {"columns": {"city": {"type": "text"}}}


def test_answers_after_the_night_do_not_exist_and_the_latest_before_counts(night):
    rows = [
        ("a", NOON, "fine", 1),
        ("a", LATE, "good", 2),
        ("a", LATE + DAY, "bad", 3),
        ("b", NOON + DAY, "bad", 4),
        ("c", NOON - DAY, "fine", 5),
    ]
    with night({"survey": SURVEY}, {"survey": rows}) as made:
        made.make()
        assert made.customers("mood", "score") == [("a", "good", 2), ("c", "fine", 5)]
        assert made.counted("survey") == {
            (None, "loaded"): 5,
            (None, "later_row"): 2,
            (None, "superseded_row"): 1,
            (None, "kept"): 2,
        }


def test_the_first_answer_counts_where_told_so(night):
    rows = [("a", LATE, "good", 2), ("a", NOON, "fine", 1), ("a", NOON - DAY, "bad", 0)]
    with night({"survey": {**SURVEY, "keep": "first"}}, {"survey": rows}) as made:
        made.make()
        assert made.customers("mood") == [("a", "bad")]
        assert made.counted("survey")[None, "superseded_row"] == 2


def test_an_answer_without_a_possible_date_is_left_out(night):
    epoch = dt.datetime.fromisoformat("1970-01-01T00:00:00")
    rows = [("a", None, "fine", 1), ("a", epoch, "bad", 2), ("a", NOON, "ok", 3)]
    with night({"survey": SURVEY}, {"survey": rows}) as made:
        made.make()
        assert made.customers("mood") == [("a", "ok")]
        assert made.counted("survey") == {
            (None, "loaded"): 3,
            (None, "undated_row"): 2,
            (None, "kept"): 1,
        }


def test_an_undated_crm_row_stands_but_dated_ones_come_first(night):
    crm = {"time": "changed", "columns": {"changed": {"type": "date"}, "city": {"type": "text"}}}
    rows = [
        ("a", None, "Ulm"),
        ("b", None, "Rom"),
        ("b", NIGHT, "Bonn"),
        ("c", NIGHT - DAY, "Kiel"),
        ("c", NIGHT + DAY, "Linz"),
    ]
    with night({"crm": crm}, {"crm": rows}) as made:
        made.make()
        assert made.customers("city") == [("a", "Ulm"), ("b", "Bonn"), ("c", "Kiel")]
        counted = made.counted("crm")
    assert (counted[None, "later_row"], counted[None, "superseded_row"]) == (1, 1)


def test_of_several_rows_the_fullest_counts_then_the_lowest_by_values(night):
    crm = {"columns": {"city": {"type": "text"}, "size": {"type": "integer"}}}
    rows = [
        ("a", "Ulm", None),
        ("a", "Bonn", 9),
        ("b", "Rom", 2),
        ("b", "Rom", 1),
        ("c", "Kiel", None),
        ("c", None, 5),
        ("d", "Linz", 1),
        ("d", "Linz", 1),
        ("d", "Linz", 1),
    ]
    expected = [("a", "Bonn", 9), ("b", "Rom", 1), ("c", "Kiel", None), ("d", "Linz", 1)]
    for shuffle in range(5):
        with night({"crm": crm}, {"crm": rows}, shuffle=shuffle) as made:
            made.make()
            assert made.customers("city", "size") == expected
            assert made.counted("crm") == {
                (None, "loaded"): 9,
                (None, "exact_duplicate"): 2,
                (None, "duplicate_customer"): 3,
                (None, "kept"): 4,
            }


def test_a_source_without_dates_has_one_row_per_customer_too(night):
    survey = {"kind": "survey", "columns": {"mood": {"type": "category"}}}
    with night({"survey": survey}, {"survey": [("a", "good"), ("a", "bad")]}) as made:
        made.make()
        assert made.customers("mood") == [("a", "bad")]


def test_only_the_snapshot_in_force_counts(night):
    loads = {1: [("a", "Ulm"), ("b", "Ulm")], 2: [("a", "Bonn"), ("c", "Bonn")]}
    with night({"crm": CRM}, {"crm": loads}) as made:
        made.make(crm=1)
        assert made.customers("city") == [("a", "Ulm"), ("b", "Ulm")]
        made.make(crm=2)
        assert made.customers("city") == [("a", "Bonn"), ("c", "Bonn")]
        assert made.counted("crm")[None, "loaded"] == 2


def test_quarantined_rows_go_and_null_holds(night):
    crm = {
        "columns": {"age": {"type": "integer", "maximum": 120}},
        "expectations": [
            {"name": "adult", "predicate": "age >= 18 -- years", "quarantine": "row"},
            {"name": "alive", "predicate": "age < 150 AND as_of > DATE '2020-01-01'"},
            {"name": "not_odd", "predicate": "age % 2 = 0 OR age < 18", "quarantine": "row"},
        ],
    }
    rows = [("a", 17), ("b", 18), ("c", None), ("d", 19), ("e", 200)]
    with night({"crm": crm}, {"crm": rows}) as made:
        made.make()
        assert made.customers("age") == [("b", 18), ("c", None), ("e", None)]
        found = made.fetch(
            "SELECT description, rows FROM core.cleaning_report WHERE step = 'quarantined_row'"
            " AND source = 'crm' ORDER BY ALL"
        )
    assert found == [("breaks adult: left out", 1), ("breaks not_odd: left out", 1)]


def test_a_quarantined_row_is_neither_a_copy_nor_the_latest(night):
    survey = {
        **SURVEY,
        "expectations": [{"name": "small", "predicate": "score < 9", "quarantine": "row"}],
    }
    rows = [("a", LATE, "bad", 9), ("a", LATE, "bad", 9), ("a", NOON, "good", 1)]
    with night({"survey": survey}, {"survey": rows}) as made:
        made.make()
        assert made.customers("mood") == [("a", "good")]
        assert made.counted("survey") == {
            (None, "loaded"): 3,
            (None, "quarantined_row"): 2,
            (None, "kept"): 1,
        }


EVENTS = [
    ("a", NOON, "visit", 3.0),
    ("a", NOON, "visit", 3.0),
    ("a", NOON, "Visit", 3.0),
    ("a", LATE, "mail", None),
    ("a", LATE, "mail", None),
    ("a", LATE, "mail", -1.0),
    ("a", LATE + DAY, "mail", 1.0),
    ("a", None, "mail", 1.0),
    ("b", NOON, "call", 0.0),
    ("stranger", NOON, "visit", 1.0),
]


def test_copies_count_where_the_source_says_so(night):
    kept = {**WEB, "duplicates": "keep"}
    with night({"crm": CRM, "web": kept}, {"crm": [("a", "x"), ("b", "y")], "web": EVENTS}) as made:
        made.make()
        assert made.counted("web")[None, "kept"] == 7
        assert made.counted("web").get((None, "exact_duplicate"), 0) == 0
        assert len(list(made.events("web"))) == 8


def test_events_are_cleaned_and_come_once_up_to_the_night(night):
    with night({"crm": CRM, "web": WEB}, {"crm": [("a", "x"), ("b", "y")], "web": EVENTS}) as made:
        made.make()
        assert [(who, *rest) for who, _, *rest in made.events("web")] == [
            ("a", NOON, "visit", 3.0),
            ("a", NOON, "visit", 3.0),
            ("a", LATE, "mail", None),
            ("a", LATE, "mail", None),
            ("b", NOON, None, 0.0),
            ("stranger", NOON, "visit", 1.0),
        ]
        assert made.counted("web") == {
            (None, "loaded"): 10,
            (None, "later_row"): 1,
            (None, "undated_row"): 1,
            (None, "exact_duplicate"): 2,
            (None, "orphan"): 1,
            (None, "kept"): 5,
            ("event", "alias"): 1,
            ("event", "not_in_categories"): 1,
            ("seconds", "below_minimum"): 1,
        }


def test_events_of_a_date_are_those_of_tables_made_for_it(night):
    early = NOON.date() - 2 * DAY
    rows = [("a", NOON - 2 * DAY, "visit", 1.0), ("a", NOON, "visit", 1.0)]
    with night({"crm": CRM, "web": WEB}, {"crm": [("a", "x")], "web": rows}) as made:
        made.make()
        assert len(made.events("web")) == 2
        assert len(made.events("web", early)) == 1


def test_a_copy_in_another_file_is_a_copy(night):
    loads = {3: [("a", NOON, "visit", 1.0)], 4: [("a", NOON, "visit", 1.0)]}
    with night({"crm": CRM, "web": WEB}, {"crm": [("a", "x")], "web": loads}) as made:
        made.make()
        assert len(made.events("web")) == 1
        assert made.fetch("SELECT * FROM core.left_out_rows") == [("web", 4, 1, "exact_duplicate")]


def test_of_a_survey_events_are_all_answers_overtaken_ones_too(night):
    rows = [("a", NOON, "x", 1), ("a", NOON, "x", 1), ("a", LATE, "y", 2), ("a", NOON, "z", 3)]
    for keep, customers in (("latest", [("a", 2)]), ("all", [])):
        sources = {"crm": CRM, "survey": {**SURVEY, "keep": keep}}
        with night(sources, {"crm": [("a", "x")], "survey": rows}) as made:
            made.make()
            assert [row[-1] for row in made.events("survey")] == [1, 3, 2]
            assert made.values("has_survey") == [True]
            if customers:
                assert made.customers("score") == customers


def test_events_of_a_crm_table_need_its_snapshot(night):
    crm = {"time": "since", "columns": {"since": {"type": "date"}}}
    with night({"crm": crm}, {"crm": {1: [("a", NIGHT)], 2: [("a", NIGHT), ("b", NIGHT)]}}) as made:
        made.make(crm=2)
        source = made.spec.sources["crm"]
        with pytest.raises(PreparationError, match="source `crm` is of kind crm"):
            events_sql("crm", source, NIGHT)
        assert len(made.fetch(events_sql("crm", source, NIGHT, snapshot=2))) == 2


def test_copies_are_those_of_distinct_even_where_all_hashes_are_equal(night):
    random_rows = (
        "INSERT INTO raw.raw_web SELECT 1, i, 'c' || hash(i) % 7, 'c' || hash(i) % 7,"
        " TIMESTAMP '2026-03-01' + to_hours((hash(i, 1) % 40)::INTEGER),"
        " CASE hash(i, 2) % 3 WHEN 0 THEN 'visit' WHEN 1 THEN 'mail' END,"
        " CASE WHEN hash(i, 3) % 4 > 0 THEN (hash(i, 3) % 4)::DOUBLE END"
        " FROM range(5000) AS numbers(i)"
    )
    with night({"crm": CRM, "web": WEB}, {"crm": [("c1", "x")]}, threads=2) as made:
        made.connection.execute(random_rows)
        made.make()
        declared = "customer_id, happened_at, event, seconds"
        distinct = made.fetch(f"SELECT DISTINCT {declared} FROM raw.raw_web")
        assert len(made.events("web")) == len(distinct)
        assert made.counted("web")[None, "exact_duplicate"] == 5000 - len(distinct)

        copies = copies_sql(SourceRows("web", made.spec.sources["web"], NIGHT))
        colliding = re.sub(r"hash\([^)]*\)", "1", copies)
        assert colliding != copies
        assert sorted(made.fetch(colliding)) == sorted(made.fetch(copies))
