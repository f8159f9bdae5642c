"""`segmentation ui`: Dagster's UI and daemon for a home."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from segmentation_pipeline.commands.terminal import CURRENT, HomeOption, errors_to_exit_status
from segmentation_pipeline.specification.home import load_home


def ui(
    home: HomeOption = CURRENT,
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="On 127.0.0.1, this machine only.")
    ] = 3000,
) -> None:
    """Open Dagster's UI and daemon for a home, until Ctrl-C."""
    with errors_to_exit_status():
        load_home(home)
        from segmentation_pipeline.assets.night import dagster_home
        from segmentation_pipeline.definitions import HOME_VARIABLE

        environment = os.environ | {
            HOME_VARIABLE: str(home.resolve()),
            "DAGSTER_HOME": os.environ.get("DAGSTER_HOME", str(dagster_home(home))),
        }
        dg = Path(sys.executable).with_name("dg")
        # With `--module-name` the location would be called otherwise than in workspace.yaml, and a
        # backfill by the one would not be found by the other.
        workspace = str(dagster_home(home) / "workspace.yaml")
        arguments = ["dev", "--workspace", workspace, "--host", "127.0.0.1", "--port", str(port)]
        os.execve(dg, [str(dg), *arguments], environment)  # noqa: S606
