"""The map keeps distances honest, shows planted groups apart, and tells of nobody."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.features.preparation import Preparation, ScalingRow
from segmentation_pipeline.segments.map import MOST_POINTS, make_segment_map, plane_of_centres
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, open_warehouse

BUILD = Build(dt.date(2025, 6, 30), "a-run")
COLUMNS = ("visits", "age", "role__clinical")
PREPARATION = Preparation(
    encodings=(),
    scalings=tuple(
        ScalingRow(name, name.split("__")[0], component, "none", 0.0, 1.0, None, None, 0.0, 1.0)
        for name, component in zip(COLUMNS, (None, None, "clinical"), strict=True)
    ),
    selection=(),
)
SPEC = SegmentationSpec(
    title="Any",
    criteria={"behaviour": "What they do."},
    features={"visits": {"criterion": "behaviour"}},
)


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        opened.execute("CREATE SCHEMA lens")
        yield opened


def plant(connection, groups):
    """Write `feature_matrix` and `customer_segments`; a group is a segment, a centre, a size."""
    generator = np.random.default_rng(3)
    connection.execute(
        "CREATE TABLE lens.feature_matrix (customer_id VARCHAR, visits FLOAT, age FLOAT,"
        " role__clinical FLOAT)"
    )
    connection.execute(
        "CREATE TABLE lens.customer_segments (customer_id VARCHAR, segment_id VARCHAR)"
    )
    number = 0
    for segment_id, centre, size in groups:
        for row in generator.normal(centre, 0.3, size=(size, 3)).tolist():
            customer_id = f"secret-{number}"
            connection.execute(
                "INSERT INTO lens.feature_matrix VALUES (?, ?, ?, ?)", [customer_id, *row]
            )
            connection.execute(
                "INSERT INTO lens.customer_segments VALUES (?, ?)", [customer_id, segment_id]
            )
            number += 1


def points_of(connection, smallest_group=10):
    make_segment_map(connection, "lens", SPEC, PREPARATION, smallest_group, BUILD)
    found = connection.sql("FROM lens.segment_map ORDER BY point").to_arrow_table().to_pylist()
    return found, {
        name: np.array([(row["x"], row["y"]) for row in found if row["segment_id"] == name])
        for name in {row["segment_id"] for row in found}
    }


def test_planted_groups_lie_apart_and_no_further_than_they_are(connection):
    plant(connection, [("lens-1", (0, 0, 0), 40), ("lens-2", (6, 0, 0), 40),
                       ("lens-3", (0, 8, 0), 40)])  # fmt: skip

    rows, points = points_of(connection)

    middles = {name: found.mean(axis=0) for name, found in points.items()}
    distances = {
        pair: np.linalg.norm(middles[f"lens-{pair[0]}"] - middles[f"lens-{pair[1]}"])
        for pair in ("12", "13", "23")
    }
    assert distances == pytest.approx({"12": 6.0, "13": 8.0, "23": 10.0}, abs=0.15)
    assert rows[0]["shown_share"] == pytest.approx(0.99, abs=0.01)
    assert rows[0]["x_meaning"] == "more age, less visits"


def test_a_crowd_that_was_cut_shows_no_gap(connection):
    plant(connection, [("lens-1", (0, 0, 0), 200)])
    connection.execute(
        "UPDATE lens.customer_segments SET segment_id = 'lens-2' FROM lens.feature_matrix AS m"
        " WHERE m.customer_id = customer_segments.customer_id AND m.visits > 0"
    )

    _, points = points_of(connection)

    one, other = sorted(points.values(), key=lambda found: found[:, 0].mean())
    assert other[:, 0].min() - one[:, 0].max() < 0.1


def test_small_segments_are_left_out_and_no_id_is_told(connection):
    plant(connection, [("lens-1", (0, 0, 0), 30), ("lens-2", (5, 0, 0), 9)])

    rows, points = points_of(connection)

    assert set(points) == {"lens-1"}
    assert len(rows) == 30
    assert [row["point"] for row in rows] == list(range(1, 31))
    assert not any("secret" in str(value) for row in rows for value in row.values())
    order = [(row["segment_id"], row["x"], row["y"]) for row in rows]
    assert order == sorted(order)


def test_no_segment_that_may_be_shown_gives_no_map(connection):
    plant(connection, [("lens-1", (0, 0, 0), 9)])

    rows, _ = points_of(connection)

    assert rows == []


def test_there_are_never_more_points_than_said(connection):
    connection.execute(
        "CREATE TABLE lens.feature_matrix AS SELECT 'c' || i AS customer_id,"
        " (i % 7)::FLOAT AS visits, (i % 11)::FLOAT AS age, 0::FLOAT AS role__clinical"
        " FROM range(5000) AS numbers(i)"
    )
    connection.execute(
        "CREATE TABLE lens.customer_segments AS SELECT customer_id, 'lens-1' AS segment_id"
        " FROM lens.feature_matrix"
    )

    rows, _ = points_of(connection)

    assert len(rows) == MOST_POINTS


def test_the_plane_is_orthonormal_and_fills_up_where_centres_lie_on_a_line():
    generator = np.random.default_rng(1)
    rows = generator.normal(size=(300, 4)) * (1.0, 3.0, 0.1, 0.1)
    rows[:150, 0] += 20.0
    rows -= rows.mean(axis=0)
    segments = np.repeat(np.array(["one", "other"], dtype=object), 150)

    axes = plane_of_centres(rows, segments)

    assert axes @ axes.T == pytest.approx(np.eye(2), abs=1e-9)
    assert axes[0][0] == pytest.approx(1.0, abs=0.01)
    assert axes[1][1] == pytest.approx(1.0, abs=0.05)


def test_customers_who_are_all_alike_are_one_place():
    axes = plane_of_centres(np.zeros((5, 3)), np.array(["one"] * 5, dtype=object))

    assert axes.tolist() == [[0.0] * 3] * 2
