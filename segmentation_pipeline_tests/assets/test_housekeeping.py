"""What a run tidies up at its end, and that it leaves alone what isn't the home's."""

import json
import logging
import shutil
import sqlite3
from collections import namedtuple
from dataclasses import replace

import dagster as dg
import pytest

from segmentation_pipeline.assets.housekeeping import forget_runs, shrink_sqlite
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.publication import compaction
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table, open_warehouse, write_table

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-01}
sources:
  crm: {kind: crm, path: crm.csv, key: staff_id, columns: {staff_id: {type: text}, papers: {type: integer}}}
customers: {base: crm}
retention: {runs: 2}
"""  # noqa: E501
LENS = "title: T\ncriteria: {needs: N}\nfeatures: {papers: {criterion: needs}}\n"
Disk = namedtuple("Disk", "free")


@dg.asset(check_specs=[dg.AssetCheckSpec("holds", asset="noted")])
def noted():
    return dg.MaterializeResult(
        metadata={"rows": 1}, check_results=[dg.AssetCheckResult(passed=True)]
    )


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2025-06-01"))
def grown(context: dg.AssetExecutionContext, workshop: Workshop):
    with workshop.step(context) as (connection, build):
        write_table(
            connection,
            Table("core", "large"),
            "SELECT i, md5(i::VARCHAR) AS text FROM range(500000) t(i)",
            build,
        )
        write_table(connection, Table("core", "large"), "SELECT 1 AS i", build)
        connection.execute("CHECKPOINT")


@pytest.fixture
def home(write_home, tmp_path):
    return load_home(write_home(CUSTOMERS, folder=tmp_path / "home", lens=LENS))


def instance_in(folder):
    folder.mkdir(parents=True)
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return dg.DagsterInstance.from_config(str(folder))


def rows_of_runs(folder):
    """(table, run) of everything that Dagster's index knows of runs."""
    with sqlite3.connect(folder / "history" / "runs" / "index.db") as connection:
        return {
            (table, run)
            for table in ("event_logs", "asset_check_executions")
            for (run,) in connection.execute(f"SELECT DISTINCT run_id FROM {table}")
        }


def test_the_record_of_the_oldest_runs_goes_with_its_files(home, tmp_path):
    folder = home.path / "dagster"
    with instance_in(folder) as instance:
        runs = [dg.materialize([noted], instance=instance).run_id for _ in range(3)]
        assert rows_of_runs(folder) >= {("event_logs", run) for run in runs}
        (folder / "storage" / runs[0] / "compute_logs").mkdir(parents=True, exist_ok=True)

        # A record that lies in no home, or in another one, is not this home's alone.
        assert forget_runs(instance, replace(home, path=tmp_path / "another")) == 0
        assert forget_runs(instance, home) == 1
        assert forget_runs(instance, home) == 0

        assert [run.run_id for run in instance.get_runs()] == runs[:0:-1]
        assert instance.get_latest_materialization_event(dg.AssetKey("noted")).run_id == runs[2]
        checks = instance.event_log_storage.get_latest_asset_check_execution_by_key(
            [dg.AssetCheckKey(dg.AssetKey("noted"), "holds")]
        )
        assert {record.run_id for record in checks.values()} == {runs[2]}
    assert {run for _, run in rows_of_runs(folder)} == set(runs[1:])
    assert not [path for run in runs[:1] for path in folder.rglob(f"{run}*")]
    assert len([path for run in runs[1:] for path in folder.rglob(f"{run}.db")]) == 2


def test_a_record_that_is_kept_elsewhere_is_left_alone(home):
    with dg.DagsterInstance.ephemeral() as instance:
        for _ in range(3):
            dg.materialize([noted], instance=instance)

        assert forget_runs(instance, home) == 0
        assert len(instance.get_runs()) == 3


def materialize_grown(home):
    resources = {"workshop": Workshop(home_path=str(home.path))}
    return dg.materialize([grown], resources=resources, partition_key="2025-06-02")


def lines(home):
    text = (home.logs / "2025-06-02.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_run_writes_a_wasteful_warehouse_anew_at_its_end(home, monkeypatch):
    monkeypatch.setattr(compaction, "WORTHWHILE_BYTES", 1 << 20)
    (home.path / "warehouse.fresh.duckdb").write_bytes(b"left by one who was killed")

    assert materialize_grown(home).success

    stage, told = (line for line in lines(home) if line["stage"] in ("grown", "compaction"))
    assert stage["outcome"] == "done"
    assert told["bytes"] > 1.5 * told["bytes_needed"]
    assert home.warehouse.stat().st_size < told["bytes"] / 1.5
    with open_warehouse(home.warehouse, read_only=True) as connection:
        assert connection.execute("FROM core.large").fetchall() == [(1,)]
    assert not list(home.path.glob("*.fresh.*"))


def test_without_room_the_run_has_done_its_work_and_says_what_it_left(home, monkeypatch, caplog):
    monkeypatch.setattr(compaction, "WORTHWHILE_BYTES", 1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=0))

    with caplog.at_level(logging.WARNING):
        assert materialize_grown(home).success

    with open_warehouse(home.warehouse, read_only=True) as connection:
        assert connection.execute("FROM core.large").fetchall() == [(1,)]
    assert [line["stage"] for line in lines(home)] == ["grown"]


def test_logs_of_past_nights_go_and_that_is_noted(home):
    home.logs.mkdir()
    (home.logs / "2024-01-01.jsonl").write_text("{}\n")

    assert materialize_grown(home).success

    assert sorted(path.name for path in home.logs.iterdir()) == ["2025-06-02.jsonl"]
    assert lines(home)[-1]["gone"] == {"logs": 1}


def test_an_sqlite_file_is_written_anew_only_where_that_pays(tmp_path, monkeypatch):
    path = tmp_path / "index.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (text TEXT)")
        connection.executemany("INSERT INTO events VALUES (?)", [("x" * 500,)] * 10_000)
        connection.commit()
        connection.execute("DELETE FROM events WHERE rowid > 100")
    size = path.stat().st_size
    assert not shrink_sqlite(path)
    monkeypatch.setattr(compaction, "WORTHWHILE_BYTES", 1 << 20)

    with sqlite3.connect(path) as writing:
        writing.execute("BEGIN IMMEDIATE")
        assert not shrink_sqlite(path)
        writing.rollback()
    assert shrink_sqlite(path)

    assert path.stat().st_size < size / 5
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (100,)
