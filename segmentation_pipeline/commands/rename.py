"""`segmentation rename`: what a segment is called."""

from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    one_segmentation,
)
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import load_home


def rename(
    segment: Annotated[str, typer.Argument(help="The segment's id, such as engagement-1.")],
    name: Annotated[str, typer.Argument(help="What it is called from the next night on.")],
    home: HomeOption = CURRENT,
) -> None:
    """Give a segment, such as engagement-1, a name that stays until it gets another one."""
    with errors_to_exit_status():
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.segments.naming import rename_segment
        from segmentation_pipeline.warehouse import open_warehouse

        spec = load_home(home)
        name_of, _, number = segment.rpartition("-")
        if not (name_of and number):
            raise PipelineError(
                f"no segment `{segment}`: its id is its segmentation's name and a number, such as "
                "engagement-1"
            )
        segmentation = one_segmentation(spec, name_of)
        declared = spec.segmentations[segmentation].names
        with (
            hold_lock(spec.lock, "rename", timeout_seconds=0),
            open_warehouse(spec.warehouse) as connection,
        ):
            done = rename_segment(connection, segmentation, segment, name, declared=declared)
        before = "" if done.before is None else f", and no longer {done.before}"
        console.print(
            f"{done.segment_id} is called {done.after} from the next night on{before}.",
            highlight=False,
            soft_wrap=True,
        )
