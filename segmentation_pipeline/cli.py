"""The `segmentation` command: exit status 0 done, 1 failed, 2 wrong usage."""

import datetime as dt
import os
import platform
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer
from rich.table import Table as RichTable

from segmentation_pipeline.commands.diff import diff
from segmentation_pipeline.commands.erase import erase
from segmentation_pipeline.commands.promote import promote, reject
from segmentation_pipeline.commands.refit import refit
from segmentation_pipeline.commands.replay import replay
from segmentation_pipeline.commands.report import report
from segmentation_pipeline.commands.rollback import rollback
from segmentation_pipeline.commands.score import score
from segmentation_pipeline.commands.status import status
from segmentation_pipeline.commands.terminal import (
    CURRENT,
    DateOption,
    HomeOption,
    console,
    default_date,
    errors_to_exit_status,
    one_segmentation,
    progress_console,
)
from segmentation_pipeline.commands.verify import verify
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import lock_holder, rehearsal_state
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.specification.schema import SCHEMAS, json_schema

if TYPE_CHECKING:  # It imports Dagster, which takes a second.
    from segmentation_pipeline.assets.night import NightResult

# Before any component is imported that would read them: nothing phones home.
os.environ["GX_ANALYTICS_ENABLED"] = "False"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"

app = typer.Typer(
    name="segmentation",
    help="Customer segments that keep their identity from night to night.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def run(
    home: HomeOption = CURRENT,
    as_of: DateOption = None,
    segmentation: Annotated[
        str | None, typer.Option(help="Refresh this one alone; the others are copied forward.")
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="A date before the oldest CRM snapshot may use it."),
    ] = False,
    new_segment_ids: Annotated[
        bool,
        typer.Option(
            "--new-segment-ids",
            help="A new model's segments get ids of their own, where too few customers are shared "
            "with the model before to match them.",
        ),
    ] = False,
) -> None:
    """Run the nightly job for a date and publish its segments."""
    with errors_to_exit_status():
        spec = load_home(home)
        date = as_of.date() if as_of is not None else default_date(spec)
        from segmentation_pipeline.assets.night import run_night

        with progress_console.status("starting ...") as status:

            def show(step: str, number: int, steps: int) -> None:
                status.update(f"[{number}/{steps}] {step.replace('__', '/')}")
                if not progress_console.is_terminal:
                    progress_console.print(f"[{number}/{steps}] {step}", markup=False)

            result = run_night(
                home,
                date,
                segmentation=segmentation,
                approximate=approximate,
                new_segment_ids=new_segment_ids,
                progress=show,
            )
        for failure in result.failures:
            progress_console.print(f"failed: {failure}", markup=False, style="red")
        _tell(spec, date, result)
        if result.is_news is not None:
            _show_segments(spec)
        if result.is_news is False:
            console.print(f"{date}: a night without news; what is published stays as it is.")
        if not result.success:
            left = "was not published" if result.is_news is None else "was published, with failures"
            progress_console.print(f"The night of {date} {left}.", style="red")
            raise typer.Exit(1)


@app.command()
def inspect(
    files: Annotated[
        list[Path], typer.Argument(help="Files of customers, below the home.", exists=True)
    ],
    home: Annotated[
        Path, typer.Option(help="The folder that becomes the home.", file_okay=False)
    ] = CURRENT,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write customers.yaml and a first segmentation there."),
    ] = False,
) -> None:
    """Look at files, and propose a customers.yaml: types, keys, categories, personal columns."""
    with errors_to_exit_status():
        from segmentation_pipeline.ingestion.first_segmentation import propose_segmentation
        from segmentation_pipeline.ingestion.inspecting import propose_customers

        customers = propose_customers(home, files)
        if not write:
            typer.echo(customers)
            return
        proposed = {
            home / "customers.yaml": customers,
            home / "segmentations" / "first_look.yaml": propose_segmentation(customers),
        }
        for path in proposed:
            if path.exists():
                raise PipelineError(f"{path} exists: move it away, or leave out --write")
        for path, text in proposed.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            console.print(f"wrote {path}", highlight=False)


@app.command()
def check(home: HomeOption = CURRENT) -> None:
    """Read every file of a home and say what a night would do; touches nothing."""
    with errors_to_exit_status():
        from segmentation_pipeline.ingestion import check_source

        spec = load_home(home)
        console.print(f"{spec.customers.name}: customers.yaml and segmentations are well-formed.")
        for name, source in spec.customers.sources.items():
            for line in check_source(spec.path, name, source, os.environ):
                console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        for name, segmentation in spec.segmentations.items():
            used = [k for k, f in segmentation.features.items() if f.use == "clustering"]
            clustering = segmentation.clustering
            tries = clustering.segments or (
                f"{clustering.minimum_segments} to {clustering.maximum_segments}"
            )
            console.print(
                f"  segmentation {name}: {clustering.algorithm}, {tries} segments by "
                f"{len(used)} features: {', '.join(used)}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        console.print(f"The next night would be for {default_date(spec)}.")


@app.command()
def rename(
    segment: Annotated[str, typer.Argument(help="The segment's id, such as engagement-1.")],
    name: Annotated[str, typer.Argument(help="What it is called from the next night on.")],
    home: HomeOption = CURRENT,
) -> None:
    """Give a segment a name; it stays with the segment until it gets another one."""
    with errors_to_exit_status():
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.segments.naming import rename_segment
        from segmentation_pipeline.warehouse import open_warehouse

        spec = load_home(home)
        segmentation = one_segmentation(spec, segment.rpartition("-")[0])
        declared = spec.segmentations[segmentation].names
        with (
            hold_lock(spec.lock, "rename", timeout_seconds=0),
            open_warehouse(spec.warehouse) as connection,
        ):
            done = rename_segment(connection, segmentation, segment, name, declared=declared)
        console.print(f"{done.segment_id}: {done.before or 'no name'} -> {done.after}")


@app.command()
def similar(
    customer: Annotated[str, typer.Option(help="The customer's id, as in the published tables.")],
    home: HomeOption = CURRENT,
    segmentation: Annotated[
        str | None, typer.Option(help="By whose features; not needed where there is one.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many to list.")] = 10,
) -> None:
    """List the customers most like one, and the features that make them so."""
    with errors_to_exit_status():
        from segmentation_pipeline.segments.similar import find_similar
        from segmentation_pipeline.warehouse import open_warehouse

        spec = load_home(home)
        name = one_segmentation(spec, segmentation)
        with open_warehouse(spec.warehouse, read_only=True) as connection:
            found = find_similar(connection, spec, name, customer, count)
        table = RichTable(box=None, header_style="bold")
        for column in ("customer", "distance", "segment", "alike in (as near by chance)"):
            table.add_column(column, justify="right" if column == "distance" else "left")
        for neighbour in found:
            one = neighbour.similar
            alike = ", ".join(
                f"{feature.feature} ({feature.as_near_share:.0%})" for feature in one.features[:3]
            )
            table.add_row(str(one.customer_id), f"{one.distance:.3f}", neighbour.segment_id, alike)
        console.print(table)


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="The folder to make; empty, or an earlier demo.")],
    customers: Annotated[int, typer.Option(min=50, help="How many customers.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="How many nights, the last 2025-06-30.")] = 7,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 7,
    file_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Of the source files.")
    ] = "csv",
    drift: Annotated[
        Literal["none", "moves", "role_changes", "gradual", "sudden", "new_group", "effect"],
        typer.Option(help="What changes in the customers from night to night."),
    ] = "moves",
) -> None:
    """Make the example: hospital staff in three sources, with planted segments."""
    with errors_to_exit_status():
        from segmentation_pipeline.demo import make_demo

        with progress_console.status("making the example ..."):
            made = make_demo(home, customers, days, seed, file_format, drift=drift)
        console.print(f"{customers} customers, {days} nights in {home}", highlight=False)
        for name, best in made.best_possible_ari.items():
            console.print(f"  best possible adjusted Rand index of {name}: {best:.3f}")


@app.command()
def schema(
    folder: Annotated[Path, typer.Option(help="Where to write the JSON Schemas.")] = CURRENT,
) -> None:
    """Write the JSON Schemas of customers.yaml and segmentations/*.yaml, for your editor."""
    folder.mkdir(parents=True, exist_ok=True)
    for file_name in SCHEMAS:
        (folder / file_name).write_text(json_schema(file_name), encoding="utf-8")
        console.print(folder / file_name, highlight=False)


@app.command()
def doctor(home: HomeOption = CURRENT) -> None:
    """Tell what a bug report needs: versions, lock, free space, file system."""
    with errors_to_exit_status():
        spec = load_home(home)
        facts = {"python": platform.python_version(), "system": platform.platform()}
        for package in ("segmentation-pipeline", "dagster", "duckdb", "great-expectations",
                        "scikit-learn", "pandas", "pyarrow", "numpy"):  # fmt: skip
            facts[package] = version(package)
        free = shutil.disk_usage(spec.path).free
        size = spec.warehouse.stat().st_size if spec.warehouse.exists() else 0
        facts |= {
            "home": str(spec.path),
            "file system": _file_system(spec.path),
            "free space": f"{free / 1e9:.1f} GB",
            "warehouse": f"{size / 1e6:.1f} MB",
            "lock": lock_holder(spec.lock) or "free",
            "rehearsal": rehearsal_state(spec.path),
            "published": str(spec.published.joinpath("current").resolve().name)
            if spec.published.joinpath("current").exists()
            else "nothing yet",
        }
        table = RichTable(show_header=False, box=None)
        for name, fact in facts.items():
            table.add_row(name, fact)
        console.print(table)
        if free < 3 * size:
            raise PipelineError(
                f"{spec.path}: {free / 1e9:.1f} GB free, and a night wants three times the "
                f"warehouse's {size / 1e9:.1f} GB: make room first"
            )


@app.command()
def ui(
    home: HomeOption = CURRENT,
    port: Annotated[int, typer.Option(help="On 127.0.0.1, this machine only.")] = 3000,
) -> None:
    """Open Dagster's UI and daemon for a home, until Ctrl-C."""
    with errors_to_exit_status():
        load_home(home)
        from segmentation_pipeline.assets.night import dagster_home
        from segmentation_pipeline.definitions import HOME_VARIABLE

        environment = os.environ | {
            HOME_VARIABLE: str(home.resolve()),
            "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(dagster_home(home))),
        }
        dg = Path(sys.executable).with_name("dg")
        # With `--module-name` the location would be called otherwise than in workspace.yaml, and a
        # backfill by the one would not be found by the other.
        workspace = str(dagster_home(home) / "workspace.yaml")
        arguments = ["dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", str(port)]
        os.execve(dg, [str(dg), *arguments], environment)  # noqa: S606


app.command()(diff)
app.command()(erase)
app.command()(refit)
app.command()(report)
app.command()(promote)
app.command()(reject)
app.command()(replay)
app.command()(rollback)
app.command()(score)
app.command()(status)
app.command()(verify)


def main() -> NoReturn:
    """Run the command line, and end the process with its exit status.

    It ends without tearing the interpreter down: all files are closed by then, and DuckDB's
    bindings would list on the terminal, as leaks, what other libraries' caches still hold
    (`python -c "import great_expectations, duckdb_engine"` shows it with duckdb 2.0).
    """
    status: int | str | None = 0
    try:
        app()
    except SystemExit as stop:
        status = stop.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


def _tell(home: Home, as_of: dt.date, result: "NightResult") -> None:
    """Send the alert of a night that is worth one; one that isn't delivered is said here."""
    from segmentation_pipeline.assets.alerting import alert_of_night, send

    is_published = result.is_news is not None
    alert = alert_of_night(
        home, as_of, result.run_id, result.failures, result.warnings, is_published=is_published
    )
    for fault in send(home, alert, os.environ) if alert else []:
        progress_console.print(fault, markup=False, style="red")


def _show_segments(home: Home) -> None:
    """Print what readers now find: a line per segment, a verdict on each lens, where it is."""
    from segmentation_pipeline.publication import read_published

    table = RichTable(title=f"{home.customers.name}: segments")
    for heading in ("segmentation", "segment", "customers", "share", "what it is called"):
        table.add_column(heading, justify="right" if heading in ("customers", "share") else "left")
    rows = read_published(
        home.published,
        "SELECT segmentation, segment_id, customers, share, label, is_stale FROM segments"
        " ORDER BY segmentation, customers DESC, segment_id",
    )
    for segmentation, segment_id, customers, share, label, is_stale in rows:
        stale = " (stale)" if is_stale else ""
        table.add_row(segmentation + stale, segment_id, f"{customers:,}", f"{share:.1%}", label)
    console.print(table)
    verdicts = read_published(
        home.published,
        "SELECT segmentation, verdict, sentence FROM structure_verdict ORDER BY segmentation",
    )
    for segmentation, verdict, sentence in verdicts:
        console.print(f"{segmentation}: {verdict}. {sentence}", markup=False, highlight=False)
    unserved = read_published(
        home.published,
        "SELECT segmentation, segment_id FROM segment_strategies WHERE strategy = 'none'"
        " ORDER BY ALL",
    )
    for segmentation, segment_id in unserved:
        if segmentation in home.segmentations and home.segmentations[segmentation].strategies:
            progress_console.print(f"No strategy of {segmentation} applies to {segment_id}.")
    console.print(f"DuckDB:  {home.published / 'segments.duckdb'}", soft_wrap=True, highlight=False)
    parquet = home.published / "current" / "parquet"
    console.print(f"Parquet: {parquet}/<table>.parquet", soft_wrap=True, highlight=False)
    reports = sorted(home.reports.glob("*/report.html"))
    if reports:
        console.print(f"Report:  {reports[-1]}", soft_wrap=True, highlight=False)


def _file_system(path: Path) -> str:
    """Name the type of the file system below a path (Linux); flock needs a local one."""
    mounts = Path("/proc/mounts")
    if not mounts.exists():
        return "unknown"
    found = [line.split()[1:3] for line in mounts.read_text(encoding="utf-8").splitlines()]
    inside = [(point, kind) for point, kind in found if path.is_relative_to(point)]
    return max(inside, key=lambda mount: len(mount[0]))[1] if inside else "unknown"


if __name__ == "__main__":
    main()
