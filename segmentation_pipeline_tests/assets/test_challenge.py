"""A challenger's life from night to night, on customers made by hand; without Dagster."""

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
from segmentation_pipeline.clustering.model_tables import make_model_versions
from segmentation_pipeline.clustering.model_verdict import Judgement
from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import UNSEPARATED
from segmentation_pipeline.clustering.structure.verdict import Evidence, StructureVerdict
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features import (
    Preparation,
    fit_on_sample,
    keep_preparation,
    make_feature_matrix,
)
from segmentation_pipeline.segments.challenge import make_challenger_nights
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.model_decisions import Approval, promote, reject, roll_back
from segmentation_pipeline.segments.nightly import make_customer_segments
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
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


SHIFTED = points_of(CORNERS + np.array([1.0, 0.0]))


def test_a_challenger_is_watched_promoted_and_its_segments_keep_their_ids(world):
    watched = world.night(2, SHIFTED, "refit")
    assert watched.standing.state == "in its shadow"
    assert watched.sentence == "challenger 2, fitted on 2025-01-02, is in its shadow: 1 of 2 nights"
    assert world.statuses() == {1: "champion", 2: "challenger"}

    promoted = world.night(3, SHIFTED)
    assert promoted.standing.state == "promoted"
    assert [gate.is_open for gate in promoted.standing.gates] == [True] * 4
    assert (world.in_force(3), world.in_force(4)) == (1, 2)

    assert world.night(4, SHIFTED).standing is None
    assert segment_ids(world.connection, "x", 1, 3) == ["x-1", "x-2", "x-3"]
    assert sorted(segment_ids(world.connection, "x", 2, 3)) == ["x-1", "x-2", "x-3"]
    assert world.figures() == [(2, day(2), 0.0, None), (2, day(3), 0.0, 0.0)]


def test_the_challenger_has_its_own_frozen_preparation_and_reference(world):
    world.night(2, SHIFTED, "refit")
    world.night(3, SHIFTED)

    new = require_champion(world.connection, world.home, "x", day(4))
    old = require_champion(world.connection, world.home, "x", day(3))
    centres = [
        {row.feature: row.centre for row in Preparation.from_json(one.preparation).scalings}
        for one in (old, new)
    ]
    assert centres[1]["a"] - centres[0]["a"] == pytest.approx(1.0, abs=0.01)
    assert new.model.parameters["training_reference"]["as_of"] == "2025-01-02"


def test_any_of_its_nights_can_be_run_again_and_nothing_changes(world):
    nights = [(1, points_of(), "keep"), (2, SHIFTED, "refit"), (3, SHIFTED, "keep"),
              (4, SHIFTED, "keep")]  # fmt: skip
    told = [world.night(*one).sentence for one in nights]
    before, figures = read_events(world.connection, "x"), world.figures()

    for place in (1, 2, 0, 3):
        assert world.night(*nights[place]).sentence == told[place]

    assert read_events(world.connection, "x") == before
    assert world.figures() == figures
    assert [path.name for path in sorted((world.home.models / "x").iterdir())] == ["1", "2"]


def test_a_date_run_again_on_other_customers_takes_back_what_followed(world):
    world.night(2, SHIFTED, "refit")
    world.night(3, SHIFTED)
    assert world.in_force(4) == 2

    other = points_of(CORNERS + np.array([2.0, 0.0]), seed=2)
    world.night(2, other, "refit")
    assert world.statuses(2) == {1: "champion", 3: "challenger"}
    world.night(3, other)
    assert world.in_force(4) == 3
    make_model_versions(world.connection, "x", Build(day(3), "run"))
    assert world.connection.execute(
        "SELECT version, status, status_date, decided_by FROM x.model_versions ORDER BY version"
    ).fetchall() == [
        (1, "retired", day(4), "system"),
        (2, "withdrawn", None, None),
        (3, "champion", day(4), "system"),
    ]

    # No refit was due after all.
    world.night(2, other, "keep")
    world.night(3, other)
    assert world.statuses() == {1: "champion"}
    assert world.figures() == []


MERGED = points_of([[0.0, 0.0], [0.0, 1.0], [10.0, 0.0]])


@pytest.fixture(scope="module")
def two_nights(one_night, tmp_path_factory):
    """Two of three groups have come close: a challenger is watched that cuts elsewhere."""
    folder = tmp_path_factory.mktemp("two") / "home"
    shutil.copytree(one_night, folder)
    with world_in(folder) as world:
        world.night(2, MERGED, "refit")
    return folder


@pytest.fixture
def waiting(two_nights, tmp_path):
    shutil.copytree(two_nights, tmp_path / "home")
    with world_in(tmp_path / "home") as world:
        yield world


def test_with_a_gate_shut_it_waits_for_a_person_who_decides_under_their_name(waiting):
    found = waiting.night(3, MERGED)

    assert found.standing.state == "waiting"
    assert "waits for a person: " in found.sentence
    assert waiting.in_force(4) == 1
    assert waiting.night(4, MERGED).standing.nights == 3

    event = promote(
        waiting.connection, waiting.home, "x", None, Approval("ann", "we know that they moved")
    )
    assert (event.model_version, event.as_of, event.who) == (2, day(5), "ann")
    assert [waiting.in_force(number) for number in (4, 5)] == [1, 2]
    # The night before it, run again, still waits, and takes nothing back.
    waiting.night(3, MERGED)
    waiting.night(4, MERGED)
    assert waiting.in_force(5) == 2
    waiting.night(5, MERGED)
    assert waiting.statuses() == {1: "retired", 2: "champion"}


def test_a_refit_that_is_due_again_lets_a_shadow_end_and_replaces_who_waits(waiting):
    assert waiting.night(3, MERGED, "refit").standing.model_version == 2

    fresh = waiting.night(4, points_of([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0]]), "refit")

    assert (fresh.standing.model_version, fresh.standing.nights) == (3, 1)
    assert waiting.statuses() == {1: "champion", 2: "rejected", 3: "challenger"}


def test_a_rollback_is_a_pointer_and_ids_come_back(waiting):
    waiting.night(3, MERGED)
    promote(waiting.connection, waiting.home, "x", 2, Approval("ann", "yes"))
    waiting.night(4, MERGED)
    ids = {version: segment_ids(waiting.connection, "x", version, 3) for version in (1, 2)}

    event = roll_back(
        waiting.connection, waiting.home, "x", 1, Approval("bob", "too many complaints")
    )
    waiting.night(5, MERGED)

    assert (event.status, event.as_of) == ("champion", day(5))
    assert [waiting.in_force(number) for number in (3, 4, 5)] == [1, 2, 1]
    assert {version: segment_ids(waiting.connection, "x", version, 3) for version in (1, 2)} == ids
    found = {version: {*segments} for version, segments in ids.items()}
    assert found[2] - found[1]  # the second model had one that the first didn't know
    assert ids_on(waiting, 4) == found[2]
    assert ids_on(waiting, 5) <= found[1]
    changed = waiting.connection.execute(
        "SELECT DISTINCT reason FROM x.segment_history WHERE valid_from >= DATE '2025-01-04'"
    ).fetchall()
    assert changed == [("model",)]


def ids_on(world, number):
    return {
        segment_id
        for (segment_id,) in world.connection.execute(
            "SELECT segment_id FROM x.segment_history WHERE valid_from <= ?"
            " AND (valid_to IS NULL OR valid_to > ?)",
            [day(number)] * 2,
        ).fetchall()
    }


def test_who_is_rejected_is_watched_no_more_and_the_next_refit_fits_another(waiting):
    reject(waiting.connection, waiting.home, "x", None, Approval("ann", "a campaign runs"))

    assert waiting.night(3, MERGED).standing is None
    assert waiting.statuses() == {1: "champion", 2: "rejected"}
    assert waiting.night(4, MERGED, "refit").standing.model_version == 3
    # By then it was still watched.
    assert waiting.night(2, MERGED, "refit").standing.model_version == 2
    with pytest.raises(ClusteringError, match="model 2 of x is no challenger: it is rejected"):
        reject(waiting.connection, waiting.home, "x", 2, Approval("ann", "again"))
    with pytest.raises(ClusteringError, match="model 1 of x is no challenger: it is champion"):
        reject(waiting.connection, waiting.home, "x", 1, Approval("ann", "again"))


def test_a_person_who_asks_gets_another_challenger(waiting):
    found = waiting.night(3, points_of(seed=5), "refit", causes=("asked:1",))

    assert found.standing.model_version == 3
    assert waiting.statuses() == {1: "champion", 2: "rejected", 3: "challenger"}


def test_on_its_own_customers_a_model_is_refitted_for_a_person_only(world):
    assert world.night(1, points_of(), "refit").standing is None

    found = world.night(1, points_of(), "refit", causes=("asked:1",))

    assert found.sentence == "tonight's customers give the model in force once more"
    assert world.statuses() == {1: "champion"}


def test_a_changed_specification_ends_the_challenger_and_is_in_force_at_once(waiting):
    waiting.specify(segments=2)

    assert waiting.night(3, MERGED, "refit", causes=("specification",)).standing is None

    assert waiting.statuses() == {1: "retired", 2: "rejected", 3: "champion"}
    assert waiting.in_force(3) == 3
    with pytest.raises(ClusteringError, match="was fitted under another specification"):
        roll_back(waiting.connection, waiting.home, "x", 1, Approval("ann", "back"))


def test_customers_that_give_no_model_leave_the_one_in_force_and_say_so(world):
    found = world.night(2, np.ones((20, 2)) * [[1.0, 2.0]], "refit")

    assert found.is_failed
    assert found.sentence.startswith("a refit was due (because), and no model could be fitted: ")
    assert world.statuses() == {1: "champion"}


def test_decisions_that_cannot_hold_are_refused(waiting):
    def decide(how, version, who="ann", reason="why", first=None):
        return how(waiting.connection, waiting.home, "x", version, Approval(who, reason, first))

    with pytest.raises(ClusteringError, match="say who decides by --by, and why"):
        decide(promote, 2, reason=" ")
    with pytest.raises(ClusteringError, match="`system` is what decisions by rule"):
        decide(promote, 2, who="system")
    with pytest.raises(ClusteringError, match="x has no model 9: there are 1, 2"):
        decide(promote, 9)
    with pytest.raises(ClusteringError, match="was in force before: `segmentation rollback x"):
        decide(promote, 1)
    with pytest.raises(ClusteringError, match="was never in force: `segmentation promote x"):
        decide(roll_back, 2)
    with pytest.raises(ClusteringError, match="model 1 of x is in force on 2025-01-03"):
        decide(roll_back, 1)
    with pytest.raises(ClusteringError, match=r"fitted on customers of 2025-01-02: it can't be"):
        decide(promote, 2, first=day(1))
    decide(promote, 2)
    decide(roll_back, 1, first=day(5))
    with pytest.raises(ClusteringError, match="from 2025-01-05 on, model 1 of x is in force"):
        decide(roll_back, 1, first=day(4))
    with pytest.raises(ClusteringError, match="the challengers on 2025-01-03 are none"):
        decide(reject, None)


def test_a_challenger_whose_files_are_damaged_stops_no_night(waiting):
    (waiting.home.models / "x" / "2" / "prototypes.npy").write_bytes(b"0")

    found = waiting.night(3, MERGED)

    assert found.is_failed
    assert found.sentence.startswith("challenger 2 can't score tonight's customers: ")
    assert waiting.statuses() == {1: "champion", 2: "challenger"}


def test_the_files_of_a_model_are_looked_at_before_it_is_in_force(waiting):
    (waiting.home.models / "x" / "2" / "prototypes.npy").write_bytes(b"0")

    with pytest.raises(ClusteringError, match="is not the file that was saved"):
        promote(waiting.connection, waiting.home, "x", 2, Approval("ann", "why"))


def test_the_tables_are_as_their_contracts_say(waiting):
    found = waiting.night(3, MERGED)
    build = Build(day(3), "run")

    assert make_challenger_nights(waiting.connection, "x", found.standing, build) == 1
    assert make_model_versions(waiting.connection, "x", build) == 2
    for name in ("challenger_nights", "model_versions"):
        types = column_types(waiting.connection, Table("x", name))
        for column in CONTRACTS[name].work_columns:
            assert types[column.name] == column.type, column.name
    shut, sentence = waiting.connection.execute(
        "SELECT shut_gates, sentence FROM x.challenger_nights"
    ).fetchall()[0]
    assert "migration" in shut
    assert sentence == found.sentence
    assert make_challenger_nights(waiting.connection, "x", None, build) == 0
    types = column_types(waiting.connection, Table("x", "challenger_nights"))
    assert (types["night"], types["sentence"]) == ("BIGINT", "VARCHAR")
