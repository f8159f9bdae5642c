"""`segmentation refit`: ask the next night for another model."""

from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    one_segmentation,
)
from segmentation_pipeline.specification.home import load_home


def refit(
    segmentation: Annotated[str, typer.Argument(help="Its name: that of its file.")],
    home: HomeOption = CURRENT,
    reason: Annotated[
        str, typer.Option(help="Why, for those who ask later; it is published with the decision.")
    ] = "",
) -> None:
    """Ask for another model of a segmentation; the next night fits it as a challenger."""
    with errors_to_exit_status():
        from segmentation_pipeline.clustering.registry import champion
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.measurement.refit_requests import ask_for_refit
        from segmentation_pipeline.warehouse import open_warehouse

        spec = load_home(home)
        name = one_segmentation(spec, segmentation)
        with (
            hold_lock(spec.lock, "refit", timeout_seconds=0),
            open_warehouse(spec.warehouse) as connection,
        ):
            newest = ask_for_refit(connection, name, reason)
            model = None if newest is None else champion(connection, name, newest)
        if newest is None:
            console.print(f"{name} has no model yet: the first night fits one anyway.")
            return
        # Run again, the night whose customers made the model makes the same one.
        again = "" if model and model.as_of == newest else f", or {newest} run again,"
        console.print(f"{name}: the next night{again} fits another model.", highlight=False)
