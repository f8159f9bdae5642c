"""What commands share: their options, the two streams of the terminal, errors as exit status."""

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.reading import nearest

# What people call a segment or a home is no markup of rich, though it has brackets or colons.
console = Console(markup=False, emoji=False)
progress_console = Console(stderr=True, markup=False, emoji=False)

CURRENT = Path()
HomeOption = Annotated[
    Path,
    typer.Option("--home", help="The folder with customers.yaml.", exists=True, file_okay=False),
]
DateOption = Annotated[
    dt.datetime | None,
    typer.Option(
        formats=["%Y-%m-%d"], help="The night's date; the latest date in the sources if not given."
    ),
]


@contextmanager
def errors_to_exit_status() -> Iterator[None]:
    """Print an error of ours as its message alone, and end with status 1."""
    try:
        yield
    except PipelineError as error:
        progress_console.print(str(error), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from None


def default_date(home: Home) -> dt.date:
    """Find the date of the next night: the latest in the sources, or else today's."""
    from segmentation_pipeline.ingestion import latest_date

    # A mistyped year is no night yet, and sources without any date are as they are today.
    date = today()
    found = latest_date(home, not_after=date, environment=os.environ)
    if found is None:
        progress_console.print(f"No source tells its date: the night is for today, {date}.")
    return found or date


def now() -> dt.datetime:
    """Ask the clock: the one place that does."""
    return dt.datetime.now(dt.UTC)


def today() -> dt.date:
    """Ask the clock for the date."""
    return now().date()


def one_segmentation(home: Home, name: str | None) -> str:
    """Choose the segmentation that is named, or the only one that there is."""
    known = list(home.segmentations)
    if name in known:
        return name
    if name is None and len(known) == 1:
        return known[0]
    if name is None:
        raise PipelineError(
            f"{home.path}: several segmentations: name one by --segmentation: {', '.join(known)}"
        )
    raise PipelineError(f"{home.path}: no segmentation `{name}`; {nearest(name, known)}")
