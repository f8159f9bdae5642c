"""What tests of several rooms share."""

import datetime as dt
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

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
def example_home(made_once):
    """The shipped example, made anew and never run; copy it to change it."""
    return made_once("example", lambda home: make_demo(home, customers=300, days=7, seed=7))


@pytest.fixture(scope="session")
def published_home(made_once, example_home):
    """The shipped example, published once; read it, and copy it to change it."""

    def make(home):
        shutil.copytree(example_home, home)
        result = run_night(home, dt.date(2025, 6, 30), progress=lambda *_: None)
        assert result.success, result.failures

    return made_once("hospital", make)


@pytest.fixture
def write_home(tmp_path) -> Callable[..., Path]:
    """Write a home: its customers.yaml, and a segmentation under each name; returns its folder."""

    def write(customers: str, *, folder: Path = tmp_path, **segmentations: str) -> Path:
        (folder / "segmentations").mkdir(parents=True, exist_ok=True)
        (folder / "customers.yaml").write_text(customers, encoding="utf-8")
        for name, segmentation in segmentations.items():
            file = folder / "segmentations" / f"{name}.yaml"
            file.write_text(segmentation, encoding="utf-8")
        return folder

    return write
