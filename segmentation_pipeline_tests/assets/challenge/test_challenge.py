"""A challenger's life from night to night, on customers made by hand; without Dagster."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.clustering.model_events import read_events
from segmentation_pipeline.clustering.model_tables import make_model_versions
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.segments.challenge import make_challenger_nights
from segmentation_pipeline.segments.identity import segment_ids
from segmentation_pipeline.segments.model_decisions import Approval, roll_back
from segmentation_pipeline.warehouse import Build, Table, column_types


def day(number):
    return dt.date(2025, 1, number)


def test_a_challenger_is_watched_promoted_and_its_segments_keep_their_ids(world):
    watched = world.night(2, world.shifted, "refit")
    assert watched.standing.state == "in its shadow"
    assert watched.sentence == "challenger 2, fitted on 2025-01-02, is in its shadow: 1 of 2 nights"
    assert world.statuses() == {1: "champion", 2: "challenger"}

    promoted = world.night(3, world.shifted)
    assert promoted.standing.state == "promoted"
    assert [gate.is_open for gate in promoted.standing.gates] == [True] * 4
    assert (world.in_force(3), world.in_force(4)) == (1, 2)

    assert world.night(4, world.shifted).standing is None
    assert segment_ids(world.connection, "x", 1, 3) == ["x-1", "x-2", "x-3"]
    assert sorted(segment_ids(world.connection, "x", 2, 3)) == ["x-1", "x-2", "x-3"]
    assert world.figures() == [(2, day(2), 0.0, None), (2, day(3), 0.0, 0.0)]


def test_the_challenger_has_its_own_frozen_preparation_and_reference(world):
    world.night(2, world.shifted, "refit")
    world.night(3, world.shifted)

    new = require_champion(world.connection, world.home, "x", day(4))
    old = require_champion(world.connection, world.home, "x", day(3))
    centres = [
        {row.feature: row.centre for row in Preparation.from_json(one.preparation).scalings}
        for one in (old, new)
    ]
    assert centres[1]["a"] - centres[0]["a"] == pytest.approx(1.0, abs=0.01)
    assert new.model.parameters["training_reference"]["as_of"] == "2025-01-02"


def test_any_of_its_nights_can_be_run_again_and_nothing_changes(world):
    nights = [
        (1, world.points_of(), "keep"),
        (2, world.shifted, "refit"),
        (3, world.shifted, "keep"),
        (4, world.shifted, "keep"),
    ]
    told = [world.night(*one).sentence for one in nights]
    before, figures = read_events(world.connection, "x"), world.figures()

    for place in (1, 2, 0, 3):
        assert world.night(*nights[place]).sentence == told[place]

    assert read_events(world.connection, "x") == before
    assert world.figures() == figures
    assert [path.name for path in sorted((world.home.models / "x").iterdir())] == ["1", "2"]


def test_a_date_run_again_on_other_customers_takes_back_what_followed(world):
    world.night(2, world.shifted, "refit")
    world.night(3, world.shifted)
    assert world.in_force(4) == 2

    other = world.points_of(world.corners + np.array([2.0, 0.0]), seed=2)
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


def test_a_refit_that_is_due_again_lets_a_shadow_end_and_replaces_who_waits(waiting):
    assert waiting.night(3, waiting.merged, "refit").standing.model_version == 2

    fresh = waiting.night(4, waiting.points_of([[0.0, 0.0], [0.0, 2.0], [10.0, 0.0]]), "refit")

    assert (fresh.standing.model_version, fresh.standing.nights) == (3, 1)
    assert waiting.statuses() == {1: "champion", 2: "rejected", 3: "challenger"}


def test_a_person_who_asks_gets_another_challenger(waiting):
    found = waiting.night(3, waiting.points_of(seed=5), "refit", causes=("asked:1",))

    assert found.standing.model_version == 3
    assert waiting.statuses() == {1: "champion", 2: "rejected", 3: "challenger"}


def test_on_its_own_customers_a_model_is_refitted_for_a_person_only(world):
    assert world.night(1, world.points_of(), "refit").standing is None

    found = world.night(1, world.points_of(), "refit", causes=("asked:1",))

    assert found.sentence == "tonight's customers give the model in force once more"
    assert world.statuses() == {1: "champion"}


def test_a_changed_specification_ends_the_challenger_and_is_in_force_at_once(waiting):
    waiting.specify(segments=2)

    assert waiting.night(3, waiting.merged, "refit", causes=("specification",)).standing is None

    assert waiting.statuses() == {1: "retired", 2: "rejected", 3: "champion"}
    assert waiting.in_force(3) == 3
    with pytest.raises(ClusteringError, match="was fitted under another specification"):
        roll_back(waiting.connection, waiting.home, "x", 1, Approval("ann", "back"))


def test_customers_that_give_no_model_leave_the_one_in_force_and_say_so(world):
    found = world.night(2, np.ones((1, 2)), "refit")

    assert found.is_failed
    assert found.sentence.startswith("a refit was due (because), and no model could be fitted: ")
    assert world.statuses() == {1: "champion"}


def test_a_challenger_whose_files_are_damaged_stops_no_night(waiting):
    (waiting.home.models / "x" / "2" / "prototypes.npy").write_bytes(b"0")

    found = waiting.night(3, waiting.merged)

    assert found.is_failed
    assert found.sentence.startswith("challenger 2 can't score tonight's customers: ")
    assert waiting.statuses() == {1: "champion", 2: "challenger"}


def test_the_tables_are_as_their_contracts_say(waiting):
    found = waiting.night(3, waiting.merged)
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
