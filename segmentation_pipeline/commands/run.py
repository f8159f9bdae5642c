"""`segmentation run`: a night, from the sources to what readers see."""

import datetime as dt
from typing import Annotated

import typer
from rich.table import Table as RichTable

from segmentation_pipeline.commands.telling import tell
from segmentation_pipeline.commands.terminal import (
    CURRENT,
    DateOption,
    HomeOption,
    console,
    default_date,
    errors_to_exit_status,
    progress_console,
)
from segmentation_pipeline.specification.home import Home, load_home


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
                    progress_console.print(f"[{number}/{steps}] {step}")

            result = run_night(
                home,
                date,
                segmentation=segmentation,
                approximate=approximate,
                new_segment_ids=new_segment_ids,
                progress=show,
            )
        for warning in result.warnings:
            progress_console.print(f"warning: {warning}", style="yellow")
        for failure in result.failures:
            progress_console.print(f"failed: {failure}", style="red")
        tell(spec, date, result)
        if result.is_news is not None:
            _show_segments(spec, date)
        if result.is_news is False:
            console.print(f"{date}: a night without news; what is published stays as it is.")
        if not result.success:
            left = "was not published" if result.is_news is None else "was published, with failures"
            progress_console.print(f"The night of {date} {left}.", style="red")
            raise typer.Exit(1)


def _show_segments(home: Home, date: dt.date) -> None:
    """Print what readers now find: a line per segment, a verdict on each lens, where it is.

    After a night in the middle that is what the newest one made, and is said to be.
    """
    from segmentation_pipeline.publication import read_published

    ((newest,),) = read_published(home.published, "SELECT max(as_of) FROM segments")
    if newest > date:
        console.print(
            f"{date} has its rows in the dated tables; what follows is of the newest night, "
            f"{newest}.",
            highlight=False,
            soft_wrap=True,
        )

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
        console.print(f"{segmentation}: {verdict}. {sentence}", highlight=False)
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
