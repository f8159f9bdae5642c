"""Strategies go to the segments that the playbook means, on figures that readers can look up."""

import datetime as dt
import re

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.segments.evidence import Subjects, condition_words, find
from segmentation_pipeline.segments.strategies import (
    Figures,
    make_segment_strategies,
    segments_without_strategy,
    strategy_rows,
)
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.strategies import Condition
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

NIGHT = Build(dt.date(2025, 6, 30), "run-1")


def segment(customers, share, *, is_noise=False):
    return {"customers": customers, "share": share, "is_noise": is_noise}


def profile(mean, overall_mean=5.0, difference=1.0):
    return {
        "mean": mean,
        "median": mean,
        "overall_mean": overall_mean,
        "standardised_difference": difference,
    }


KPIS = {
    "active": Kpi(
        description="Active customers.", kind="binary", source="web", function="count",
        window_days=30,
    ),
    "revenue": Kpi(
        description="Revenue", unit="EUR/30 days", kind="heavy", source="orders", function="sum",
        column="amount", window_days=30,
    ),
}  # fmt: skip


def measured(value, previous, overall):
    change = None if value is None else value - previous
    return {
        "value": value,
        "previous_value": previous,
        "change": change,
        "overall_value": overall,
    }


FIGURES = Figures(
    segments={
        "s-1": segment(60, 0.6),
        "s-2": segment(30, 0.3),
        "s-noise": segment(10, 0.1, is_noise=True),
        "s-3": segment(0, 0.0),
    },
    profiles={
        ("s-1", "papers"): profile(4.0),
        ("s-2", "papers"): profile(9.0, difference=1.25),
        ("s-noise", "papers"): profile(99.0),
    },
    shares={
        ("s-1", "channel", "email"): {"share": 0.5, "overall_share": 0.4, "lift": 1.25},
        ("s-2", "channel", "email"): {"share": None, "overall_share": None, "lift": None},
    },
    traits={
        ("s-2", "papers", None): {"trait_rank": 2, "sentence": "Papers: 9 on average, so many."}
    },
    kpis={
        ("s-1", "active"): measured(0.25, 0.375, 0.5),
        ("s-2", "active"): measured(None, None, 0.5),
        ("s-1", "revenue"): measured(120.25, 100.0, 60.5),
    },
)


def spec(**conditions):
    """Make a segmentation whose strategies have these conditions, in this order of priority."""
    return SegmentationSpec.model_validate(
        {
            "title": "Staff",
            "criteria": {"behaviour": "What they do."},
            "features": {
                "papers": {
                    "criterion": "behaviour",
                    "description": "Papers",
                    "unit": "papers/year",
                },
                "channel": {"use": "profile", "description": "Channel"},
            },
            "strategies": {
                name: {
                    "when": [when] if isinstance(when, dict) else when,
                    "message": f"Message of {name}.",
                    "channel": "email",
                    "goal_kpi": "open_rate",
                    "priority": 3 if name.startswith("late") else 1,
                }
                for name, when in conditions.items()
            },
        }
    )


EVERYBODY = {"measure": "customers", "at_least": 1}
WRITERS = {"feature": "papers", "measure": "mean", "at_least": 9}
NINE_PAPERS = "Papers: 9.0 papers per year on average, against everybody's 5.0"
FALLING = {"kpi": "active", "measure": "change", "at_most": -0.05}
MAILERS = {"feature": "channel", "category": "email", "measure": "share", "at_least": 0.5}


def rows(**conditions):
    return list(strategy_rows("s", spec(**conditions), KPIS, FIGURES))


def test_all_conditions_must_hold_and_a_bound_counts_as_inside():
    found = rows(writers=WRITERS, mailers=MAILERS, both=[WRITERS, MAILERS])

    assert [(row["segment_id"], row["strategy"]) for row in found] == [
        ("s-1", "mailers"),
        ("s-2", "writers"),
    ]


def test_strategies_come_by_priority_and_then_as_the_file_has_them():
    found = rows(late=EVERYBODY, second=EVERYBODY, third=EVERYBODY)

    assert [(row["strategy"], row["rank"]) for row in found if row["segment_id"] == "s-1"] == [
        ("second", 1),
        ("third", 2),
        ("late", 3),
    ]
    assert found[0]["message"] == "Message of second."
    assert found[0]["offer"] is None


def test_noise_and_a_segment_without_customers_get_none_whatever_holds():
    assert {row["segment_id"] for row in rows(all=EVERYBODY)} == {"s-1", "s-2"}


def test_a_segment_to_which_nothing_applies_says_what_the_nearest_strategy_lacks():
    huge = {"measure": "share", "at_least": 0.9}
    found = rows(huge=[huge, WRITERS, MAILERS], late_writers=[WRITERS, EVERYBODY])

    (row,) = [one for one in found if one["segment_id"] == "s-1"]
    assert (row["strategy"], row["rank"], row["priority"], row["message"]) == (
        "none", 1, None, None,
    )  # fmt: skip
    assert row["conditions"] == "Papers: mean at least 9 papers per year"
    assert row["evidence"] == (
        "No strategy applies; late_writers comes nearest, but: "
        "Papers: 4.0 papers per year on average, against everybody's 5.0"
    )


def test_without_a_playbook_every_segment_says_so():
    assert [(row["strategy"], row["evidence"]) for row in rows()] == [
        ("none", "The segmentation's file has no strategies")
    ] * 2


@pytest.mark.parametrize(
    ("condition", "segment_id", "holds", "words"),
    [
        ({"measure": "customers", "at_least": 61}, "s-1", False, "60 customers"),
        ({"measure": "share", "at_most": 0.6}, "s-1", True, "60% of all customers"),
        ({"measure": "share", "at_least": 0.604}, "s-1", False, "60.0% of all customers"),
        (WRITERS, "s-2", True, NINE_PAPERS),
        ({**WRITERS, "measure": "median"}, "s-1", False, "Papers: median 4.0 papers per year"),
        ({**WRITERS, "measure": "standardised_difference"}, "s-2", False,
         f"{NINE_PAPERS} (standardised difference 1.2)"),
        ({**WRITERS, "at_least": 9.04}, "s-2", False,
         "Papers: 9.00 papers per year on average, against everybody's 5.0"),
        (MAILERS, "s-1", True, "Channel: email for 50%, against 40% of everybody"),
        ({**MAILERS, "measure": "lift", "at_least": 1}, "s-1", True,
         "Channel: email for 50%, against 40% of everybody (1.2 times as frequent)"),
        (MAILERS, "s-2", False, "Channel: email: no figure"),
        ({**MAILERS, "category": "fax"}, "s-1", False, "Channel: fax: no figure"),
        ({"feature": "papers", "measure": "trait_rank", "at_most": 2}, "s-2", True,
         "Papers: 9 on average, so many (trait 2)"),
        ({"feature": "papers", "measure": "trait_rank", "at_most": 2}, "s-1", False,
         "Papers: no trait"),
        (FALLING, "s-1", True,
         "Active customers: 25%, against 38% in the 30 days before (-12 percentage points)"),
        (FALLING, "s-2", False, "Active customers: no figure"),
        ({"kpi": "active", "measure": "value", "at_least": 0.254}, "s-1", False,
         "Active customers: 25.0%, against everybody's 50%"),
        ({"kpi": "revenue", "measure": "value", "at_least": 100}, "s-1", True,
         "Revenue: 120 EUR per 30 days, against everybody's 60"),
        ({"kpi": "revenue", "measure": "change", "at_least": 0}, "s-1", True,
         "Revenue: 120, against 100 in the 30 days before (20 EUR per 30 days)"),
    ],
)  # fmt: skip
def test_what_is_found_is_said_with_its_figures(condition, segment_id, holds, words):
    asked = Condition.model_validate(condition)
    found = find(asked, FIGURES.row(segment_id, asked), Subjects(spec().features, KPIS))

    assert (found.holds, found.words) == (holds, words)


@pytest.mark.parametrize(
    ("condition", "message"),
    [({**MAILERS, "feature": "papers"}, "`papers` is a number"),
     ({**WRITERS, "feature": "channel"}, "`channel` is a category")],
)  # fmt: skip
def test_a_kind_that_only_the_night_can_tell_is_refused_then(condition, message):
    with pytest.raises(SpecificationError, match=message) as error:
        rows(wrong=condition)

    assert "strategies.wrong.when.0" in str(error.value)


def test_the_table_names_those_left_without(tmp_path):
    name = "s"
    tables = {
        "segments": "('s-1', 10, 0.25, FALSE), ('s-2', 30, 0.75, FALSE)"
        " t(segment_id, customers, share, is_noise)",
        "segment_profiles": "('s-1', 'papers', 9.0, 5.0), ('s-2', 'papers', 1.0, 5.0)"
        " t(segment_id, feature, mean, overall_mean)",
        "segment_category_shares": "('s-1', 'channel', 'email', 0.5, 0.4, 1.25)"
        " t(segment_id, feature, category, share, overall_share, lift)",
        "segment_traits": "('s-1', 'papers', NULL, 1, 'Papers: 9.')"
        " t(segment_id, feature, category, rank, sentence)",
    }
    with open_warehouse(tmp_path / "w.duckdb") as connection:
        for table, values in tables.items():
            made, _, columns = values.rpartition(" t(")
            query = f"SELECT * FROM (VALUES {made}) t({columns}"
            write_table(connection, Table(name, table), query, NIGHT)

        assert make_segment_strategies(connection, name, spec(writers=WRITERS), {}, NIGHT) == 2
        assert segments_without_strategy(connection, name) == ["s-2"]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        (FALLING, "Active customers: change at most -5 percentage points"),
        ({"kpi": "revenue", "measure": "value", "at_least": 100},
         "Revenue: at least 100 EUR per 30 days"),
        ({"kpi": "active", "measure": "value", "at_most": 0.2}, "Active customers: at most 20%"),
    ],
)  # fmt: skip
def test_what_is_asked_of_a_kpi_is_said_in_its_unit(condition, words):
    asked = Condition.model_validate(condition)

    assert condition_words(asked, Subjects({}, KPIS)) == words


def test_kpis_are_those_of_the_night_next_to_everybodys(tmp_path):
    playbook = spec(falling=FALLING)
    with open_warehouse(tmp_path / "w.duckdb") as connection:
        for table, query in {
            "segments": "SELECT unnest(['s-1', 's-2']) AS segment_id, 30 AS customers,"
            " 0.5 AS share, FALSE AS is_noise",
            "segment_profiles": "SELECT '' AS segment_id, '' AS feature LIMIT 0",
            "segment_category_shares": "SELECT '' AS segment_id, '' AS feature, '' AS category"
            " LIMIT 0",
            "segment_traits": "SELECT '' AS segment_id, '' AS feature, '' AS category, 1 AS rank"
            " LIMIT 0",
            # The night before, it was the other segment that fell.
            "segment_kpis": "SELECT * FROM (VALUES"
            " ('s-1', DATE '2025-06-30', 0.25, 0.375), ('s-2', DATE '2025-06-30', 0.5, 0.375),"
            " ('everybody', DATE '2025-06-30', 0.4, 0.375),"
            " ('s-1', DATE '2025-06-29', 0.5, 0.375), ('s-2', DATE '2025-06-29', 0.25, 0.375),"
            " ('everybody', DATE '2025-06-29', 0.4, 0.375))"
            " t(segment_id, kpi_date, value, previous_value),"
            " (SELECT 'active' AS kpi), LATERAL (SELECT value - previous_value AS change)",
        }.items():
            write_table(connection, Table("s", table), query, NIGHT)
        make_segment_strategies(connection, "s", playbook, KPIS, NIGHT)

        assert connection.sql(
            "SELECT segment_id, strategy FROM s.segment_strategies ORDER BY 1"
        ).fetchall() == [("s-1", "falling"), ("s-2", "none")]


COLUMNS = {
    "segments": "segment_id, customers, share",
    "segment_profiles": "segment_id, feature, mean, median, overall_mean, standardised_difference",
    "segment_category_shares": "segment_id, feature, category, share, overall_share, lift",
    "segment_traits": "segment_id, feature, category, rank, rank AS trait_rank, sentence",
}


def published_rows(home, segmentation, table):
    names = [part.split(" AS ")[-1].strip() for part in COLUMNS[table].split(",")]
    found = read_published(
        home / "published",
        f"SELECT {COLUMNS[table]} FROM {table} WHERE segmentation = '{segmentation}'",
    )
    return [dict(zip(names, row, strict=True)) for row in found]


def table_that_answers(condition):
    if condition.measure == "trait_rank":
        return "segment_traits"
    if condition.feature is None:
        return "segments"
    return "segment_profiles" if condition.category is None else "segment_category_shares"


@pytest.mark.parametrize("segmentation", ["engagement", "profession"])
def test_every_number_of_the_example_is_a_published_cell(published_home, segmentation):
    """The evidence is what is written of published rows, and of nothing else."""
    home = load_home(published_home)
    loaded = home.segmentations[segmentation]
    subjects = Subjects(loaded.features, home.customers.kpis)
    tables = {table: published_rows(published_home, segmentation, table) for table in COLUMNS}
    told = read_published(
        published_home / "published",
        "SELECT segment_id, strategy, evidence FROM segment_strategies"
        f" WHERE segmentation = '{segmentation}'",
    )

    for segment_id, strategy, evidence in told:
        parts = []
        for condition in loaded.strategies[strategy].when:
            rows = tables[table_that_answers(condition)]
            (row,) = [
                row
                for row in rows
                if row["segment_id"] == segment_id
                and row.get("feature") == condition.feature
                and row.get("category") == condition.category
            ]
            parts.append(find(condition, row, subjects).words)
            numbers = set(re.findall(r"[0-9][0-9,]*(?:\.[0-9]+)?%?", parts[-1]))
            cells = {told for value in row.values() for told in spellings(value)}
            cells.update(re.findall("[0-9]+", loaded.features[condition.feature].unit or "")
                         if condition.feature else ())  # fmt: skip
            assert numbers
            assert numbers <= cells
        assert evidence == "; ".join(parts)


def spellings(value):
    """All roundings of a cell."""
    if not isinstance(value, int | float):
        return set()
    return {f"{abs(value):,.{digits}{kind}}" for digits in range(7) for kind in "f%"}


def test_every_segment_of_the_example_gets_something(published_home):
    rows = read_published(
        published_home / "published",
        "SELECT segmentation, segment_id, list(strategy ORDER BY rank) FROM segment_strategies"
        " GROUP BY ALL ORDER BY ALL",
    )

    assert len(rows) == 7
    assert all("none" not in strategies for *_, strategies in rows)
    # Of each segmentation, no two segments are spoken to alike.
    for segmentation in ("engagement", "profession"):
        first = [strategies[0] for name, _, strategies in rows if name == segmentation]
        assert len(set(first)) == len(first)
