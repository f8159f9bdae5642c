"""How a segment does, as lines of its card: figures, how sure they are, and what changed."""

from collections.abc import Sequence

from segmentation_pipeline.reports.edition import Row
from segmentation_pipeline.reports.wording import number, percent
from segmentation_pipeline.segments.wording import is_kpi_in_percent


def kpi_lines(rows: Sequence[Row], everybody: Sequence[Row]) -> list[tuple[str, str]]:
    """Tell a segment's KPIs of one date next to everybody's; those that are withheld are left out.

    A change is told where its interval is on one side of nothing: the others may be chance.
    """
    overall = {row["kpi"]: row for row in everybody}
    return [
        (str(row["description"]), _told(row, overall.get(row["kpi"])))
        for row in rows
        if row["value"] is not None
    ]


def _told(row: Row, overall: Row | None) -> str:
    unit = row["unit"]
    said = _figure(row, "value")
    if row["lower"] is not None:
        low, high = _figure(row, "lower"), _figure(row, "upper")
        said = f"{said} ({low} to {high})"
    if unit and not is_kpi_in_percent(row["kind"], unit):
        said = f"{said} {unit}"
    if overall is not None and overall["value"] is not None:
        said = f"{said}; everybody {_figure(overall, 'value')}"
    if row["change"] is None or row["change_lower"] is None:
        return said
    if row["change_lower"] <= 0 <= row["change_upper"]:
        return f"{said}; no clear change"
    went = "up" if row["change"] > 0 else "down"
    return f"{said}; {went} from {_figure(row, 'previous_value')}"


def _figure(row: Row, column: str) -> str:
    value = row[column]
    is_percent = is_kpi_in_percent(row["kind"], row["unit"])
    return percent(value) if is_percent and 0 <= value <= 1 else number(value)
