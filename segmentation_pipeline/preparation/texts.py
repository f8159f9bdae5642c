"""What became of texts: counted and left behind, or used by nobody. Said, so that none is lost."""

from collections.abc import Collection

from segmentation_pipeline.preparation.report import ReportLine, Step
from segmentation_pipeline.preparation.rows import SourceRows, counting_rows_sql
from segmentation_pipeline.warehouse import Connection, quote

_COUNTED = "free text: its length and counts go further, never the text"
_UNUSED = "text that nothing uses: leave it out of `columns`, or make something of it"


def text_lines(
    connection: Connection, rows: SourceRows, counting: int, unused: Collection[str]
) -> list[ReportLine]:
    """Count the rows with a text, for each free text and each text that is not used.

    `unused` names the columns of the source that nothing uses.
    """
    told: list[tuple[str, Step, str]] = []
    for name, column in rows.source.columns.items():
        if column.type == "free_text":
            told.append((name, "counted_text", _COUNTED))
        if name in unused:
            told.append((name, "unused_text", _UNUSED))
    if not told:
        return []
    counts = ", ".join(f"count(nullif({quote(name)}, ''))" for name, _, _ in told)
    found = connection.execute(f"SELECT {counts} FROM ({counting_rows_sql(rows)})").fetchall()[0]
    return [
        ReportLine(rows.name, name, step, description, count, counting)
        for (name, step, description), count in zip(told, found, strict=True)
    ]
