"""One writer per home: a lock of the operating system, which the kernel frees when its holder dies.

A Dagster pool is no such lock: after `kill -9` its slot stays taken.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentation_pipeline.errors import LockedError


@contextmanager
def hold_lock(path: Path, run_id: str, *, timeout_seconds: float) -> Iterator[None]:
    """Hold the home's lock for the length of a `with` block.

    With a timeout of 0 a taken lock raises LockedError at once; it names who holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait_for(descriptor, path, timeout_seconds)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "run_id": run_id}).encode(), 0)
        yield
    finally:
        # Closing frees the lock. The file stays: removing it would let a third process lock
        # another inode of the same name while a second still waits for this one.
        os.close(descriptor)


def lock_holder(path: Path) -> str | None:
    """Who holds the lock now, in words; None if it is free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _describe_holder(descriptor)
    else:
        return None
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{path} is held by {_describe_holder(descriptor)}: one home has one writer "
                    "at a time; wait for that run to end, or stop it, then run this again"
                ) from None
            time.sleep(0.2)
        else:
            return


def _describe_holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
    except json.JSONDecodeError:
        return "another run"
    return f"run {holder['run_id']} (process {holder['pid']})"
