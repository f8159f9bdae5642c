"""What a night set aside of the rows it loaded, by file, line and reason: for whoever mends it.

Three kinds: rows and values that could not be read, rows that a predicate with `quarantine: row`
(or a date that can't be) took out, and values that are impossible. Never a value, nor an id. It is
looked up when somebody asks, and costs a night nothing. A changed file is loaded again, and with
its old rows goes all that was set aside of them; so what is listed is what is still to mend.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.ingestion import (
    REJECTED_ROWS,
    SOURCE_LOADS,
    raw_table,
    snapshot_in_force,
)
from segmentation_pipeline.ingestion.line_numbers import LOAD_LINES, with_lines_sql
from segmentation_pipeline.ingestion.loads import current_loads
from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.preparation.report import CLEANING_REPORT, JOINED
from segmentation_pipeline.preparation.rows import SourceRows, row_checks
from segmentation_pipeline.preparation.temporary import temporary_tables
from segmentation_pipeline.preparation.values import value_checks
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Connection, has_table, literal, read_build

_COLUMNS = "file, line, source_row, column_name, reason"


@dataclass(frozen=True)
class SetAside:
    """One row or value: `column` is None of a whole row, `line` where only the row is known."""

    source: str
    file: str
    line: int | None
    row: int | None
    column: str | None
    reason: str


@dataclass(frozen=True)
class ReasonCount:
    """How many rows (or values of a column) were set aside for a reason, in how many files."""

    source: str
    column: str | None
    reason: str
    count: int
    files: int


@dataclass(frozen=True)
class Quarantine:
    """All reasons with their counts, and the first rows and values in the order of their files."""

    reasons: tuple[ReasonCount, ...]
    listed: tuple[SetAside, ...]


def read_quarantine(
    connection: Connection, spec: CustomersSpec, sources: Sequence[str], limit: int
) -> Quarantine:
    """Look up what is set aside of these sources, as of the night that loaded them last.

    Of a CRM table that is the snapshot in force. `limit` bounds what is listed, not what is
    counted. Customers that a predicate over `customers` took out are counted only: they are made of
    several rows. Writes temporary tables alone.

    Raises:
        PreparationError: a predicate fails on a value.

    """
    reasons: list[ReasonCount] = []
    listed: list[SetAside] = []
    with temporary_tables(connection) as tables:
        for name in sources:
            rows = _loaded_rows(connection, name, spec)
            if rows is None:
                continue
            with without_values(f"looking for what is set aside of source `{name}`"):
                found = tables.make("set_aside", _set_aside_sql(connection, rows))
            reasons += _reasons(connection, name, found)
            listed += _listed(connection, name, found, limit - len(listed))
    reasons += _customers_set_aside(connection)
    return Quarantine(tuple(reasons), tuple(listed))


def _loaded_rows(connection: Connection, name: str, spec: CustomersSpec) -> SourceRows | None:
    """Say which rows of a source the last night looked at; None where it loaded none."""
    source = spec.sources[name]
    build = read_build(connection, raw_table(name))
    if build is None or not current_loads(connection, name):
        return None
    snapshot = None
    if source.kind == "crm":
        snapshot = snapshot_in_force(connection, name, source, build.as_of, approximate=True)
    return SourceRows(name, source, build.as_of, snapshot)


def _set_aside_sql(connection: Connection, rows: SourceRows) -> str:
    """Write the query of everything that is set aside of a source."""
    of_snapshot = "" if rows.snapshot is None else f" AND load_id = {literal(rows.snapshot)}"
    unreadable = (
        f"SELECT file, line, CAST(NULL AS BIGINT) AS source_row, column_name, reason"
        f" FROM {REJECTED_ROWS.sql} WHERE source = {literal(rows.name)}{of_snapshot}"
    )
    faulty = _faulty_rows_sql(rows)
    if faulty is None:
        return unreadable
    if has_table(connection, LOAD_LINES):
        faulty = with_lines_sql(faulty)
    else:
        faulty = f"SELECT *, CAST(NULL AS BIGINT) AS line FROM ({faulty})"
    return (
        f"{unreadable} UNION ALL SELECT {_COLUMNS} FROM ({faulty})"
        f" JOIN (SELECT load_id, file FROM {SOURCE_LOADS.sql}) AS loads USING (load_id)"
    )


def _faulty_rows_sql(rows: SourceRows) -> str | None:
    """Write the query of the loaded rows that are faulty: load_id, source_row, column_name, reason.

    One look at the rows; only those with a fault pay for telling which.
    """
    later = [check.condition for check in row_checks(rows) if check.step == "later_row"]
    faults: list[tuple[str | None, str, str]] = [
        (None, check.condition, check.description)
        for check in row_checks(rows)
        if check.step != "later_row"
    ]
    faults += [
        (name, check.condition, check.description)
        for name, column in rows.value_columns.items()
        for check in value_checks(name, column, rows.as_of)
        if check.step != "alias"
    ]
    if not faults:
        return None
    numbered = ", ".join(
        f"CASE WHEN {condition} THEN {number} END"
        for number, (_, condition, _) in enumerate(faults, start=1)
    )
    is_faulty = " OR ".join(f"({condition})" for _, condition, _ in faults)
    exists = "".join(f" AND ({condition}) IS NOT TRUE" for condition in later)
    snapshot = "" if rows.snapshot is None else f" WHERE load_id = {literal(rows.snapshot)}"
    loaded = f"SELECT *, {literal(rows.as_of)} AS as_of FROM {rows.raw.sql}{snapshot}"
    columns = ", ".join(literal(column) for column, _, _ in faults)
    reasons = ", ".join(literal(reason) for _, _, reason in faults)
    return (
        f"SELECT load_id, source_row, CAST([{columns}][fault] AS VARCHAR) AS column_name,"
        f" [{reasons}][fault] AS reason FROM ("
        f"SELECT load_id, source_row, unnest([{numbered}]) AS fault"
        f" FROM ({loaded}) AS loaded WHERE ({is_faulty}){exists}) WHERE fault IS NOT NULL"
    )


def _reasons(connection: Connection, name: str, found: str) -> list[ReasonCount]:
    counted = connection.execute(
        f"SELECT column_name, reason, count(*), count(DISTINCT file) FROM {found}"
        " GROUP BY ALL ORDER BY count(*) DESC, column_name NULLS FIRST, reason"
    ).fetchall()
    return [ReasonCount(name, *row) for row in counted]


def _listed(connection: Connection, name: str, found: str, limit: int) -> list[SetAside]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM {found}"
        " ORDER BY file, coalesce(line, source_row), column_name NULLS FIRST, reason LIMIT ?",
        [max(limit, 0)],
    ).fetchall()
    return [SetAside(name, *row) for row in rows]


def _customers_set_aside(connection: Connection) -> list[ReasonCount]:
    if not has_table(connection, CLEANING_REPORT):
        return []
    counted = connection.execute(
        f"SELECT description, rows FROM {CLEANING_REPORT.sql} WHERE source = ? AND rows > 0"
        f" AND step = 'quarantined_row' ORDER BY rows DESC, description",
        [JOINED],
    ).fetchall()
    return [ReasonCount(JOINED, None, reason, count, 0) for reason, count in counted]
