"""Makes a demo home: all files of the three sources, the planted truth, and the YAML.

Everything is made inside DuckDB and is a pure function of the arguments; the same arguments give
the same bytes. A home is built in a folder of its own inside the home, then moved into place.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from segmentation_pipeline.demo import crm, survey, web
from segmentation_pipeline.demo.population import Population
from segmentation_pipeline.demo.randomness import Draws, create_macros
from segmentation_pipeline.demo.scenario import Drift, scenario_named
from segmentation_pipeline.demo.summary import SUMMARY_NAME, DemoSummary, summarise
from segmentation_pipeline.demo.template import FileFormat, packaged_files
from segmentation_pipeline.demo.treated import treated_key, treated_sql
from segmentation_pipeline.demo.truth import TRUTH_NAME
from segmentation_pipeline.demo.truth_rows import truth_sql
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.warehouse import Connection, literal, open_in_memory

_STAGING = ".demo"


def make_demo(
    home: Path,
    customers: int,
    days: int,
    seed: int,
    file_format: FileFormat = "csv",
    *,
    drift: Drift = "moves",
    memory_limit: str = "2GB",
    threads: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> DemoSummary:
    """Make the example: hospital staff in three sources, with planted segments.

    `home` is an empty folder, one to be made, or an earlier demo, whose files are replaced. A
    folder of something else, or a YAML file of the earlier demo that was edited since, raises
    `PipelineError` before anything is written. `customers` is how many the CRM has on the first of
    `days` nights, the last of which is 2025-06-30; `drift` names the scenario of what changes in
    them. DuckDB takes `memory_limit` and spills the rest
    into the home; the result depends neither on that nor on `threads` (all cores where nothing is
    said). `progress` is told what is being made.
    """
    if customers < 1 or days < 1:
        raise PipelineError(f"a demo needs customers and days: got {customers} and {days}")
    scenario = scenario_named(drift)
    population = Population(customers, days, scenario)
    texts = packaged_files(file_format, population.first_night, population.stranger_share)
    _refuse_foreign_folder(home, texts)
    staging = home / _STAGING
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
    except OSError as error:
        raise PipelineError(f"{home}: it cannot be made ({error.strerror})") from None
    spill = staging / "spill"
    try:
        with open_in_memory(memory_limit=memory_limit, threads=threads, spill=spill) as connection:
            _make_tables(connection, population, Draws(seed), progress)
            _write_sources(connection, population, Draws(seed), file_format, staging, progress)
            digests = {path: _digest(text.encode()) for path, text in texts.items()}
            progress("the best possible agreement")
            summary = summarise(connection, population, drift, seed, file_format, digests)
        _replace(home, staging, texts, summary)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return summary


def _make_tables(
    connection: Connection,
    population: Population,
    draws: Draws,
    progress: Callable[[str], None],
) -> None:
    create_macros(connection)
    for table, what, query in (
        ("people", "people and their segments", population.people_sql(draws)),
        ("crm_staff", "the CRM's people", crm.staff_sql(draws)),
        ("survey", "survey answers", survey.answers_sql(draws, population)),
        ("web_events", "web events", web.events_sql(draws, population)),
        ("crm_last", "the last CRM snapshot", crm.snapshot_sql(population, population.nights[-1])),
    ):
        progress(what)
        connection.execute(f"CREATE TABLE {table} AS {query}")
    if population.scenario.lifted_by:
        connection.execute(f"CREATE TABLE treated AS {treated_sql()}", treated_key())
        connection.execute(f"INSERT INTO web_events {web.lifted_sql(draws, population)}")
    connection.execute(f"INSERT INTO web_events {web.duplicates_sql(draws)}")


def _write_sources(
    connection: Connection,
    population: Population,
    draws: Draws,
    file_format: FileFormat,
    folder: Path,
    progress: Callable[[str], None],
) -> None:
    sources = folder / "sources"
    for name in ("crm", "web"):
        (sources / name).mkdir(parents=True)
    _copy(connection, "FROM survey", sources / f"survey.{file_format}")
    for night in population.nights:
        progress(f"files of {night}")
        is_last = night == population.nights[-1]
        snapshot = "FROM crm_last" if is_last else crm.snapshot_sql(population, night)
        _copy(connection, snapshot, sources / "crm" / f"crm_{night}.{file_format}")
        first = population.history_start if night == population.first_night else night
        events = web.file_sql(population, first, night)
        _copy(connection, events, sources / "web" / f"web_{night}.{file_format}")
    progress("the planted truth")
    _copy(connection, truth_sql(draws, population), folder / TRUTH_NAME)


def _copy(connection: Connection, query: str, path: Path) -> None:
    options = "FORMAT csv, HEADER" if path.suffix == ".csv" else "FORMAT parquet, COMPRESSION zstd"
    connection.execute(f"COPY ({query}) TO {literal(str(path))} ({options})")


def _refuse_foreign_folder(home: Path, texts: dict[str, str]) -> None:
    if not home.exists() or {entry.name for entry in home.iterdir()} <= {_STAGING}:
        return
    summary = home / SUMMARY_NAME
    if not summary.is_file():
        raise PipelineError(
            f"{home}: not empty, and no demo (there is no {SUMMARY_NAME}); name an empty folder"
        )
    written = json.loads(summary.read_text(encoding="utf-8"))["digests"]
    for path in texts:
        file = home / path
        if file.exists() and written.get(path) != _digest(file.read_bytes()):
            raise PipelineError(
                f"{file}: edited since the demo was made, and a new demo would replace it; "
                "delete it, or name another folder"
            )


def _replace(home: Path, staging: Path, texts: dict[str, str], summary: DemoSummary) -> None:
    """Move what was made into the home; the summary, which marks a demo, comes first."""
    summary.write(home / SUMMARY_NAME)
    for path, text in texts.items():
        file = home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    shutil.rmtree(home / "sources", ignore_errors=True)
    (staging / "sources").rename(home / "sources")
    (staging / TRUTH_NAME).replace(home / TRUTH_NAME)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
