"""`segmentation quarantine`: which rows and values were set aside, where they stand, and why."""

from typing import Annotated

import typer
from rich.table import Table as RichTable

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
)
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import lock_holder
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.reading import nearest


def quarantine(
    home: HomeOption = CURRENT,
    source: Annotated[
        str | None, typer.Option(help="Of this source alone; of all where none is named.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=100_000, help="How many to list; all are counted.")
    ] = 50,
) -> None:
    """List what the last night set aside: file, line, column and reason, never a value.

    Mend them in the files, or where the files come from: a changed file is loaded again by the next
    night, and what was set aside of it is forgotten.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.preparation.set_aside import read_quarantine
        from segmentation_pipeline.warehouse import open_warehouse

        spec = load_home(home)
        known = list(spec.customers.sources)
        if source is not None and source not in known:
            raise PipelineError(f"no source `{source}`; {nearest(source, known)}")
        if not spec.warehouse.exists():
            raise PipelineError(f"{spec.path}: no night has run yet, so nothing was set aside")
        holder = lock_holder(spec.lock)
        if holder is not None:
            raise PipelineError(f"{spec.path} is held by {holder}: ask again when it is done")
        with open_warehouse(spec.warehouse, read_only=True) as connection:
            found = read_quarantine(
                connection, spec.customers, known if source is None else [source], limit
            )
        if not found.reasons:
            console.print("Nothing is set aside.")
            return
        counts = RichTable(box=None, header_style="bold")
        for heading in ("source", "column", "reason", "count", "files"):
            counts.add_column(heading, justify="right" if heading in ("count", "files") else "left")
        for one in found.reasons:
            counts.add_row(
                one.source,
                one.column or "(row)",
                one.reason,
                f"{one.count:,}",
                f"{one.files:,}" if one.files else "",
            )
        console.print(counts)
        console.print()
        for each in found.listed:
            where = f"line {each.line}" if each.line is not None else f"row {each.row}"
            column = f"`{each.column}`: " if each.column is not None else ""
            console.print(
                f"{each.file}: {where}: {column}{each.reason}",
                highlight=False,
                soft_wrap=True,
            )
        rest = sum(one.count for one in found.reasons if one.files) - len(found.listed)
        if rest:
            console.print(f"... and {rest:,} more: `--limit` lists them.")
