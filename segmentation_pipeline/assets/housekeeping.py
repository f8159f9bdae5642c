"""What a run tidies up when its work is done: room in the warehouse, past nights, past runs.

What belongs here: when it is done, and that it never makes a night fail. What is too old belongs to
`publication.retention`, when a rewrite pays to `publication.compaction`.
"""

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from time import perf_counter

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from segmentation_pipeline.assets.stage_log import note
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.publication.compaction import (
    Room,
    copy_warehouse,
    replace_warehouse,
    room_of,
)
from segmentation_pipeline.publication.retention import clear_past_nights
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, DatabaseError

_NOT_TIDIED = "the home was not tidied up, which the next run tries again"
_RUNS_AT_ONCE = 50
"""So many runs are forgotten at most at the end of one: a night doesn't wait for years of them."""


def tidy_up(
    connection: Connection,
    home: Home,
    instance: dg.DagsterInstance | None,
    log: logging.Logger,
) -> bool:
    """Tidy up a home at the end of a run, whose connection is still open and holds no transaction.

    Returns whether a fresh warehouse lies beside the old one, to be put in its place once that is
    closed. What can't be done, on a full disk for instance, is told and left to the next run: the
    night has done its work.
    """
    try:
        newest = connection.execute(
            "SELECT as_of, run_id FROM core.builds ORDER BY as_of DESC, run_id LIMIT 1"
        ).fetchall()
        if not newest:
            return False
        build = Build(*newest[0])
        gone = clear_past_nights(home, build.as_of)
        if instance is not None:
            runs = forget_runs(instance, home)
            gone |= {"runs": runs} if runs else {}
        if gone:
            note(home, build, "retention", gone=gone)
        return _write_fresh(connection, home, build)
    except (PipelineError, OSError) as error:
        log.warning(f"{_NOT_TIDIED} ({error})")
    except (DatabaseError, sa.exc.SQLAlchemyError, sqlite3.Error) as error:
        # What a database says may quote a value.
        log.warning(f"{_NOT_TIDIED} ({type(error).__name__})")
    return False


def put_in_place(home: Home, log: logging.Logger) -> None:
    """Put the fresh warehouse in the place of the old one, which is closed; else tell why not."""
    try:
        replace_warehouse(home)
    except (PipelineError, OSError) as error:
        log.warning(f"{_NOT_TIDIED} ({error})")


def forget_runs(instance: dg.DagsterInstance, home: Home) -> int:
    """Delete Dagster's record of runs older than the newest `retention.runs`; returns how many.

    Only where the record is in SQLite files of the home: one in PostgreSQL may be of others too.
    `delete_run` empties a run's file and leaves it, and leaves what it knew of checks.
    """
    keep, storage = home.customers.retention.runs, instance.event_log_storage
    if keep is None or not isinstance(storage, SqliteEventLogStorage):
        return 0
    index = Path(storage.path_for_shard("index"))
    if not index.resolve().is_relative_to(home.path):
        return 0
    statuses = [
        dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED,
    ]  # fmt: skip
    finished = dg.RunsFilter(statuses=statuses)
    kept = instance.get_run_records(finished, limit=keep)
    if len(kept) < keep:
        return 0
    cursor = kept[-1].dagster_run.run_id
    outdated = instance.get_run_records(finished, limit=_RUNS_AT_ONCE, cursor=cursor)
    for record in outdated:
        run_id = record.dagster_run.run_id
        instance.delete_run(run_id)
        with storage.index_connection() as connection:
            of_run = AssetCheckExecutionsTable.c.run_id == run_id
            connection.execute(AssetCheckExecutionsTable.delete().where(of_run))
        events = Path(storage.path_for_shard(run_id))
        for suffix in ("", "-wal", "-shm"):
            events.with_name(events.name + suffix).unlink(missing_ok=True)
        shutil.rmtree(Path(instance.root_directory) / "storage" / run_id, ignore_errors=True)
    if outdated:
        shrink_sqlite(index)
    return len(outdated)


def shrink_sqlite(path: Path) -> bool:
    """Write an SQLite file anew where it is much larger than its rows; returns whether it was.

    The rule is the warehouse's. While somebody else writes to the file it is left for another time.
    """
    with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
        page, pages, free = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        if not Room(page * pages, page * (pages - free)).is_worth_a_night:
            return False
        try:
            connection.execute("VACUUM")
        except sqlite3.OperationalError:  # The file is busy, in the UI for instance.
            return False
        return True


def _write_fresh(connection: Connection, home: Home, build: Build) -> bool:
    started, room = perf_counter(), room_of(connection)
    if not room.is_worth_a_night:
        return False
    copy_warehouse(connection, home)
    seconds = round(perf_counter() - started, 3)
    note(home, build, "compaction", bytes=room.file_bytes, bytes_needed=room.used_bytes,
         seconds=seconds)  # fmt: skip
    return True
