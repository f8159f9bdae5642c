"""Kill nights at random times, and count the acknowledged ones that are lost.

    python -m benchmarks.random_kills [--kills 200] [--customers 60]

Each life of the job is `segmentation run` for the next date, killed (SIGKILL, with its children) at
a time drawn from the length of an undisturbed night. A life that ends by itself with status 0
before that has acknowledged its night. After each one, what is published must verify, and hold all
acknowledged nights; nothing is ever repaired. At the end the tables must be those of a home that
was never disturbed, but for what contracts call volatile.
"""

import argparse
import datetime as dt
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.publication import personal_columns, read_published, verify
from segmentation_pipeline.specification.home import load_home

LAST = dt.date(2025, 6, 30)
COMMAND = [sys.executable, "-m", "segmentation_pipeline.cli"]


def main() -> None:
    """Kill, look, and compare; the exit status is 1 where something is lost or damaged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--customers", type=int, default=60)
    parser.add_argument("--nights", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        undisturbed, killed = Path(folder) / "undisturbed", Path(folder) / "killed"
        for home in (undisturbed, killed):
            size = ["--customers", str(options.customers), "--days", str(options.nights)]
            run([*COMMAND, "demo", "--home", str(home), *size])
        dates = [LAST - dt.timedelta(days=ago) for ago in reversed(range(options.nights))]
        seconds = []
        for date in dates:
            started = time.monotonic()
            run(night(undisturbed, date))
            seconds.append(time.monotonic() - started)
        faults = kill_nights(killed, dates, max(seconds), options.kills, options.seed)
        for date in dates:
            run(night(killed, date))
        faults += differences(undisturbed, killed)
    for fault in faults:
        say(fault)
    sys.exit(bool(faults))


def kill_nights(
    home: Path, dates: list[dt.date], longest: float, kills: int, seed: int
) -> list[str]:
    """Run nights until so many were killed; returns what was lost or damaged."""
    draw = random.Random(seed)
    acknowledged: list[dt.date] = []
    done, faults = 0, []
    while done < kills:
        date = dates[len(acknowledged) % len(dates)]
        process = subprocess.Popen(
            night(home, date), start_new_session=True, stdout=subprocess.DEVNULL
        )
        try:
            status = process.wait(timeout=draw.uniform(0, 1.2 * longest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            done += 1
        else:
            if status:
                faults.append(f"the night of {date} failed by itself after {done} kills")
                break
            acknowledged.append(date)
        faults += look(home, acknowledged)
    say(f"{done} kills, {len(acknowledged)} acknowledged nights, {len(faults)} faults")
    return faults


def look(home: Path, acknowledged: list[dt.date]) -> list[str]:
    """Say what is wrong with what is published, and which acknowledged nights it lacks."""
    published = home / "published"
    if not (published / "current").exists():
        return ["nothing is published"] if acknowledged else []
    faults = verify(published, personal_columns(load_home(home)))
    found = {row[0] for row in read_published(published, "SELECT as_of FROM segmentation_runs")}
    return faults + [f"{date} is lost" for date in set(acknowledged) - found]


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


def night(home: Path, date: dt.date) -> list[str]:
    return [*COMMAND, "run", "--home", str(home), "--as-of", date.isoformat()]


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


if __name__ == "__main__":
    main()
