"""`segmentation demo`: the example, at any size."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from segmentation_pipeline.commands.terminal import console, errors_to_exit_status, progress_console


def demo(
    home: Annotated[
        Path,
        typer.Option(help="The folder to make; empty, or an earlier demo.", file_okay=False),
    ],
    customers: Annotated[int, typer.Option(min=50, help="How many customers.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="How many nights, the last 2025-06-30.")] = 7,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 7,
    file_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Of the source files.")
    ] = "csv",
    drift: Annotated[
        Literal[
            "none", "moves", "role_changes", "gradual", "sudden", "new_group", "effect", "together"
        ],
        typer.Option(help="What changes in the customers from night to night."),
    ] = "moves",
) -> None:
    """Make the example: hospital staff in three sources, with planted segments."""
    with errors_to_exit_status():
        from segmentation_pipeline.demo import make_demo

        with progress_console.status("making the example ..."):
            made = make_demo(home, customers, days, seed, file_format, drift=drift)
        console.print(f"{customers} customers, {days} nights in {home}", highlight=False)
        for name, best in made.best_possible_ari.items():
            console.print(f"  best possible adjusted Rand index of {name}: {best:.3f}")
