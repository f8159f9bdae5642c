"""A newcomer's way on files that nobody prepared for: inspect, check, run, with nothing edited.

    python -m benchmarks.newcomer FILE ... [--write]

Each file becomes a home of its own in a temporary folder. What a person would still correct (names
of columns, spellings, criteria) is left as proposed; seconds are the machine's, not the person's.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segmentation_pipeline.publication import read_published

COMMAND = [sys.executable, "-m", "segmentation_pipeline.cli"]
RESULT = Path(__file__).parent / "results" / "newcomer.md"
INTRODUCTION = """# A newcomer's way

`python -m benchmarks.newcomer FILE ... --write`: each file alone in an empty home, `segmentation
inspect --write`, `check` and `run`, with nothing edited between. The files are none of this
project's: whoever has others will see others.

| file | result | customers | segments | features | verdict | seconds |
|---|---|---:|---:|---:|---|---:|
"""


def main() -> None:
    """Try each file; the exit status is 1 where one of them gave no published segments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    options = parser.parse_args()
    rows, failed = [], False
    for file in options.files:
        with tempfile.TemporaryDirectory() as folder:
            row, is_published = tried(file, Path(folder))
        print(row, flush=True)
        rows.append(row)
        failed = failed or not is_published
    if options.write:
        RESULT.write_text(INTRODUCTION + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    sys.exit(failed)


def tried(file: Path, home: Path) -> tuple[str, bool]:
    """Go the whole way with a file; a row of the table, and whether segments were published."""
    shutil.copy(file, home / file.name)
    started = time.monotonic()
    for step in (["inspect", file.name, "--write"], ["check"], ["run"]):
        done = subprocess.run([*COMMAND, *step], cwd=home, capture_output=True, text=True)
        if done.returncode:
            told = " ".join((done.stderr or done.stdout).split())[-300:]
            return f"| {file.name} | `{step[0]}` failed: {told} | | | | | |", False
    seconds = time.monotonic() - started
    published = home / "published"
    ((customers, segments),) = read_published(
        published, "SELECT sum(customers), count(*) FROM segments"
    )
    ((features,),) = read_published(
        published, "SELECT count(DISTINCT feature) FROM feature_importance"
    )
    ((verdict,),) = read_published(published, "SELECT verdict FROM structure_verdict")
    figures = f"{customers:,} | {segments} | {features} | {verdict} | {seconds:.0f}"
    return f"| {file.name} | published | {figures} |", True


if __name__ == "__main__":
    main()
