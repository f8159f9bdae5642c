"""`segmentation erase`: a customer is gone, and stays gone."""

import os
import secrets
import unicodedata
from pathlib import Path
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import (
    CURRENT,
    HomeOption,
    console,
    errors_to_exit_status,
    progress_console,
    today,
)
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.specification.home import load_home


def erase(
    customer: Annotated[
        list[str] | None,
        typer.Option(
            help="A customer's id, in the form that `key` declares; give it again for more."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A text file with an id on each line.", exists=True, dir_okay=False),
    ] = None,
    home: HomeOption = CURRENT,
    is_sure: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Erase customers at their request: from the warehouse and from every version that is kept.

    They don't come back with a later file, nor by a rollback. The source files are yours: it says
    which of them still hold an id. The next night counts without them.
    """
    with errors_to_exit_status():
        from segmentation_pipeline.lock import hold_lock
        from segmentation_pipeline.publication import erase_customers, pseudonym_key

        spec = load_home(home)
        named = {_as_loaded(one) for one in customer or []} - {""}
        ids = sorted(named.union(ids_in(file) if file is not None else ()))
        if not ids:
            raise PipelineError("nobody to erase: name one by --customer, or several by --file")
        if not is_sure:
            question = f"Erase {len(ids)} customers of {spec.path} for good?"
            typer.confirm(question, abort=True)
        with (
            hold_lock(spec.lock, "erase", timeout_seconds=0),
            progress_console.status("erasing ...") as status,
        ):
            done = erase_customers(
                spec,
                ids,
                salt=secrets.token_hex(16),
                requested_on=today(),
                pseudonym_key=pseudonym_key(spec, os.environ),
                on_step=lambda step: status.update(f"{step} ..."),
            )
        console.print(
            f"Erased: {done.warehouse_rows} rows of the warehouse, {done.published_rows} rows in "
            f"{done.versions} published versions. No table and no file of the pipeline has them.",
            highlight=False,
        )
        for name in done.elsewhere:
            console.print(f"Still in {name}: the file is not the pipeline's.")
        console.print(
            "Run the last night again (`segmentation run`): its figures still count them."
        )


def ids_in(file: Path) -> list[str]:
    """Read the ids of a text file, one on each line, as they are loaded."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise PipelineError(
            f"{file}: not UTF-8; save it as UTF-8, with an id on each line"
        ) from None
    except OSError as error:
        raise PipelineError(f"{file}: it cannot be read: {error.strerror}") from None
    return [name for line in lines if (name := _as_loaded(line))]


def _as_loaded(customer_id: str) -> str:
    return unicodedata.normalize("NFC", customer_id.strip())
