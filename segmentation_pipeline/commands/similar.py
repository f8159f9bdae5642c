"""`segmentation similar`: the customers most like one."""

from typing import Annotated

import typer
from rich.table import Table as RichTable

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    one_segmentation,
)
from segmentation_pipeline.specification.home import load_home


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
