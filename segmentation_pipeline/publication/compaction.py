"""Writes the warehouse anew into a file without gaps, and puts that in the place of the old one.

DuckDB gives the room of dropped tables and deleted rows to new ones, and only the gap at its end
back to the disk: nights rewrite most tables, so a warehouse grows to about twice its rows, and one
whose retention has cut much stays as large as it was. What belongs here: when a rewrite is worth
its time, and that nothing is lost by being killed in it. Which rows go belongs to `retention`.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.durable import synchronise
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.publication.building import OnStep, attached
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, open_warehouse, quote, rows_in_order

WASTEFUL_RATIO = 1.5
"""A file so many times as large as the blocks in use is written anew..."""
WORTHWHILE_BYTES = 64 << 20
"""... by the night itself if it then becomes smaller by so much: below, a night would spend a
second on room that the next one needs again."""
_SPARE = 1.1
"""Blocks in use are counted to a block per column: so much more is asked for before copying."""


@dataclass(frozen=True)
class Room:
    """How large the warehouse's file is, and how much of it is in use."""

    file_bytes: int
    used_bytes: int

    @property
    def is_wasteful(self) -> bool:
        """Whether the file is much larger than what is in it."""
        return self.file_bytes > WASTEFUL_RATIO * self.used_bytes

    @property
    def is_worth_a_night(self) -> bool:
        """Whether a night writes it anew by itself."""
        return self.is_wasteful and self.file_bytes - self.used_bytes >= WORTHWHILE_BYTES


@dataclass(frozen=True)
class Compaction:
    """What a rewrite did: the size of the file before and after."""

    bytes_before: int
    bytes_after: int


def room_of(connection: Connection) -> Room:
    """Measure the open warehouse; what was deleted counts as free, which takes a checkpoint."""
    connection.execute("CHECKPOINT")
    ((block, total, used),) = connection.execute(
        "SELECT block_size, total_blocks, used_blocks FROM pragma_database_size()"
        " WHERE database_name = current_database()"
    ).fetchall()
    return Room(int(block) * int(total), int(block) * int(used))


def compact(home: Home, *, on_step: OnStep) -> Compaction:
    """Write a home's warehouse anew, whatever its ratio; the caller holds the home's lock.

    Killed anywhere, the warehouse is the old file or the new one, which have the same rows.
    Raises PipelineError where there is no warehouse, or no room for a second one.
    """
    if not home.warehouse.exists():
        raise PipelineError(f"{home.warehouse}: there is no warehouse yet, nothing to write anew")
    limits = home.customers.limits
    with open_warehouse(
        home.warehouse, memory_limit=limits.memory, threads=limits.threads
    ) as connection:
        before = room_of(connection)
        on_step("write the warehouse anew")
        copy_warehouse(connection, home)
    on_step("put the new warehouse in its place")
    replace_warehouse(home)
    return Compaction(before.file_bytes, home.warehouse.stat().st_size)


def copy_warehouse(connection: Connection, home: Home) -> None:
    """Copy the open warehouse into a fresh file beside it, which holds its rows and nothing else.

    Raises PipelineError where the disk has no room for it; then nothing was written.
    """
    clear_fresh_warehouse(home)
    _require_room(home, room_of(connection))
    (name,) = connection.execute("SELECT current_database()").fetchall()[0]
    with (
        rows_in_order(connection, is_kept=True),
        attached(connection, _fresh(home), "fresh", "READ_WRITE"),
    ):
        connection.execute(f"COPY FROM DATABASE {quote(str(name))} TO fresh")
        connection.execute("CHECKPOINT fresh")


def replace_warehouse(home: Home) -> None:
    """Put the copy in the place of the warehouse, which is closed, by one rename."""
    log = home.warehouse.with_name(f"{home.warehouse.name}.wal")
    if log.exists():
        raise PipelineError(
            f"{log} is there though the warehouse was closed: does another program have it open? "
            "End it, and run this again"
        )
    fresh = _fresh(home)
    synchronise(fresh)
    fresh.replace(home.warehouse)
    synchronise(home.path)


def clear_fresh_warehouse(home: Home) -> None:
    """Remove the copy that was left by one who was killed while writing it."""
    fresh = _fresh(home)
    for path in (fresh, fresh.with_name(f"{fresh.name}.wal")):
        path.unlink(missing_ok=True)


def _require_room(home: Home, room: Room) -> None:
    needed = int(_SPARE * room.used_bytes)
    free = shutil.disk_usage(home.path).free
    if free < needed:
        raise PipelineError(
            f"{home.path}: {free // 10**6} MB are free, and writing the warehouse anew takes "
            f"{needed // 10**6} MB: make room, then run this again"
        )


def _fresh(home: Home) -> Path:
    return home.warehouse.with_suffix(".fresh.duckdb")
