"""Dagster's SQLite files through a night."""

import sqlite3
from functools import partial

import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.runs import SqliteRunStorage

from segmentation_pipeline.assets.event_storage import without_waiting_for_the_disk

SYNCHRONOUS = sa.text("PRAGMA synchronous")


@pytest.fixture
def events(tmp_path):
    return SqliteEventLogStorage(str(tmp_path))


def write(storage, name):
    with storage.run_connection("run") as connection:
        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS noted (name TEXT)"))
        connection.execute(sa.text("INSERT INTO noted VALUES (:name)"), {"name": name})


def test_a_commit_waits_for_no_disk_inside_the_block_only(tmp_path, events):
    runs = SqliteRunStorage.from_local(str(tmp_path))

    def waits():
        found = []
        for connect in (
            partial(events.run_connection, "run"),
            events.index_connection,
            runs.connect,
        ):
            with connect() as connection:
                found.append(connection.execute(SYNCHRONOUS).scalar_one())
        return found

    assert waits() == [2, 2, 2]
    with without_waiting_for_the_disk():
        assert waits() == [1, 1, 1]
    assert waits() == [2, 2, 2]


def test_the_log_stays_between_connections_and_is_gone_after_the_block(tmp_path, events):
    log = tmp_path / "run.db-wal"
    with without_waiting_for_the_disk():
        for name in ("start", "end"):
            write(events, name)
            assert log.exists()
    assert not log.exists()
    with events.run_connection("run") as connection:
        found = connection.execute(sa.text("SELECT name FROM noted")).scalars().all()
    assert found == ["start", "end"]


def test_a_file_is_not_opened_anew_for_each_event_and_others_read_what_is_committed(
    tmp_path, events, monkeypatch
):
    opened = []
    connect = sqlite3.dbapi2.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda *a, **k: opened.append(a[0]) or connect(*a, **k)
    )
    with without_waiting_for_the_disk():
        write(events, "first")
        before = len(opened)
        for number in range(4):
            write(events, str(number))
        assert len(opened) == before
        reader = connect(tmp_path / "run.db")
        assert reader.execute("SELECT count(*) FROM noted").fetchone() == (5,)
        reader.close()


def test_what_fails_in_the_block_is_rolled_back(events):
    def write_and_fail():
        with events.run_connection("run") as connection:
            connection.execute(sa.text("INSERT INTO noted VALUES ('lost')"))
            raise RuntimeError

    with without_waiting_for_the_disk():
        write(events, "kept")
        with pytest.raises(RuntimeError):
            write_and_fail()
        with events.run_connection("run") as connection:
            found = connection.execute(sa.text("SELECT name FROM noted")).scalars().all()
    assert found == ["kept"]
