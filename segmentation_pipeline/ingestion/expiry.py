"""Rows of sources that are older than `retention` keeps them leave the raw tables.

The files stay as they are, and known: a file whose rows went is not loaded again. Of a CRM table a
snapshot goes once another one has been in force for so long; of a customer who is in none of those
that stay, the id is kept without any value, so that rows of other sources still count as those of
a former customer.
"""

import datetime as dt

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.line_numbers import LOAD_LINES, with_rows_sql
from segmentation_pipeline.ingestion.loads import (
    EXPIRED_LOADS,
    REJECTED_ROWS,
    current_loads,
    make_audit_tables,
    raw_table,
)
from segmentation_pipeline.ingestion.volumes import lower_volumes
from segmentation_pipeline.kept import first_kept, keep_from
from segmentation_pipeline.specification.retention import kept_from
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    has_table,
    literal,
    quote,
    record_build,
    transaction,
)


def expire_rows(
    connection: Connection, name: str, source: SourceSpec, keep: str, build: Build
) -> int:
    """Cut a source's raw table to what is kept on a night; returns how many rows went.

    In one transaction; the same night again finds nothing to cut.
    """
    first = kept_from(keep, build.as_of)
    with transaction(connection):
        make_audit_tables(connection)
        if source.kind == "crm":
            rows = _expire_snapshots(connection, name, source, first)
        else:
            rows = _expire_events(connection, name, source, first)
            lower_volumes(connection, name, rows)
        if rows:
            keep_from(connection, _called(name), first)
            record_build(connection, raw_table(name), build)
    return rows


def require_rows(connection: Connection, name: str, as_of: dt.date, days: int) -> None:
    """Refuse a night that looks at more days of a source than are still there.

    Raises SourceError: what it would find is less than what happened.
    """
    first, wanted = first_kept(connection, _called(name)), as_of - dt.timedelta(days=days - 1)
    if wanted < first:
        raise SourceError(
            f"source {name}: the night of {as_of} looks back to {wanted}, and rows before {first} "
            f"went by `retention.sources`; run a date from {first + dt.timedelta(days=days - 1)} on"
        )


def _expire_events(connection: Connection, name: str, source: SourceSpec, first: dt.date) -> int:
    raw, time = raw_table(name).sql, quote(source.time or "")
    before = {load.load_id for load in current_loads(connection, name)}
    deleted = connection.execute(
        f"DELETE FROM {raw} WHERE isfinite({time}) AND CAST({time} AS DATE) < {literal(first)}"
    ).fetchall()
    left = {load.load_id for load in current_loads(connection, name)}
    for load_id in sorted(before - left):
        connection.execute(f"INSERT OR IGNORE INTO {EXPIRED_LOADS.sql} VALUES (?)", [load_id])
    if rows := int(deleted[0][0]):
        _forget_rejects(connection, name, source)
    return rows


def _forget_rejects(connection: Connection, name: str, source: SourceSpec) -> None:
    """Forget what could not be read of rows that are gone: it is a share of those that are there.

    Of a long table, whose rows were joined, it is forgotten with the last one of the file.
    """
    rejects = f"SELECT * FROM {REJECTED_ROWS.sql} WHERE source = {literal(name)}"
    gone = f"load_id IN (SELECT load_id FROM {EXPIRED_LOADS.sql})"
    if source.long is None and has_table(connection, LOAD_LINES):
        lost = (
            f"SELECT load_id, line FROM ({with_rows_sql(rejects)}) AS noted"
            f" ANTI JOIN {raw_table(name).sql} USING (load_id, source_row)"
            " WHERE source_row IS NOT NULL"
        )
        gone += f" OR column_name IS NOT NULL AND (load_id, line) IN ({lost})"
    connection.execute(
        f"DELETE FROM {REJECTED_ROWS.sql} WHERE source = {literal(name)} AND ({gone})"
    )


def _expire_snapshots(connection: Connection, name: str, source: SourceSpec, first: dt.date) -> int:
    loads = current_loads(connection, name)
    dated = sorted(
        (load.snapshot_date, load.load_id)
        for load in loads
        if load.snapshot_date is not None and not load.is_expired
    )
    in_force = [load_id for date, load_id in dated if date <= first]
    outdated = in_force[:-1]
    if not outdated:
        return 0
    raw, gone = raw_table(name).sql, ", ".join(map(literal, outdated))
    for load_id in outdated:
        connection.execute(f"INSERT INTO {EXPIRED_LOADS.sql} VALUES (?)", [load_id])
    expired = f"load_id IN (SELECT load_id FROM {EXPIRED_LOADS.sql})"
    (rows,) = connection.execute(
        f"SELECT count(*) FROM {raw} WHERE load_id IN ({gone})"
    ).fetchall()[0]
    connection.execute(
        f"DELETE FROM {raw} WHERE {expired} AND (customer_id, load_id) NOT IN ("
        f" SELECT (customer_id, max(load_id)) FROM {raw} WHERE {expired}"
        f" AND customer_id NOT IN (SELECT customer_id FROM {raw} WHERE NOT {expired})"
        " GROUP BY customer_id)"
    )
    values = ", ".join(f"{quote(column)} = NULL" for column in source.columns)
    connection.execute(f"UPDATE {raw} SET {values} WHERE load_id IN ({gone})")
    return int(rows)


def _called(name: str) -> str:
    return f"source {name}"
