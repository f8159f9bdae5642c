"""A night shows the candidates and centres of its own model, whichever night fitted it."""

import datetime as dt

import pytest

from segmentation_pipeline.clustering.kept_fits import (
    Challenge,
    challenge_of,
    keep_fit,
    write_fit,
)
from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, read_build

FIRST = Build(dt.date(2026, 1, 31), "run-1")
SECOND = Build(dt.date(2026, 2, 1), "run-2")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        yield connection


def record(version):
    return ModelRecord(
        "x", version, FIRST.as_of, "run", "", "", "", "k_means", 2, "champion", "1.9", ""
    )


def keep(connection, version, centre, challenge=None):
    candidates = [{"algorithm": "k_means", "parameters": f"segments={version}", "silhouette": None}]
    centres = [{"raw_segment": 0, "column_name": "a", "centre": centre}]
    keep_fit(connection, record(version), candidates, centres, challenge)


def shown(connection):
    return connection.execute(
        "SELECT parameters, silhouette, centre FROM x.model_candidates, x.segment_model"
    ).fetchall()


def test_each_version_has_its_own_to_the_last_bit(connection):
    keep(connection, 1, 0.1 + 0.2)
    keep(connection, 2, 1 / 3)

    write_fit(connection, record(2), FIRST)
    assert shown(connection) == [("segments=2", None, 1 / 3)]
    write_fit(connection, record(1), SECOND)
    assert shown(connection) == [("segments=1", None, 0.1 + 0.2)]
    assert read_build(connection, Table("x", "segment_model")) == SECOND


def test_of_a_model_of_an_earlier_release_the_tables_stay(connection):
    keep(connection, 1, 0.5)
    write_fit(connection, record(1), FIRST)

    write_fit(connection, record(7), SECOND)

    assert shown(connection) == [("segments=1", None, 0.5)]
    assert read_build(connection, Table("x", "model_candidates")) == SECOND


def test_only_a_challenger_has_a_challenge(connection):
    challenge = Challenge("warm", "a cold start is no better", 1, "weak")
    keep(connection, 1, 0.5)
    keep(connection, 2, 0.5, challenge)

    assert challenge_of(connection, "x", 1) is None
    assert challenge_of(connection, "x", 2) == challenge
