"""Kill nights at random times, and count the acknowledged ones that are lost.

    python -m benchmarks.random_kills [--kills 200] [--customers 60] [--nights 5]

Each life of the job is `segmentation run` for the next date, killed (SIGKILL) when it has used so
many processor seconds as were drawn, evenly from 0 to a little more than what that night took
undisturbed. A life that ends by itself with status 0 before that has acknowledged its night. After
each one, what is published must verify and hold all acknowledged nights; nothing is ever repaired,
and a night that fails by itself counts as one that needs a repair. When all dates are acknowledged,
the tables must be those of a home that was never disturbed, but for what contracts call volatile;
then a new home begins with the first date.

So that kills are not spent on imports, a life is forked from a process that has imported all, and
the home has one segmentation with a declared number of segments. Kills are drawn from processor
seconds since those of a night vary less than its length on a machine that does other things, too.
"""

import argparse
import datetime as dt
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

from benchmarks.measure import processor_seconds
from segmentation_pipeline.cli import main as segmentation
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.demo import make_demo
from segmentation_pipeline.publication import personal_columns, read_published, verify
from segmentation_pipeline.specification.home import load_home

RESULT = Path(__file__).parent / "results" / "random_kills.md"
LAST = dt.date(2025, 6, 30)
WANTED_KILLS = 200
DRAWN_UP_TO = 1.1
IMPORTED = (
    "benchmarks.random_kills",
    "great_expectations",
    "matplotlib.pyplot",
    "segmentation_pipeline.assets.night",
    "sklearn.cluster",
)
_STEP = re.compile(r"^\[\d+/\d+\] (?P<name>\S+)", re.MULTILINE)
BEFORE_FIRST_STEP = "before the first step"
AFTER_PUBLISHING = "after publishing"


@dataclass
class Life:
    """A night of the job: its exit status (None where it was killed), and its last step."""

    status: int | None
    seconds: float
    step: str


@dataclass
class Seen:
    """What was counted over all homes."""

    kills: int = 0
    homes: int = 0
    acknowledged: int = 0
    lost: int = 0
    damaged: int = 0
    repairs: int = 0
    different: int = 0
    seconds: float = 0.0
    steps: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Kill, look, and compare; the exit status is 1 where something is lost or damaged."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=WANTED_KILLS)
    parser.add_argument("--customers", type=int, default=60)
    parser.add_argument("--nights", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=24 * 60, help="begin no life after them")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    dates = [LAST - dt.timedelta(days=ago) for ago in reversed(range(options.nights))]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    draw, seen = random.Random(options.seed), Seen()
    with tempfile.TemporaryDirectory(prefix="random_kills_") as folder:
        new, undisturbed, killed = (Path(folder) / name for name in ("new", "undisturbed", "home"))
        make_home(new, options.customers, options.nights)
        shutil.copytree(new, undisturbed)
        lives = [live(context, undisturbed, date, None) for date in dates]
        if any(one.status for one in lives):
            raise RuntimeError("an undisturbed night failed")
        seen.seconds += sum(one.seconds for one in lives)
        while seen.kills < options.kills and not seen.faults and time.monotonic() < until:
            shutil.rmtree(killed, ignore_errors=True)
            shutil.copytree(new, killed)
            usual = dict(zip(dates, (one.seconds for one in lives), strict=True))
            if not kill_nights(context, killed, usual, draw, options.kills, until, seen):
                break
            differing = differences(undisturbed, killed)
            seen.different += len(differing)
            seen.faults += differing
    text = report(seen, options.customers, [one.seconds for one in lives])
    print(text)
    if options.kills >= WANTED_KILLS:
        RESULT.write_text(text, encoding="utf-8")
    print(f"{seen.kills} kills, {seen.acknowledged} acknowledged nights, {len(seen.faults)} faults")
    sys.exit(bool(seen.faults))


def make_home(home: Path, customers: int, nights: int) -> None:
    """Make the demo's home with one segmentation, whose number of segments is declared."""
    make_demo(home, customers=customers, days=nights, seed=7)
    (home / "segmentations" / "profession.yaml").unlink()
    lens = home / "segmentations" / "engagement.yaml"
    text = lens.read_text(encoding="utf-8")
    declared = re.sub(
        r"  minimum_segments: \d+\n  maximum_segments: \d+\n", "  segments: 3\n", text
    )
    if declared == text:
        raise RuntimeError(f"{lens} does not say between which numbers of segments to search")
    lens.write_text(declared, encoding="utf-8")


def kill_nights(
    context: ForkServerContext,
    home: Path,
    usual: dict[dt.date, float],
    draw: random.Random,
    kills: int,
    until: float,
    seen: Seen,
) -> bool:
    """Run a home's nights in order, killed until each acknowledges itself; counts into `seen`.

    Returns whether all of them did.
    """
    acknowledged: list[dt.date] = []
    seen.homes += 1
    for date, seconds in usual.items():
        status = None
        while status is None:
            if time.monotonic() > until:
                return False
            is_killed = seen.kills < kills
            limit = draw.uniform(0, DRAWN_UP_TO * seconds) if is_killed else None
            life = live(context, home, date, limit)
            seen.seconds += life.seconds
            status = life.status
            if status is None:
                seen.kills += 1
                seen.steps[life.step] += 1
            elif status == 0:
                acknowledged.append(date)
                seen.acknowledged += 1
            else:
                seen.repairs += 1
                seen.faults.append(f"the night of {date} failed after {seen.kills} kills")
            look(home, acknowledged, seen)
            if seen.faults:
                return False
            print(f"{seen.kills} kills, {date}: {life.step}, {life.seconds:.1f} s", flush=True)
    return True


def live(context: ForkServerContext, home: Path, date: dt.date, limit: float | None) -> Life:
    """Run a night in a process of its own; kill it once it has used `limit` processor seconds."""
    log = home.parent / "progress.log"
    log.unlink(missing_ok=True)
    process = context.Process(target=night, args=(home, date, log))
    process.start()
    seconds = 0.0
    while process.is_alive():
        seconds = max(seconds, processor_seconds(process.pid or 0))
        if limit is not None and seconds >= limit:
            process.kill()
            break
        process.join(0.01)
    process.join()
    words = log.read_text(encoding="utf-8") if log.exists() else ""
    steps = _STEP.findall(words)
    # The last line of progress stands until the night says what it has published.
    is_published = "Parquet:" in words
    step = AFTER_PUBLISHING if is_published else steps[-1] if steps else BEFORE_FIRST_STEP
    return Life(None if process.exitcode == -9 else process.exitcode, seconds, step)


def night(home: Path, date: dt.date, log: Path) -> None:
    """Be the command `segmentation run`, with what it says in a file."""
    with log.open("w", encoding="utf-8") as words:
        for stream in (1, 2):
            os.dup2(words.fileno(), stream)
    sys.argv = ["segmentation", "run", "--home", str(home), "--as-of", date.isoformat()]
    segmentation()


def look(home: Path, acknowledged: Sequence[dt.date], seen: Seen) -> None:
    """Count what is wrong with what is published, and which acknowledged nights it lacks."""
    published = home / "published"
    if not (published / "current").exists():
        lost, damage = list(acknowledged), []
    else:
        damage = verify(published, personal_columns(load_home(home)))
        found = {row[0] for row in read_published(published, "SELECT as_of FROM segmentation_runs")}
        lost = [date for date in acknowledged if date not in found]
    seen.lost += len(lost)
    seen.damaged += bool(damage)
    seen.faults += [*damage, *(f"the night of {date} is lost" for date in lost)]


def differences(one: Path, other: Path) -> list[str]:
    """Name the published tables that differ in what is not volatile."""
    faults = []
    for contract in CONTRACTS.values():
        columns = ", ".join(f'"{c.name}"' for c in contract.columns if not c.is_volatile)
        query = f"SELECT {columns} FROM {contract.name} ORDER BY ALL"
        rows = [read_published(home / "published", query) for home in (one, other)]
        if rows[0] != rows[1]:
            faults.append(f"{contract.name} differs from that of the undisturbed home")
    return faults


def report(seen: Seen, customers: int, nights: Sequence[float]) -> str:
    """Write the result as a page."""
    is_met = {True: "met", False: "**missed**"}
    lines = [
        "# Nights killed at random times",
        "",
        f"{seen.kills} lives of `segmentation run` were killed (SIGKILL) at random times, over",
        f"{seen.homes} homes of {customers} customers and {len(nights)} nights each; what is",
        "published was verified after each. How times are drawn is told in `random_kills.py`.",
        "",
        "| | seen | wanted | |",
        "|---|---:|---:|---|",
        f"| kills | {seen.kills} | {WANTED_KILLS} | {is_met[seen.kills >= WANTED_KILLS]} |",
        *(
            f"| {what} | {count} | 0 | {is_met[not count]} |"
            for what, count in (
                (f"acknowledged nights that were lost, of {seen.acknowledged}", seen.lost),
                ("looks at which what is published did not verify", seen.damaged),
                ("nights that failed by themselves, so that a repair is needed", seen.repairs),
                ("tables that differ in the end from those of an undisturbed home", seen.different),
            )
        ),
        "",
        *(f"- {fault}" for fault in seen.faults),
        *([""] if seen.faults else []),
        "## Where they died",
        "",
        "| step that had been begun | kills |",
        "|---|---:|",
        *(f"| `{step}` | {count} |" for step, count in seen.steps.most_common()),
        "",
        f"An undisturbed night took {min(nights):.1f} to {max(nights):.1f} processor seconds",
        f"without its imports, and all of this {seen.seconds / 60:.0f} minutes of them.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
