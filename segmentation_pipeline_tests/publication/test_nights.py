"""Night after night: what is replaced, what is kept, what is copied forward, what is no news."""

import datetime as dt
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from segmentation_pipeline import contracts
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication import current_version, verify, work_tables
from segmentation_pipeline.publication.verification import OF_ANOTHER_RELEASE
from segmentation_pipeline.specification.home import load_home

FIRST, SECOND, THIRD = (dt.date(2025, 6, day) for day in (1, 2, 3))
SEGMENTS = "SELECT segmentation, segment_id, customers, as_of, is_stale FROM segments"
IN_ENGAGEMENT = (
    "SELECT customer_id, segment_id FROM customer_segments WHERE segmentation = 'engagement'"
)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder, to the byte."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.mark.usefixtures("after_first_night")
def test_the_next_night_replaces_current_rows_and_adds_dated_ones(workbench, night):
    moved = workbench.moved("engagement", 2, 1, 1, 1, 2, 2)

    published = moved.publish(night(2), file_digest="bb")

    assert published.manifest.version == "000002-run-2"
    assert workbench.read(IN_ENGAGEMENT) == [
        ("c1", "engagement-2"),
        ("c2", "engagement-1"),
        ("c3", "engagement-1"),
        ("c4", "engagement-1"),
        ("c5", "engagement-2"),
        ("c6", "engagement-2"),
    ]
    assert workbench.read("SELECT DISTINCT as_of, run_id FROM customer_segments") == [
        (SECOND, "run-2")
    ]
    assert workbench.read("SELECT as_of, run_id, segmentation FROM segmentation_runs") == [
        (FIRST, "run-1", "engagement"),
        (FIRST, "run-1", "profession"),
        (SECOND, "run-2", "engagement"),
        (SECOND, "run-2", "profession"),
    ]
    checked = "SELECT as_of, run_id, count(*) FROM validation_results GROUP BY ALL ORDER BY ALL"
    # Customers and the cleaning report are of the home.
    count = 2 + sum(len(work_tables(name)) for name in ("engagement", "profession"))
    assert workbench.read(checked) == [(FIRST, "run-1", count), (SECOND, "run-2", count)]
    assert workbench.read("SELECT digest FROM source_loads") == [("bb",)]
    assert verify(workbench.home.published) == []


def test_the_same_night_from_the_same_inputs_is_no_news(workbench, night):
    first = workbench.publish(night(1))
    before = contents(workbench.home.published)

    again = workbench.publish(night(1, "another-run"))

    assert not again.is_news
    assert again.digest == first.digest
    assert again.manifest == first.manifest
    assert contents(workbench.home.published) == before


@pytest.mark.usefixtures("after_first_night")
@pytest.mark.parametrize(
    "changed", [{"file_digest": "bb"}, {"model_version": 2}, {"decisions": "rejected"}]
)
def test_the_same_night_from_other_inputs_is_news_and_replaces_its_rows(workbench, night, changed):
    again = workbench.publish(night(1, "another-run"), **changed)

    assert again.is_news
    assert workbench.read("SELECT as_of, run_id, segmentation FROM segmentation_runs") == [
        (FIRST, "another-run", "engagement"),
        (FIRST, "another-run", "profession"),
    ]
    assert workbench.read("SELECT DISTINCT as_of, run_id FROM validation_results") == [
        (FIRST, "another-run")
    ]


def load_sql(load_id: int, snapshot_date: str) -> str:
    """One more load of the CRM table."""
    return (
        f"INSERT INTO raw.raw_crm VALUES ({load_id});"
        f"INSERT INTO core.source_loads SELECT * REPLACE ({load_id} AS load_id,"
        f" 'digest {load_id}' AS digest, DATE '{snapshot_date}' AS snapshot_date)"
        " FROM core.source_loads WHERE load_id = 1"
    )


def test_a_file_that_is_gone_is_news(workbench, night):
    workbench.publish_after(night(1), load_sql(2, "2025-06-01"))
    gone = "DELETE FROM raw.raw_crm WHERE load_id = 2"

    same = workbench.publish_after(night(1, "same"), load_sql(2, "2025-06-01"))
    without = workbench.publish_after(night(1, "without"), load_sql(2, "2025-06-01"), gone)

    assert not same.is_news
    assert without.is_news


@pytest.mark.usefixtures("after_first_night")
def test_a_snapshot_of_a_later_date_is_no_news_for_an_earlier_one(workbench, night):
    assert not workbench.publish_after(night(1, "again"), load_sql(2, "2025-06-09")).is_news
    assert workbench.publish_after(night(1, "again"), load_sql(2, "2025-06-01")).is_news


def test_a_changed_specification_is_news(workbench, night):
    first = workbench.publish(night(1))
    file = workbench.home.path / "segmentations" / "engagement.yaml"
    edited = file.read_text(encoding="utf-8").replace("title: Lens", "title: Other lens")
    file.write_text(edited, encoding="utf-8")
    again = replace(workbench, home=load_home(workbench.home.path)).publish(night(1, "other-run"))

    assert first.digest != again.digest
    assert again.is_news


@pytest.mark.usefixtures("after_first_night")
def test_a_segmentation_that_is_not_ready_keeps_its_rows_and_is_stale(workbench, night):
    before = workbench.read("FROM customer_segments WHERE segmentation = 'profession'")

    published = workbench.of("engagement").publish(night(2))

    assert published.stale == ("profession",)
    assert workbench.read(SEGMENTS) == [
        ("engagement", "engagement-1", 4, SECOND, False),
        ("engagement", "engagement-2", 2, SECOND, False),
        ("profession", "profession-1", 2, FIRST, True),
        ("profession", "profession-2", 2, FIRST, True),
        ("profession", "profession-3", 2, FIRST, True),
    ]
    assert workbench.read("FROM customer_segments WHERE segmentation = 'profession'") == before
    for table in ("segment_profiles", "segment_category_shares", "model_candidates"):
        assert workbench.read(f"SELECT DISTINCT segmentation, as_of FROM {table} ORDER BY ALL") == [
            ("engagement", SECOND),
            ("profession", FIRST),
        ]
    assert verify(workbench.home.published) == []


@pytest.mark.usefixtures("after_first_night")
def test_a_stale_segmentation_is_fresh_again_once_it_is_ready(workbench, night):
    workbench.of("engagement").publish(night(2))

    published = workbench.of("profession").publish(night(2, "later-run"))

    assert published.is_news
    assert published.stale == ()
    assert workbench.read(
        "SELECT DISTINCT segmentation, as_of, run_id, is_stale FROM segments ORDER BY ALL"
    ) == [
        ("engagement", SECOND, "run-2", False),
        ("profession", SECOND, "later-run", False),
    ]


@pytest.mark.usefixtures("after_first_night")
def test_a_segmentation_that_left_the_home_leaves_the_current_tables(workbench, night):
    published = workbench.without("profession").publish(night(1, "other-run"))

    assert published.is_news
    for table in ("segments", "customer_segments", "model_candidates"):
        assert workbench.read(f"SELECT DISTINCT segmentation FROM {table}") == [("engagement",)]
    assert workbench.read("SELECT segmentation FROM segmentation_runs") == [
        ("engagement",),
        ("profession",),
    ]


@pytest.mark.usefixtures("after_first_night")
def test_an_older_date_changes_its_dated_rows_only(workbench, night):
    workbench.publish(night(3), file_digest="cc")
    current = [n for n, c in CONTRACTS.items() if not c.is_dated and not c.is_cumulative]
    registry = "SELECT * EXCLUDE (as_of, run_id) FROM segment_registry"
    before = {name: workbench.read(f"FROM {name}") for name in current}
    known = workbench.read(registry)
    moved = workbench.moved("engagement", 1, 1, 1, 1, 1, 2)

    published = moved.publish(night(2), file_digest="bb")

    assert published.is_news
    assert published.manifest.as_of == THIRD
    assert published.manifest.night == SECOND
    assert {name: workbench.read(f"FROM {name}") for name in current} == before
    # What is known of all dates is as the warehouse has it now, after this run.
    assert workbench.read(registry) == known
    assert workbench.read(
        "SELECT customer_id, segment_id, run_id FROM segment_history"
        " WHERE segmentation = 'engagement' AND customer_id = 'c5'"
    ) == [("c5", "engagement-1", "run-2")]
    runs = (
        "SELECT as_of, run_id, customers FROM segmentation_runs WHERE segmentation = 'engagement'"
    )
    assert workbench.read(runs) == [
        (FIRST, "run-1", 6),
        (SECOND, "run-2", 6),
        (THIRD, "run-3", 6),
    ]
    assert workbench.read("SELECT DISTINCT as_of FROM validation_results ORDER BY as_of") == [
        (FIRST,),
        (SECOND,),
        (THIRD,),
    ]
    again = moved.publish(night(2, "once-more"), file_digest="bb")
    assert not again.is_news
    assert again.digest == published.digest


@pytest.mark.usefixtures("after_first_night")
def test_a_date_between_makes_only_the_older_segmentation_current(workbench, night):
    workbench.of("engagement").publish(night(3))

    published = workbench.publish(night(2))

    assert published.stale == ("profession",)
    assert workbench.read(
        "SELECT DISTINCT segmentation, as_of, is_stale FROM segments ORDER BY ALL"
    ) == [("engagement", THIRD, False), ("profession", SECOND, True)]


def test_rows_of_an_earlier_release_that_lack_what_all_must_have_need_a_whole_night(
    workbench, night
):
    segments = CONTRACTS["segments"]
    columns = tuple(column for column in segments.columns if column.name != "is_noise")
    earlier = {**CONTRACTS, "segments": replace(segments, columns=columns)}
    with mock.patch.dict(contracts._BY_NAME, earlier, clear=True):
        first = workbench.publish(night(1)).manifest

    told = "Rows of profession are of an earlier release: the first night of this one is for all"
    with pytest.raises(PublicationError, match=told):
        workbench.of("engagement").publish(night(2))
    assert current_version(workbench.home.published) == first

    workbench.publish(night(2))

    assert verify(workbench.home.published) == []


def test_what_an_earlier_release_published_is_copied_as_far_as_it_goes(workbench, night):
    later = ("feature_selection", "structure_verdict")
    earlier = {name: c for name, c in CONTRACTS.items() if name not in later}
    for name, added in (("model_candidates", "reason"), ("segments", "verdict")):
        columns = tuple(c for c in earlier[name].columns if c.name != added)
        earlier[name] = replace(earlier[name], columns=columns)
    with mock.patch.dict(contracts._BY_NAME, earlier, clear=True):
        workbench.publish(night(1))
    assert verify(workbench.home.published) == [OF_ANOTHER_RELEASE]
    command = [sys.executable, "-m", "segmentation_pipeline.cli", "verify", "--home"]
    said = subprocess.run(
        [*command, str(workbench.home.path)], capture_output=True, text=True, check=False
    )
    assert said.returncode == 1
    assert said.stdout == f"{OF_ANOTHER_RELEASE}\n"

    workbench.of("engagement").publish(night(2))

    assert verify(workbench.home.published) == []
    assert workbench.read("SELECT segmentation, reason FROM model_candidates") == [
        ("engagement", "chosen"),
        ("profession", None),
    ]
    assert workbench.read("SELECT DISTINCT segmentation, verdict FROM segments ORDER BY ALL") == [
        ("engagement", "weak"),
        ("profession", None),
    ]
    for name in later:
        assert workbench.read(f"SELECT segmentation FROM {name}") == [("engagement",)]
