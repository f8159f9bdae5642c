"""Versions: which is in force, how to go back, which are kept, and what forbids to publish."""

import shutil
from collections import namedtuple

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import current_version, rollback, verify
from segmentation_pipeline.publication.versions import next_version

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def _few_tables(few_tables):
    """What is tested here is not of single tables."""


def in_force(workbench) -> str:
    manifest = current_version(workbench.home.published)
    return manifest.version if manifest else "nothing"


def kept(workbench) -> list[str]:
    return sorted(path.name for path in (workbench.home.published / "versions").iterdir())


def test_rollback_goes_back_one_version_each_time(workbench, night):
    published = workbench.home.published
    for day in (1, 2, 3):
        workbench.publish(night(day))

    assert rollback(published) == "000002-run-2"
    assert in_force(workbench) == "000002-run-2"
    assert verify(published) == []
    assert rollback(published) == "000001-run-1"
    assert workbench.read("SELECT DISTINCT run_id FROM segments") == [("run-1",)]
    with pytest.raises(PublicationError, match="000001-run-1 is the first version"):
        rollback(published)
    assert in_force(workbench) == "000001-run-1"


def test_publishing_after_a_rollback_continues_the_sequence_from_the_version_in_force(
    workbench, night
):
    for day in (1, 2):
        workbench.publish(night(day))
    rollback(workbench.home.published)

    published = workbench.publish(night(3))

    assert published.manifest.version == "000003-run-3"
    assert published.manifest.previous == "000001-run-1"
    assert workbench.read("SELECT DISTINCT run_id FROM segmentation_runs ORDER BY run_id") == [
        ("run-1",),
        ("run-3",),
    ]
    # What was rolled back from is not what a rollback returns to.
    assert rollback(workbench.home.published) == "000001-run-1"


@pytest.mark.usefixtures("after_first_night")
def test_the_same_night_is_news_again_after_a_rollback(workbench, night):
    workbench.publish(night(2))
    rollback(workbench.home.published)

    assert workbench.publish(night(2, "again")).is_news


def test_as_many_versions_are_kept_as_the_home_says(workbench, night):
    for day in (1, 2, 3, 4):
        workbench.publish(night(day))

    assert kept(workbench) == ["000002-run-2", "000003-run-3", "000004-run-4"]
    rollback(workbench.home.published)
    rollback(workbench.home.published)
    with pytest.raises(PublicationError, match="000001-run-1 is no longer kept"):
        rollback(workbench.home.published)


def test_versions_that_no_rollback_leads_to_are_deleted(workbench, night):
    for day in (1, 2):
        workbench.publish(night(day))
    rollback(workbench.home.published)

    workbench.publish(night(3))

    assert kept(workbench) == ["000001-run-1", "000003-run-3"]


def test_nothing_published_is_nothing_to_go_back_to(workbench):
    with pytest.raises(PublicationError, match="nothing has been published"):
        rollback(workbench.home.published)


@pytest.mark.usefixtures("after_first_night")
def test_a_damaged_version_is_not_put_back(workbench, night):
    workbench.publish(night(2))
    file = workbench.home.published / "versions" / "000001-run-1" / "parquet" / "segments.parquet"
    file.chmod(0o644)
    file.write_bytes(b"PAR1")

    with pytest.raises(PublicationError, match=r"segments\.parquet is not the file that was"):
        rollback(workbench.home.published)
    assert in_force(workbench) == "000002-run-2"


@pytest.mark.usefixtures("after_first_night")
@pytest.mark.parametrize("place", ["", "current"])
def test_a_stale_write_ahead_log_is_refused_with_what_to_do(workbench, night, place):
    log = workbench.home.published / place / "segments.duckdb.wal"
    log.write_bytes(b"left by a tool")

    with pytest.raises(PublicationError, match=r"delete this \.wal file"):
        workbench.publish(night(2))
    with pytest.raises(PublicationError):
        rollback(workbench.home.published)

    log.unlink()
    assert workbench.publish(night(2)).is_news


@pytest.mark.usefixtures("after_first_night")
def test_without_room_for_three_times_the_database_nothing_begins(workbench, night, monkeypatch):
    size = (workbench.home.published / "segments.duckdb").stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 3 * size - 1))

    with pytest.raises(PublicationError, match=r"(\d+) MB are free, publishing may need \1 MB"):
        workbench.publish(night(2))
    assert in_force(workbench) == "000001-run-1"

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 3 * size))
    assert workbench.publish(night(2)).is_news


def test_a_file_in_place_of_the_link_is_not_overwritten(workbench, night):
    (workbench.home.published / "current").mkdir(parents=True)

    with pytest.raises(PublicationError, match="is not a link to a version"):
        workbench.publish(night(1))


def test_versions_are_ordered_by_sequence_not_by_name_or_time(tmp_path):
    for name in ("000009-z", "000010-a", "notes", "1000000-b"):
        (tmp_path / "versions" / name).mkdir(parents=True)

    assert next_version(tmp_path, "run") == "1000001-run"
    assert next_version(tmp_path / "empty", "run") == "000001-run"
    with pytest.raises(PublicationError, match="cannot name a folder"):
        next_version(tmp_path, "../run")
