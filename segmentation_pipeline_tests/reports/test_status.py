"""What `segmentation status` says of a home that is well, and of one that is not."""

import datetime as dt
import json
import shutil

import pytest

from segmentation_pipeline.publication import read_published
from segmentation_pipeline.reports.status import read_status
from segmentation_pipeline.specification.home import load_home


def soon(home):
    """A time shortly after the home was published."""
    manifest = home.published / "current" / "manifest.json"
    return dt.datetime.fromtimestamp(manifest.stat().st_mtime, dt.UTC) + dt.timedelta(hours=1)


@pytest.fixture
def home(published_home, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(published_home, copy, symlinks=True)
    return load_home(copy)


def test_a_home_that_is_well(home):
    status = read_status(home, soon(home))

    assert status.faults == []
    assert [one.name for one in status.segmentations] == ["engagement", "profession"]
    assert {one.as_of for one in status.segmentations} == {dt.date(2025, 6, 30)}
    (counted,) = read_published(
        home.published, "SELECT count(*) FROM customer_segments WHERE segmentation = 'engagement'"
    )
    assert {one.customers for one in status.segmentations} == set(counted)
    assert status.last_run.failed == ()
    assert status.last_run.steps > 40
    assert status.last_run.seconds > 1


def test_a_first_load_that_has_none_before_it_to_compare_with_is_no_warning(home):
    outcomes = read_published(
        home.published,
        "SELECT table_name || ': ' || expectation || ': ' || message, outcome"
        " FROM validation_results WHERE NOT success ORDER BY ALL",
    )

    assert {outcome for _, outcome in outcomes} == {"failed", "not_compared"}
    failed = [text for text, outcome in outcomes if outcome == "failed"]
    assert read_status(home, soon(home)).warnings == failed


def test_a_failed_step_an_overdue_night_and_a_home_without_anything(home):
    now = soon(home)
    overdue = read_status(home, now + dt.timedelta(hours=60))
    assert any("nothing was published for 61 hours" in fault for fault in overdue.faults)

    (log,) = home.logs.glob("*.jsonl")
    last = json.loads(log.read_text().splitlines()[-1])
    with log.open("a") as file:
        file.write(json.dumps({**last, "stage": "published", "outcome": "failed"}) + "\n")
    failed = read_status(home, now)
    assert failed.faults == ["the last run, for 2025-06-30, failed at published"]

    shutil.rmtree(home.published)
    assert "nothing has been published yet" in read_status(home, now).faults
