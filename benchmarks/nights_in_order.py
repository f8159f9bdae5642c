"""A demo home that gets its files night by night, as they would arrive, and runs each night."""

import datetime as dt
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from segmentation_pipeline.assets.night import run_night


@dataclass(frozen=True)
class Ran:
    """A night that was run: what it cost, and who was published in which segment."""

    as_of: dt.date
    is_refit: bool
    seconds: float
    cpu_seconds: float
    members: dict[tuple[str, str], str]


@dataclass
class Home:
    """A home that gets its files night by night, out of one that has them all."""

    full: Path
    path: Path
    nights: list[Ran] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(self.full, self.path, ignore=shutil.ignore_patterns("sources", "planted*"))
        for name in ("crm", "web"):
            (self.path / "sources" / name).mkdir(parents=True)

    def deliver(self, as_of: dt.date) -> None:
        """Bring the files that a night finds new: snapshot, events, and the survey so far."""
        for name in ("crm", "web"):
            file = f"sources/{name}/{name}_{as_of}.parquet"
            shutil.copyfile(self.full / file, self.path / file)
        survey = "sources/survey.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                f"COPY (FROM '{self.full / survey}' WHERE answered_at < DATE '{as_of}' + 1)"
                f" TO '{self.path / survey}' (FORMAT parquet)"
            )

    def change_seed(self, seed: int, instead: int) -> None:
        """Let the next night fit new models from another seed."""
        for file in (self.path / "segmentations").glob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace(f"seed: {instead}\n", f"seed: {seed}\n"), encoding="utf-8")

    def run(self, as_of: dt.date, *, is_refit: bool = False) -> None:
        """Run a night as the command line does; raises RuntimeError where it fails."""
        began, cpu = time.perf_counter(), time.process_time()
        result = run_night(self.path, as_of, progress=lambda *_: None)
        if not result.success:
            raise RuntimeError(f"{as_of}: {'; '.join(result.failures)}")
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu
        members = {
            (segmentation, customer): segment
            for segmentation, customer, segment in self.ask(
                "SELECT segmentation, customer_id, segment_id FROM customer_segments"
            )
        }
        self.nights.append(Ran(as_of, is_refit, seconds, cpu_seconds, members))
        print(f"{as_of}: {seconds:.0f} s, {cpu_seconds:.0f} s of CPU", file=sys.stderr, flush=True)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Query what is published."""
        path = self.path / "published" / "segments.duckdb"
        with duckdb.connect(path, read_only=True) as connection:
            return connection.execute(query).fetchall()
