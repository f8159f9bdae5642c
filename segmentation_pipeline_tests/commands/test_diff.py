"""`segmentation diff` says what a changed YAML would do, and leaves everything as it was."""

import datetime as dt
import hashlib
import json
import shutil
import subprocess
import sys
import warnings

import pytest

from segmentation_pipeline.assets.rehearsal import rehearse
from segmentation_pipeline.errors import LockedError, PipelineError, SpecificationError
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.publication.difference import (
    Difference,
    Migration,
    SegmentDifference,
    Side,
)

LAST = dt.date(2025, 6, 30)


def digests(home):
    """Digest every file of the home but the locks, which say who held them last."""
    files = [p for p in sorted(home.rglob("*")) if p.is_file() and p.suffix != ".lock"]
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def run_rehearsal(home, file=None, segmentation="engagement", as_of=LAST):
    return rehearse(home, segmentation, as_of, file=file, progress=lambda *_: None)


def changed(home, folder, *replacements, name="engagement"):
    text = (home / "segmentations" / f"{name}.yaml").read_text(encoding="utf-8")
    for written, instead in replacements:
        assert written in text
        text = text.replace(written, instead)
    file = folder / "changed.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture
def home(published_home, tmp_path):
    copy = tmp_path / "home"
    shutil.copytree(published_home, copy, symlinks=True)
    return copy


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "diff", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_changed_playbook_moves_nobody_and_changes_strategies(home):
    """By the command line, of the home's own file; what a killed one left is cleared."""
    changed(
        home, home / "segmentations",
        ("at_least: 0.6}", "at_least: 0.999}"), ("at_least: 2500}", "at_least: 1}"),
    ).replace(home / "segmentations" / "engagement.yaml")  # fmt: skip
    before = digests(home)
    what_a_kill_left = home / ".rehearsal" / "warehouse.duckdb"
    what_a_kill_left.parent.mkdir()
    what_a_kill_left.write_bytes(b"half of it")

    done = command("--home", str(home), "--segmentation", "engagement", "--json")

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert not found["is_new_model"]
    assert found["moved_share"] == 0.0
    assert found["before"] == found["after"]
    segments = {one["segment_id"]: one for one in found["segments"]}
    assert set(segments) == {f"engagement-{number}" for number in (1, 2, 3, 4)}
    gained = {
        name for name, one in segments.items() if "contract_review" in one["strategies_gained"]
    }
    lost = {name for name, one in segments.items() if "news_by_mail" in one["strategies_lost"]}
    published = {
        (segment_id, strategy)
        for segment_id, strategy in read_published(
            home / "published",
            "SELECT segment_id, strategy FROM segment_strategies WHERE segmentation = 'engagement'",
        )
    }
    assert {(one, "news_by_mail") for one in lost} <= published
    assert len(lost) == 1
    assert gained == set(segments) - {one for one, name in published if name == "contract_review"}
    assert digests(home) == before
    assert not (home / ".rehearsal").exists()


def test_fewer_segments_are_a_new_model_and_a_migration(home, tmp_path):
    before = digests(home)
    file = changed(home, tmp_path, ("maximum_segments: 8", "maximum_segments: 3"))

    found = run_rehearsal(home, file)

    assert found.is_new_model
    assert (found.before.segments, found.after.segments) == (4, 3)
    (gone,) = [one for one in found.segments if one.customers_after is None]
    assert gone.strategies_lost
    assert sum(one.customers_after or 0 for one in found.segments) == found.after.customers
    assert sum(one.customers for one in found.migration) == found.before.customers
    left = [one for one in found.migration if one.from_segment_id == gone.segment_id]
    assert sum(one.customers for one in left) == gone.customers_before
    assert sum(one.share for one in left) == pytest.approx(1.0)
    moved = sum(
        one.customers for one in found.migration if one.from_segment_id != one.to_segment_id
    )
    assert found.moved_share == pytest.approx(moved / found.before.customers)
    assert 0 < found.moved_share < 1
    assert digests(home) == before


def test_a_segmentation_that_is_not_there_yet_has_nothing_before(home, tmp_path):
    before = digests(home)

    found = run_rehearsal(home, changed(home, tmp_path), "another_lens")

    assert found.before is None
    assert found.moved_share is None
    assert found.migration == ()
    assert {one.customers_before for one in found.segments} == {None}
    assert found.after.segments == 4
    assert digests(home) == before


def test_what_would_fail_says_why_and_leaves_nothing_behind(home, tmp_path):
    before = digests(home)
    rate = "CASE WHEN mails_sent < 0 THEN 0.0 ELSE error('no rate today') END"
    file = changed(home, tmp_path, ("mails_opened / mails_sent", rate))

    with pytest.raises(PipelineError, match="the night would fail") as error:
        run_rehearsal(home, file)

    assert "engagement/engineered_features" in str(error.value)
    assert digests(home) == before
    assert not (home / ".rehearsal").exists()


def test_a_fault_names_the_file_that_was_given(home, tmp_path):
    file = changed(home, tmp_path, ("feature: open_rate", "feature: opn_rate"))

    with pytest.raises(SpecificationError) as error:
        run_rehearsal(home, file)

    assert str(error.value).startswith(f"{file}:")
    assert "did you mean `open_rate`?" in str(error.value)


@pytest.mark.parametrize(
    ("segmentation", "as_of", "message"),
    [("engagment", LAST, "no segmentation `engagment`"),
     ("engagement", dt.date(2020, 1, 1), "is no night of this home")],
)  # fmt: skip
def test_what_cannot_be_rehearsed_is_said_at_once(home, segmentation, as_of, message):
    with pytest.raises(SpecificationError, match=message):
        run_rehearsal(home, None, segmentation, as_of)


@pytest.mark.parametrize("name", ["warehouse.lock", ".rehearsal.lock"])
def test_a_home_that_is_written_to_is_not_copied(home, name):
    with (
        hold_lock(home / name, "tonight", timeout_seconds=0),
        pytest.raises(LockedError, match="tonight"),
    ):
        run_rehearsal(home)


SIDE = Side("2025-06-30", 1, "k_means", 2, 100, "supported", "The data support 2 segments.")
AFTER = Side("2025-07-01", 2, "dbscan", 2, 101, "weak", "There are signs of 2 segments.")
SEGMENTS = (
    SegmentDifference("s-1", "Readers", False, 60, 81, 0.6, 0.802, ("write",), ("call",), ()),
    SegmentDifference("s-2", "Buyers", False, 40, None, 0.4, None, (), (), ("visit",)),
    SegmentDifference("s-3", "Guests", False, None, 20, None, 0.198, (), (), ()),
    SegmentDifference("s-noise", "in no segment", True, 0, 0, 0.0, 0.0, (), (), ()),
)
MIGRATION = (
    Migration("s-1", "s-1", 60, 1.0),
    Migration("s-2", "s-1", 20, 0.5),
    Migration("s-2", "s-3", 20, 0.5),
    Migration(None, "s-1", 1, None),
)


@pytest.fixture(scope="module")
def show_difference():
    with warnings.catch_warnings():
        # Typer imports a name from click that click deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        from segmentation_pipeline.commands.diff import show_difference
    return show_difference


def test_what_is_printed_can_be_read(show_difference, capsys):
    show_difference(Difference("s", SIDE, AFTER, True, 0.4, SEGMENTS, MIGRATION))

    told = capsys.readouterr().out
    assert "now:  2025-06-30, supported: 2 segments of 100 customers by k_means" in told
    assert "then: 2025-07-01, weak: 2 segments of 101 customers by dbscan" in told
    assert "A new model is fitted." in told
    assert "There are signs of 2 segments." in told
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines()]
    assert ["s-1", "60 (60.0%)", "81 (80.2%)", "+21", "Readers"] in cells
    assert ["s-2", "40 (40.0%)", "-", "gone", "Buyers"] in cells
    assert ["s-3", "-", "20 (19.8%)", "new", "Guests"] in cells
    assert ["s-2", "s-3", "20", "50.0%"] in cells
    assert ["(nowhere)", "s-1", "1", "-"] in cells
    assert ["s-1", "s-1", "60", "100.0%"] not in cells
    assert "40.0% of the customers would change their segment." in told
    assert "what they did themselves from 2025-06-30 to 2025-07-01" in told
    assert "s-1 gains call; keeps write\ns-2 loses visit\ns-3 has no strategy\nNothing" in told


def test_of_a_first_publication_nothing_is_compared(show_difference, capsys):
    first = tuple(one for one in SEGMENTS if one.customers_before is None)
    show_difference(Difference("s", None, AFTER, True, None, first, ()))

    told = capsys.readouterr().out
    assert "now:  not published yet" in told
    assert "who would move" not in told
    assert "change their segment" not in told
