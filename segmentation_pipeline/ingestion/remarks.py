"""What a load did besides loading rows, in counts: rows left aside, ids written in several ways.

`core.load_remarks` has a row per load, step and name; rows that a load replaces take theirs along.
It is made when there is something to remark, and never holds a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.ingestion.audit import Audit
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, Table, has_table, literal

LOAD_REMARKS = Table("core", "load_remarks")

RemarkStep = Literal[
    "ignored_row",
    "unknown_attribute",
    "later_attribute",
    "overtaken_attribute",
    "contradicted_attribute",
    "key_collision",
]


@dataclass(frozen=True)
class Remark:
    """So many rows (ids, of `key_collision`; attributes of a customer, of a contradiction).

    `name` is that of the rule which left rows aside, `line` the first one.
    """

    step: RemarkStep
    name: str | None
    count: int
    line: int | None = None


def note_remarks(connection: Connection, audit: Audit, remarks: Sequence[Remark]) -> None:
    """Note what was counted, where anything was."""
    found = [one for one in remarks if one.count]
    if not found:
        return
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {LOAD_REMARKS.sql} (load_id BIGINT NOT NULL,"
        " source VARCHAR NOT NULL, file VARCHAR NOT NULL, step VARCHAR NOT NULL, name VARCHAR,"
        " rows BIGINT NOT NULL, line BIGINT)"
    )
    connection.executemany(
        f"INSERT INTO {LOAD_REMARKS.sql} SELECT {audit.sql}, ?, ?, ?, ?",
        [[one.step, one.name, one.count, one.line] for one in found],
    )


def may_be_remarked(source: SourceSpec) -> bool:
    """Whether loads of a source can have remarks: others need not be asked for them."""
    return bool(source.ignore_rows) or source.long is not None or source.makes_ids_one


def remarked(
    connection: Connection, name: str, load_ids: Sequence[int]
) -> dict[tuple[RemarkStep, str | None], int]:
    """Sum up the remarks on loads of a source, by step and name."""
    if not load_ids or not has_table(connection, LOAD_REMARKS):
        return {}
    ids = ", ".join(literal(load_id) for load_id in load_ids)
    found = connection.execute(
        f"SELECT step, name, sum(rows)::BIGINT FROM {LOAD_REMARKS.sql}"
        f" WHERE source = ? AND load_id IN ({ids}) GROUP BY ALL ORDER BY ALL",
        [name],
    ).fetchall()
    return {(step, rule): rows for step, rule, rows in found}


def forget_remarks(connection: Connection, load_ids: Sequence[int]) -> None:
    """Remove what was remarked on loads whose rows go."""
    if load_ids and has_table(connection, LOAD_REMARKS):
        ids = ", ".join(literal(load_id) for load_id in load_ids)
        connection.execute(f"DELETE FROM {LOAD_REMARKS.sql} WHERE load_id IN ({ids})")


def describe(remark: Remark, of: int) -> str:
    """Tell a remark to people; `of` are the rows (or ids) of the file."""
    at = f" (first on line {remark.line})" if remark.line is not None else ""
    count = f"{remark.count:,}"
    match remark.step:
        case "ignored_row":
            said = f"{count} rows left aside as `{remark.name}`{at}"
        case "unknown_attribute":
            said = (
                f"{count} rows tell attributes that nobody declared{at}: left aside. Declare them "
                "in `columns` (`header` is the attribute's name), or list them in `ignore_rows`"
            )
        case "later_attribute":
            said = f"{count} rows are dated after the snapshot{at}: left aside"
        case "overtaken_attribute":
            said = f"{count} of {of:,} rows are overtaken by another on the same attribute"
        case "contradicted_attribute":
            said = (
                f"{count} attributes of a customer have rows that contradict each other: the value "
                "that sorts first is taken; say `latest_by` or `trust`"
            )
        case "key_collision":
            said = f"{count} of {of:,} ids are written in more than one way{at}"
    return said
