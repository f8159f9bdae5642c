"""One row per customer: joined by precedence, completed, and refused where too much is missing."""

import datetime as dt
import traceback

import pytest

from segmentation_pipeline.errors import PreparationError, StaleUpstreamError
from segmentation_pipeline.preparation import make_customers
from segmentation_pipeline.warehouse import Build, Table, read_build

DAY = dt.date(2026, 3, 1)


def crm(**columns):
    return {"columns": columns}


def survey(**columns):
    return {
        "kind": "survey",
        "time": "answered",
        "columns": {"answered": {"type": "date"}, **columns},
    }


WEB = {"kind": "web", "time": "day", "columns": {"day": {"type": "date"}}}


def test_customers_are_those_of_the_base_with_a_flag_per_source(night):
    sources = {"crm": crm(city={"type": "text"}), "survey": survey(), "web": WEB}
    rows = {
        "crm": [("a", "Ulm"), ("b", None), (None, "Bonn")],
        "survey": [("b", DAY), ("x", DAY)],
        "web": [("a", DAY), ("a", DAY.replace(day=2)), ("x", DAY), ("b", dt.date(2026, 4, 1))],
    }
    with night(sources, rows) as made:
        summary = made.make()
        described = made.fetch("DESCRIBE core.customers")
        assert [(name, kind) for name, kind, *_ in described] == [
            ("customer_id", "VARCHAR"),
            ("city", "VARCHAR"),
            ("has_crm", "BOOLEAN"),
            ("has_survey", "BOOLEAN"),
            ("has_web", "BOOLEAN"),
        ]
        assert made.customers("city", "has_crm", "has_survey", "has_web") == [
            ("a", "Ulm", True, False, True),
            ("b", None, True, True, False),
        ]
        assert made.counted("crm")[None, "orphan"] == 1
        assert made.counted("survey")[None, "orphan"] == 1
        assert made.counted("web")[None, "orphan"] == 1
        assert made.counted("web")[None, "kept"] == 2
    assert (summary.customers, summary.left_out, summary.conflicts) == (2, 0, 0)


def test_a_survey_can_be_the_base(night):
    sources = {"crm": crm(city={"type": "text"}), "survey": survey(mood={"type": "text"})}
    rows = {"crm": [("a", "Ulm"), ("b", "Bonn")], "survey": [("b", DAY, "good"), ("c", DAY, "bad")]}
    with night(sources, rows, {"base": "survey"}) as made:
        made.make()
        assert made.customers("city", "mood", "has_crm") == [
            ("b", "Bonn", "good", True),
            ("c", None, "bad", False),
        ]


CITY = {"type": "category", "aliases": {"Ulm": ["Ulm/Donau"]}}
SHARED = {"crm": crm(city=CITY), "survey": survey(city=CITY), "form": crm(city=CITY)}
SHARED_ROWS = {
    "crm": [("a", "Ulm"), ("b", None), ("c", None), ("d", "Ulm"), ("e", "Ulm")],
    "survey": [("a", DAY, "Bonn"), ("b", DAY, "Rom"), ("d", DAY, "ulm/donau")],
    "form": [("a", "Ulm"), ("b", "Kiel"), ("c", "Linz"), ("e", None)],
}


def test_the_most_trusted_value_is_kept_and_others_are_audited(night):
    with night(SHARED, SHARED_ROWS) as made:
        summary = made.make()
        assert made.values("city") == ["Ulm", "Rom", "Linz", "Ulm", "Ulm"]
        assert made.fetch("SELECT * FROM core.customer_conflicts ORDER BY ALL") == [
            ("a", "city", "crm", "survey"),
            ("b", "city", "survey", "form"),
        ]
        assert summary.conflicts == 2
        assert made.counted("survey")["city", "conflict"] == 1
        assert made.counted("form")["city", "conflict"] == 1


def test_precedence_says_whom_to_believe(night):
    with night(SHARED, SHARED_ROWS, {"precedence": ["form", "survey"]}) as made:
        made.make()
        assert made.values("city") == ["Ulm", "Kiel", "Linz", "Ulm", "Ulm"]
        assert made.fetch("SELECT * FROM core.customer_conflicts ORDER BY ALL") == [
            ("a", "city", "form", "survey"),
            ("b", "city", "form", "survey"),
        ]


def test_without_shared_columns_the_audit_is_empty_and_typed(night):
    with night({"crm": crm()}, {"crm": [("a",)]}) as made:
        assert made.make().conflicts == 0
        assert made.fetch("SELECT count(*) FROM core.customer_conflicts") == [(0,)]
        described = made.fetch("DESCRIBE core.customer_conflicts")
        assert {kind for _, kind, *_ in described} == {"VARCHAR"}


def imputed(night, column, values):
    rows = [(f"{n:03}", value) for n, value in enumerate(values)]
    with night({"crm": crm(value=column)}, {"crm": rows}) as made:
        made.make()
        return made.values("value"), made.counted("customers").get(("value", "imputed"), 0)


@pytest.mark.parametrize(
    ("kind", "given", "median"),
    [
        ("number", [3.0, 1.0, None, 8.0], 3.0),
        ("number", [3.0, 1.0, None, 8.0, 4.0], 3.5),
        ("number", [-1.7e308, None, 1.7e308], 0.0),
        ("number", [1.6e308, None, 1.7e308], 1.6e308 / 2 + 1.7e308 / 2),
        ("integer", [4, 1, None, 7], 4),
        ("integer", [9, 1, None, 3, 4], 3),
        ("integer", [-1, None], -1),
    ],
)
def test_a_median_fills_gaps(night, kind, given, median):
    column = {"type": kind, "impute": {"method": "median"}}

    values, count = imputed(night, column, given)

    assert values == [median if value is None else value for value in given]
    assert count == 1


@pytest.mark.parametrize(
    ("kind", "given", "mode"),
    [
        ("category", ["b", "a", "b", None, "c"], "b"),
        ("category", ["b", "a", "c", None], "a"),
        ("integer", [5, 5, 2, 2, None, 9], 2),
        ("category", [f"{(n * 37 + 5) % 101:03}" for n in range(101)] * 2 + [None], "000"),
        ("boolean", [True, True, False, None], True),
        ("date", [dt.date(2020, 1, 2), dt.date(2020, 1, 1), None], dt.date(2020, 1, 1)),
    ],
)
def test_the_most_frequent_value_fills_gaps_the_lowest_of_several(night, kind, given, mode):
    column = {"type": kind, "impute": {"method": "mode"}}

    values, count = imputed(night, column, given)

    assert values == [mode if value is None else value for value in given]
    assert count == 1


@pytest.mark.parametrize(
    ("kind", "impute", "filled"),
    [
        ("integer", {"method": "constant", "value": 3}, 3),
        ("number", {"method": "constant", "value": 0.5}, 0.5),
        ("boolean", {"method": "constant", "value": False}, False),
        ("text", {"method": "constant", "value": "it's"}, "it's"),
        ("date", {"method": "constant", "value": "2020-02-29"}, dt.date(2020, 2, 29)),
        ("category", {"method": "missing_category"}, "missing"),
    ],
)
def test_a_constant_fills_gaps_even_where_nobody_has_a_value(night, kind, impute, filled):
    assert imputed(night, {"type": kind, "impute": impute}, [None, None]) == ([filled] * 2, 2)


def test_a_column_without_any_value_stays_and_is_reported(night):
    columns = {
        "empty": {"type": "number", "impute": {"method": "median"}},
        "void": {"type": "category", "impute": {"method": "mode"}},
        "full": {"type": "number"},
    }
    with night({"crm": crm(**columns)}, {"crm": [("a", None, None, 1.0)]}) as made:
        summary = made.make()
        assert made.customers("empty", "void", "full") == [("a", None, None, 1.0)]
        assert summary.all_missing == ("empty", "void")
        counted = made.counted("customers")
        assert counted["empty", "all_missing"] == counted["void", "all_missing"] == 1
        assert ("empty", "imputed") not in counted


def test_who_lacks_a_required_value_is_left_out_before_medians_are_taken(night):
    columns = {
        "role": {"type": "category", "impute": {"method": "exclude_customer"}},
        "age": {"type": "integer", "impute": {"method": "exclude_customer"}},
        "size": {"type": "number", "impute": {"method": "median"}},
    }
    rows = [
        ("a", "Nurse", 30, 1.0),
        ("b", "Nurse", 40, None),
        ("c", None, None, 100.0),
        ("d", "Nurse", None, 200.0),
    ]
    with night({"crm": crm(**columns)}, {"crm": rows}, {"maximum_excluded_share": 0.5}) as made:
        summary = made.make()
        assert made.customers("size") == [("a", 1.0), ("b", 1.0)]
        assert (summary.customers, summary.left_out) == (2, 2)
        assert made.counted("customers") == {
            (None, "loaded"): 4,
            ("role", "excluded"): 1,
            ("age", "excluded"): 1,
            ("size", "imputed"): 1,
            (None, "kept"): 2,
        }
    with (
        night({"crm": crm(**columns)}, {"crm": rows}, {"maximum_excluded_share": 0.49}) as made,
        pytest.raises(PreparationError, match=r"50.00% .*1 without `role`, 1 without `age`"),
    ):
        made.make()


def adults(**more):
    return {
        "expectations": [
            {"name": "adult", "predicate": "age >= 18 AND has_crm", "quarantine": "row", **more},
            {"name": "seen", "predicate": "as_of < DATE '1999-01-01'"},
        ]
    }


def test_customers_that_break_a_quarantining_expectation_are_left_out(night):
    sources = {"crm": crm(age={"type": "integer", "impute": {"method": "median"}})}
    rows = {"crm": [("a", 17), ("b", 30), ("c", None), ("d", 40)]}
    with night(sources, rows, adults(maximum_share=0.25)) as made:
        assert made.make().customers == 3
        assert made.customers("age") == [("b", 30), ("c", 30), ("d", 40)]
        assert made.counted("customers")[None, "quarantined_row"] == 1
    with night(sources, rows, adults(severity="warning")) as made:
        assert made.make().customers == 3
    with (
        night(sources, rows, adults(maximum_share=0.2)) as made,
        pytest.raises(PreparationError, match=r"1 of 4 customers \(25.00%\) break `adult`"),
    ):
        made.make()


def test_too_many_orphans_stop_the_night_and_what_was_made_before_stands(night):
    sources = {"crm": crm(), "web": {**WEB, "maximum_orphan_share": 0.5}}
    rows = {"crm": [("a",)], "web": [("a", DAY), ("x", DAY)]}
    with night(sources, rows) as made:
        made.make()
        before = made.everything()
        made.connection.execute(
            "INSERT INTO raw.raw_web VALUES (1, 3, 'secret', 'secret', ?)", [DAY]
        )
        with pytest.raises(PreparationError, match=r"`web`: 2 of 3 rows \(66.67%\)") as raised:
            made.make(Build(dt.date(2026, 3, 31), "second"))
        assert "secret" not in str(raised.value)
        assert made.everything() == before
        assert read_build(made.connection, Table("core", "customers")).run_id == "night"


def test_rows_of_who_left_are_no_orphans(night):
    sources = {"crm": crm(), "web": {**WEB, "maximum_orphan_share": 0.2}, "survey": survey()}
    rows = {
        "crm": {1: [("a",), ("gone",)], 2: [("a",)]},
        "web": [("a", DAY), *(("gone", DAY.replace(day=n)) for n in (1, 2, 3)), ("x", DAY)],
        "survey": [("gone", DAY), ("a", DAY)],
    }
    with night(sources, rows) as made:
        made.make(crm=2)
        assert made.counted("web")[None, "former_customer"] == 3
        assert made.counted("web")[None, "orphan"] == 1
        assert made.counted("web")[None, "kept"] == 1
        assert made.counted("survey")[None, "former_customer"] == 1
        assert (None, "orphan") not in made.counted("survey")


def test_too_few_customers_stop_the_night(night):
    rows = {"crm": [("a",), ("b",)]}
    with night({"crm": crm()}, rows, {"minimum_customers": 2}) as made:
        assert made.make().customers == 2
    with (
        night({"crm": crm()}, rows, {"minimum_customers": 3}) as made,
        pytest.raises(PreparationError, match="too few customers: 2, and `minimum_customers` is 3"),
    ):
        made.make()


def test_no_rows_at_all_are_too_few_customers(night):
    sources = {"crm": crm(age={"type": "integer", "impute": {"method": "median"}}), "web": WEB}
    with (
        night(sources, {}) as made,
        pytest.raises(PreparationError, match="too few customers: 0"),
    ):
        made.make()


def test_raw_tables_of_another_night_are_refused(night):
    with (
        night({"crm": crm()}, {"crm": [("a",)]}) as made,
        pytest.raises(StaleUpstreamError, match=r"raw.raw_crm was made for 2026-03-31"),
    ):
        made.make(Build(dt.date(2026, 4, 1), "next"))


def test_a_crm_source_without_a_snapshot_is_refused(night):
    build = Build(dt.date(2026, 3, 31), "night")
    with (
        night({"crm": crm()}, {"crm": [("a",)]}) as made,
        pytest.raises(PreparationError, match="`crm` has no snapshot in force on 2026-03-31"),
    ):
        make_customers(made.connection, made.spec, {}, build)


@pytest.mark.parametrize("kind", ["crm", "web"])
def test_an_expression_that_fails_names_the_source_and_no_value(night, kind):
    failing = {"name": "number", "predicate": "note::INTEGER > 0", "quarantine": "row"}
    source = {**(WEB if kind == "web" else {}), "expectations": [failing]}
    source["columns"] = {**source.get("columns", {}), "note": {"type": "text", "personal": True}}
    rows = {kind: [("a", DAY, "secret")] if kind == "web" else [("a", "secret")]}
    sources = {"base": crm(), "web": source} if kind == "web" else {"crm": source}
    with night(sources, {"base": [("a",)], **rows}) as made:
        with pytest.raises(
            PreparationError, match=f"source `{kind}`.*ConversionException"
        ) as raised:
            made.make()
        shown = "".join(traceback.format_exception(raised.value))
        assert "TRY_CAST" in str(raised.value)
        assert "Could not convert" not in shown
        assert "secret" not in shown
        assert not made.fetch("SELECT 1 FROM core.builds WHERE table_name = 'core.customers'")


def test_nothing_temporary_is_left_behind(night):
    sources = {"crm": crm(city={"type": "category", "impute": {"method": "mode"}}), "web": WEB}
    with night(sources, {"crm": [("a", "Ulm")], "web": [("a", DAY)]}) as made:
        made.make()
        made.make()
        assert not made.fetch("SELECT table_name FROM duckdb_tables() WHERE temporary")
