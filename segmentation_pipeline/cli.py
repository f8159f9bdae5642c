"""The `segmentation` command: exit status 0 done, 1 failed, 2 wrong usage.

Each of its verbs is a module of `commands`.
"""

import os
import sys
from typing import NoReturn

import typer

from segmentation_pipeline.commands.check import check
from segmentation_pipeline.commands.compact import compact
from segmentation_pipeline.commands.demo import demo
from segmentation_pipeline.commands.diff import diff
from segmentation_pipeline.commands.doctor import doctor
from segmentation_pipeline.commands.erase import erase
from segmentation_pipeline.commands.inspect import inspect
from segmentation_pipeline.commands.promote import promote, reject
from segmentation_pipeline.commands.quarantine import quarantine
from segmentation_pipeline.commands.refit import refit
from segmentation_pipeline.commands.rename import rename
from segmentation_pipeline.commands.replay import replay
from segmentation_pipeline.commands.report import report
from segmentation_pipeline.commands.rollback import rollback
from segmentation_pipeline.commands.run import run
from segmentation_pipeline.commands.schema import schema
from segmentation_pipeline.commands.score import score
from segmentation_pipeline.commands.similar import similar
from segmentation_pipeline.commands.status import status
from segmentation_pipeline.commands.ui import ui
from segmentation_pipeline.commands.verify import verify
from segmentation_pipeline.garbage import collect_seldom

# Before any component is imported that would read them: nothing phones home.
os.environ["GX_ANALYTICS_ENABLED"] = "False"
os.environ["DAGSTER_DISABLE_TELEMETRY"] = "yes"

app = typer.Typer(
    name="segmentation",
    help="Customer segments that keep their identity from night to night.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    # A docstring's line ends are no line ends of its help.
    rich_markup_mode="markdown",
    add_completion=False,
)

for verb in (
    run,
    check,
    inspect,
    status,
    quarantine,
    verify,
    report,
    score,
    similar,
    rename,
    diff,
    refit,
    promote,
    reject,
    replay,
    rollback,
    erase,
    compact,
    demo,
    schema,
    doctor,
    ui,
):
    app.command()(verb)


def main() -> NoReturn:
    """Run the command line, and end the process with its exit status.

    It ends without tearing the interpreter down: all files are closed by then, and DuckDB's
    bindings would list on the terminal, as leaks, what other libraries' caches still hold
    (`python -c "import great_expectations, duckdb_engine"` shows it with duckdb 2.0).
    """
    collect_seldom()
    ended: int | str | None = 0
    try:
        app()
    except SystemExit as stop:
        ended = stop.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ended if isinstance(ended, int) else 0 if ended is None else 1)


if __name__ == "__main__":
    main()
