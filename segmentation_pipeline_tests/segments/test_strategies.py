"""Strategies go to the segments that the playbook means, on figures that readers can look up."""

import datetime as dt
import re

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.segments.evidence import find
from segmentation_pipeline.segments.strategies import (
    Figures,
    make_segment_strategies,
    segments_without_strategy,
    strategy_rows,
)
from segmentation_pipeline.specification.home import load_home
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
MAILERS = {"feature": "channel", "category": "email", "measure": "share", "at_least": 0.5}


def rows(**conditions):
    return list(strategy_rows("s", spec(**conditions), FIGURES))


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
    ],
)  # fmt: skip
def test_what_is_found_is_said_with_its_figures(condition, segment_id, holds, words):
    asked = Condition.model_validate(condition)
    found = find(asked, FIGURES.row(segment_id, asked), spec().features)

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

        assert make_segment_strategies(connection, name, spec(writers=WRITERS), NIGHT) == 2
        assert segments_without_strategy(connection, name) == ["s-2"]


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
    loaded = load_home(published_home).segmentations[segmentation]
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
            parts.append(find(condition, row, loaded.features).words)
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
