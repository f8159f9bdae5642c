"""Distributions: round bins that stay, exact rounded shares, nobody who can be counted out."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.segments.distributions import make_feature_distributions, round_edges
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

BUILD = Build(dt.date(2025, 6, 30), "a-run")


def spec(**features):
    return SegmentationSpec(
        title="Any",
        criteria={"behaviour": "What they do."},
        features={"visits": {"criterion": "behaviour"}, **features},
    )


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        opened.execute("CREATE SCHEMA lens")
        yield opened


def plant(connection, visits_by_segment):
    connection.execute(
        "CREATE OR REPLACE TABLE lens.engineered_features (customer_id VARCHAR, visits DOUBLE)"
    )
    connection.execute(
        "CREATE OR REPLACE TABLE lens.customer_segments (customer_id VARCHAR, segment_id VARCHAR)"
    )
    customers = [
        (f"c{segment_id}{place}", segment_id, value)
        for segment_id, values in visits_by_segment.items()
        for place, value in enumerate(values)
    ]
    for customer_id, segment_id, value in customers:
        connection.execute(
            "INSERT INTO lens.engineered_features VALUES (?, ?)", [customer_id, value]
        )
        connection.execute(
            "INSERT INTO lens.customer_segments VALUES (?, ?)", [customer_id, segment_id]
        )


def shares(connection, column="share", model_version=1, one=None, smallest_group=10):
    make_feature_distributions(
        connection, "lens", one or spec(), model_version, smallest_group, BUILD
    )
    found = {}
    for segment_id, lower, share in connection.execute(
        f"SELECT segment_id, lower, {column} FROM lens.feature_distributions ORDER BY 1, bin"
    ).fetchall():
        found.setdefault(segment_id, {})[lower] = share
    return found


def test_shares_are_of_customers_rounded_to_the_privacy_floor(connection):
    plant(connection, {"lens-1": [0.0] * 46 + [10.0] * 4, "lens-2": [10.0] * 85 + [0.0] * 15})

    of_segments = shares(connection)

    assert list(of_segments["lens-1"]) == [None, 2.0, 4.0, 6.0, 8.0]
    # 46 is written as 50, 4 as nobody, 85 as 90, 15 as 20: no count can be told to one.
    assert list(of_segments["lens-1"].values()) == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert list(of_segments["lens-2"].values()) == [0.2, 0.0, 0.0, 0.0, 0.9]
    everybody = shares(connection, "overall_share")
    assert list(everybody["lens-1"].values()) == [0.4, 0.0, 0.0, 0.0, 0.6]


@pytest.mark.parametrize("smallest_group", [1, 2, 5, 10, 25])
def test_no_cell_tells_of_fewer_than_half_the_floor(connection, smallest_group):
    generator = np.random.default_rng(smallest_group)
    plant(connection, {"lens-1": generator.integers(0, 9, 80).astype(float).tolist()})

    (found,) = shares(connection, smallest_group=smallest_group).values()

    for share in found.values():
        customers = share * 80
        assert customers == pytest.approx(round(customers / smallest_group) * smallest_group, 1e-3)


def test_bins_stay_when_customers_change_until_the_model_does(connection):
    plant(connection, {"lens-1": [0.0] * 50 + [10.0] * 50})
    before = shares(connection)
    plant(connection, {"lens-1": [0.0] * 50 + [1000.0] * 50})

    assert list(shares(connection)["lens-1"]) == list(before["lens-1"])
    assert list(shares(connection, model_version=2)["lens-1"]) == [None, 200.0, 400.0, 600.0, 800.0]


def test_bins_are_chosen_anew_where_the_feature_means_something_else(connection):
    plant(connection, {"lens-1": [0.0] * 50 + [10.0] * 50})
    shares(connection)
    plant(connection, {"lens-1": [0.0] * 50 + [1000.0] * 50})
    other = spec(visits={"criterion": "behaviour", "expression": "landing_page_visits * 100"})

    assert 200.0 in shares(connection, one=other)["lens-1"]


def test_a_description_changes_no_bins(connection):
    plant(connection, {"lens-1": [0.0] * 50 + [10.0] * 50})
    before = shares(connection)
    plant(connection, {"lens-1": [0.0] * 50 + [1000.0] * 50})
    described = spec(visits={"criterion": "behaviour", "description": "Visits", "unit": "visits"})

    assert list(shares(connection, one=described)["lens-1"]) == list(before["lens-1"])


def test_missing_values_are_not_counted_and_small_segments_are_left_out(connection):
    plant(connection, {"lens-1": [0.0] * 20 + [10.0] * 20 + [None] * 60, "lens-2": [0.0] * 9})

    found = shares(connection)

    assert set(found) == {"lens-1"}
    assert list(found["lens-1"].values()) == [0.5, 0.0, 0.0, 0.0, 0.5]


def test_a_feature_of_one_value_has_no_distribution(connection):
    plant(connection, {"lens-1": [3.0] * 40})

    assert shares(connection) == {}


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([0.0, 1.0] * 50, [1.0]),
        (np.linspace(0, 1, 101), [0.2, 0.4, 0.6, 0.8]),
        (np.linspace(-50, 50, 101), [-40.0, -20.0, 0.0, 20.0, 40.0]),
        (np.arange(2000.0), [250.0, 500.0, 750.0, 1000.0, 1250.0, 1500.0, 1750.0]),
        ([0.0] * 99 + [1.0], [1.0]),
        ([5.0, np.nan, 5.0], []),
        ([np.nan], []),
    ],
)
def test_edges_are_round(values, edges):
    assert round_edges(np.array(values)) == edges


def test_a_segment_in_which_nobody_has_a_value_has_empty_bins(connection):
    plant(connection, {"lens-1": [0.0] * 50 + [10.0] * 50, "lens-2": [None] * 50})

    found = shares(connection)

    assert set(found["lens-2"].values()) == {0.0}
    assert list(found["lens-1"].values()) == [0.5, 0.0, 0.0, 0.0, 0.5]
