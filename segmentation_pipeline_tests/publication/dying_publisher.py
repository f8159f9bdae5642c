"""Publishes a home again and again, dying one step later each time, until it survives.

Run by `test_kill_points`, in a process of its own. Prints a line of JSON for each life: the step
before which it died, and what a reader finds afterwards. Nothing is repaired between two lives.

It publishes `FEW_TABLES`: one of each kind, and all that the audit compares. Each table more is two
lives more, all of them longer: with 39 tables they took two minutes. `make faults` kills at those
of all tables, by the environment variable `KILL_AT_ALL_TABLES`.
"""

import datetime as dt
import hashlib
import json
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from unittest import mock

from segmentation_pipeline import contracts
from segmentation_pipeline.contracts import CONTRACTS
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
SEEN = "seen.json"
_OF_EACH_KIND = (
    "segments",
    "customer_segments",
    "segment_profiles",
    "segment_category_shares",
    "segment_rules",
    "segment_strategies",
    "segment_kpis",
    "strategy_assignments",
    "segment_registry",
    "segment_history",
    "segment_transitions",
    "segment_movements",
    "segment_migration",
    "segment_crosstab",
    "segmentation_runs",
    "source_loads",
    "cleaning_report",
    "validation_results",
    "data_dictionary",
)
FEW_TABLES = MappingProxyType(
    {
        name: contract
        for name, contract in CONTRACTS.items()
        if name in _OF_EACH_KIND or "KILL_AT_ALL_TABLES" in os.environ
    }
)


def only_few_tables() -> AbstractContextManager[object]:
    """Leave `FEW_TABLES` alone in force, for the length of a `with` block."""
    return mock.patch.dict(contracts._BY_NAME, FEW_TABLES, clear=True)


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


def files_digest(published: Path) -> str:
    """Compute the SHA-256 of all that readers may see: names, links, modes and contents."""
    found = hashlib.sha256()
    for path in sorted(published.rglob("*")):
        place = path.relative_to(published)
        if place.parts[0] != ".staging":
            content = b"" if path.is_symlink() or path.is_dir() else path.read_bytes()
            target = path.readlink() if path.is_symlink() else ""
            told = (str(place), str(target), path.lstat().st_mode, len(content))
            found.update(repr(told).encode() + content)
    return found.hexdigest()


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
    (published.parent / SEEN).write_text(json.dumps(seen) + "\n", encoding="utf-8")


def in_a_process(work, *arguments) -> int:
    """Fork, so that each life begins with nothing but the imported modules."""
    child = os.fork()
    if child == 0:
        work(*arguments)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(home_path: Path, build: Build, first_step: int) -> None:
    """Live until a life is survived; files that are equal to the last byte are looked at once."""
    looked_at = None
    for last_step in range(first_step, 1000):
        status = in_a_process(live, home_path, build, last_step)
        if status not in (0, KILLED):
            sys.exit(1)
        found = files_digest(home_path / "published")
        if found != looked_at and in_a_process(look, home_path / "published") != 0:
            sys.exit(1)
        looked_at = found
        sys.stdout.write((home_path / SEEN).read_text(encoding="utf-8"))
        sys.stdout.flush()
        if status == 0:
            return


if __name__ == "__main__":
    build = Build(dt.date.fromisoformat(sys.argv[2]), sys.argv[3])
    with only_few_tables():
        main(Path(sys.argv[1]), build, int(sys.argv[4]))
