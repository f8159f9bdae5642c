"""`segmentation report`: the page about a night, made anew from what is published."""

import datetime as dt
import webbrowser
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
)
from segmentation_pipeline.specification.home import load_home


def report(
    home: HomeOption = CURRENT,
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="The night's date; the newest published one if not given."
        ),
    ] = None,
    is_opened: Annotated[
        bool, typer.Option("--open", help="Show it in the browser of this machine.")
    ] = False,
) -> None:
    """Write the report of a night, the newest published one if no date is given."""
    with errors_to_exit_status():
        from segmentation_pipeline.reports import make_report

        path = make_report(load_home(home), as_of.date() if as_of is not None else None)
        console.print(path, soft_wrap=True, highlight=False)
        if is_opened and not webbrowser.open(path.as_uri()):
            console.print("There is no browser here: open the file yourself.")
