"""One writer per home: a lock of the operating system, which the kernel frees when its holder dies.

A Dagster pool is no such lock: after `kill -9` its slot stays taken.

A changed segmentation is rehearsed on a copy of its home. The rehearsal holds a lock of its own, so
that whoever writes to the home can tell a copy at work from what a killed one left, and removes it.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentation_pipeline.errors import LockedError

REHEARSAL = ".rehearsal"
"""Folder of a home that holds the copy; its lock lies beside it."""
_REHEARSAL_LOCK = f"{REHEARSAL}.lock"
_BETWEEN_TRIES_SECONDS = 0.05
_LOOKS_SECONDS = 0.1

_WHO_MAY_WRITE = (
    "run as the user who owns the home, on a disk that is not mounted read-only. "
    "Nothing was changed"
)


@contextmanager
def hold_lock(path: Path, run_id: str, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the home's lock for the length of a `with` block.

    With a timeout of 0 a taken lock raises LockedError after a moment; it names who holds it. Once
    it is held, a rehearsal's copy that nobody works on any more is removed: it holds customers,
    whom somebody may want erased, and as much room as the warehouse.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LockedError(f"{path}: {error.strerror}; {_WHO_MAY_WRITE}") from None
    try:
        _wait_for(descriptor, path, timeout_seconds)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "run_id": run_id}).encode(), 0)
        if path.name != _REHEARSAL_LOCK:
            _clear_rehearsal(path.parent)
        yield
    finally:
        # Closing frees the lock. The file stays: removing it would let a third process lock
        # another inode of the same name while a second still waits for this one.
        os.close(descriptor)


def require_writable(home: Path) -> None:
    """Refuse a home in which this user can't write everything that a night makes.

    Raises LockedError before anything is begun.
    """
    made = (
        ".",
        "warehouse.duckdb",
        "warehouse.lock",
        "models",
        "published",
        "reports",
        "logs",
        "dagster",
    )
    for path in (home / name for name in made):
        if path.exists() and not os.access(path, os.W_OK):
            raise LockedError(f"{path.resolve()} can't be written to; {_WHO_MAY_WRITE}")


def lock_holder(path: Path) -> str | None:
    """Who holds the lock now, in words; None if it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared: two who look at once don't take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe_holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def rehearsal_lock(home: Path) -> Path:
    """Name the lock that a rehearsal holds while it works."""
    return home / _REHEARSAL_LOCK


def rehearsal_state(home: Path) -> str:
    """Say in words whether there is a rehearsal's copy of a home, and what becomes of it."""
    holder = lock_holder(rehearsal_lock(home))
    if holder is not None:
        return f"at work, {holder}"
    if (home / REHEARSAL).exists():
        return "left by one that was killed; the next run or command that writes removes it"
    return "none"


def _clear_rehearsal(home: Path) -> None:
    if not (home / REHEARSAL).exists():
        return
    try:
        with hold_lock(rehearsal_lock(home), "clearing", timeout_seconds=0):
            shutil.rmtree(home / REHEARSAL)
    except LockedError:
        # One is at work, and will remove it itself.
        return


def _wait_for(descriptor: int, path: Path, timeout_seconds: float) -> None:
    # Who only looks whether the lock is free has it for a moment: that is waited for.
    deadline = time.monotonic() + max(timeout_seconds, _LOOKS_SECONDS)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{path} is held by {_describe_holder(descriptor)}: one home has one writer "
                    "at a time; wait for that run to end, or stop it, then run this again"
                ) from None
            time.sleep(_BETWEEN_TRIES_SECONDS)
        else:
            return


def _describe_holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except json.JSONDecodeError:
        return "another run"
    return f"run {holder['run_id']} (process {holder['pid']})"
