"""The warehouse written anew has the same rows in less room, whenever the writer is killed."""

import os
import shutil
from collections import namedtuple

import pytest

from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.publication import verify
from segmentation_pipeline.publication.compaction import (
    WORTHWHILE_BYTES,
    Room,
    clear_fresh_warehouse,
    compact,
    room_of,
)

MEGABYTE = 1 << 20
KILLED = 9
Disk = namedtuple("Disk", "free")


def silent(_):
    pass


def content(workbench):
    """Every row and every column of every table and view, by name."""
    with workbench.open() as connection:
        names = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_catalog = current_database() ORDER BY ALL"
        ).fetchall()
        return {
            f"{schema}.{name}": (
                connection.execute(f"DESCRIBE {schema}.{name}").fetchall(),
                connection.execute(f"SELECT * FROM {schema}.{name} ORDER BY ALL").fetchall(),
            )
            for schema, name in names
        }


@pytest.fixture
def wasteful(workbench, night):
    """A home with a night's work, in whose warehouse a large table was dropped; a view is left."""
    with workbench.open() as connection:
        workbench.make_night(connection, night(1))
        connection.execute(
            "CREATE TABLE core.large AS SELECT i, md5(i::VARCHAR) AS text FROM range(900000) t(i)"
        )
        connection.execute("CREATE TABLE core.keyed (id INTEGER PRIMARY KEY, name VARCHAR)")
        connection.execute("INSERT INTO core.keyed VALUES (1, 'one')")
        connection.execute(
            "CREATE VIEW engagement.feature_matrix AS"
            " SELECT customer_id, 1::FLOAT AS x FROM engagement.customer_segments"
        )
        connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE core.large")
    return workbench


def test_it_is_smaller_and_has_the_same_rows_keys_and_views(wasteful, night):
    before = content(wasteful)
    size = wasteful.home.warehouse.stat().st_size

    done = compact(wasteful.home, on_step=silent)

    assert done.bytes_after == wasteful.home.warehouse.stat().st_size < size / 1.5
    assert content(wasteful) == before
    with wasteful.open() as connection:
        assert not room_of(connection).is_wasteful
        connection.execute("INSERT OR REPLACE INTO core.keyed VALUES (1, 'again')")
        assert connection.execute("FROM core.keyed").fetchall() == [(1, "again")]
    wasteful.publish(night(2))
    assert verify(wasteful.home.published) == []
    assert sorted(path.name for path in wasteful.home.path.glob("warehouse*")) == [
        "warehouse.duckdb"
    ]


def test_killed_before_each_step_and_in_the_copy_it_loses_nothing(wasteful):
    before, steps = content(wasteful), []
    compact(wasteful.home, on_step=steps.append)
    assert len(steps) == 2

    for last in range(len(steps)):
        child = os.fork()
        if child == 0:
            left = iter(range(last + 1))

            def die_in_time(_, left=left, last=last):
                if next(left) == last:
                    os._exit(KILLED)

            compact(wasteful.home, on_step=die_in_time)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
        assert content(wasteful) == before
    # A whole copy lies there now. One that was cut short is no better, and doesn't get in the way.
    fresh = wasteful.home.warehouse.with_suffix(".fresh.duckdb")
    assert fresh.exists()
    os.truncate(fresh, 5000)
    fresh.with_name(f"{fresh.name}.wal").write_bytes(b"left behind")

    compact(wasteful.home, on_step=silent)

    assert content(wasteful) == before
    assert not fresh.exists()
    assert not fresh.with_name(f"{fresh.name}.wal").exists()


def test_what_a_killed_one_left_is_removed_by_the_next_run(wasteful):
    fresh = wasteful.home.warehouse.with_suffix(".fresh.duckdb")
    fresh.write_bytes(b"half a copy")

    clear_fresh_warehouse(wasteful.home)
    clear_fresh_warehouse(wasteful.home)

    assert not fresh.exists()


def test_without_room_for_a_second_file_nothing_is_written(wasteful, monkeypatch):
    before = wasteful.home.warehouse.read_bytes()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Disk(free=MEGABYTE))

    with pytest.raises(PipelineError, match="MB are free, and writing the warehouse anew takes"):
        compact(wasteful.home, on_step=silent)

    assert len(wasteful.home.warehouse.read_bytes()) <= len(before)
    assert [path.name for path in wasteful.home.path.glob("warehouse*")] == ["warehouse.duckdb"]


def test_without_a_warehouse_there_is_nothing_to_write(workbench):
    with pytest.raises(PipelineError, match="there is no warehouse yet"):
        compact(workbench.home, on_step=silent)


@pytest.mark.parametrize(
    ("file", "used", "is_wasteful", "is_worth_a_night"),
    [
        (300, 200, False, False),
        (301, 200, True, True),
        (60, 20, True, False),
        (2 * WORTHWHILE_BYTES // MEGABYTE, WORTHWHILE_BYTES // MEGABYTE, True, True),
    ],
)
def test_a_night_writes_anew_what_is_half_as_large_again_and_much(
    file, used, is_wasteful, is_worth_a_night
):
    room = Room(file * MEGABYTE, used * MEGABYTE)

    assert (room.is_wasteful, room.is_worth_a_night) == (is_wasteful, is_worth_a_night)
