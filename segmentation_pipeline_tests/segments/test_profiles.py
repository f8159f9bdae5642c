"""Profiles say of each segment what can be counted by hand."""

import datetime as dt
import math

import numpy as np
import pytest

from segmentation_pipeline.segments import figures
from segmentation_pipeline.segments.figures import Moments
from segmentation_pipeline.segments.identity import label_segments, segment_ids
from segmentation_pipeline.segments.profiles import (
    category_share_rows,
    profile_rows,
    standardised_difference,
)
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

FEATURES = Table("staff", "engineered_features")
MEMBERS = Table("staff", "customer_segments")
NIGHT = Build(dt.date(2025, 6, 30), "run-1")
ROWS = """
    SELECT customer_id, visits::DOUBLE AS visits, flat, role FROM (VALUES
        ('a', 1.0, 10, 'Nurse'), ('b', 3.0, 10, 'Nurse'), ('c', NULL, 10, 'Surgeon'),
        ('d', 5.0, 10, 'Surgeon'), ('e', 7.0, 10, NULL), ('f', 9.0, 10, 'Surgeon')
    ) AS t(customer_id, visits, flat, role)
"""
SEGMENTS = """
    SELECT * FROM (VALUES ('a', 's-1'), ('b', 's-1'), ('c', 's-1'),
                          ('d', 's-2'), ('e', 's-2'), ('f', 's-2')) AS t(customer_id, segment_id)
"""


def feature(**settings):
    return FeatureSpec.model_validate({"criterion": "behaviour", **settings})


SPEC = {"visits": feature(unit="visits/day"), "flat": feature(use="profile"), "role": feature()}


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        write_table(opened, FEATURES, ROWS, NIGHT)
        write_table(opened, MEMBERS, SEGMENTS, NIGHT)
        yield opened


def test_a_profile_is_what_can_be_counted_by_hand(connection):
    rows = profile_rows(connection, FEATURES, MEMBERS, SPEC, 1000)

    found = {(row["segment_id"], row["feature"]): row for row in rows}
    assert len(found) == len(rows) == 4
    first = found["s-1", "visits"]
    assert (first["customers"], first["mean"], first["median"]) == (2, 2.0, 2.0)
    assert (first["lower_quartile"], first["upper_quartile"]) == (1.5, 2.5)
    assert first["missing_share"] == pytest.approx(1 / 3)
    assert first["standard_deviation"] == 1.0
    assert first["overall_mean"] == 5.0
    assert first["overall_standard_deviation"] == pytest.approx(math.sqrt(8))
    pooled = math.sqrt((2 * 1 + 3 * 8 / 3) / 5)
    assert first["standardised_difference"] == pytest.approx((2 - 7) / pooled)
    assert (first["rank"], found["s-1", "flat"]["rank"]) == (1, 1)
    assert found["s-1", "flat"]["standardised_difference"] is None


def test_exact_sums_equal_numpy_on_awkward_numbers(connection):
    generator = np.random.default_rng(3)
    values = generator.lognormal(0, 3, 2000) * 1e-7
    ids = [f"c{index}" for index in range(2000)]
    listing = enumerate(zip(ids, values.tolist(), strict=True))
    listed = ", ".join(f"('{i}', {v!r}, 's-{k % 3}')" for k, (i, v) in listing)
    query = f"SELECT * FROM (VALUES {listed}) AS t(customer_id, small, segment_id)"
    write_table(
        connection, FEATURES, f"SELECT customer_id, small::DOUBLE AS small FROM ({query})", NIGHT
    )
    write_table(connection, MEMBERS, f"SELECT customer_id, segment_id FROM ({query})", NIGHT)

    rows = profile_rows(connection, FEATURES, MEMBERS, {"small": feature()}, 10_000)

    for row in rows:
        inside = values[int(row["segment_id"][-1]) :: 3]
        outside = np.delete(values, np.s_[int(row["segment_id"][-1]) :: 3])
        pooled = math.sqrt((inside.size * inside.var() + outside.size * outside.var()) / 2000)
        assert row["mean"] == pytest.approx(inside.mean(), rel=1e-9)
        assert row["standard_deviation"] == pytest.approx(inside.std(), rel=1e-6)
        assert row["median"] == pytest.approx(np.median(inside), rel=1e-12)
        difference = (inside.mean() - outside.mean()) / pooled
        assert row["standardised_difference"] == pytest.approx(difference, rel=1e-6)


def test_numbers_next_to_nothing_have_figures(connection):
    tiny = "1e-320"  # below the least normal DOUBLE
    query = ROWS.replace("visits::DOUBLE", f"visits::DOUBLE * {tiny}::DOUBLE")
    write_table(connection, FEATURES, query, NIGHT)

    rows = profile_rows(connection, FEATURES, MEMBERS, {"visits": SPEC["visits"]}, 1000)

    assert [(row["customers"], row["mean"]) for row in rows] == [(2, 0.0), (3, 0.0)]


def test_category_shares_add_up_and_a_missing_value_is_a_category(connection):
    rows = category_share_rows(connection, FEATURES, MEMBERS, SPEC)

    found = {(row["segment_id"], row["category"]): row for row in rows}
    assert len(found) == len(rows) == 6
    assert found["s-1", "Nurse"]["share"] == pytest.approx(2 / 3)
    assert found["s-1", "Nurse"]["overall_share"] == pytest.approx(1 / 3)
    assert found["s-1", "Nurse"]["lift"] == pytest.approx(2)
    assert found["s-2", "Nurse"]["customers"] == 0
    assert found["s-2", "missing"]["share"] == pytest.approx(1 / 3)
    for segment in ("s-1", "s-2"):
        assert sum(r["share"] for r in rows if r["segment_id"] == segment) == pytest.approx(1)


def test_two_equal_groups_do_not_differ():
    everybody = Moments(4, 5.0, 2.0)

    assert standardised_difference(Moments(2, 5.0, 2.0), everybody) == 0.0
    assert standardised_difference(everybody, everybody) is None
    assert standardised_difference(Moments(2, 5.0, 0.0), Moments(4, 5.0, 0.0)) is None


def test_ids_are_given_once_and_never_again(connection):
    assert segment_ids(connection, "staff", 1, 2) == ["staff-1", "staff-2"]
    assert segment_ids(connection, "staff", 1, 2) == ["staff-1", "staff-2"]
    assert segment_ids(connection, "staff", 2, 3) == ["staff-3", "staff-4", "staff-5"]
    assert segment_ids(connection, "other", 1, 1) == ["other-1"]


def test_a_label_once_given_stays(connection):
    segment_ids(connection, "staff", 1, 2)

    first = label_segments(connection, "staff", {"staff-1": "keen", "staff-2": "quiet"})
    second = label_segments(connection, "staff", {"staff-1": "other words", "staff-2": "quiet"})

    assert first == second == {"staff-1": "keen", "staff-2": "quiet"}


def test_one_pass_or_several_tell_the_same(connection, monkeypatch):
    spec = {"visits": feature(), "flat": feature(), "orders": feature()}
    more = f"SELECT *, visits * visits - flat AS orders FROM ({ROWS})"
    write_table(connection, FEATURES, more, NIGHT)

    at_once = profile_rows(connection, FEATURES, MEMBERS, spec, 1000)
    monkeypatch.setattr(figures, "_MOST_VALUES", 1)
    one_by_one = profile_rows(connection, FEATURES, MEMBERS, spec, 1000)

    assert one_by_one == at_once
    found = {(row["segment_id"], row["feature"]): row for row in at_once}
    # 1 - 10 and 9 - 10; 25 - 10, 49 - 10 and 81 - 10.
    assert found["s-1", "orders"]["mean"] == -5.0
    assert found["s-2", "orders"]["median"] == 39.0


def test_above_the_limit_quartiles_are_of_a_sample_and_means_of_all(connection):
    rows = "SELECT 'c' || i AS customer_id, i::DOUBLE AS visits FROM range(4000) AS t(i)"
    write_table(connection, FEATURES, rows, NIGHT)
    members = "SELECT 'c' || i AS customer_id, 's-1' AS segment_id FROM range(4000) AS t(i)"
    write_table(connection, MEMBERS, members, NIGHT)
    bound = int(1000 / 4000 * 2**64)
    (sampled,) = connection.execute(
        f"SELECT quantile_cont(visits, 0.5), count(*) FROM ({rows})"
        f" WHERE md5_number_lower(customer_id) < {bound}::UBIGINT"
    ).fetchall()

    (row,) = profile_rows(connection, FEATURES, MEMBERS, {"visits": feature()}, 1000)

    assert 900 < sampled[1] < 1100
    assert row["median"] == sampled[0] != 1999.5
    assert (row["mean"], row["customers"]) == (1999.5, 4000)


def test_who_has_no_value_and_who_is_in_no_segment(connection):
    rows = f"SELECT * REPLACE (if(customer_id > 'c', NULL, visits) AS visits) FROM ({ROWS})"
    write_table(connection, FEATURES, rows, NIGHT)
    members = f"SELECT * REPLACE (nullif(segment_id, 's-3') AS segment_id) FROM ({SEGMENTS})"
    write_table(connection, MEMBERS, f"{members} UNION ALL SELECT 'z', 's-1'", NIGHT)

    found = {
        row["segment_id"]: row
        for row in profile_rows(connection, FEATURES, MEMBERS, {"visits": feature()}, 1000)
    }

    assert (found["s-2"]["customers"], found["s-2"]["missing_share"]) == (0, 1.0)
    assert (found["s-2"]["mean"], found["s-2"]["median"]) == (None, None)
    assert (found["s-1"]["customers"], found["s-1"]["median"]) == (2, 2.0)


def test_each_feature_has_its_own_categories(connection):
    spec = {"role": feature(), "ward": feature()}
    wards = f"SELECT *, if(visits > 4, 'A', NULL) AS ward FROM ({ROWS})"
    write_table(connection, FEATURES, wards, NIGHT)

    rows = category_share_rows(connection, FEATURES, MEMBERS, spec)

    counts = [(r["feature"], r["segment_id"], r["category"], r["customers"]) for r in rows]
    assert counts == [
        ("role", "s-1", "Nurse", 2),
        ("role", "s-1", "Surgeon", 1),
        ("role", "s-1", "missing", 0),
        ("role", "s-2", "Nurse", 0),
        ("role", "s-2", "Surgeon", 2),
        ("role", "s-2", "missing", 1),
        ("ward", "s-1", "missing", 3),
        ("ward", "s-1", "A", 0),
        ("ward", "s-2", "missing", 0),
        ("ward", "s-2", "A", 3),
    ]
