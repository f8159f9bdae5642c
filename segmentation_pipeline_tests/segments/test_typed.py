"""From a warehouse with a survey that one segment answers less to everybody's segment."""

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score, cohen_kappa_score

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.registry import Registration, register_champion
from segmentation_pipeline.clustering.typed.learning import learn_typing
from segmentation_pipeline.clustering.typed.model import typing_of
from segmentation_pipeline.features import (
    fit_on_sample,
    make_engineered_features,
    make_feature_matrix,
    read_sample,
)
from segmentation_pipeline.features.participation import (
    HELD_OUT_SHARE,
    fitting_matrix,
    grouped_features,
    make_fitting_matrix,
)
from segmentation_pipeline.segments.nightly import make_customer_segments
from segmentation_pipeline.segments.outside import described_customers
from segmentation_pipeline.segments.typing_tables import make_typing_accuracy, make_typing_confusion
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    record_build,
    write_batches,
)

NIGHT = Build(dt.date(2026, 1, 31), "run")
MORROW = Build(dt.date(2026, 2, 1), "run")
SEGMENTS, CUSTOMERS = 3, 9_000
ANSWERING = np.array([0.8, 0.5, 0.3])

CUSTOMERS_SPEC = CustomersSpec.model_validate(
    {
        "name": "test",
        "nights": {"first": "2026-01-01"},
        "sources": {
            "crm": {
                "kind": "crm",
                "path": "crm.csv",
                "key": "cid",
                "columns": {
                    "cid": {"type": "text"},
                    "country": {"type": "category"},
                    **{f"c{i}": {"type": "number"} for i in range(3)},
                },
            },
            "survey": {
                "kind": "survey",
                "path": "survey.csv",
                "key": "cid",
                "time": "said_at",
                "keep": "latest",
                "columns": {
                    "cid": {"type": "text"},
                    "said_at": {"type": "timestamp"},
                    **{f"s{i}": {"type": "number"} for i in range(2)},
                },
            },
        },
        "customers": {"base": "crm"},
    }
)


def specify(**settings):
    features = {name: {"criterion": "needs"} for name in ("s0", "s1")}
    features |= {f"c{i}": {"use": "profile"} for i in range(3)}
    content = {"title": "test", "criteria": {"needs": "test"}, "features": features}
    content["clustering"] = {"segments": SEGMENTS}
    return SegmentationSpec.model_validate(content | settings)


TYPED = {"typing": {"sources": ["survey"]}}


@dataclass
class World:
    """Customers whose segment shows sharply in the survey, less so in the CRM."""

    seed: int
    separation: float = 2.5

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.ids = np.array([f"k{i:05}" for i in range(CUSTOMERS)])
        self.segments = rng.choice(SEGMENTS, CUSTOMERS, p=[0.4, 0.35, 0.25])
        corners = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])
        self.survey = corners[self.segments] + rng.normal(size=(CUSTOMERS, 2))
        centres = self.separation * np.eye(SEGMENTS)
        self.crm = centres[self.segments] + rng.normal(size=(CUSTOMERS, SEGMENTS))
        self.answers = rng.random(CUSTOMERS) < ANSWERING[self.segments]
        self.country = np.where(rng.random(CUSTOMERS) < 0.05, "XX", "DE")

    def put(self, connection, build, order=slice(None)):
        columns = {"customer_id": self.ids, "country": self.country}
        columns |= {f"c{i}": column for i, column in enumerate(self.crm.T)}
        columns |= {
            f"s{i}": np.where(self.answers, column, np.nan)
            for i, column in enumerate(self.survey.T)
        }
        columns |= {"has_crm": np.ones(CUSTOMERS, bool), "has_survey": self.answers}
        frame = pa.table(
            {name: pa.array(column[order], from_pandas=True) for name, column in columns.items()}
        )
        write_batches(
            connection, Table("core", "customers"), frame.schema, frame.to_batches(), build
        )


def prepare(connection, spec, build, preparation=None):
    make_engineered_features(connection, "x", spec, CUSTOMERS_SPEC, {}, build)
    preparation = preparation or fit_on_sample(connection, "x", spec, CUSTOMERS_SPEC.limits)
    make_feature_matrix(
        connection,
        "x",
        preparation,
        CUSTOMERS_SPEC.limits,
        build,
        features=grouped_features("x", spec),
    )
    make_fitting_matrix(connection, "x", spec, build)
    return preparation


def fit(connection, home, spec, preparation):
    """Fit and register what a night that fits a champion would, without the search."""
    columns = preparation.column_names
    _, matrix = read_sample(connection, fitting_matrix("x", spec), columns, 0, 100_000)
    matrix = matrix.astype(np.float64)
    family = KMeansFamily(ks=[SEGMENTS], starts=3)
    (found,) = family.fit(matrix, seed=0)
    parameters = {"preparation": preparation.to_json(), "silhouette": None}
    assigner = family.assigner(found.arrays, found.parameters)
    model = make_model(found, assigner, matrix, columns, parameters)
    model = learn_typing(connection, home, "x", model)
    record = register_champion(
        connection,
        home.models,
        model,
        Registration(
            segmentation="x",
            specification_digest="",
            preparation_digest=preparation.digest,
            reason="",
        ),
        NIGHT,
    )
    return Champion(record, model)


def first_night(connection, path, world, order=slice(None), **settings):
    spec = specify(**settings)
    home = Home(path, CUSTOMERS_SPEC, {"x": spec})
    world.put(connection, NIGHT, order)
    preparation = prepare(connection, spec, NIGHT)
    champion = fit(connection, home, spec, preparation)
    record_build(connection, Table("x", "feature_matrix"), NIGHT)
    make_customer_segments(connection, home, "x", champion, NIGHT)
    return home, spec, preparation, champion


def members(connection):
    query = "SELECT * EXCLUDE (customer_id) FROM x.customer_segments ORDER BY customer_id"
    return connection.execute(query).fetchnumpy()


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        yield connection


@pytest.mark.parametrize("seed", [1, 2])
def test_the_silent_are_typed_as_well_as_the_table_says(connection, tmp_path, seed):
    world = World(seed)
    _, _, _, champion = first_night(
        connection, tmp_path, world, **TYPED, eligible="country <> 'XX'"
    )

    rows = members(connection)
    make_typing_accuracy(connection, "x", champion, NIGHT)
    make_typing_confusion(connection, "x", champion, NIGHT, 1)

    assert len(rows["segment_id"]) == CUSTOMERS
    is_eligible = world.country != "XX"
    assert set(rows["segment_id"][~is_eligible]) == {"x-ineligible"}
    assert not rows["is_typed"][~is_eligible].any()
    silent = is_eligible & ~world.answers
    assert np.array_equal(np.asarray(rows["is_typed"]), silent)
    grouped = is_eligible & world.answers
    assert adjusted_rand_score(world.segments[grouped], rows["segment_id"][grouped]) > 0.99

    weighted = connection.execute(
        "SELECT kappa, unknown_share, known_accuracy, answering, is_refused FROM x.typing_accuracy"
        " WHERE weighting = 'weighted'"
    ).fetchall()[0]
    assert weighted[3:] == ("segments", False)
    names = names_of_truth(world, rows, grouped)
    is_known = rows["segment_id"][silent] != "x-unknown"
    assert 1 - is_known.mean() == pytest.approx(weighted[1], abs=0.05)
    came_true = (rows["segment_id"][silent] == names[silent])[is_known].mean()
    assert came_true == pytest.approx(weighted[2], abs=0.05)
    likeliest = np.where(is_known, rows["segment_id"][silent], rows["runner_up_segment_id"][silent])
    assert cohen_kappa_score(names[silent], likeliest) == pytest.approx(weighted[0], abs=0.1)

    confidence = np.ma.getdata(rows["typing_confidence"])[silent]
    assert np.array_equal(confidence >= 0.6, is_known)
    assert np.ma.getmaskarray(rows["typing_confidence"])[~silent].all()
    confused = connection.execute("SELECT sum(customers) FROM x.typing_confusion").fetchall()[0][0]
    held = typing_of(champion.model).assessment.held_out_customers
    assert confused == held
    make_typing_confusion(connection, "x", champion, NIGHT, 10)
    told = connection.execute(
        "SELECT segment_id, typed_segment_id, customers FROM x.typing_confusion"
        " WHERE is_suppressed = (customers IS NULL AND share IS NULL AND weighted_share IS NULL)"
    ).fetchall()
    assert len(told) == SEGMENTS**2
    assert {n for *_, n in told if n is not None and n < 10} <= {0}
    withheld = [pair for *pair, n in told if n is None]
    for side in (0, 1):
        names = [pair[side] for pair in withheld]
        assert all(names.count(name) > 1 for name in names)
    assert held / grouped.sum() == pytest.approx(HELD_OUT_SHARE, abs=0.02)


def names_of_truth(world, rows, grouped):
    """Give each planted segment the id that its answerers have."""
    ids = np.empty(SEGMENTS, dtype=object)
    for segment in range(SEGMENTS):
        found, counts = np.unique(
            rows["segment_id"][grouped & (world.segments == segment)].astype(str),
            return_counts=True,
        )
        ids[segment] = found[counts.argmax()]
    return ids[world.segments]


def test_sizes_are_those_of_the_planted_segments_and_profiles_leave_the_typed_out(
    connection, tmp_path
):
    world = World(1)
    _, spec, _, _ = first_night(connection, tmp_path, world, **TYPED)

    rows = members(connection)
    typed = dict(connection.execute("FROM x.typed_sizes").fetchall())

    names = names_of_truth(world, rows, world.answers)
    planted = {name: int(((names == name) & ~world.answers).sum()) for name in set(names)}
    assert typed == pytest.approx(planted, rel=0.06)
    assert sum(typed.values()) == pytest.approx((~world.answers).sum(), abs=0.01)
    described = described_customers("x", spec)
    (count,) = connection.execute(f"SELECT count(*) FROM {described.sql}").fetchall()[0]
    assert count == world.answers.sum()


def test_typed_customers_are_described_where_the_file_asks_for_it(connection, tmp_path):
    world = World(1)
    asked = {"typing": {"sources": ["survey"], "in_profiles": True}}
    _, spec, _, _ = first_night(connection, tmp_path, world, **asked)

    rows = members(connection)

    described = described_customers("x", spec)
    (count,) = connection.execute(f"SELECT count(*) FROM {described.sql}").fetchall()[0]
    assert count == (rows["segment_id"] != "x-unknown").sum()


def test_where_typing_is_refused_whoever_is_silent_is_unknown(connection, tmp_path):
    world = World(1, separation=0.1)
    _, _, _, champion = first_night(connection, tmp_path, world, **TYPED)

    rows = members(connection)
    make_typing_accuracy(connection, "x", champion, NIGHT)

    assert set(rows["segment_id"][~world.answers]) == {"x-unknown"}
    assert np.array_equal(np.asarray(rows["is_typed"]), ~world.answers)
    assert np.ma.getmaskarray(rows["typing_confidence"]).all()
    told = connection.execute("SELECT DISTINCT is_refused, reason FROM x.typing_accuracy")
    ((is_refused, reason),) = told.fetchall()
    assert is_refused
    assert "the weighted kappa is" in reason
    assert dict(connection.execute("FROM x.typed_sizes").fetchall()) == {
        "x-unknown": float((~world.answers).sum())
    }


def test_the_order_of_the_rows_changes_nothing(tmp_path):
    world = World(1)
    found = []
    for place, order in enumerate((slice(None), slice(None, None, -1))):
        folder = tmp_path / str(place)
        folder.mkdir()
        with open_warehouse(folder / "w.duckdb", threads=1 + place) as connection:
            _, _, _, champion = first_night(connection, folder, world, order, **TYPED)
            rows = connection.execute("FROM x.customer_segments ORDER BY customer_id").fetchall()
            sizes = connection.execute("FROM x.typed_sizes ORDER BY ALL").fetchall()
        found.append((rows, sizes, champion.record.model_digest))

    assert found[0] == found[1]


def test_those_kept_aside_are_grouped_but_nothing_is_fitted_on_them(connection, tmp_path):
    world = World(1)
    _, spec, _, _ = first_night(connection, tmp_path, world, **TYPED)

    grouped, fitted = (
        {row[0] for row in connection.execute(f"SELECT customer_id FROM {table.sql}").fetchall()}
        for table in (Table("x", "feature_matrix"), fitting_matrix("x", spec))
    )

    assert grouped == set(world.ids[world.answers])
    assert fitted < grouped
    assert 1 - len(fitted) / len(grouped) == pytest.approx(HELD_OUT_SHARE, abs=0.02)


def test_without_either_key_nothing_is_added(connection, tmp_path):
    world = World(1)
    _, spec, _, champion = first_night(connection, tmp_path, world)

    rows = members(connection)

    assert list(column_types(connection, Table("x", "engineered_features"))) == [
        "customer_id", "s0", "s1", "c0", "c1", "c2",
    ]  # fmt: skip
    assert "typing" not in champion.model.parameters
    assert not np.asarray(rows["is_typed"]).any()
    assert described_customers("x", spec) == Table("x", "customer_segments")
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'x'"
        " AND table_type = 'VIEW'"
    ).fetchall()
    assert tables == []


def test_on_the_next_night_a_typed_customer_keeps_the_segment_until_it_is_less_than_even(
    connection, tmp_path
):
    world = World(1)
    home, spec, preparation, champion = first_night(connection, tmp_path, world, **TYPED)
    before = members(connection)
    world.crm += 0.15 * np.random.default_rng(5).normal(size=world.crm.shape)
    world.put(connection, MORROW)
    prepare(connection, spec, MORROW, preparation)

    changes = make_customer_segments(connection, home, "x", champion, MORROW)

    after = members(connection)
    silent = ~world.answers
    was, now, raw = (
        rows[column][silent]
        for rows, column in (
            (before, "segment_id"), (after, "segment_id"), (after, "raw_segment_id"))
    )  # fmt: skip
    confidence = np.ma.getdata(after["typing_confidence"])[silent]
    stays = now != raw
    assert stays.any()
    assert np.array_equal(now[stays], was[stays])
    assert np.all((confidence[stays] >= 0.5) & (confidence[stays] < 0.6))
    assert set(raw[stays]) == {"x-unknown"}
    came_in = (was == "x-unknown") & (now != "x-unknown")
    assert np.all(confidence[came_in] >= 0.6)
    assert changes.moved_count < (was != raw).sum()
