"""What is found of a model is found once, and again whenever it may be otherwise."""

import datetime as dt
from dataclasses import replace

import pytest

from segmentation_pipeline.clustering.kept_effects import Effect, effect_of, forget_effects
from segmentation_pipeline.clustering.model_events import SYSTEM, add_event
from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.warehouse import Build, open_warehouse


def night(day):
    return Build(dt.date(2026, 1, day), f"run-{day}")


def record(version):
    return ModelRecord(
        "x", version, night(1).as_of, "run", "", "", f"digest {version}", "k_means", 2,
        "champion", "1.9", "",
    )  # fmt: skip


def put_in_force(connection, version, day):
    add_event(
        connection, "x", version, "champion",
        as_of=night(day).as_of, build=night(day), who=SYSTEM, reason="",
    )  # fmt: skip


@pytest.fixture
def connection(tmp_path):
    """Model 1 is in force from the 1st on, model 2 from the 5th on."""
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        create_registry(connection)
        put_in_force(connection, 1, 1)
        put_in_force(connection, 2, 5)
        yield connection


def looked(connection, model, day, name="shares"):
    """Whether a night has to look, and on whose customers what it gets was found."""
    looks = []

    def find():
        looks.append(day)
        return {"day": day, "share": day / 3}

    effect = effect_of(connection, model, name, night(day), find)
    assert effect == Effect(
        {"day": effect.examined_date.day, "share": effect.examined_date.day / 3},
        effect.examined_date,
    )
    return bool(looks), effect.examined_date.day


def test_the_first_night_looks_and_those_that_keep_the_model_do_not(connection):
    assert looked(connection, record(1), 1) == (True, 1)
    assert looked(connection, record(1), 2) == (False, 1)
    assert looked(connection, record(1), 4) == (False, 1)


def test_a_new_model_is_looked_at_and_the_one_before_keeps_its_own(connection):
    looked(connection, record(1), 1)

    assert looked(connection, record(2), 5) == (True, 5)
    assert looked(connection, record(2), 6) == (False, 5)
    assert looked(connection, record(1), 3) == (False, 1)


def test_a_date_run_again_looks_at_its_own_customers_again(connection):
    looked(connection, record(1), 1)
    looked(connection, record(1), 2)

    assert looked(connection, record(1), 1) == (True, 1)
    assert looked(connection, record(1), 2) == (False, 1)


def test_what_a_later_night_found_is_nothing_to_an_earlier_one(connection):
    # A home of an earlier release, of which nothing was kept.
    assert looked(connection, record(1), 3) == (True, 3)

    assert looked(connection, record(1), 2) == (True, 2)
    # In the order of the dates, as a replay has them.
    assert looked(connection, record(1), 3) == (False, 2)


def test_a_model_put_back_is_looked_at_on_its_new_first_night(connection):
    looked(connection, record(1), 1)
    looked(connection, record(2), 5)
    put_in_force(connection, 1, 8)

    assert looked(connection, record(1), 8) == (True, 8)
    assert looked(connection, record(1), 9) == (False, 8)


def test_a_promotion_that_comes_later_than_it_did_looks_later(connection):
    looked(connection, record(2), 5)
    connection.execute("UPDATE core.model_events SET is_withdrawn = TRUE WHERE model_version = 2")
    put_in_force(connection, 2, 7)

    assert looked(connection, record(2), 7) == (True, 7)


def test_other_files_under_the_same_version_are_another_model(connection):
    looked(connection, record(1), 1)

    other = replace(record(1), model_digest="another")
    assert looked(connection, other, 2) == (True, 2)
    assert looked(connection, other, 3) == (False, 2)


def test_each_effect_and_each_segmentation_has_its_own(connection):
    looked(connection, record(1), 1)

    assert looked(connection, record(1), 2, "candidates") == (True, 2)
    assert looked(connection, replace(record(1), segmentation="y"), 2) == (True, 2)
    assert looked(connection, record(1), 2) == (False, 1)


def test_a_night_that_died_before_it_kept_anything_looks_again(connection):
    def die():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        effect_of(connection, record(1), "shares", night(1), die)

    assert looked(connection, record(1), 1) == (True, 1)


def test_what_is_forgotten_is_looked_for_again(connection):
    forget_effects(connection)
    looked(connection, record(1), 1)

    forget_effects(connection)

    assert looked(connection, record(1), 2) == (True, 2)
    assert looked(connection, record(1), 3) == (False, 2)
