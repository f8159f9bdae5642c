"""Readers, while versions change under them."""

import datetime as dt
import json
import subprocess
import sys

import pytest

from segmentation_pipeline.warehouse import open_warehouse

FIRST, SECOND = dt.date(2025, 6, 1), dt.date(2025, 6, 2)
# Connects again and again until told to stop; counts looks, versions, and looks that were torn.
READER = """
import json, sys
from pathlib import Path
from segmentation_pipeline.warehouse import open_warehouse
file, stop = map(Path, sys.argv[1:])
looks, torn, runs = 0, 0, set()
print("ready", flush=True)
while not stop.exists():
    with open_warehouse(file, read_only=True) as connection:
        (run,), *others = connection.execute(
            "SELECT run_id FROM segments UNION SELECT run_id FROM customer_segments"
        ).fetchall()
        ((assigned,),) = connection.execute("SELECT count(*) FROM customer_segments").fetchall()
    looks, torn = looks + 1, torn + (bool(others) or assigned != 12)
    runs.add(run)
print(json.dumps({"looks": looks, "torn": torn, "runs": sorted(runs)}))
"""


@pytest.fixture(autouse=True)
def _few_tables(few_tables):
    """What is tested here is not of single tables."""


@pytest.mark.usefixtures("after_first_night")
def test_readers_keep_the_version_they_hold_and_find_the_next_when_they_connect(workbench, night):
    file = workbench.home.published / "segments.duckdb"
    with open_warehouse(file, read_only=True) as holding:
        assert holding.execute("SELECT max(as_of) FROM segments").fetchall() == [(FIRST,)]

        workbench.publish(night(2))

        assert holding.execute("SELECT max(as_of) FROM segments").fetchall() == [(FIRST,)]
        with open_warehouse(file, read_only=True) as connecting:
            assert connecting.execute("SELECT max(as_of) FROM segments").fetchall() == [(SECOND,)]


@pytest.mark.usefixtures("after_first_night")
def test_another_process_that_looks_all_the_time_sees_whole_versions_only(
    workbench, night, tmp_path
):
    stop = tmp_path / "stop"
    arguments = [str(workbench.home.published / "segments.duckdb"), str(stop)]
    with subprocess.Popen(
        [sys.executable, "-c", READER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdout.readline() == "ready\n"
        for day in (2, 3, 4, 5):
            workbench.publish(night(day))
        stop.touch()
        output, errors = reader.communicate()

    assert reader.returncode == 0, errors
    seen = json.loads(output)
    assert seen["torn"] == 0
    assert seen["looks"] > 4
    assert len(seen["runs"]) > 1
