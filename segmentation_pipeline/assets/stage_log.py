"""One line of JSON for each step of a night: `logs/<date>.jsonl` of the home.

For those who watch nights from outside of Dagster. Rows are counts, by table; nothing of a customer
gets here. Only the steps themselves write here, under the home's lock.
"""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, DatabaseError


@contextmanager
def logged_stage(connection: Connection, home: Home, stage: str, build: Build) -> Iterator[None]:
    """Write a step's line when it ends: its outcome, rows by table, seconds, peak memory so far."""
    started, before = perf_counter(), _rows(connection, build)
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        made = {name: rows for name, rows in _rows(connection, build).items() if name not in before}
        line = {
            "as_of": build.as_of.isoformat(),
            "run_id": build.run_id,
            "stage": stage.replace("__", "/"),
            "outcome": outcome,
            "rows": made,
            "seconds": round(perf_counter() - started, 3),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        _write(home, build, line)


def note(home: Home, build: Build, stage: str, **facts: Any) -> None:
    """Write a line of something that a run did besides its steps."""
    head = {"as_of": build.as_of.isoformat(), "run_id": build.run_id, "stage": stage}
    _write(home, build, {**head, "outcome": "done", **facts})


def _write(home: Home, build: Build, line: dict[str, Any]) -> None:
    home.logs.mkdir(exist_ok=True)
    with (home.logs / f"{build.as_of}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def _rows(connection: Connection, build: Build) -> dict[str, int]:
    """Table -> rows of what this run has made for its date; nothing where DuckDB can't answer."""
    try:
        found = connection.execute(
            "SELECT table_name, rows FROM core.builds WHERE run_id = ? AND as_of = ?",
            [build.run_id, build.as_of],
        ).fetchall()
    except DatabaseError:  # After an error DuckDB may be unable to answer; the step tells of it.
        return {}
    return {str(name): int(rows) for name, rows in found}
