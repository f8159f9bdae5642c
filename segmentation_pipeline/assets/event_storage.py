"""Dagster's SQLite files through a night, opened once and without a wait for the disk.

Dagster makes an engine for each event, and opens and closes the file with it: on the example 3,100
times a night, where each engine compiles its statements anew. A file in WAL mode is synced at each
commit, and checkpointed and synced again when its last connection closes: that took 48 of a night's
92 seconds, the engines 4 of 25 seconds of CPU. Here an engine and its connections stay until the
night's end. With `synchronous` at NORMAL a commit waits for nothing, and a crash of the machine can
cost the last events, never the file (SQLite, "Write-Ahead Logging", section 3).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self, cast
from unittest import mock

import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage


class _KeptOpen(sa.QueuePool):
    """Keeps its connections when its engine is told to give them up, as Dagster does each time."""

    def dispose(self) -> None:
        """Close nothing."""

    def recreate(self) -> Self:
        """Go on."""
        return self

    def close(self) -> None:
        """Close the connections; the last one of a file leaves one checkpoint to make."""
        super().dispose()


@contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Let Dagster's storages share engines in this block, and commit without a sync."""
    engines: dict[str, sa.Engine] = {}

    def shared_engine(url: str, **options: Any) -> sa.Engine:
        if url not in engines:
            engines[url] = sa.create_engine(url, **{**options, "poolclass": _KeptOpen})
            sa.event.listen(engines[url], "connect", _opened)
        return engines[url]

    try:
        with (
            mock.patch.object(sqlite_event_log, "create_engine", shared_engine),
            mock.patch.object(sqlite_run_storage, "create_engine", shared_engine),
        ):
            yield
    finally:
        for engine in engines.values():
            cast("_KeptOpen", engine.pool).close()


def _opened(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")
