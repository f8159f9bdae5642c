"""`segmentation status`: how a home stands, in a few lines."""

import typer
from rich.table import Table

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    now,
    progress_console,
)
from segmentation_pipeline.lock import lock_holder
from segmentation_pipeline.specification.home import load_home


def status(home: HomeOption = CURRENT) -> None:
    """Say what readers have, how the last run went, and what somebody should look after.

    The exit status is 1 where there is something to look after.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.reports.status import read_status

        spec = load_home(home)
        found = read_status(spec, now())
        table = Table(box=None, header_style="bold")
        for heading in ("segmentation", "night", "customers", "segments", "model", "verdict"):
            table.add_column(heading)
        table.add_column("decision")
        for one in found.segmentations:
            table.add_row(
                one.name,
                str(one.as_of),
                f"{one.customers:,}",
                str(one.segments),
                str(one.model_version),
                one.verdict or "",
                one.decision or "",
            )
        console.print(table)
        lines = [f"{one.name}: {one.challenger}" for one in found.segmentations if one.challenger]
        if found.published_at is not None:
            lines.append(f"Published: {found.version}, {found.published_at:%Y-%m-%d %H:%M} UTC")
        if found.last_run is not None:
            run = found.last_run
            lines.append(
                f"Last run: for {run.as_of}, {run.steps} steps, {run.seconds:.0f} s, "
                f"{run.peak_mb:,} MB"
            )
        lines.append(f"Lock: {lock_holder(spec.lock) or 'free'}")
        lines += [f"warning: {warning}" for warning in found.warnings]
        for line in lines:
            console.print(line, highlight=False, soft_wrap=True)
        for fault in found.faults:
            progress_console.print(fault, style="red", soft_wrap=True)
        if found.faults:
            raise typer.Exit(1)
