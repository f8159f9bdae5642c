"""Importance is a share of variance that can be counted by hand; noise has none."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.contracts.features import FEATURE_CONTRACTS
from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.importance import (
    Separation,
    importance_rows,
    make_feature_importance,
)
from segmentation_pipeline.segments.tables import (
    make_segment_category_shares,
    make_segment_profiles,
)
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    write_batches,
)

NIGHT = Build(dt.date(2025, 6, 30), "run-1")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        yield opened


def specification(**features):
    return SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"behaviour": "test"},
            "features": {
                name: {"use": use} | ({"criterion": "behaviour"} if use == "clustering" else {})
                for name, use in features.items()
            },
        }
    )


def write(connection, name, columns):
    table = pa.table(columns)
    write_batches(connection, Table("staff", name), table.schema, table.to_batches(), NIGHT)


def importance_of(connection, spec, segments, values, shares=None):
    """Make profiles, shares and importance of given customers; feature -> row."""
    ids = [f"c{i}" for i in range(len(segments))]
    write(connection, "engineered_features", {"customer_id": ids, **values})
    write(connection, "customer_segments", {"customer_id": ids, "segment_id": segments})
    make_segment_profiles(connection, "staff", spec, 1000, NIGHT, smallest_group=1)
    make_segment_category_shares(connection, "staff", spec, NIGHT, smallest_group=1)
    make_feature_importance(connection, "staff", spec, shares or {}, NIGHT)
    found = connection.sql("FROM staff.feature_importance").to_arrow_table().to_pylist()
    return {row["feature"]: row for row in found}


def epsilon_squared(values, segments):
    """By numpy, of numbers without missing values."""
    values, segments = np.asarray(values, float), np.asarray(segments)
    names = np.unique(segments)
    within = sum(((x := values[segments == name]) - x.mean()) @ (x - x.mean()) for name in names)
    total = ((values - values.mean()) ** 2).sum()
    n, k = len(values), len(names)
    return 1 - (within / total) * (n - 1) / (n - k)


def test_numbers_and_categories_of_two_are_alike(connection):
    generator = np.random.default_rng(0)
    segments = np.repeat(["s-1", "s-2", "s-3"], [50, 30, 20])
    visits = generator.normal(size=100) + (segments == "s-1")
    is_member = generator.random(100) < np.where(segments == "s-2", 0.9, 0.3)
    spec = specification(visits="clustering", is_member="clustering", card="profile")

    found = importance_of(
        connection,
        spec,
        segments.tolist(),
        {
            "visits": visits,
            "is_member": is_member,
            "card": np.where(is_member, "yes", "no").tolist(),
        },
        {"visits": 0.75, "is_member": 0.25},
    )

    assert found["visits"]["importance"] == pytest.approx(epsilon_squared(visits, segments))
    expected = epsilon_squared(is_member, segments)
    assert found["is_member"]["importance"] == pytest.approx(expected)
    assert found["card"]["importance"] == pytest.approx(expected)
    assert [found[name]["rank"] for name in ("visits", "is_member", "card")] == [1, 2, 1]
    shares = [found[name]["distance_share"] for name in ("visits", "is_member", "card")]
    assert shares == [0.75, 0.25, None]


def test_goodman_and_kruskals_tau_by_hand(connection):
    segments = ["s-1"] * 4 + ["s-2"] * 4
    roles = ["Nurse"] * 3 + ["Surgeon"] + ["Surgeon"] * 3 + [None]

    found = importance_of(connection, specification(role="clustering"), segments, {"role": roles})

    # All: 3, 4, 1 of 8 -> (64 - 26) / 8; within: (16 - 10) / 4 twice.
    unexplained = 3 / 4.75
    assert found["role"]["importance"] == pytest.approx(1 - unexplained * 7 / 6)


def test_perfect_and_constant_features(connection):
    segments = ["s-1"] * 5 + ["s-2"] * 5
    values = {
        "side": [1.0] * 5 + [2.0] * 5,
        "place": ["left"] * 5 + ["right"] * 5,
        "flat": [0.1] * 10,
        "town": ["Rome"] * 10,
        "empty": [None, 3.0] + [None] * 8,
    }
    spec = specification(side="clustering", **dict.fromkeys(list(values)[1:], "profile"))

    found = importance_of(connection, spec, segments, values)

    assert {name: row["importance"] for name, row in found.items()} == {
        "side": 1.0,
        "place": 1.0,
        "flat": None,
        "town": None,
        "empty": None,
    }
    ranks = {name: row["rank"] for name, row in found.items()}
    assert ranks == {"side": 1, "place": 1, "empty": 2, "flat": 3, "town": 4}


def test_noise_separates_nothing_however_many_segments(connection):
    generator = np.random.default_rng(5)
    segments = [f"s-{i % 50}" for i in range(500)]
    values = {f"n{i}": generator.normal(size=500) for i in range(8)}
    values |= {f"c{i}": generator.choice(["x", "y", "z"], 500).tolist() for i in range(8)}
    spec = specification(**dict.fromkeys(values, "clustering"))

    found = importance_of(connection, spec, segments, values)

    # Without the correction all would be near 49 / 499.
    assert max(row["importance"] for row in found.values()) < 0.06
    assert np.mean([row["importance"] for row in found.values()]) < 0.02


def test_customers_in_no_segment_do_not_count(connection):
    segments = ["s-1", "s-1", "s-2", "s-2", noise_id("staff"), noise_id("staff")]
    visits = [1.0, 2.0, 5.0, 6.0, 100.0, -100.0]
    roles = ["a", "a", "b", "b", "c", "d"]

    found = importance_of(
        connection,
        specification(visits="clustering", role="profile"),
        segments,
        {"visits": visits, "role": roles},
    )

    expected = epsilon_squared(visits[:4], segments[:4])
    assert found["visits"]["importance"] == pytest.approx(expected)
    assert found["role"]["importance"] == 1.0


def test_one_segment_separates_nothing():
    assert Separation("age", None, "profile", 5, 1, between=0.0, within=4.0).importance == 0.0
    assert Separation("age", None, "profile", 3, 3, between=4.0, within=0.0).importance is None
    assert importance_rows([], {}) == []


def test_the_table_is_that_of_its_contract(connection):
    importance_of(
        connection, specification(age="clustering"), ["s-1", "s-2"] * 3, {"age": [1.0, 2.0] * 3}
    )

    contract = next(one for one in FEATURE_CONTRACTS if one.name == "feature_importance")
    assert column_types(connection, Table("staff", "feature_importance")) == {
        column.name: column.type for column in contract.work_columns
    }
