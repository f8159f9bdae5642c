"""A home made by the first release keeps its history under this one.

`fixtures/home_of_0.1.0.tar.xz` is a home as release 0.1.0 left it: 60 customers of its example,
three nights, 27 to 29 June 2025, and the files of a fourth. It is never made anew.
"""

import datetime as dt
import tarfile
from pathlib import Path

import pytest

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.migrations import SCHEMA_VERSION, migrate
from segmentation_pipeline.publication import (
    announced_changes,
    current_version,
    kept_versions,
    personal_columns,
    read_published,
    rollback,
    verify,
    version_database,
)
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table, has_table, open_warehouse

FIXTURE = Path(__file__).with_name("fixtures") / "home_of_0.1.0.tar.xz"
LAST_OLD, TONIGHT = dt.date(2025, 6, 29), dt.date(2025, 6, 30)
OLD_DATES = [dt.date(2025, 6, day) for day in (27, 28, 29)]
LABELS = [
    ("profession-1", "high age, low partnerships"),
    ("profession-2", "low age, low congresses"),
    ("profession-3", "high partnerships, high publications"),
]


def unpacked(folder):
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(folder, filter="data")
    return load_home(folder)


def asked(database, query):
    with open_warehouse(database, read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """The home as it was; only read."""
    return unpacked(tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory):
    """The home after a night of this release; to save time one of its segmentations was removed."""
    folder = tmp_path_factory.mktemp("upgraded")
    unpacked(folder)
    (folder / "segmentations" / "engagement.yaml").unlink()
    done = run_night(folder, TONIGHT, progress=lambda *_: None)
    assert done.success, done.failures
    return load_home(folder)


def test_what_the_next_night_changes_for_readers_is_announced(old):
    told = [str(one) for one in announced_changes(old.published) if one.is_breaking]

    assert (
        "model_candidates has the key (segmentation, algorithm, parameters) instead of "
        "(segmentation, algorithm, segments)"
    ) in told
    assert "segment_profiles.customers may lack a value" in told


def test_each_step_runs_once_and_loses_nothing(tmp_path):
    home = unpacked(tmp_path)
    before = {
        table: asked(home.warehouse, f"FROM {table} ORDER BY ALL")
        for table in ("core.models", "core.source_loads", "core.validation_results", "raw.raw_web")
    }
    ids = asked(home.warehouse, "SELECT * EXCLUDE (number, label) FROM core.segment_ids")
    members = asked(
        home.warehouse, "SELECT customer_id, segment_id FROM profession.customer_segments"
    )

    with open_warehouse(home.warehouse) as connection:
        assert connection.execute("FROM core.schema_version").fetchall() == [(SCHEMA_VERSION,)]
        assert migrate(connection) == []
        for table, rows in before.items():
            assert connection.execute(f"FROM {table} ORDER BY ALL").fetchall() == rows
        assert sorted(connection.execute("FROM core.segment_ids").fetchall()) == sorted(ids)
        known = connection.execute(
            "SELECT segment_id, label FROM core.segments_known WHERE segmentation = 'profession'"
            " ORDER BY ALL"
        ).fetchall()
        assert known == LABELS
        spells = connection.execute(
            "SELECT customer_id, segment_id FROM profession.segment_history"
            f" WHERE valid_from = DATE '{LAST_OLD}' AND valid_to IS NULL"
        ).fetchall()
        assert sorted(spells) == sorted(members)


def test_a_step_that_is_killed_is_run_again(tmp_path, monkeypatch):
    home = unpacked(tmp_path)

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("segmentation_pipeline.migrations._last_night_becomes_history", dies)
        with pytest.raises(KeyboardInterrupt), open_warehouse(home.warehouse):
            pass
    with open_warehouse(home.warehouse, read_only=True) as connection:
        assert not has_table(connection, Table("core", "segments_known"))
        assert not has_table(connection, Table("core", "schema_version"))

    with open_warehouse(home.warehouse) as connection:
        assert has_table(connection, Table("core", "segments_known"))


def test_a_warehouse_of_a_later_release_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path) as connection:
        assert connection.execute("FROM core.schema_version").fetchall() == [(SCHEMA_VERSION,)]
        connection.execute("UPDATE core.schema_version SET version = 999")

    told = "by a later release: its tables are of version 999"
    with pytest.raises(PipelineError, match=told), open_warehouse(path):
        pass

    assert asked(path, "FROM core.schema_version") == [(999,)]


@pytest.mark.parametrize("table", ["segmentation_runs", "validation_results"])
def test_rows_of_earlier_nights_are_those_that_the_first_release_published(old, upgraded, table):
    columns = ", ".join(
        row[0] for row in read_published(old.published, f"DESCRIBE {table}") if row[0] != "criteria"
    )
    query = f"SELECT {columns} FROM {table} WHERE as_of <= DATE '{LAST_OLD}' ORDER BY ALL"

    before = read_published(old.published, query)

    assert before
    assert read_published(upgraded.published, query) == before
    dates = f"SELECT DISTINCT as_of FROM {table} ORDER BY 1"
    found = [row[0] for row in read_published(upgraded.published, dates)]
    assert found == [*OLD_DATES, TONIGHT]


def test_segments_and_models_go_on_and_what_is_published_is_whole(old, upgraded):
    assert verify(upgraded.published, personal_columns(upgraded)) == []
    segments = read_published(
        upgraded.published,
        "SELECT segment_id, label FROM segment_registry WHERE segmentation = 'profession'"
        " AND retired_date IS NULL ORDER BY ALL",
    )
    assert segments == LABELS
    models = read_published(
        upgraded.published,
        "SELECT version, status FROM model_versions WHERE segmentation = 'profession' ORDER BY 1",
    )
    assert models[0][0] == 1
    members = "SELECT customer_id, segment_id FROM {} WHERE segmentation = 'profession' ORDER BY 1"
    # Whoever was in a segment on the last night of the first release still was.
    first_spells = read_published(
        upgraded.published,
        "SELECT customer_id, segment_id FROM segment_history WHERE segmentation = 'profession'"
        f" AND valid_from = DATE '{LAST_OLD}' ORDER BY 1",
    )
    assert first_spells == read_published(old.published, members.format("customer_segments"))


def test_versions_of_the_first_release_can_be_put_back(old, upgraded):
    kept = [manifest.version for manifest in kept_versions(upgraded.published)]
    assert kept[1:] == [manifest.version for manifest in kept_versions(old.published)]
    now = current_version(upgraded.published)

    assert rollback(upgraded.published) == kept[1]

    query = "SELECT count(*) FROM customer_segments"
    assert read_published(upgraded.published, query) == asked(
        version_database(old.published, kept[1]), query
    )
    assert current_version(upgraded.published) != now
