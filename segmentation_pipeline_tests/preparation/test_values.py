"""Impossible values become missing, spellings become categories, and all of it is counted."""

import datetime as dt
import math

import pytest

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.warehouse import has_table


def crm(column, **more):
    return {"crm": {"columns": {"value": column}, **more}}


def cleaned(night, column, values):
    """The cleaned values of one CRM column, and what was counted of it."""
    rows = [(f"{n:03}", value) for n, value in enumerate(values)]
    with night(crm(column), {"crm": rows}) as made:
        made.make()
        counted = {step: n for (name, step), n in made.counted("crm").items() if name == "value"}
        return made.values("value"), counted


def test_spellings_become_their_category_whatever_case_and_blanks(night):
    column = {
        "type": "category",
        "aliases": {"Nurse Practitioner": ["NursePractitioner", "NP"], "Surgeon": []},
    }
    given = ["Nurse Practitioner", "nursepractitioner", " nurse \t practitioner ", "np", "SURGEON"]
    given += ["Nurse\u00a0Practitioner", "Dentist", "dentist", None]

    values, counted = cleaned(night, column, given)

    assert values[:4] == ["Nurse Practitioner"] * 4
    assert values[4:6] == ["Surgeon", "Nurse Practitioner"]
    assert values[6:] == ["Dentist", "dentist", None]
    assert counted == {"alias": 5}


def test_unlisted_categories_become_missing(night):
    column = {"type": "category", "categories": ["bachelor", "master"]}
    column["aliases"] = {"master": ["M.Sc."]}

    values, counted = cleaned(night, column, ["bachelor", "Master", "m.sc.", "none", None])

    assert values == ["bachelor", "master", "master", None, None]
    assert counted == {"alias": 2, "not_in_categories": 1}


def test_names_that_differ_in_case_alone_stay_apart(night):
    column = {"type": "category", "categories": ["m", "M"]}

    assert cleaned(night, column, ["m", "M"]) == (["m", "M"], {})


def test_a_proper_name_is_a_spelling_of_itself(night):
    column = {"type": "category", "aliases": {"Nurse": ["nurse"], "RN": ["R.N."]}}

    values, counted = cleaned(night, column, ["RN", "R.N.", "NURSE"])

    assert (values, counted) == (["RN", "RN", "Nurse"], {"alias": 2})


def test_an_undeclared_category_and_a_text_stay_as_they_are(night):
    for kind in ("category", "text"):
        values = ["Nurse  X", "nurse x", "it's", "", None]
        assert cleaned(night, {"type": kind}, values) == (values, {})


def test_numbers_out_of_range_and_no_numbers_become_missing(night):
    column = {"type": "number", "minimum": 0.1, "maximum": 9}
    given = [0.1, 0.09, 9.0, 9.5, math.nan, math.inf, -math.inf, -1e300, None]

    values, counted = cleaned(night, column, given)

    assert values == [0.1, None, 9.0, None, None, None, None, None, None]
    assert counted == {"below_minimum": 2, "above_maximum": 1, "not_finite": 3}


def test_a_number_without_bounds_is_still_finite(night):
    assert cleaned(night, {"type": "number"}, [1e308, math.nan]) == (
        [1e308, None],
        {"not_finite": 1},
    )


def test_integers_keep_to_their_range(night):
    column = {"type": "integer", "minimum": 0, "maximum": 2**62}

    values, counted = cleaned(night, column, [-1, 0, 2**62, 2**62 + 2**12])

    assert values == [None, 0, 2**62, None]
    assert counted == {"below_minimum": 1, "above_maximum": 1}


def test_dates_lie_between_the_earliest_and_the_night(night):
    column = {"type": "date", "earliest": "1920-01-01"}
    days = [dt.date(1919, 12, 31), dt.date(1920, 1, 1), dt.date(2026, 3, 31), dt.date(2026, 4, 1)]

    values, counted = cleaned(night, column, days)

    assert values == [None, days[1], days[2], None]
    assert counted == {"before_earliest": 1, "after_as_of": 1}


def test_timestamps_last_to_the_end_of_the_night(night):
    last = dt.datetime.fromisoformat("2026-03-31T23:59:59.999999")
    next_day = dt.datetime.fromisoformat("2026-04-01T00:00:00")

    values, counted = cleaned(night, {"type": "timestamp"}, [last, next_day, "-infinity"])

    assert values == [last, None, None]
    assert counted == {"after_as_of": 1, "not_finite": 1}


def test_every_check_has_its_line_with_share_even_where_it_found_nothing(night):
    column = {"type": "number", "minimum": 0}
    with night(crm(column), {"crm": [("a", 1.0), ("b", -1.0), ("c", 2.0), ("d", None)]}) as made:
        made.make()
        lines = made.fetch(
            "SELECT step, description, rows, share FROM core.cleaning_report"
            " WHERE column_name = 'value' AND source = 'crm' ORDER BY step"
        )
    assert lines == [
        ("below_minimum", "below 0: made missing", 1, 0.25),
        ("not_finite", "infinite or no number: made missing", 0, 0.0),
        ("unreadable", "could not be read as number: made missing", 0, 0.0),
    ]


@pytest.mark.parametrize("column", ["value", None])
def test_what_could_not_be_read_is_counted_for_the_loads_in_force(night, column):
    number = {"type": "number", "maximum_rejected_share": 1}
    with night(crm(number), {"crm": {1: [("a", 1.0)], 2: [("a", 2.0)]}}) as made:
        for load_id in (1, 2, 2):
            made.reject("crm", column, load_id)
        made.reject("web", column, 1)
        made.make(crm=2)
        assert made.counted("crm")[column, "unreadable"] == 2
        made.make(crm=1)
        assert made.counted("crm")[column, "unreadable"] == 1


def test_more_unreadable_values_than_allowed_stop_the_night(night):
    """Of the values that were given, not of the rows: who gave none says nothing about reading."""
    rows = [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", None), ("e", None)]
    for allowed, is_enough in ((0.25, True), (0.24, False)):
        column = {"type": "number", "maximum_rejected_share": allowed}
        with night(crm(column), {"crm": rows}) as made:
            made.reject("crm", "value")
            if is_enough:
                made.make()
                share = "SELECT share FROM core.cleaning_report WHERE step = 'unreadable'"
                assert made.fetch(f"{share} AND column_name = 'value'") == [(0.25,)]
                continue
            told = r"1 of 4 values of `value` cannot be read \(25.00%\), and its .* is 24.00%"
            with pytest.raises(PreparationError, match=told):
                made.make()
            assert not has_table(made.connection, CUSTOMERS)
