"""Nobody writes without the right to. (That one writes at a time: see `test_warehouse`.)"""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from segmentation_pipeline.errors import LockedError
from segmentation_pipeline.lock import hold_lock, lock_holder, require_writable

NOBODY = 65534
AS_NOBODY = f"""
import os, sys
from pathlib import Path
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import hold_lock, require_writable
os.setgid({NOBODY}); os.setuid({NOBODY})
home = Path(sys.argv[1])
try:
    require_writable(home)
except PipelineError as error:
    print(error)
try:
    with hold_lock(home / "x.lock", "run", timeout_seconds=0):
        print("it got the lock")
except PipelineError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_before_anything_is_begun():
    # pytest's folders are their owner's alone: this one must be seen to be refused.
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        home.chmod(0o755)
        command = [sys.executable, "-c", AS_NOBODY, str(home)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        made = list(home.iterdir())

    refused, locked = done.stdout.splitlines()
    assert refused.startswith(f"{home} can't be written to")
    assert locked.startswith(f"{home / 'x.lock'}: Permission denied")
    assert all(line.endswith("Nothing was changed") for line in (refused, locked))
    assert made == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount"
)
def test_a_read_only_disk_is_refused(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(home)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(LockedError, match="can't be written to"):
            require_writable(home)
        with (
            pytest.raises(LockedError, match="Read-only file system"),
            hold_lock(home / "x.lock", "run", timeout_seconds=0),
        ):
            raise AssertionError
    finally:
        subprocess.run(["umount", str(home)], check=True)


def test_a_home_of_ones_own_is_accepted(tmp_path):
    require_writable(tmp_path)


def test_who_looks_whether_the_lock_is_free_keeps_nobody_from_writing(tmp_path):
    path = tmp_path / "x.lock"
    with hold_lock(path, "a run that has ended", timeout_seconds=0):
        pass
    with path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        assert lock_holder(path) is None
        threading.Timer(0.03, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with hold_lock(path, "a run", timeout_seconds=0):
            assert lock_holder(path) == f"run a run (process {os.getpid()})"
