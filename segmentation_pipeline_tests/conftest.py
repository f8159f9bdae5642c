"""What tests of several rooms share."""

import datetime as dt
import fcntl
import os
import shutil

import pytest

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.demo import make_demo


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Make a folder by name once for all processes that run these tests; it is only read then."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def _made_once(name, make):
        folder, made = shared / name, shared / f"{name}.made"
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                # What a failure left.
                shutil.rmtree(folder, ignore_errors=True)
                make(folder)
                made.touch()
        return folder

    return _made_once


@pytest.fixture(scope="session")
def published_home(made_once):
    """The shipped example, made anew and published once; read it, and copy it to change it."""

    def make(home):
        make_demo(home, customers=300, days=7, seed=7)
        result = run_night(home, dt.date(2025, 6, 30), progress=lambda *_: None)
        assert result.success, result.failures

    return made_once("hospital", make)
