"""What tests of several rooms share."""

import datetime as dt

import pytest

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.demo import make_demo


@pytest.fixture(scope="session")
def published_home(tmp_path_factory):
    """The shipped example, made anew and published once; read it, and copy it to change it."""
    home = tmp_path_factory.mktemp("published_home") / "hospital"
    make_demo(home, customers=300, days=7, seed=7)
    result = run_night(home, dt.date(2025, 6, 30), progress=lambda *_: None)
    assert result.success, result.failures
    return home
