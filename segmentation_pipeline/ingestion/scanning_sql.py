"""The scan of a text file by DuckDB, as SQL: everything said, nothing left to guess."""

import glob
from pathlib import Path

from segmentation_pipeline.ingestion.csv_text import CsvText
from segmentation_pipeline.warehouse import literal

LONGEST_LINE_BYTES = 2_000_000
MOST_REJECTS = 500_000
"""So many faults of parsing are noted; a file with more is refused whatever its share."""
NO_TEXT = "\x01"
"""DuckDB demands a word for NULL: one that no file holds, so that ours decide."""


def read_csv_sql(text: CsvText, rejects: str | None) -> str:
    """Write the scan of a text file, with nothing left to guess; None keeps no rejects.

    Strict mode is DuckDB's default; with `strict_mode = true` and CR LF, 2.0 reads no row.
    """
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(text.columns))
    quotation = literal(text.dialect.quote or "")
    options = {
        "auto_detect": "false",
        "columns": f"{{{columns}}}",
        "header": str(bool(text.header)).lower(),
        "delim": literal(text.dialect.delimiter),
        "quote": quotation,
        "escape": quotation,
        "new_line": literal(text.line_end.replace("\r", "\\r").replace("\n", "\\n")),
        "nullstr": literal(NO_TEXT),
        "compression": literal(text.compression),
        "hive_partitioning": "false",
        "max_line_size": str(LONGEST_LINE_BYTES),
    }
    if rejects is None:
        options["ignore_errors"] = "true"
    else:
        options |= {
            "store_rejects": "true",
            "rejects_table": literal(rejects),
            "rejects_scan": literal(f"{rejects}_scan"),
            "rejects_limit": str(MOST_REJECTS),
            "rejects_line_size_limit": "1",
        }
    listed = ", ".join(f"{option} = {value}" for option, value in options.items())
    return f"read_csv({path_sql(text.path)}, {listed})"


def path_sql(path: Path) -> str:
    """Write a path for DuckDB, which takes every path for a glob."""
    return literal(glob.escape(str(path)))
