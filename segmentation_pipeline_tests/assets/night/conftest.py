"""The shipped example before and after some of its nights; copied before it is changed."""

import datetime as dt
import shutil
import subprocess
import sys

import pytest

from segmentation_pipeline.assets.night import run_night

LAST = dt.date(2025, 6, 30)
OLDER = LAST - dt.timedelta(days=2)
EARLY = LAST - dt.timedelta(days=4)


@pytest.fixture(scope="session")
def after_a_night(made_once):
    """Make the copy of a home after one more night; it is only read."""

    def _after_a_night(name, before, as_of):
        def make(home):
            shutil.copytree(before, home, symlinks=True)
            result = run_night(home, as_of, progress=lambda *_: None)
            assert result.success, result.failures

        return made_once(name, make)

    return _after_a_night


@pytest.fixture(scope="session")
def first_night(published_home):
    """One night published, the last of which there are sources."""
    return published_home


@pytest.fixture(scope="session")
def older_night(first_night, after_a_night):
    """An older night after the first one."""
    return after_a_night("older_night", first_night, OLDER)


@pytest.fixture(scope="session")
def early_night(example_home, after_a_night):
    """One night, four days before the last of which there are sources."""
    return after_a_night("early_night", example_home, EARLY)


def _copied(before, folder):
    return shutil.copytree(before, folder / "home", symlinks=True)


@pytest.fixture
def early_home(early_night, tmp_path):
    return _copied(early_night, tmp_path)


@pytest.fixture
def home(first_night, tmp_path):
    return _copied(first_night, tmp_path)


@pytest.fixture
def home_of_two(older_night, tmp_path):
    """Two versions are kept: the older night's, and the first one's before it."""
    return _copied(older_night, tmp_path)


@pytest.fixture
def unrun(example_home, tmp_path):
    return _copied(example_home, tmp_path)


@pytest.fixture
def command():
    """Run the command line as a person does, in a process of its own."""

    def _command(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "segmentation_pipeline.cli", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return _command
