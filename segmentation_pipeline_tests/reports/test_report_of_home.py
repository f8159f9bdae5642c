"""The report of a published home: written whole, equal for equal, and about nobody."""

import csv
import datetime as dt
import re
import shutil
import subprocess
import sys

import pytest

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import current_version, read_published
from segmentation_pipeline.reports import make_report
from segmentation_pipeline.specification.home import load_home

NIGHT = dt.date(2025, 6, 30)


@pytest.fixture
def home(published_home, tmp_path):
    copied = tmp_path / "hospital"
    copied.mkdir()
    for name in ("customers.yaml", "segmentations", "published"):
        source = published_home / name
        if source.is_dir():
            shutil.copytree(source, copied / name, symlinks=True)
        else:
            shutil.copy(source, copied / name)
    return load_home(copied)


def test_the_night_has_written_it_where_it_is_said_to_be(published_home):
    made = published_home / "reports" / "2025-06-30" / "report.html"
    page = made.read_text(encoding="utf-8")

    assert "30 June 2025" in page
    assert "{{" not in page
    assert [path.name for path in made.parent.iterdir()] == ["report.html"]


def test_the_same_version_makes_the_same_bytes_in_any_home(published_home, home):
    made = published_home / "reports" / "2025-06-30" / "report.html"

    assert make_report(home).read_bytes() == made.read_bytes()
    assert make_report(home).read_bytes() == made.read_bytes()


def test_it_tells_of_nobody(published_home, home):
    page = make_report(home).read_text(encoding="utf-8")

    ids = [
        row[0]
        for row in read_published(home.published, "SELECT customer_id FROM customer_segments")
    ]
    assert len(ids) > 500
    assert [one for one in ids if one in page] == []
    with (published_home / "sources" / "crm" / "crm_2025-06-30.csv").open(encoding="utf-8") as file:
        people = list(csv.DictReader(file))
    personal = {row[name] for row in people for name in row if re.search("name|mail", name.lower())}
    assert len(personal) > 250
    assert [one for one in personal if one and one in page] == []
    assert current_version(home.published).run_id not in page


def test_every_segment_and_every_verdict_is_in_it(home):
    page = make_report(home).read_text(encoding="utf-8")

    for (segment_id,) in read_published(home.published, "SELECT segment_id FROM segments"):
        assert f'<article class="card" id="{segment_id}"' in page
    for (word,) in read_published(home.published, "SELECT verdict FROM structure_verdict"):
        assert f'<span class="tag">{word}</span>' in page


def test_it_needs_no_lock(home):
    with hold_lock(home.lock, "a night", timeout_seconds=0):
        assert make_report(home, NIGHT).exists()


def test_a_date_without_a_version_is_refused_with_the_dates_that_there_are(home):
    with pytest.raises(PublicationError, match=r"no version of 2025-06-01 .* 2025-06-30$"):
        make_report(home, dt.date(2025, 6, 1))


def test_a_report_whose_version_is_gone_stays_as_it_was(home):
    kept = home.reports / "2025-06-01" / "report.html"
    kept.parent.mkdir(parents=True)
    kept.write_text("as it was", encoding="utf-8")

    assert make_report(home, dt.date(2025, 6, 1)) == kept
    assert kept.read_text(encoding="utf-8") == "as it was"


def test_before_the_first_night_it_says_what_to_do(home):
    shutil.rmtree(home.published)

    with pytest.raises(PublicationError, match="run a night first"):
        make_report(home)


def test_a_report_that_cannot_be_written_leaves_the_one_before(home):
    made = make_report(home)
    before = made.read_bytes()
    folder = made.parent
    (folder / "report.html.new").mkdir()

    with pytest.raises(OSError, match="directory"):
        make_report(home)

    assert made.read_bytes() == before


def run_report(home, *arguments, **environment):
    """Run the command as a person does, in an environment of only what is given."""
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "report", "--home", home.path,
         *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_the_command_writes_it_and_opens_it(home, tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n', encoding="utf-8")
    browser.chmod(0o755)

    done = run_report(home, "--as-of", "2025-06-30", "--open", PATH="/bin", BROWSER=f"{browser} %s")

    path = home.reports / "2025-06-30" / "report.html"
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(path)
    assert opened.read_text(encoding="utf-8") == path.as_uri()


def test_the_command_says_where_there_is_no_browser(home, tmp_path):
    done = run_report(home, "--open", PATH=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert "open the file yourself" in done.stdout


def test_the_command_fails_without_a_version(home):
    done = run_report(home, "--as-of", "2024-01-01", PATH="/bin")

    assert done.returncode == 1
    assert "no version of 2024-01-01 is kept" in " ".join(done.stderr.split())


def test_versions_are_only_read(home):
    before = {path: path.stat().st_mtime_ns for path in home.published.rglob("*")}

    make_report(home)

    assert {path: path.stat().st_mtime_ns for path in home.published.rglob("*")} == before
