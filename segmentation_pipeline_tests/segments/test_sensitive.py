"""How segments and strategies fall on sensitive columns, and what is withheld of it."""

import datetime as dt

import pytest

from segmentation_pipeline.segments.sensitive import make_sensitive_shares
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

NIGHT = Build(dt.date(2025, 6, 30), "run-1")
CUSTOMERS = Table("core", "customers")
MEMBERS = Table("staff", "customer_segments")
STRATEGIES = Table("staff", "segment_strategies")


def declared(**columns):
    return CustomersSpec.model_validate(
        {
            "name": "Staff",
            "nights": {"first": "2025-06-24"},
            "sources": {
                "crm": {
                    "kind": "crm",
                    "path": "crm.csv",
                    "key": "staff_id",
                    "columns": {"staff_id": {"type": "text"}, **columns},
                }
            },
            "customers": {"base": "crm"},
            "limits": {"smallest_group": 5},
        }
    )


GENDER = {"type": "category", "sensitive": True}


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        # Segments of 20, 30 and 50 customers; s-1 has 5 women, s-2 15, s-3 40.
        customers = """
            SELECT
                format('c{:03d}', i) AS customer_id,
                CASE WHEN i < 5 OR i BETWEEN 20 AND 34 OR i BETWEEN 50 AND 89
                    THEN 'female' ELSE 'male' END AS gender,
                'secret' || i AS name,
                CASE WHEN i >= 4 THEN i END AS income,
                i % 2 = 0 AS is_member,
                'text ' || i AS remark,
                format('town {:02d}', greatest(i - 40, 0)) AS town,
                CASE i WHEN 0 THEN 'rare' ELSE 'usual' END AS belief,
                DATE '2025-01-01' + i::INT AS since
            FROM range(100) t(i)"""
        members = """
            SELECT
                format('c{:03d}', i) AS customer_id,
                CASE WHEN i < 20 THEN 's-1' WHEN i < 50 THEN 's-2' ELSE 's-3' END AS segment_id
            FROM range(100) t(i)"""
        strategies = """
            FROM (VALUES ('s-1', 'call'), ('s-2', 'call'), ('s-2', 'write'), ('s-3', 'none'))
            t(segment_id, strategy)"""
        write_table(opened, CUSTOMERS, customers, NIGHT)
        write_table(opened, MEMBERS, members, NIGHT)
        write_table(opened, STRATEGIES, strategies, NIGHT)
        yield opened


def shares(connection, **columns):
    make_sensitive_shares(connection, "staff", declared(**columns), NIGHT)
    rows = connection.execute(
        "SELECT group_kind, group_name, category, customers, share, overall_share, ratio,"
        " is_suppressed FROM staff.sensitive_shares ORDER BY ALL"
    ).fetchall()
    return {row[:3]: row[3:] for row in rows}


def test_shares_of_segments_and_strategies_are_those_that_can_be_counted_by_hand(connection):
    found = shares(connection, gender=GENDER)

    assert len(found) == 2 * (3 + 2)
    assert found["segment", "s-1", "female"] == (5, 0.25, 0.6, pytest.approx(0.25 / 0.6), False)
    assert found["segment", "s-3", "male"] == (10, 0.2, 0.4, pytest.approx(0.5), False)
    assert found["strategy", "write", "female"][:2] == (15, 0.5)
    assert found["strategy", "call", "female"][:2] == (20, 0.4)
    assert ("strategy", "none", "female") not in found


def test_columns_that_are_not_sensitive_or_are_personal_are_not_told(connection):
    personal = {"type": "text", "sensitive": True, "personal": True}

    assert shares(connection, gender={"type": "category"}, name=personal) == {}


def test_a_number_or_date_is_told_by_quarters_of_all_customers(connection):
    found = shares(connection, income={"type": "integer", "sensitive": True})

    names = {category for _, _, category in found}
    assert names == {
        "1st quarter (lowest)", "2nd quarter", "3rd quarter", "4th quarter (highest)", "missing",
    }  # fmt: skip
    assert found["segment", "s-3", "4th quarter (highest)"][0] == 24
    since = shares(connection, since={"type": "date", "sensitive": True})
    assert since["segment", "s-3", "4th quarter (highest)"][0] == 25


def test_yes_or_no_and_a_text_are_told_without_a_value(connection):
    member = shares(connection, is_member={"type": "boolean", "sensitive": True})
    remark = shares(connection, remark={"type": "text", "sensitive": True})

    assert member["segment", "s-1", "yes"][0] == 10
    assert {category for _, _, category in remark} == {"given"}


def test_of_many_categories_the_rarest_are_one(connection):
    found = shares(connection, town={"type": "category", "sensitive": True})

    names = {category for _, _, category in found}
    assert len(names) == 50
    assert {"town 00", "other"} <= names


def test_a_small_count_is_withheld_and_cannot_be_computed(connection):
    """One person believes otherwise: neither subtraction nor a strategy's sum may tell where."""
    found = shares(connection, belief={"type": "category", "sensitive": True})

    # Of segment and of everybody, since either would give the other: sizes of segments are known.
    withheld = {key for key, row in found.items() if row[0] is None}
    assert withheld == {
        (*group, category)
        for group in (("segment", "s-1"), ("strategy", "call"))
        for category in ("rare", "usual")
    }
    assert all(row[2:] == (None, None, True) for row in found.values())
    assert found["segment", "s-2", "rare"][:2] == (0, 0.0)


def test_a_strategy_tells_nothing_that_its_segments_do_not(connection):
    for columns in ({"gender": GENDER}, {"belief": {"type": "category", "sensitive": True}}):
        found = shares(connection, **columns)
        for (kind, strategy, category), row in found.items():
            if kind == "strategy":
                members = {"call": ("s-1", "s-2"), "write": ("s-2",)}[strategy]
                counts = [found["segment", segment, category][0] for segment in members]
                assert row[0] == (None if None in counts else sum(counts))
