"""How many rows and values of one source each step applies to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

from segmentation_pipeline.ingestion import REJECTED_ROWS
from segmentation_pipeline.ingestion.remarks import RemarkStep, may_be_remarked, remarked
from segmentation_pipeline.preparation.report import ReportLine, RowStep, Step
from segmentation_pipeline.preparation.rows import (
    LEFT_OUT_ROWS,
    SourceRows,
    counting_rows_sql,
    loaded_rows_sql,
    row_checks,
)
from segmentation_pipeline.preparation.spans import IS_AMBIGUOUS
from segmentation_pipeline.preparation.texts import text_lines
from segmentation_pipeline.preparation.values import value_checks
from segmentation_pipeline.warehouse import Connection, quote

_REPEATS: dict[RowStep, str] = {
    "exact_duplicate": "repeats another row in every declared column: left out",
    "superseded_row": "another row of the customer is to keep by its date: left out",
    "duplicate_customer": "another row of the customer is fuller, or first by its values: left out",
}
_REMARKS: dict[RemarkStep, str] = {
    "unknown_attribute": "tell an attribute that is not declared: left aside",
    "later_attribute": "dated after the snapshot: left aside",
    "overtaken_attribute": "another row on the same attribute counts: left aside",
    "contradicted_attribute": "attributes of a customer whose rows contradict each other",
    "key_collision": "ids that are written in several ways in a file",
}


@dataclass(frozen=True)
class SourceCounts:
    """What was counted of a source: how many rows were loaded, how many count, and the lines.

    Events count that are of a customer, known or not; not those of visitors who are nobody.
    """

    source: str
    loaded_rows: int
    counting_rows: int
    lines: list[ReportLine]


def count_source(
    connection: Connection, rows: SourceRows, unused_texts: Collection[str] = ()
) -> SourceCounts:
    """Count what happens to the rows and values of a source, before it meets the others."""
    checks = row_checks(rows)
    loaded, left_out = count_first_met(
        connection, f"({loaded_rows_sql(rows)})", [check.condition for check in checks]
    )
    repeats = dict(
        connection.execute(
            f"SELECT step, count(*) FROM {LEFT_OUT_ROWS.sql} WHERE source = ? GROUP BY step",
            [rows.name],
        ).fetchall()
    )

    def line(step: Step, description: str, count: int) -> ReportLine:
        return ReportLine(rows.name, None, step, description, count, loaded)

    lines = [line("loaded", "rows that were loaded", loaded)]
    lines += [
        line(check.step, check.description, count)
        for check, count in zip(checks, left_out, strict=True)
    ]
    is_attributes = rows.source.is_attributes
    lines += [
        line(step, description, repeats.get(step, 0))
        for step, description in _REPEATS.items()
        if is_attributes or step == "exact_duplicate"
    ]
    counting = loaded - sum(each.rows for each in lines if each.step in get_args(RowStep))
    of_nobody = _visitor_lines(connection, rows, counting)
    lines += [*of_nobody, *_unreadable_lines(connection, rows, loaded)]
    lines += _remark_lines(connection, rows, loaded)
    lines += _value_lines(connection, rows, counting)
    lines += text_lines(connection, rows, counting, unused_texts)
    return SourceCounts(rows.name, loaded, counting - sum(each.rows for each in of_nobody), lines)


def count_first_met(
    connection: Connection, relation: str, conditions: Sequence[str]
) -> tuple[int, list[int]]:
    """Count the rows of a relation, and for each condition those for which it is the first true."""
    whens = " ".join(f"WHEN {condition} THEN {n}" for n, condition in enumerate(conditions))
    first = f"CASE {whens} END" if whens else "NULL"
    found = dict(
        connection.execute(
            f"SELECT first_met, count(*) FROM (SELECT {first} AS first_met FROM {relation})"
            " GROUP BY first_met"
        ).fetchall()
    )
    return sum(found.values()), [found.get(n, 0) for n in range(len(conditions))]


def _visitor_lines(connection: Connection, rows: SourceRows, counting: int) -> list[ReportLine]:
    """Count the events of visitors who are nobody yet, or several customers at once."""
    if rows.source.identity is None:
        return []
    ambiguous = quote(IS_AMBIGUOUS)
    unmapped, several = connection.execute(
        f"SELECT count(*) FILTER (WHERE customer_id IS NULL AND NOT {ambiguous}),"
        f" count(*) FILTER (WHERE {ambiguous}) FROM ({counting_rows_sql(rows)})"
    ).fetchall()[0]
    waiting = (
        f"of a visitor whom `{rows.source.identity}` gives no customer yet: kept until it does"
    )
    left_out = "of a visitor who is several customers then: left out"
    return [
        ReportLine(rows.name, None, "unmapped_visitor", waiting, unmapped, counting),
        ReportLine(rows.name, None, "ambiguous_visitor", left_out, several, counting - unmapped),
    ]


def _remark_lines(connection: Connection, rows: SourceRows, loaded: int) -> list[ReportLine]:
    """Tell what was left aside, and which ids collided, when the rows were loaded."""
    if not may_be_remarked(rows.source):
        return []
    loads = [rows.snapshot] if rows.snapshot is not None else _load_ids(connection, rows)
    found = remarked(connection, rows.name, loads)
    reasons = {rule.name: rule.reason for rule in rows.source.ignore_rows}
    found = dict.fromkeys([("ignored_row", name) for name in reasons], 0) | found
    return [
        ReportLine(
            rows.name,
            None,
            step,
            f"{name}: {reasons.get(name, 'left aside')}" if name else _REMARKS[step],
            count,
            loaded if step == "key_collision" else loaded + count,
        )
        for (step, name), count in found.items()
    ]


def _load_ids(connection: Connection, rows: SourceRows) -> list[int]:
    found = connection.execute(f"SELECT DISTINCT load_id FROM {rows.raw.sql}").fetchall()
    return [load_id for (load_id,) in found]


def _unreadable_lines(connection: Connection, rows: SourceRows, loaded: int) -> list[ReportLine]:
    """Count what could not be read: of a CRM source in its snapshot, else in all current loads.

    Of a column, the share is that of the values that were given, as of impossible ones.
    """
    found = dict(
        connection.execute(
            f"SELECT column_name, count(*) FROM {REJECTED_ROWS.sql}"
            " WHERE source = $source AND ($snapshot IS NULL OR load_id = $snapshot)"
            " GROUP BY column_name",
            {"source": rows.name, "snapshot": rows.snapshot},
        ).fetchall()
    )
    whole = found.pop(None, 0)
    lines = [
        ReportLine(
            rows.name, None, "unreadable", "could not be read: not loaded", whole, loaded + whole
        )
    ]
    read = _count_values(connection, rows, [name for name in found if name in rows.source.columns])
    lines += [
        ReportLine(
            rows.name,
            name,
            "unreadable",
            f"could not be read as {column.type}: made missing",
            found.get(name, 0),
            found[name] + read[name] if name in found else loaded,
        )
        for name, column in rows.source.columns.items()
        if name in found or column.type not in ("text", "category", "choices", "free_text")
    ]
    return lines


def _count_values(
    connection: Connection, rows: SourceRows, columns: Sequence[str]
) -> dict[str, int]:
    """Count the loaded values of these columns: those that could be read."""
    if not columns:
        return {}
    counts = ", ".join(f"count({quote(name)})" for name in columns)
    (found,) = connection.execute(f"SELECT {counts} FROM ({loaded_rows_sql(rows)})").fetchall()
    return dict(zip(columns, found, strict=True))


def _value_lines(connection: Connection, rows: SourceRows, counting: int) -> list[ReportLine]:
    checks = [
        (name, check)
        for name, column in rows.value_columns.items()
        for check in value_checks(name, column, rows.as_of)
    ]
    if not checks:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {check.condition})" for _, check in checks)
    found = connection.execute(f"SELECT {counts} FROM ({counting_rows_sql(rows)})").fetchall()[0]
    return [
        ReportLine(rows.name, name, check.step, check.description, count, counting)
        for (name, check), count in zip(checks, found, strict=True)
    ]
