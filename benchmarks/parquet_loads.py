"""Load ten million rows of Parquet, beside a bare CREATE TABLE AS of the same file.

    python -m benchmarks.parquet_loads [--rows 10000000] [--rounds 3]

The file is a log of web events with six columns, as other systems write them: a customer's id as
text, a time, a category, a whole number, a number with gaps, a truth value. The load is
`load_source`, as a night does it: the file's SHA-256, its header against the declaration, every
row typed as declared with its customer's id beside it and the number that it had in the file,
unreadable rows and values looked for and noted by line, the audit, one transaction. Bare is
`CREATE TABLE bare AS SELECT * FROM read_parquet(...)` by a DuckDB that was opened by the same
function. Both write a new database file and close it; each is a process of its own, and they take
turns. The best of the rounds counts, of seconds and of processor seconds apart.
"""

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import pandas as pd  # noqa: F401 - a night has it by then; DuckDB imports it for an Arrow table

from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Build, open_in_memory, open_warehouse

RESULT = Path(__file__).parent / "results" / "parquet_loads.md"
ROWS = 10_000_000
WANTED = 1.3
FILE = "events.parquet"
SOURCE = SourceSpec.model_validate(
    {
        "kind": "web", "path": FILE, "format": "parquet", "key": "customer", "time": "occurred_at",
        "duplicates": "keep",
        "columns": {
            "customer": {"type": "text"},
            "occurred_at": {"type": "timestamp"},
            "event": {"type": "category"},
            "pieces": {"type": "integer"},
            "amount": {"type": "number", "maximum_null_share": 1},
            "is_mobile": {"type": "boolean"},
        },
    }
)  # fmt: skip
_EVENTS_SQL = """
SELECT 'C' || lpad(CAST(hash(i) % 1000000 AS VARCHAR), 7, '0') AS customer,
    TIMESTAMP '2025-01-01' + to_milliseconds(i * 1500 + hash(i + 1) % 1500) AS occurred_at,
    ['visit', 'email_opened', 'email_clicked', 'purchase', 'service', 'search'][
        CAST(1 + hash(i + 2) % 6 AS INTEGER)] AS event,
    CAST(1 + hash(i + 3) % 20 AS INTEGER) AS pieces,
    CASE WHEN hash(i + 4) % 4 = 0 THEN (hash(i + 5) % 100000) / 100 END AS amount,
    hash(i + 6) % 3 = 0 AS is_mobile
FROM range({rows}) AS events(i)
"""


@dataclass(frozen=True)
class Taken:
    """What a process took for its work, without its imports."""

    seconds: float
    processor_seconds: float

    def least(self, other: "Taken") -> "Taken":
        """Take the less of each."""
        return Taken(
            min(self.seconds, other.seconds),
            min(self.processor_seconds, other.processor_seconds),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--do", choices=("bare", "load"), help="one of the two, in this process")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    if options.do:
        print(*do(options.do, options.folder))
        return
    with tempfile.TemporaryDirectory(prefix="parquet_loads_", dir=options.folder) as name:
        folder = Path(name)
        with open_in_memory() as connection:
            events = _EVENTS_SQL.format(rows=options.rows)
            connection.execute(f"COPY ({events}) TO '{folder / FILE}' (FORMAT parquet)")
        size = (folder / FILE).stat().st_size
        best: dict[str, Taken] = {}
        for _ in range(options.rounds):
            for what in ("bare", "load"):
                taken = in_own_process(what, folder)
                print(f"{what}: {taken.seconds:.2f} s, {taken.processor_seconds:.2f} s of CPU")
                best[what] = best.get(what, taken).least(taken)
    text, is_met = report(options.rows, options.rounds, size, best["bare"], best["load"])
    print(text)
    if options.rows == ROWS:
        RESULT.write_text(text, encoding="utf-8")
    sys.exit(not is_met)


def in_own_process(what: str, folder: Path) -> Taken:
    command = [sys.executable, "-m", "benchmarks.parquet_loads", "--do", what, "--folder", folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return Taken(*map(float, done.stdout.split()))


def do(what: str, folder: Path) -> tuple[float, float]:
    """Do one of the two on a new database file; returns seconds and processor seconds."""
    database = folder / f"{what}.duckdb"
    database.unlink(missing_ok=True)
    began, used = perf_counter(), sum(os.times()[:2])
    with open_warehouse(database) as connection:
        if what == "bare":
            connection.execute(
                f"CREATE TABLE bare AS SELECT * FROM read_parquet('{folder / FILE}')"
            )
        else:
            load_source(connection, folder, "web", SOURCE, Build(dt.date(2026, 1, 1), "run"))
    return perf_counter() - began, sum(os.times()[:2]) - used


def report(rows: int, rounds: int, size: int, bare: Taken, load: Taken) -> tuple[str, bool]:
    ratios = {
        "processor seconds": (bare.processor_seconds, load.processor_seconds),
        "seconds": (bare.seconds, load.seconds),
    }
    is_met = all(of_load / of_bare <= WANTED for of_bare, of_load in ratios.values())
    lines = [
        "# Loading Parquet",
        "",
        f"{rows:,} rows of six columns ({size / 1e6:.0f} MB), best of {rounds} rounds on",
        f"{os.cpu_count()} cores. What each does is told in `parquet_loads.py`.",
        "",
        "| | bare CREATE TABLE AS | the load | ratio | wanted | |",
        "|---|---:|---:|---:|---:|---|",
        *(
            f"| {what} | {of_bare:.2f} | {of_load:.2f} | {of_load / of_bare:.2f} | <= {WANTED} | "
            f"{'met' if of_load / of_bare <= WANTED else '**missed**'} |"
            for what, (of_bare, of_load) in ratios.items()
        ),
    ]
    return "\n".join(lines) + "\n", is_met


if __name__ == "__main__":
    main()
