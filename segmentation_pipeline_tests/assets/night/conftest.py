"""A home of 400 customers, before and after its first night; copied before it is changed."""

import datetime as dt
import shutil

import pytest

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.demo import make_demo

LAST = dt.date(2025, 6, 30)
EARLY = LAST - dt.timedelta(days=4)


@pytest.fixture(scope="module")
def fresh(made_once):
    """Sources and specification of 400 customers, five nights; never run."""
    return made_once("fresh", lambda home: make_demo(home, 400, 5, 11))


@pytest.fixture(scope="module")
def after_a_night(made_once, fresh):
    """Make the copy of a home after one more night; it is only read."""

    def _after_a_night(name, before, as_of):
        def make(home):
            shutil.copytree(before, home, symlinks=True)
            result = run_night(home, as_of, progress=lambda *_: None)
            assert result.success, result.failures
            assert result.is_news or before is not fresh

        return made_once(name, make)

    return _after_a_night


@pytest.fixture(scope="module")
def first_night(fresh, after_a_night):
    """The same, with one night published; copied before it is changed."""
    return after_a_night("first_night", fresh, LAST)


@pytest.fixture(scope="module")
def early_night(fresh, after_a_night):
    """One night, the earliest of which there are sources."""
    return after_a_night("early_night", fresh, EARLY)


@pytest.fixture
def early_home(early_night, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(early_night, copy, symlinks=True)
    return copy


@pytest.fixture
def home(first_night, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(first_night, copy, symlinks=True)
    return copy


@pytest.fixture
def unrun(fresh, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(fresh, copy)
    return copy
