"""How large a home becomes: sixty nights, against what its retained rows need.

    python -m benchmarks.home_size [--customers 1000] [--nights 60] [--every 5]

A demo home with one segmentation. The first night is the whole job. Each later one does what a
night writes, with the job's own functions, and computes nothing: it loads the day's files, makes
every work table anew under the new date, adds the date's checks, KPIs and spells (one customer in
a hundred moves), publishes with the audit, and tidies up. Dagster's record of the first run is
copied for each, file and index, as a run of its own.

Retention is short, so that everything that can grow has to be cut within the sixty nights: 90 days
of events, 30 of snapshots, movements, spells, KPIs, validation results, reports and logs, 7
versions and 10 runs.

After every fifth night the home is measured, source files left out, and beside it what its rows
need: each DuckDB file copied into a new one, each SQLite file of Dagster's vacuumed into a new one,
everything else as it is. The exit status is 1 where the home is ever larger than 1.5 times that.
Takes about five minutes of one core.
"""

import argparse
import datetime as dt
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

import duckdb

from benchmarks.nights_in_order import Home
from benchmarks.written_nights import write_night
from segmentation_pipeline.demo import make_demo
from segmentation_pipeline.publication import verify
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Build

TABLE = Path(__file__).parent / "results" / "home_size.md"
LAST_NIGHT = dt.date(2025, 6, 30)
MOST = 1.5
NIGHTS = 60
SEGMENTATION = "profession"
RETENTION = """\
retention:
  sources: {web: 90 days, crm: 30 days}
  tables:
    validation_results: 30 days
    segment_movements: 30 days
    segment_migration: 30 days
    segment_history: 30 days
    segment_kpis: 60 days
    feature_drift: 30 days
  reports: 30 days
  logs: 30 days
  runs: 10
"""
PLACES = {
    "warehouse": "warehouse.duckdb",
    "versions": "published",
    "Dagster": "dagster",
    "models": "models",
    "reports": "reports",
    "logs": "logs",
}


@dataclass(frozen=True)
class Measured:
    """A home after a night: bytes by place, as they are and as they need be."""

    night: int
    actual: dict[str, int]
    needed: dict[str, int]

    @property
    def ratio(self) -> float:
        """How many times as large the home is as it need be."""
        return sum(self.actual.values()) / sum(self.needed.values())


def main() -> None:
    """Run the nights and measure; the exit status is 1 where the home is ever too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=NIGHTS)
    parser.add_argument("--every", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = make_home(Path(folder), options.customers, options.nights)
        measured = list(run_nights(home, options.nights, options.every))
        faults = verify(home.path / "published")
    page = report(measured, options.customers)
    if options.nights >= NIGHTS and not faults:
        TABLE.write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    sys.exit(bool(faults) or max(one.ratio for one in measured) > MOST)


def make_home(folder: Path, customers: int, nights: int) -> Home:
    """Make the demo with all its files, and a home of one segmentation that gets them by night."""
    full = folder / "full"
    make_demo(full, customers=customers, days=nights, seed=7, file_format="parquet")
    for file in (full / "segmentations").glob("*.yaml"):
        if file.stem != SEGMENTATION:
            file.unlink()
    declared = full / "customers.yaml"
    text = declared.read_text(encoding="utf-8")
    declared.write_text(f"{text}\n{RETENTION}", encoding="utf-8")
    return Home(full, folder / "home")


def run_nights(home: Home, nights: int, every: int) -> Iterator[Measured]:
    """Run the nights in order, and measure after some of them and after the last."""
    for number in range(1, nights + 1):
        as_of = LAST_NIGHT - dt.timedelta(days=nights - number)
        home.deliver(as_of)
        if number == 1:
            home.run(as_of)
        else:
            write_night(load_home(home.path), Build(as_of, f"night-{number:03d}"))
        if number % every == 0 or number == nights:
            yield measure(home.path, number)


def measure(home: Path, night: int) -> Measured:
    """Sum the bytes of each place, and those that its rows need."""
    actual, needed = {}, {}
    for name, place in PLACES.items():
        path = home / place
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        # Links would count a version twice.
        own = [file for file in files if not any(p.is_symlink() for p in (file, *file.parents))]
        actual[name] = sum(file.stat().st_size for file in own)
        needed[name] = sum(bytes_needed(file) for file in own)
    return Measured(night, actual, needed)


def bytes_needed(file: Path) -> int:
    """Copy a database into a new file, and measure that; any other file needs what it has."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / file.name
        if file.suffix == ".duckdb":
            with duckdb.connect() as connection:
                connection.execute(f"ATTACH '{file}' AS old (READ_ONLY); ATTACH '{copy}' AS new")
                connection.execute("COPY FROM DATABASE old TO new; CHECKPOINT new")
            return copy.stat().st_size
        if file.suffix == ".db":
            with closing(sqlite3.connect(file)) as connection:
                connection.execute("VACUUM INTO ?", [str(copy)])
            return copy.stat().st_size
        if file.suffix in (".db-wal", ".db-shm"):
            return 0
    return file.stat().st_size


def report(measured: list[Measured], customers: int) -> str:
    """Write the page."""
    worst = max(measured, key=lambda one: one.ratio)
    verdict = "met" if worst.ratio <= MOST else "**missed**"
    last = measured[-1]
    lines = [
        f"# A home of {last.night} nights",
        "",
        f"{customers:,} customers, one segmentation, {last.night} nights as written, 30 days",
        "of retention; sizes in MB, source files left out. What is needed is a fresh copy of the",
        "rows that are retained (`home_size.py`).",
        "",
        f"Largest ratio: **{worst.ratio:.2f}**, night {worst.night} (wanted {MOST}): {verdict}.",
        "",
        f"| after night | {' | '.join(PLACES)} | all | needed | ratio |",
        "|---:|" + "---:|" * (len(PLACES) + 3),
    ]
    for one in measured:
        sizes = [one.actual[name] for name in PLACES]
        cells = [*sizes, sum(sizes), sum(one.needed.values())]
        told = " | ".join(f"{cell / 1e6:.1f}" for cell in cells)
        lines.append(f"| {one.night} | {told} | {one.ratio:.2f} |")
    needed = " | ".join(f"{last.needed[name] / 1e6:.1f}" for name in PLACES)
    lines.append(f"| needed | {needed} | {sum(last.needed.values()) / 1e6:.1f} | | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
