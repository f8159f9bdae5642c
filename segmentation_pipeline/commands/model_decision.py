"""What the commands that decide about a model share: who, why, from when, and how it is told."""

import datetime as dt
import getpass
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from segmentation_pipeline.commands.terminal import console, one_segmentation
from segmentation_pipeline.specification.home import Home, load_home

Version = TypeVar("Version", int, int | None)

if TYPE_CHECKING:
    from segmentation_pipeline.clustering.model_events import ModelEvent
    from segmentation_pipeline.segments.model_decisions import Approval
    from segmentation_pipeline.warehouse import Connection

    Decide = Callable[[Connection, Home, str, Version, Approval], ModelEvent]

SegmentationArgument = Annotated[str, typer.Argument(help="Its name: that of its file.")]
ModelOption = Annotated[
    int | None, typer.Option("--model", min=1, help="Its version; needed if there are several.")
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", help="Who decides; the name of this machine's user if not given."),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why: it is published; name no customer in it.")
]
FromOption = Annotated[
    dt.datetime | None,
    typer.Option(
        "--from",
        formats=["%Y-%m-%d"],
        help="The first night that it holds for; the one after the newest if not given.",
    ),
]


def decide(
    home: Path,
    segmentation: str,
    model: Version,
    by: str | None,
    reason: str,
    first: dt.datetime | None,
    how: "Decide[Version]",
) -> None:
    """Record a person's decision about a model under the home's lock, and tell what follows."""
    from segmentation_pipeline.lock import hold_lock
    from segmentation_pipeline.segments.model_decisions import Approval
    from segmentation_pipeline.warehouse import open_warehouse

    spec = load_home(home)
    name = one_segmentation(spec, segmentation)
    approval = Approval(
        getpass.getuser() if by is None else by, reason, None if first is None else first.date()
    )
    with (
        hold_lock(spec.lock, "a decision about a model", timeout_seconds=0),
        open_warehouse(spec.warehouse) as connection,
    ):
        event = how(connection, spec, name, model, approval)
    console.print(
        f"{name}: model {event.model_version} is {event.status} from the night of {event.as_of} on,"
        f" decided by {event.who}.",
        highlight=False,
        soft_wrap=True,
    )
