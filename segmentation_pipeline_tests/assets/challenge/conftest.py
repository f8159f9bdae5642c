"""Customers made by hand, their nights, and homes in which a challenger is watched."""

import datetime as dt
import shutil
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from segmentation_pipeline.assets.new_challenger import run_challenge
from segmentation_pipeline.assets.new_champion import fit_champion
from segmentation_pipeline.clustering import new_model
from segmentation_pipeline.clustering.champion import champion_in_force, require_champion
from segmentation_pipeline.clustering.model_events import read_events, statuses_on
from segmentation_pipeline.clustering.model_verdict import Judgement
from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import UNSEPARATED
from segmentation_pipeline.clustering.structure.verdict import Evidence, StructureVerdict
from segmentation_pipeline.features import (
    Preparation,
    fit_on_sample,
    keep_preparation,
    make_feature_matrix,
)
from segmentation_pipeline.segments.nightly import make_customer_segments
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    open_warehouse,
    write_batches,
    write_rows,
)

CORNERS = np.array([[0.0, 0.0], [0.0, 10.0], [10.0, 0.0]])
GROUP = 40
CUSTOMERS = CustomersSpec.model_validate(
    {
        "name": "test",
        "nights": {"first": "2025-01-01"},
        "limits": {"threads": 1},
        "sources": {
            "crm": {
                "kind": "crm",
                "path": "crm.csv",
                "key": "id",
                "columns": {"id": {"type": "text"}},
            }
        },
        "customers": {"base": "crm"},
    }
)
_DECISION = pa.schema(
    {
        "decision": pa.string(),
        "causes": pa.string(),
        "reasons": pa.string(),
        "judged_model_version": pa.int32(),
    }
)


def specify(shadow_nights=2, segments=3, **settings):
    return SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"needs": "test"},
            "features": {"a": {"criterion": "needs"}, "b": {"criterion": "needs"}},
            "clustering": {"segments": segments, "starts": 3},
            "refit": {"shadow_nights": shadow_nights, **settings},
        }
    )


def points_of(centres=CORNERS, seed=1):
    rng = np.random.default_rng(seed)
    return np.repeat(np.asarray(centres), GROUP, axis=0) + rng.normal(
        0.0, 0.5, (GROUP * len(centres), 2)
    )


def day(number):
    return dt.date(2025, 1, number)


class World:
    """One segmentation's nights."""

    shifted = points_of(CORNERS + np.array([1.0, 0.0]))
    """All customers a little further on."""
    merged = points_of([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0]])
    """Two of three groups have come close."""
    corners = CORNERS
    points_of = staticmethod(points_of)

    def __init__(self, connection, path):
        self.connection = connection
        self.home = Home(path, CUSTOMERS, {"x": specify()})

    def specify(self, **settings):
        self.home = replace(self.home, segmentations={"x": specify(**settings)})

    def night(self, number, points, decision="keep", causes=("age",)):
        connection, build = self.connection, Build(day(number), f"run-{number}")
        spec = self.home.segmentations["x"]
        ids = [f"c{i:03}" for i in range(len(points))]
        frame = pa.table({"customer_id": ids, "a": points[:, 0], "b": points[:, 1]})
        features = Table("x", "engineered_features")
        write_batches(connection, features, frame.schema, frame.to_batches(), build)
        found = champion_in_force(connection, self.home, "x", build.as_of)
        preparation = (
            fit_on_sample(connection, "x", spec, CUSTOMERS.limits)
            if found is None
            else Preparation.from_json(found.preparation)
        )
        keep_preparation(connection, "x", preparation, build)
        make_feature_matrix(connection, "x", preparation, CUSTOMERS.limits, build)
        if found is None:
            fit_champion(connection, self.home, "x", build, lambda _: None)
        champion = require_champion(connection, self.home, "x", build.as_of)
        make_customer_segments(connection, self.home, "x", champion, build)
        row = {
            "decision": decision,
            "causes": "[" + ", ".join(f'"{cause}"' for cause in causes) + "]",
            "reasons": "because",
            "judged_model_version": champion.record.model_version,
        }
        write_rows(connection, Table("x", "refit_decision"), _DECISION, [row], build)
        return run_challenge(connection, self.home, "x", build, lambda _: None)

    def statuses(self, number=None):
        date = None if number is None else day(number)
        return statuses_on(read_events(self.connection, "x"), date)

    def in_force(self, number):
        return require_champion(self.connection, self.home, "x", day(number)).record.model_version

    def figures(self):
        return self.connection.execute(
            "SELECT model_version, as_of, migration_share, churn_share"
            " FROM core.challenger_nights ORDER BY ALL"
        ).fetchall()


def judged_at_once(segments, features, prepare, **_options):
    """Stand in for the verdict, which is measured elsewhere: here there only has to be one."""
    stability = Stability((0.9,) * segments.count, "bootstrap")
    evidence = Evidence(segments.count, 0.3, 0.5, UNSEPARATED, stability, None)
    customers = len(features[0].values)
    found = StructureVerdict("weak", "Weak.", customers, 1, segments.count, evidence=evidence)
    return Judgement(found, {})


@pytest.fixture(scope="module", autouse=True)
def _verdicts_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(new_model, "judge_segments", judged_at_once)
        yield


@contextmanager
def world_in(folder):
    with open_warehouse(folder / "warehouse.duckdb", threads=1) as connection:
        yield World(connection, folder)


@pytest.fixture(scope="module")
def one_night(tmp_path_factory):
    """A home with a first model; copied before it goes on."""
    folder = tmp_path_factory.mktemp("one") / "home"
    folder.mkdir()
    with world_in(folder) as world:
        first = world.night(1, points_of())
    assert (first.standing, first.sentence) == (None, "there is no challenger")
    return folder


@pytest.fixture
def world(one_night, tmp_path):
    shutil.copytree(one_night, tmp_path / "home")
    with world_in(tmp_path / "home") as world:
        yield world


@pytest.fixture(scope="module")
def two_nights(one_night, tmp_path_factory):
    """Two of three groups have come close: a challenger is watched that cuts elsewhere."""
    folder = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(one_night, folder)
    with world_in(folder) as world:
        world.night(2, world.merged, "refit")
    return folder


@pytest.fixture
def waiting(two_nights, tmp_path):
    shutil.copytree(two_nights, tmp_path / "home")
    with world_in(tmp_path / "home") as world:
        yield world
