"""`segmentation inspect`: a first declaration of files that have none."""

from pathlib import Path
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    console,
    errors_to_exit_status,
    today,
)
from segmentation_pipeline.errors import PipelineError


def inspect(
    files: Annotated[
        list[Path], typer.Argument(help="Files of customers, below the home.", exists=True)
    ],
    home: Annotated[
        Path, typer.Option(help="The folder that becomes the home.", file_okay=False)
    ] = CURRENT,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write customers.yaml and a first segmentation there."),
    ] = False,
) -> None:
    """Look at files, and propose a customers.yaml: types, keys, categories, personal columns."""
    with errors_to_exit_status():
        from segmentation_pipeline.ingestion.first_segmentation import propose_segmentation
        from segmentation_pipeline.ingestion.inspecting import propose_customers

        customers = propose_customers(home, files, today())
        if not write:
            typer.echo(customers)
            return
        proposed = {
            home / "customers.yaml": customers,
            home / "segmentations" / "first_look.yaml": propose_segmentation(customers),
        }
        for path in proposed:
            if path.exists():
                raise PipelineError(f"{path} exists: move it away, or leave out --write")
        for path, text in proposed.items():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                raise PipelineError(f"{path}: cannot be written: {error.strerror}") from None
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
        console.print(
            f"Read and correct them; then `segmentation check --home {home}`, then `run`.",
            highlight=False,
            soft_wrap=True,
        )
