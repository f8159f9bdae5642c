"""`segmentation score`: the segments of customers whom nobody has seen before."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    errors_to_exit_status,
    one_segmentation,
    progress_console,
)
from segmentation_pipeline.specification.home import load_home

_STANDARD = Path("-")


def score(
    home: HomeOption = CURRENT,
    segmentation: Annotated[
        str | None, typer.Option(help="By which; not needed where there is one.")
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            help="Customers, a row each: columns of `customers`, or features by their name; `-` "
            "reads the standard input.",
            exists=True,
            dir_okay=False,
            allow_dash=True,
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option(help="Where to write; the standard output if not given.", dir_okay=False)
    ] = _STANDARD,
    file_format: Annotated[
        Literal["csv", "parquet", "ndjson"] | None,
        typer.Option(
            "--format", help="Of input or output whose name has no such ending; else csv."
        ),
    ] = None,
    sql: Annotated[
        bool,
        typer.Option("--sql", help="Instead, print the SQL view that does the same in DuckDB."),
    ] = False,
) -> None:
    """Put customers never seen into segments: how sure that is, and which features decide."""
    if (file is None) != sql:
        raise typer.BadParameter("say either --input FILE or --sql")
    with errors_to_exit_status():
        from segmentation_pipeline.scoring import (
            load_published_model,
            score_file,
            segments_view_sql,
        )

        spec = load_home(home)
        name = one_segmentation(spec, segmentation)
        found = load_published_model(spec, name)
        if file is None:
            typer.echo(segments_view_sql(found), nl=False)
            return
        with _as_files(file, output) as (source, target):
            scored = score_file(
                found, source, target, input_format=file_format, output_format=file_format
            )
            # Before the scores go out: whoever reads a few of them may close the pipe.
            for note in scored.notes:
                progress_console.print(note, highlight=False, soft_wrap=True)
            progress_console.print(
                f"{scored.taking_part:,} of {scored.customers:,} customers take part in {name}",
                highlight=False,
            )


@contextmanager
def _as_files(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Put files in the place of the standard streams: a reader may have to look twice."""
    with TemporaryDirectory() as folder:
        read, written = source, target
        if source == _STANDARD:
            read = Path(folder) / "standard_input"
            with read.open("wb") as copy:
                shutil.copyfileobj(sys.stdin.buffer, copy)
        if target == _STANDARD:
            written = Path(folder) / "standard_output"
        yield read, written
        if target == _STANDARD:
            with written.open("rb") as scores:
                shutil.copyfileobj(scores, sys.stdout.buffer)
            sys.stdout.buffer.flush()
