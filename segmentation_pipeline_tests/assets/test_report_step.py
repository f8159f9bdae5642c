"""The report is a step of its own: it is made after publication, and fails alone."""

import shutil

import dagster as dg
import pytest

from segmentation_pipeline.definitions import build_definitions
from segmentation_pipeline.publication import current_version, verify


@pytest.fixture
def home(published_home, tmp_path):
    copied = tmp_path / "hospital"
    shutil.copytree(published_home, copied, symlinks=True)
    shutil.rmtree(copied / "reports")
    return copied


def publish(home):
    """Run the job that publishes what is ready for the date, with the report after it."""
    job = build_definitions(home).resolve_job_def("publish")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            partition_key="2025-06-30", instance=instance, raise_on_error=False
        )


def test_publishing_makes_the_report(home):
    done = publish(home)

    assert done.success
    (made,) = done.asset_materializations_for_node("segmentation_report")
    path = home / "reports" / "2025-06-30" / "report.html"
    assert made.metadata["path"].value == str(path.resolve())
    assert made.metadata["bytes"].value == path.stat().st_size


def test_a_report_that_fails_is_seen_and_leaves_what_is_published(home, monkeypatch):
    version = current_version(home / "published")

    def fail(_home):
        raise OSError("the disk is full")

    monkeypatch.setattr("segmentation_pipeline.assets.report.make_report", fail)
    done = publish(home)

    assert not done.success
    assert [event.step_key for event in done.get_step_failure_events()] == ["segmentation_report"]
    assert done.asset_materializations_for_node("published")
    assert current_version(home / "published") == version
    assert verify(home / "published") == []
    assert not (home / "reports").exists()
