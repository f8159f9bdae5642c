"""What the command line says of a night, and by which status it ends."""

import datetime as dt
import subprocess
import sys
from pathlib import Path

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication import current_version

LAST = dt.date(2025, 6, 30)


def command(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_line_refuses_a_locked_home_and_says_who_holds_it(home):
    with hold_lock(home / "warehouse.lock", "another-night", timeout_seconds=0):
        done = command("run", "--home", str(home), "--as-of", LAST.isoformat())

    assert done.returncode == 1
    assert "held by run another-night" in " ".join(done.stderr.split())


def test_the_command_line_says_what_it_published_and_where(home):
    done = command("run", "--home", str(home))

    assert done.returncode == 0, done.stderr
    assert "engagement-1" in done.stdout
    assert "engagement: supported. The data support 4 segments." in done.stdout
    assert "a night without news" in done.stdout
    assert str(Path("published") / "segments.duckdb") in done.stdout.replace("\n", "")


def test_wrong_usage_has_status_2():
    assert command("run", "--home", "/nowhere").returncode == 2
    assert command("fly").returncode == 2


def test_the_command_line_verifies_what_is_published_and_finds_what_was_altered(home):
    whole = command("verify", "--home", home)
    assert whole.returncode == 0, whole.stderr
    assert "is whole" in whole.stdout

    file = (home / "published" / "segments.duckdb").resolve()
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)

    altered = command("verify", "--home", home)
    assert altered.returncode == 1
    assert "segments.duckdb is not the file that was published" in altered.stdout


def test_rollback_puts_the_version_before_back(home):
    first = current_version(home / "published").version
    file = home / "segmentations" / "profession.yaml"
    written = file.read_text(encoding="utf-8")
    assert "seed: 7" in written
    file.write_text(written.replace("seed: 7", "seed: 8"), encoding="utf-8")
    assert run_night(home, LAST, progress=lambda *_: None).is_news
    assert current_version(home / "published").version != first

    assert command("rollback", "--home", str(home)).returncode == 0

    assert current_version(home / "published").version == first
