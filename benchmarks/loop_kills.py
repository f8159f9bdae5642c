"""Kill the loop in nights that refit and promote, start it again, and compare what is published.

    python -m benchmarks.loop_kills [--kills 60] [--customers 300]

A demo home of five nights with a sudden change (`--drift sudden`) and one segmentation: the first
night fits a model, the second keeps it, the third finds the change, fits a challenger and watches
it, the fourth watches it and lets the gates decide, on the fifth it is in force. Each has KPIs,
and an experiment that draws customers.

An undisturbed replay tells which steps each night has, and how long they take. Kills go around:
each kind of step has its turn, one night after the other; the process is killed (SIGKILL) at the
start of every other one, and at a drawn moment within those between. After each kill what is
published must verify; then the loop is started again from the night that died, with the next kill
before it, and nothing is ever repaired. When no kill is left, it runs to its end.

Then all published tables must be those of the undisturbed home, in all columns but those that
contracts call volatile; and once more after all five nights are replayed again from the first one.

So that kills are not spent on imports, a life is forked from a process that has imported all, and
calls what `segmentation replay` calls. results/loop_kills.md is written at the end; the exit status
is 1 where something is wrong.
"""

import argparse
import datetime as dt
import multiprocessing
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path

os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "yes")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "False")

from segmentation_pipeline.assets.replay import replay_nights
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.demo import make_demo, planted
from segmentation_pipeline.publication import personal_columns, read_published, verify
from segmentation_pipeline.specification.home import load_home

RESULT = Path(__file__).parent / "results" / "loop_kills.md"
NIGHTS = [planted.LAST_NIGHT - dt.timedelta(days=back) for back in range(4, -1, -1)]
WHAT = (
    "fits the first model",
    "keeps it",
    "refits: a challenger",
    "the challenger's last night of shadow: the gates",
    "the challenger is in force",
)
IMPORTED = (
    "benchmarks.loop_kills",
    "great_expectations",
    "matplotlib.pyplot",
    "sklearn.cluster",
)
FAILED = 3


@dataclass(frozen=True)
class Step:
    """A step of an undisturbed night, and how long it took."""

    night: dt.date
    name: str
    seconds: float


@dataclass(frozen=True)
class Kill:
    """Where the loop dies: so long after a step of a night has begun."""

    night: dt.date
    step: str
    after: float


@dataclass
class Seen:
    """What was found."""

    kills: Counter[dt.date] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def make_home(home: Path, customers: int) -> None:
    """Make the demo's home with one segmentation, a declared number of segments, a short shadow."""
    make_demo(home, customers, len(NIGHTS), 7, drift="sudden")
    (home / "segmentations" / "profession.yaml").unlink()
    file = home / "segmentations" / "engagement.yaml"
    text, times = re.subn(
        r"  minimum_segments: \d+\n  maximum_segments: \d+\n",
        "  segments: 4\n",
        file.read_text(encoding="utf-8"),
    )
    if times != 1:
        raise RuntimeError(f"{file} does not say between which numbers of segments to search")
    file.write_text(f"{text}\nrefit:\n  shadow_nights: 2\n", encoding="utf-8")


def live(home: Path, first: dt.date, log: Path, kill: Kill | None) -> None:
    """Replay from a night to the last one; die where it is said. Runs in a process of its own."""
    night = first
    with log.open("w", encoding="utf-8", buffering=1) as told:

        def begin(date: dt.date, _number: int, _nights: int) -> None:
            nonlocal night
            night = date

        def show(step: str, _number: int, _steps: int) -> None:
            told.write(f"{night} {step} {time.monotonic()}\n")
            if kill is not None and (kill.night, kill.step) == (night, step):
                told.write(f"{night} killed {time.monotonic()}\n")
                if not kill.after:
                    _die()
                threading.Timer(kill.after, _die).start()

        found = replay_nights(home, first, NIGHTS[-1], on_night=begin, progress=show)
        told.write(f"{NIGHTS[-1]} end {time.monotonic()}\n")
        if found.result is not None:
            told.write(f"failed: {found.failed}: {'; '.join(found.result.failures)}\n")
            os._exit(FAILED)
    os._exit(0)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(context: ForkServerContext, home: Path, first: dt.date, kill: Kill | None) -> int:
    """Let the loop live once; the exit status, -9 where it was killed."""
    process = context.Process(target=live, args=(home, first, log_of(home), kill))
    process.start()
    process.join()
    return process.exitcode or 0


def log_of(home: Path) -> Path:
    """Where a life tells its steps."""
    return home.with_suffix(".log")


def steps_of(home: Path) -> list[Step]:
    """Read the steps of the life that was last."""
    lines = [line.split() for line in log_of(home).read_text(encoding="utf-8").splitlines()]
    times = [float(line[2]) for line in lines]
    return [
        Step(dt.date.fromisoformat(line[0]), line[1], until - began)
        for line, began, until in zip(lines, times, times[1:], strict=False)
    ]


def choose(steps: Sequence[Step], kills: int, draw: random.Random) -> list[Kill]:
    """Choose kills over all kinds of steps and all nights, in the order in which they come.

    The first kind of step dies in the first night, the second in the second one, and so on around;
    when each has had its turn, all do again, a night later.
    """
    kinds = list(dict.fromkeys(step.name for step in steps))
    nights = list(dict.fromkeys(step.night for step in steps))
    turns = [
        (nights[(number + number // len(kinds)) % len(nights)], kinds[number % len(kinds)])
        for number in range(min(kills, len(kinds) * len(nights)))
    ]
    chosen = [step for step in steps if (step.night, step.name) in set(turns)]
    return [
        Kill(step.night, step.name, draw.uniform(0, step.seconds) if number % 2 else 0.0)
        for number, step in enumerate(chosen)
    ]


def kill_the_loop(
    context: ForkServerContext, home: Path, kills: Sequence[Kill], seen: Seen
) -> None:
    """Kill and start again until no kill is left, then let it end."""
    first = NIGHTS[0]
    for number, kill in enumerate(kills, start=1):
        status = run(context, home, first, kill)
        if status == -signal.SIGKILL:
            seen.kills[kill.night] += 1
            seen.kinds.add(kill.step)
            # A step may be over before its moment comes, and another one be hit.
            first = steps_of(home)[-1].night if steps_of(home) else first
            first = max(first, kill.night)
        elif status:
            seen.faults.append(f"{kill}: {log_of(home).read_text().splitlines()[-1]}")
            return
        seen.faults += look(home)
        print(f"{number} of {len(kills)}: {kill.night} {kill.step} +{kill.after:.2f} s: {status}")
        sys.stdout.flush()
    if status := run(context, home, first, None):
        seen.faults.append(f"the loop ended with {status} after the last kill")


def look(home: Path) -> list[str]:
    """Say what is wrong with what is published."""
    published = home / "published"
    if not (published / "current").exists():
        return []
    return verify(published, personal_columns(load_home(home)))


def differences(one: Path, other: Path) -> list[str]:
    """Name the published tables that differ in what is not volatile."""
    faults = []
    for contract in CONTRACTS.values():
        columns = ", ".join(f'"{c.name}"' for c in contract.columns if not c.is_volatile)
        query = f"SELECT {columns} FROM {contract.name} ORDER BY ALL"
        ours, theirs = (read_published(home / "published", query) for home in (one, other))
        # By their words: NaN is not equal to itself.
        if list(map(repr, ours)) != list(map(repr, theirs)):
            faults.append(f"{contract.name} differs from that of the undisturbed home")
    return faults


def is_over(home: Path) -> bool:
    """Whether the last life of a home came to its end."""
    log = log_of(home)
    return log.exists() and f"{NIGHTS[-1]} end" in log.read_text(encoding="utf-8")


def require_proof(home: Path) -> None:
    """Raise RuntimeError unless the undisturbed loop refitted once and promoted that model."""
    decided = "SELECT decision FROM refit_decision ORDER BY as_of"
    put_in_force = "SELECT from_date, version FROM model_events WHERE status = 'champion'"
    found = [decision for (decision,) in read_published(home / "published", decided)]
    champions = sorted(read_published(home / "published", put_in_force))
    wanted = [(NIGHTS[0], 1), (NIGHTS[-1], 2)]
    if found != ["first", "keep", "refit", "keep", "keep"] or champions != wanted:
        raise RuntimeError(f"this home is no proof: it decided {found}, champions {champions}")


def report(seen: Seen, steps: Sequence[Step], differing: tuple[int, int], customers: int) -> str:
    """Write the page."""
    is_met = {True: "met", False: "**missed**"}
    of_night = Counter(step.night for step in steps)
    rows = (
        ("lives after which what is published did not verify, or that failed", len(seen.faults)),
        (
            f"tables of {len(CONTRACTS)} that differ from those of the undisturbed home",
            differing[0],
        ),
        ("the same after all nights were replayed once more", differing[1]),
    )
    lines = [
        "# The loop, killed and started again",
        "",
        f"{seen.kills.total()} lives of the loop were killed (SIGKILL), in {len(seen.kinds)} of",
        f"{len({step.name for step in steps})} kinds of step, over five nights of {customers}",
        "customers; which, and how, is told in `loop_kills.py`.",
        "",
        "| | seen | wanted | |",
        "|---|---:|---:|---|",
        *(f"| {what} | {count} | 0 | {is_met[not count]} |" for what, count in rows),
        "",
        "| night | | steps | kills |",
        "|---|---|---:|---:|",
        *(
            f"| {number} | {what} | {of_night[night]} | {seen.kills[night]} |"
            for number, (night, what) in enumerate(zip(NIGHTS, WHAT, strict=True), start=1)
        ),
        *(f"\n- {fault}" for fault in seen.faults),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Kill, look, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--customers", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1, help="of the moments within steps")
    parser.add_argument("--folder", type=Path, help="of the homes; an undisturbed one stays there")
    options = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="loop_kills_") as temporary:
        folder = options.folder or Path(temporary)
        undisturbed, killed = folder / "undisturbed", folder / "killed"
        if not is_over(undisturbed):
            make_home(undisturbed, options.customers)
            if run(context, undisturbed, NIGHTS[0], None):
                raise RuntimeError(log_of(undisturbed).read_text(encoding="utf-8"))
        shutil.rmtree(killed, ignore_errors=True)
        make_home(killed, options.customers)
        require_proof(undisturbed)
        steps = steps_of(undisturbed)
        kills = choose(steps, options.kills, random.Random(options.seed))
        kill_the_loop(context, killed, kills, seen)
        differing = differences(undisturbed, killed)
        if run(context, killed, NIGHTS[0], None):
            seen.faults.append("replaying all nights once more failed")
        again = differences(undisturbed, killed)
    text = report(seen, steps, (len(differing), len(again)), options.customers)
    print(text, *differing, *again, sep="\n")
    RESULT.write_text(text, encoding="utf-8")
    sys.exit(bool(seen.faults or differing or again))


if __name__ == "__main__":
    main()
