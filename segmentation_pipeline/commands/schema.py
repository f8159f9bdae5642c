"""`segmentation schema`: JSON Schemas for editors."""

from pathlib import Path
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import CURRENT, console
from segmentation_pipeline.contracts.changes import contracts_json
from segmentation_pipeline.specification.schema import SCHEMAS, json_schema


def schema(
    folder: Annotated[
        Path, typer.Option(help="Where to write the JSON Schemas.", file_okay=False)
    ] = CURRENT,
    contracts: Annotated[
        Path | None,
        typer.Option(
            help="A file to write the contracts of the published tables to, instead.",
            dir_okay=False,
        ),
    ] = None,
) -> None:
    """Write the JSON Schemas of customers.yaml and segmentations/*.yaml, for your editor."""
    if contracts is not None:
        contracts.write_text(contracts_json(), encoding="utf-8")
        console.print(contracts, highlight=False)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for file_name in SCHEMAS:
        (folder / file_name).write_text(json_schema(file_name), encoding="utf-8")
        console.print(folder / file_name, highlight=False)
