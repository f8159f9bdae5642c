"""Publish a hundred times under four readers, one of them an older DuckDB.

    python -m benchmarks.readers [--publishes 100]

A night of the example is run once; then its tables are published again and again, each time under
the name of another run, as fast as it goes. Four processes look all the time: two connect anew for
each look, one holds its connection for five looks, one is DuckDB 1.2 in an environment of its own
(which takes the package index). A look reads every row of every table. It is torn where tables that
are made anew by each publish don't all name one run, or a table has other rows than were published.
"""

import argparse
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from benchmarks.random_kills import LAST, make_home
from segmentation_pipeline.assets.checks import (
    validated_home_tables,
    validated_segmentation_tables,
)
from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.assets.publication import ready_segmentations
from segmentation_pipeline.publication import publish, read_published
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.warehouse import Build, open_warehouse

RESULT = Path(__file__).parent / "results" / "readers.md"
PUBLISHES = 100
OLDER = "1.2.2"
# Reads with nothing but duckdb, as a BI tool does; tells its looks as JSON when told to stop.
READER = """
import duckdb, json, sys, time
from pathlib import Path
file, stop, looks_held, told = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
expected = json.loads(told)
seen = {"duckdb": duckdb.__version__, "looks": 0, "torn": 0, "errors": [], "runs": []}
runs = set()
print("ready", flush=True)
while not stop.exists():
    try:
        with duckdb.connect(file, read_only=True) as connection:
            # It would be written among the JSON.
            connection.execute("SET enable_progress_bar = false")
            held = set()
            for _ in range(looks_held):
                found, is_torn = set(), False
                for table, (rows, names_run) in expected.items():
                    read = connection.execute(f'SELECT * FROM "{table}"').fetchall()
                    is_torn |= len(read) != rows
                    if names_run:
                        query = f'SELECT DISTINCT run_id FROM "{table}"'
                        found |= {run for (run,) in connection.execute(query).fetchall()}
                held |= found
                seen["looks"] += 1
                seen["torn"] += is_torn or len(held) != 1
                time.sleep(0.2)
            runs |= held
    except Exception as error:
        seen["errors"].append(f"{type(error).__name__}: {error}")
seen["runs"] = len(runs)
print(json.dumps(seen))
"""


def main() -> None:
    """Publish and look; the exit status is 1 where a look failed or was torn."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--publishes", type=int, default=PUBLISHES)
    parser.add_argument("--home", type=Path, help="one that has been published; it is changed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="readers_") as name:
        folder = Path(name)
        home = load_home(options.home) if options.home else first_night(folder / "home")
        expected = tables_to_expect(home)
        older = folder / "older"
        venv.create(older, with_pip=True)
        python = older / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", f"duckdb=={OLDER}"], check=True)
        file, stop = home.published / "segments.duckdb", folder / "stop"
        readers = [
            subprocess.Popen(
                [program, "-c", READER, file, stop, str(looks), json.dumps(expected)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for program, looks in (
                (sys.executable, 1),
                (sys.executable, 1),
                (sys.executable, 5),
                (python, 1),
            )
        ]
        for reader in readers:
            if reader.stdout is None or reader.stdout.readline() != "ready\n":
                raise RuntimeError("a reader does not begin")
        began = time.monotonic()
        for number in range(options.publishes):
            publish_again(home, f"publish-{number:03}")
        seconds = time.monotonic() - began
        stop.touch()
        seen = [json.loads(reader.communicate()[0].splitlines()[-1]) for reader in readers]
    text, is_met = report(options.publishes, seconds, len(expected), seen)
    print(text)
    if options.publishes >= PUBLISHES:
        RESULT.write_text(text, encoding="utf-8")
    sys.exit(not is_met)


def first_night(path: Path) -> Home:
    """Make the example's home and run its last night."""
    make_home(path, customers=60, nights=1)
    result = run_night(path, LAST, progress=lambda *_: None)
    if not result.success:
        raise RuntimeError(f"the night failed: {result.failures}")
    return load_home(path)


def tables_to_expect(home: Home) -> dict[str, tuple[int, bool]]:
    """Say for each published table how many rows it has, and whether each publish names its run."""
    publish_again(home, "expected")
    expected = {}
    tables = read_published(home.published, "SELECT table_name FROM duckdb_tables() ORDER BY 1")
    for (name,) in tables:
        ((rows,),) = read_published(home.published, f'SELECT count(*) FROM "{name}"')
        named = f"table_name = '{name}' AND column_name = 'run_id'"
        has_run = read_published(home.published, f"SELECT 1 FROM duckdb_columns() WHERE {named}")
        runs = has_run and read_published(home.published, f'SELECT DISTINCT run_id FROM "{name}"')
        expected[name] = (rows, runs == [("expected",)])
    if sum(names_run for _, names_run in expected.values()) < 10:
        raise RuntimeError("hardly any table names its run: that would prove nothing")
    return expected


def publish_again(home: Home, run_id: str) -> None:
    """Publish the tables of the warehouse as another run's, by decisions that are its own."""
    as_of: dt.date = LAST
    with open_warehouse(home.warehouse) as connection:
        ready, faults = ready_segmentations(connection, home, as_of)
        if faults:
            raise RuntimeError(f"not ready: {faults}")
        ready = {
            name: dataclasses.replace(one, decisions_digest=run_id) for name, one in ready.items()
        }
        validated = [
            *validated_home_tables(home),
            *(table for name in ready for table in validated_segmentation_tables(name)),
        ]
        done = publish(connection, home, Build(as_of, run_id), ready, validated)
    if not done.is_news:
        raise RuntimeError(f"{run_id} was no news: nothing was published")


def report(
    publishes: int, seconds: float, tables: int, seen: list[dict[str, object]]
) -> tuple[str, bool]:
    """Write the result as a page; says whether all is as wanted."""
    errors = [str(error) for one in seen for error in list(one["errors"])]
    torn = sum(int(str(one["torn"])) for one in seen)
    is_met = publishes >= PUBLISHES and not errors and not torn and len(seen) == 4
    lines = [
        "# Readers while versions are published",
        "",
        f"{publishes} publishes of {tables} tables in {seconds:.0f} s, under {len(seen)} readers,",
        "each in a process of its own.",
        "What a look is and when it is torn is told in `readers.py`.",
        "",
        "| | seen | wanted | |",
        "|---|---:|---:|---|",
        *(
            f"| {what} | {count} | {wanted} | {'met' if is_fine else '**missed**'} |"
            for what, count, wanted, is_fine in (
                ("publishes", publishes, PUBLISHES, publishes >= PUBLISHES),
                ("looks that failed", len(errors), 0, not errors),
                ("looks that mixed versions", torn, 0, not torn),
            )
        ),
        "",
        "| reader | looks | versions seen |",
        "|---|---:|---:|",
        *(
            f"| DuckDB {one['duckdb']}{', five looks by a connection' * (number == 2)} "
            f"| {one['looks']} | {one['runs']} |"
            for number, one in enumerate(seen)
        ),
        *("", *(f"- {error}" for error in sorted(set(errors)))) * bool(errors),
        "",
    ]
    return "\n".join(lines), is_met


if __name__ == "__main__":
    main()
