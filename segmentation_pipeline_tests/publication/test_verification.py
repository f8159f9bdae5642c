"""Damage to what is in force is found, and nothing is copied from a damaged version."""

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import read_published, rollback, verify
from segmentation_pipeline.publication.manifest import manifest_digest


def test_nothing_published(workbench):
    published = workbench.home.published

    assert verify(published) == [f"{published}: nothing has been published yet"]
    with pytest.raises(PublicationError, match="nothing has been published yet"):
        read_published(published, "FROM segments")


def test_a_sound_version_has_no_faults_and_its_digest_is_the_one_returned(workbench, night):
    published = workbench.publish(night(1))

    assert verify(workbench.home.published) == []
    assert verify(workbench.home.published, personal=["full_name"]) == []
    assert manifest_digest(workbench.home.published / "current") == published.digest


@pytest.mark.usefixtures("after_first_night")
def test_what_became_personal_is_found(workbench, night):
    assert verify(workbench.home.published, personal=["publications"]) == [
        "segment_profiles tells of `publications`, which is personal",
        "segment_traits tells of `publications`, which is personal",
        "feature_importance tells of `publications`, which is personal",
        "feature_selection tells of `publications`, which is personal",
    ]


@pytest.mark.usefixtures("after_first_night")
def test_a_flipped_byte_is_found_and_stops_the_next_night_until_a_rollback(workbench, night):
    workbench.publish(night(2))
    file = (workbench.home.published / "segments.duckdb").resolve()
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    assert verify(workbench.home.published) == [
        "segments.duckdb is not the file that was published: its digest differs"
    ]
    with pytest.raises(PublicationError, match="nothing is copied from it"):
        workbench.publish(night(3))

    rollback(workbench.home.published)
    assert workbench.publish(night(3)).is_news
    assert verify(workbench.home.published) == []


@pytest.mark.usefixtures("after_first_night")
def test_missing_surplus_and_writable_files_are_found(workbench, night):
    current = workbench.home.published / "current"
    (current / "notes.txt").write_text("mine", encoding="utf-8")
    (current / "parquet" / "segments.parquet").unlink()

    assert verify(workbench.home.published) == [
        "parquet/segments.parquet is missing",
        "notes.txt is not in the manifest",
    ]


@pytest.mark.usefixtures("after_first_night")
def test_a_writable_file_is_found(workbench, night):
    (workbench.home.published / "current" / "segments.duckdb").chmod(0o644)

    assert verify(workbench.home.published) == ["segments.duckdb can be written to"]


@pytest.mark.usefixtures("after_first_night")
def test_a_damaged_manifest_and_a_lost_link_are_found(workbench, night):
    link = workbench.home.published / "segments.duckdb"
    link.unlink()
    (fault,) = verify(workbench.home.published)
    assert fault.endswith("published/versions/000001-run-1/segments.duckdb")

    manifest = workbench.home.published / "current" / "manifest.json"
    manifest.chmod(0o644)
    manifest.write_text('{"format": 2}', encoding="utf-8")
    (fault,) = verify(workbench.home.published)
    assert "is not a manifest that this release can read" in fault

    manifest.unlink()
    (fault,) = verify(workbench.home.published)
    assert "manifest.json is missing" in fault
