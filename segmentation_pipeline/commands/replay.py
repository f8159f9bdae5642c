"""`segmentation replay`: nights in a row, oldest first."""

import datetime as dt
import shlex
from typing import Annotated

import typer

from segmentation_pipeline.commands.telling import tell
from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    default_date,
    errors_to_exit_status,
    progress_console,
)
from segmentation_pipeline.specification.home import load_home


def replay(
    first: Annotated[
        dt.datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first night.")
    ],
    last: Annotated[
        dt.datetime | None,
        typer.Option(
            "--to",
            formats=["%Y-%m-%d"],
            help="The last night; the latest date in the sources if not given.",
        ),
    ] = None,
    home: HomeOption = CURRENT,
    segmentation: Annotated[
        str | None, typer.Option(help="Refresh this one alone; the others are copied forward.")
    ] = None,
    approximate: Annotated[
        bool,
        typer.Option("--approximate", help="A date before the oldest CRM snapshot may use it."),
    ] = False,
) -> None:
    """Run nights again, or for the first time, in order; stop at the first that fails."""
    with errors_to_exit_status():
        spec = load_home(home)
        until = last.date() if last is not None else default_date(spec)
        from segmentation_pipeline.assets.replay import replay_nights

        with progress_console.status("starting ...") as status:
            night = ""

            def begin(date: dt.date, number: int, nights: int) -> None:
                nonlocal night
                night = f"{date} ({number} of {nights})"
                status.update(night)
                progress_console.print(night, highlight=False)

            def show(step: str, number: int, steps: int) -> None:
                status.update(f"{night} [{number}/{steps}] {step.replace('__', '/')}")

            found = replay_nights(
                home,
                first.date(),
                until,
                segmentation=segmentation,
                approximate=approximate,
                on_night=begin,
                on_result=lambda date, result: tell(spec, date, result),
                progress=show,
            )
        if found.result is None:
            console.print(f"{len(found.done)} nights done.", highlight=False)
            return
        for failure in found.result.failures:
            progress_console.print(f"failed: {failure}", style="red")
        again = "" if segmentation is None else f" --segmentation {segmentation}"
        again += " --approximate" if approximate else ""
        again += "" if home == CURRENT else f" --home {shlex.quote(str(home))}"
        progress_console.print(
            f"The night of {found.failed} failed, {len(found.done)} before it are done. Mend the "
            f"reason, then: segmentation replay --from {found.failed} --to {until}{again}",
            style="red",
            highlight=False,
        )
        raise typer.Exit(1)
