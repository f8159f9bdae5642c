"""The YAML files of the example home, as they are packaged beside this module in `home/`.

They are written for CSV. On a line that ends in the comment `# csv or parquet`, every `csv` before
the comment becomes `parquet` in a home whose files are Parquet. Of many nights, a home has rows of
so many people who left or are still to join that `customers.yaml` must allow them, and nights
before the first one that is written there. All else is copied as it is.
"""

import datetime as dt
import math
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

FileFormat = Literal["csv", "parquet"]
FORMAT_COMMENT = "# csv or parquet"
_FIRST_NIGHT = dt.date(2025, 1, 1)
_ALLOWED_STRANGERS = 0.04
"""Well below 5 %, which a source allows that doesn't say otherwise."""
_LINES_OF_SOURCES = (
    "    keep: latest\n",
    "    freshness: {warn_after_days: 2, stop_after_days: 7}\n",
)
"""One of the survey, one of the web source; neither stands anywhere else."""


def packaged_files(
    file_format: FileFormat, first_night: dt.date, stranger_share: float = 0.0
) -> dict[str, str]:
    """Path below the home -> text, for all YAML files of the example home.

    Nights go from `nights.first` as it is written there, or from `first_night` if that is earlier.
    `stranger_share` is the share of rows that may be of people who are no customers.
    """
    root = files("segmentation_pipeline.demo") / "home"
    texts = {
        path: in_format(file.read_text(encoding="utf-8"), file_format)
        for path, file in _walk(root, "")
    }
    if first_night < _FIRST_NIGHT:
        texts["customers.yaml"] = texts["customers.yaml"].replace(
            f"  first: {_FIRST_NIGHT}\n", f"  first: {first_night}\n"
        )
    if stranger_share > _ALLOWED_STRANGERS:
        tenths = min(10, math.ceil(10 * stranger_share))
        allowed = f"    maximum_orphan_share: {tenths / 10}\n"
        text = texts["customers.yaml"].replace("at_least: 0.95", f"at_least: {(10 - tenths) / 10}")
        for line in _LINES_OF_SOURCES:
            text = text.replace(line, line + allowed)
        texts["customers.yaml"] = text
    return texts


def in_format(text: str, file_format: FileFormat) -> str:
    r"""Name the files' format on the lines that are marked for it.

    >>> in_format("path: crm_*.csv  # csv or parquet\nnote: no csv here\n", "parquet")
    'path: crm_*.parquet  # csv or parquet\nnote: no csv here\n'
    """
    lines = text.splitlines(keepends=True)
    return "".join(_line_in_format(line, file_format) for line in lines)


def _line_in_format(line: str, file_format: FileFormat) -> str:
    if not line.rstrip().endswith(FORMAT_COMMENT):
        return line
    setting, comment, rest = line.rpartition(FORMAT_COMMENT)
    return setting.replace("csv", file_format) + comment + rest


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".yaml"):
            found.append((prefix + entry.name, entry))
    return found
