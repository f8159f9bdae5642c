"""Scales turned around, several options, and free texts, as columns of `customers`."""

import datetime as dt

import pytest

from segmentation_pipeline.features.aggregates import aggregates_sql
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.preparation import events_sql, make_customers
from segmentation_pipeline.specification.features import Aggregate
from segmentation_pipeline.warehouse import Build, record_build

AS_OF = dt.date(2026, 3, 31)
BUILD = Build(AS_OF, "night")
CHANNELS = {
    "type": "choices",
    "options": ["email", "phone", "sms"],
    "separator": ";",
    "aliases": {"email": ["E-Mail", "Mail"]},
    "none_words": ["none of these"],
    "maximum_rejected_share": 1,
}
PARTS = ["way__email", "way__phone", "way__sms", "way__count"]
YES, NO, MISSING = True, False, None


def crm(column, name="way"):
    return {"crm": {"columns": {name: column}}}


def chosen(night, column, answers, parts=PARTS):
    """What each answer became, and what was counted."""
    rows = [(f"{n:03}", answer) for n, answer in enumerate(answers)]
    with night(crm(column), {"crm": rows}) as made:
        made.make()
        counted = {step: n for (name, step), n in made.counted("crm").items() if name == "way"}
        return [row[1:] for row in made.customers(*parts)], counted


def test_options_become_yes_and_no_whatever_their_order_case_and_repeats(night):
    answers = ["email; phone;sms", "SMS;phone;sms", " mail ", "e-mail;E-MAIL;email", "phone;;"]

    found, counted = chosen(night, CHANNELS, answers)

    assert found == [
        (YES, YES, YES, 3),
        (NO, YES, YES, 2),
        (YES, NO, NO, 1),
        (YES, NO, NO, 1),
        (NO, YES, NO, 1),
    ]
    assert counted == {}


def test_a_blank_answer_is_missing_and_none_is_an_answer(night):
    answers = [None, " ; ", "None of  these", "none of these;phone"]

    found, counted = chosen(night, CHANNELS, answers)

    nothing = (MISSING, MISSING, MISSING, MISSING)
    assert found == [nothing, nothing, (NO, NO, NO, 0), (NO, YES, NO, 1)]
    assert counted == {}


def test_where_declared_a_blank_means_none_and_other_null_words_are_missing(night):
    # The raw table has '' of a blank answer then: see the test of loading.
    found, _ = chosen(night, {**CHANNELS, "blank": "none"}, ["", ";", None])

    assert found == [(NO, NO, NO, 0), (NO, NO, NO, 0), (MISSING, MISSING, MISSING, MISSING)]


def test_an_answer_with_an_unlisted_option_is_missing_as_a_whole_and_counted(night):
    found, counted = chosen(night, CHANNELS, ["email;fax", "fax;letter", "phone"])

    nothing = (MISSING, MISSING, MISSING, MISSING)
    assert found == [nothing, nothing, (NO, YES, NO, 1)]
    assert counted == {"not_in_options": 2}


def test_where_declared_unlisted_options_are_one_called_other(night):
    parts = ["way__email", "way__other", "way__count"]

    found, counted = chosen(
        night, {**CHANNELS, "unlisted": "other"}, ["email;fax", "fax;letter", "phone"], parts
    )

    assert found == [(YES, YES, 2), (NO, YES, 1), (NO, NO, 1)]
    assert counted == {"unlisted_option": 2}


def test_a_listed_option_called_other_is_the_one_for_unlisted_ones(night):
    column = {"type": "choices", "options": ["email", "Other"], "separator": ","}
    column |= {"unlisted": "other", "maximum_rejected_share": 1}

    found, _ = chosen(
        night, column, ["fax, letter", "other", "email,Other,fax"],
        ["way__email", "way__other", "way__count"],
    )  # fmt: skip

    assert found == [(NO, YES, 1), (NO, YES, 1), (YES, YES, 2)]


def test_the_answer_itself_is_no_column_of_customers(night):
    with night(crm(CHANNELS), {"crm": [("1", "email")]}) as made:
        made.make()
        columns = [row[0] for row in made.fetch("DESCRIBE core.customers")]

    assert columns == ["customer_id", *PARTS, "has_crm"]


def test_who_gave_no_answer_can_be_left_out(night):
    column = {**CHANNELS, "impute": {"method": "exclude_customer"}}
    customers = {"maximum_excluded_share": 1}
    with night(crm(column), {"crm": [("1", "email"), ("2", None)]}, customers) as made:
        assert (made.make().left_out, made.values("way__email")) == (1, [True])


def test_answers_of_a_stream_come_in_parts_too(night):
    columns = {"at": {"type": "date"}, "way": CHANNELS, "note": {"type": "free_text"}}
    asked = {"kind": "survey", "time": "at", "keep": "all", "columns": columns}
    day = dt.date(2026, 3, 1)
    rows = {"crm": [("1",)], "asked": [("1", day, "sms;email", "two words")]}
    with night({"crm": {}, "asked": asked}, rows) as made:
        made.make()
        assert made.events("asked") == [
            ("1", "1", day, True, False, True, 2, 9, 2, 0.0, pytest.approx(1 / 9)),
        ]  # fmt: skip


def test_a_free_text_is_counted_and_goes_no_further(night):
    texts = ["Call 0151 2345, thanks!", "", None, "a\u00a0 b\n\nc d", "電話 を", "ok"]
    rows = [(f"{n:03}", text) for n, text in enumerate(texts)]
    parts = ["characters", "words", "digit_share", "blank_share"]
    with night(crm({"type": "free_text"}, "note"), {"crm": rows}) as made:
        made.make()
        found = [row[1:] for row in made.customers(*(f"note__{part}" for part in parts))]
        columns = [row[0] for row in made.fetch("DESCRIBE core.customers")]
        tables = made.fetch("SELECT table_schema, table_name FROM information_schema.tables")
        elsewhere = [
            table
            for schema, table in tables
            if schema == "core" and "0151" in str(made.fetch(f'FROM core."{table}"'))
        ]

    assert found[0] == (23, 4, pytest.approx(8 / 23), pytest.approx(3 / 23))
    assert found[1:] == [
        (None,) * 4,
        (None,) * 4,
        (9, 4, 0.0, 5 / 9),
        (4, 2, 0.0, 0.25),
        (2, 1, 0.0, 0.0),
    ]
    assert "note" not in columns
    assert elsewhere == []


@pytest.mark.parametrize("kind", ["integer", "number"])
def test_a_scale_is_turned_around_within_its_range(night, kind):
    column = {"type": kind, "minimum": 1, "maximum": 5, "reverse": True}
    rows = [(f"{n:03}", value) for n, value in enumerate([1, 2, 5, None, 0, 6])]
    with night(crm({**column, "maximum_rejected_share": 1}, "q1"), {"crm": rows}) as made:
        made.make()
        values = made.values("q1")
        counted = made.counted("crm")

    assert values == [5, 4, 1, None, None, None]
    assert all(type(value) is (int if kind == "integer" else float) for value in values[:3])
    assert counted["q1", "below_minimum"] == counted["q1", "above_maximum"] == 1


def test_a_scale_that_does_not_begin_at_one(night):
    column = {"type": "number", "minimum": -2, "maximum": 3, "reverse": True}
    rows = [("1", -2.0), ("2", 0.5), ("3", 3.0)]
    with night(crm(column, "q1"), {"crm": rows}) as made:
        made.make()
        assert made.values("q1") == [3.0, 0.5, -2.0]


def test_gaps_are_filled_on_the_scale_that_was_turned(night):
    column = {"type": "integer", "minimum": 1, "maximum": 5, "reverse": True}
    column["impute"] = {"method": "median"}
    rows = [("1", 1), ("2", 1), ("3", 2), ("4", None)]
    with night(crm(column, "q1"), {"crm": rows}) as made:
        made.make()
        assert made.values("q1") == [5, 5, 4, 5]


def test_texts_that_nothing_uses_are_told_and_free_texts_too(night):
    columns = {"note": {"type": "free_text"}, "memo": {"type": "text"}, "role": {"type": "text"}}
    rows = [("1", "a", "b", "c"), ("2", None, None, "c"), ("3", "", "x", "c")]
    with night({"crm": {"columns": columns}}, {"crm": rows}) as made:
        make_customers(
            made.connection, made.spec, {"crm": 1}, BUILD, unused_texts={"crm": ["note", "memo"]}
        )
        lines = made.fetch(
            "SELECT column_name, step, rows, round(share, 2) FROM core.cleaning_report"
            " WHERE step IN ('counted_text', 'unused_text') ORDER BY ALL"
        )

    assert lines == [
        ("memo", "unused_text", 2, 0.67),
        ("note", "counted_text", 1, 0.33),
        ("note", "unused_text", 1, 0.33),
    ]


ANSWERS = [
    # customer, answered on, mood, channels
    ("1", dt.date(2026, 1, 5), 2, "email"),
    ("1", dt.date(2026, 3, 5), 4, None),
    ("1", dt.date(2026, 3, 5), 4, "sms"),
    ("1", dt.date(2026, 4, 5), 1, "phone"),  # after the night
    ("2", dt.date(2026, 2, 1), 3, "phone"),
    ("2", dt.date(2026, 2, 1), 3, "email"),
    ("2", dt.date(2026, 2, 1), 3, "email"),
]
ASKED = {
    "kind": "survey",
    "time": "at",
    "columns": {
        "at": {"type": "date"},
        "mood": {"type": "integer", "minimum": 1, "maximum": 5, "reverse": True},
        "way": CHANNELS,
    },
}


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        # Of two of one time the fuller one, then the one that sorts first by its values.
        ("latest", [("1", 2, NO, NO, YES), ("2", 3, YES, NO, NO)]),
        ("first", [("1", 4, YES, NO, NO), ("2", 3, YES, NO, NO)]),
    ],
)
@pytest.mark.parametrize("shuffle", [None, 1, 2])
def test_which_of_repeated_answers_counts(night, keep, found, shuffle):
    rows = {"crm": [("1",), ("2",)], "asked": ANSWERS}
    with night({"crm": {}, "asked": {**ASKED, "keep": keep}}, rows, shuffle=shuffle) as made:
        made.make()
        assert made.customers("mood", "way__email", "way__phone", "way__sms") == found
        counted = made.counted("asked")

    assert counted[None, "later_row"] == 1
    assert counted[None, "exact_duplicate"] == 1
    assert counted[None, "superseded_row"] == (1 if keep == "latest" else 2)
    assert counted[None, "duplicate_customer"] == (2 if keep == "latest" else 1)


@pytest.mark.parametrize("keep", ["latest", "first", "all"])
def test_aggregates_see_every_answer_in_their_window_once(night, keep):
    rows = {"crm": [("1",), ("2",)], "asked": ANSWERS}
    wanted = {
        "answers": {"function": "count"},
        "mean_mood": {"function": "mean", "column": "mood"},
        "lately": {"function": "count", "window_days": 30},
        "by_mail": {"function": "share", "where": "way__email"},
        "options": {"function": "sum", "column": "way__count"},
    }
    aggregates = {
        name: Aggregate.model_validate({"source": "asked", **one}) for name, one in wanted.items()
    }
    with night({"crm": {}, "asked": {**ASKED, "keep": keep}}, rows) as made:
        made.make()
        source = made.spec.sources["asked"]
        query = aggregates_sql(events_sql("asked", source, AS_OF), source, aggregates, AS_OF)
        found = made.fetch(f"SELECT * FROM ({query}) ORDER BY customer_id")

    # Moods are turned around: 4, 2 and 2 of the one, 3 twice of the other.
    assert found == [("1", 3, 8 / 3, 2, 1 / 3, 2.0), ("2", 2, 3.0, 0, 0.5, 2.0)]


def test_a_night_of_an_earlier_date_sees_the_answers_of_its_time(night):
    rows = {"crm": [("1",), ("2",)], "asked": ANSWERS}
    earlier = Build(dt.date(2026, 2, 28), "earlier")
    with night({"crm": {}, "asked": {**ASKED, "keep": "latest"}}, rows) as made:
        for name in ("crm", "asked"):
            record_build(made.connection, raw_table(name), earlier)
        made.make(earlier)
        assert made.customers("mood", "way__email") == [("1", 4, YES), ("2", 3, YES)]
