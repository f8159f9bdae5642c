"""`segmentation rollback`: what was published before, or a model that was in force before."""

from typing import Annotated

import typer

from segmentation_pipeline.commands.model_decision import (
    ByOption,
    FromOption,
    ModelOption,
    decide,
)
from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
)
from segmentation_pipeline.specification.home import load_home


def rollback(
    segmentation: Annotated[
        str | None, typer.Argument(help="With --model: the segmentation whose model it is.")
    ] = None,
    home: HomeOption = CURRENT,
    model: ModelOption = None,
    by: ByOption = None,
    reason: Annotated[str, typer.Option("--reason", help="Of a model: why; it is published.")] = "",
    first: FromOption = None,
) -> None:
    """Put the previously published version back; with --model, a model for the nights to come.

    Without --model, the next night publishes anew. With it, the next night's segments are those of
    the model that is put back, under the ids that they had.
    """
    if (segmentation is None) != (model is None):
        raise typer.BadParameter("a model is put back by its segmentation's name and --model")
    with errors_to_exit_status():
        if segmentation is not None and model is not None:
            from segmentation_pipeline.segments import model_decisions

            decide(home, segmentation, model, by, reason, first, model_decisions.roll_back)
            return
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.publication import rollback as roll_back

        spec = load_home(home)
        with hold_lock(spec.lock, "rollback", timeout_seconds=0):
            console.print(f"published: version {roll_back(spec.published)}", highlight=False)
