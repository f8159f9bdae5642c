"""`segmentation schema`: JSON Schemas for editors."""

from pathlib import Path
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import CURRENT, console, errors_to_exit_status
from segmentation_pipeline.contracts.changes import contracts_json
from segmentation_pipeline.errors import PipelineError
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
    texts = {folder / name: json_schema(name) for name in SCHEMAS}
    if contracts is not None:
        texts = {contracts: contracts_json()}
    with errors_to_exit_status():
        for file, text in texts.items():
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
            except OSError as error:
                raise PipelineError(f"{file}: it cannot be written ({error.strerror})") from None
            console.print(file, highlight=False)
