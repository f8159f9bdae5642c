"""Publishes a home again and again, dying one step later each time, until it survives.

Run by `test_kill_points`, in a process of its own. Prints a line of JSON for each life: the step
before which it died, and what a reader finds afterwards. Nothing is repaired between two lives.
"""

import datetime as dt
import json
import os
import sys
from pathlib import Path

from segmentation_pipeline.publication import (
    ReadySegmentation,
    current_version,
    publish,
    read_published,
    verify,
)
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Build, Table, open_warehouse

KILLED = 9


def live(home_path: Path, build: Build, last_step: int) -> None:
    """Publish what is in the warehouse, and die before the step of that number."""
    home = load_home(home_path)
    model = ReadySegmentation(1, "model 1", "preparation", "k_means", 0.5)
    steps = iter(range(last_step + 1))

    def die_in_time(step: str) -> None:
        if next(steps) == last_step:
            sys.stdout.write(json.dumps({"step": step}) + "\n")
            sys.stdout.flush()
            os._exit(KILLED)

    with open_warehouse(home.warehouse, threads=2) as connection:
        publish(
            connection,
            home,
            build,
            dict.fromkeys(home.segmentations, model),
            [Table(name, "segments") for name in home.segmentations],
            on_step=die_in_time,
        )


def look(published: Path) -> None:
    """Tell what a reader finds."""
    manifest = current_version(published)
    seen = {
        "version": manifest and manifest.version,
        "faults": manifest and verify(published),
        "dates": manifest
        and [
            str(row[0]) for row in read_published(published, "SELECT DISTINCT as_of FROM segments")
        ],
    }
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


def in_a_process(work, *arguments) -> int:
    """Fork, so that each life begins with nothing but the imported modules."""
    child = os.fork()
    if child == 0:
        work(*arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(home_path: Path, build: Build, first_step: int) -> None:
    """Live until a life is survived."""
    for last_step in range(first_step, 1000):
        status = in_a_process(live, home_path, build, last_step)
        if in_a_process(look, home_path / "published") != 0 or status not in (0, KILLED):
            sys.exit(1)
        if status == 0:
            return


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), Build(dt.date.fromisoformat(sys.argv[2]), sys.argv[3]), int(sys.argv[4])
    )
