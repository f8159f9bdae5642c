"""Rows that are no data, left aside by declared rules before anything else is looked at."""

import datetime as dt
from dataclasses import replace

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.incoming import LEFT_ASIDE, UNKNOWN_ATTRIBUTE, value_column
from segmentation_pipeline.ingestion.reading import Incoming
from segmentation_pipeline.ingestion.remarks import Remark
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

_LATER = "later than the snapshot"
_SOURCE_ROW, _SOURCE_LINE = quote("kept row"), quote("kept line")


def may_leave_aside(source: SourceSpec) -> bool:
    """Whether rows of the source can be left aside at all."""
    return bool(source.ignore_rows) or source.long is not None


def left_aside_sql(source: SourceSpec, snapshot_date: dt.date | None) -> str:
    """Name the rule that leaves a typed row aside; a snapshot has no rows of a later date."""
    if source.long is None or source.long.latest_by is None or snapshot_date is None:
        return quote(LEFT_ASIDE)
    is_later = f"{value_column(source.long.latest_by)} >= {literal(snapshot_date)} + 1"
    return f"coalesce({quote(LEFT_ASIDE)}, CASE WHEN {is_later} THEN {literal(_LATER)} END)"


def leave_rows_aside(
    connection: Connection, source: SourceSpec, incoming: Incoming, snapshot_date: dt.date | None
) -> tuple[Incoming, list[Remark]]:
    """Take the rows that are no data out of an incoming file, and tell how many of each kind."""
    if not may_leave_aside(source):
        return incoming, []
    rule = left_aside_sql(source, snapshot_date)
    found = connection.execute(
        f"SELECT rule, count(*), min(line) FROM (SELECT {rule} AS rule, {incoming.line} AS line"
        f" FROM {incoming.relation}) WHERE rule IS NOT NULL GROUP BY rule ORDER BY rule"
    ).fetchall()
    remarks = [_remark(*row) for row in found]
    kept = (
        f"(SELECT *, {incoming.source_row} AS {_SOURCE_ROW}, {incoming.line} AS {_SOURCE_LINE}"
        f" FROM {incoming.relation} WHERE {rule} IS NULL)"
    )
    rows = incoming.rows - sum(remark.count for remark in remarks)
    return (
        replace(incoming, relation=kept, source_row=_SOURCE_ROW, line=_SOURCE_LINE, rows=rows),
        remarks,
    )


def refuse_wide_rules(source: SourceSpec, file_name: str, remarks: list[Remark]) -> None:
    """Stop where a rule takes more rows of a file than it may (SourceError)."""
    allowed = {rule.name: rule.maximum_rows for rule in source.ignore_rows}
    for remark in remarks:
        if remark.name in allowed and remark.count > allowed[remark.name]:
            raise SourceError(
                f"{file_name}: `ignore_rows` would leave {remark.count:,} rows aside as "
                f"`{remark.name}` (first on line {remark.line}), and its `maximum_rows` is "
                f"{allowed[remark.name]:,}; is the predicate too wide? Raise it if they are no data"
            )


def _remark(rule: str, count: int, line: int) -> Remark:
    if rule == UNKNOWN_ATTRIBUTE:
        return Remark("unknown_attribute", None, count, line)
    if rule == _LATER:
        return Remark("later_attribute", None, count, line)
    return Remark("ignored_row", rule, count, line)
