"""`segmentation refit` keeps a request until a night acts upon it."""

import datetime as dt
import shutil
import subprocess
import sys

import pytest

from segmentation_pipeline.demo import make_demo
from segmentation_pipeline.measurement.refit_requests import requests_until
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.warehouse import open_warehouse

NIGHT = dt.date(2025, 6, 30)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    path = tmp_path_factory.mktemp("refit") / "home"
    make_demo(path, customers=50, days=1, seed=3)
    return path


def refit(home, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "refit", *arguments,
         "--home", str(home)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_request_is_kept_with_its_reason_for_the_next_night(home):
    first = refit(home, "engagement")
    with open_warehouse(home / "warehouse.duckdb") as connection:
        changes = NightChanges(50, 0, 0, 0, 0, 0, 0)
        keep_night(connection, "engagement", Night(NIGHT, 1), changes)
    second = refit(home, "engagement", "--reason", "new contracts")

    assert first.stdout == "engagement has no model yet: the first night fits one anyway.\n"
    assert second.stdout == (
        "engagement: the next night, or 2025-06-30 run again, fits another model.\n"
    )
    assert (first.returncode, second.returncode) == (0, 0)
    with open_warehouse(home / "warehouse.duckdb") as connection:
        assert requests_until(connection, "engagement", NIGHT) == [(1, "new contracts")]


def test_the_night_that_fitted_the_model_is_not_said_to_fit_another(published_home, tmp_path):
    home = shutil.copytree(published_home, tmp_path / "home", symlinks=True)

    done = refit(home, "engagement")

    assert done.stdout == "engagement: the next night fits another model.\n"


def test_a_segmentation_that_there_is_not_is_refused(home):
    done = refit(home, "engagment")

    assert done.returncode == 1
    assert "no segmentation `engagment`" in done.stderr
