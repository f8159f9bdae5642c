"""What the terminal prints is what was written, whatever rich would make of it."""

import pytest
from rich.table import Table

from segmentation_pipeline.commands.terminal import console, progress_console

NAMES = "[/x] [red]VIP :heart:"
"""Of a segment: a closing tag that nothing opened ends the command, a known one vanishes."""


@pytest.mark.parametrize("stream", [console, progress_console])
def test_names_are_no_markup(stream, capsys):
    table = Table(title=f"{NAMES} of the shop")
    table.add_column("what it is called")
    table.add_row(NAMES)

    stream.print(table)
    stream.print(f"DuckDB: /home/{NAMES}")

    printed = "".join(capsys.readouterr())
    assert printed.count(NAMES) == 3
