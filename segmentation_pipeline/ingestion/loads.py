"""What was loaded: the audit of every load, which loads a raw table holds, what a night must load.

A raw table holds the rows of its current loads only; `core.source_loads` keeps a row for every load
there ever was, replaced ones too.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.declaration import reading_digest
from segmentation_pipeline.ingestion.decoding import unpacked_name
from segmentation_pipeline.ingestion.files import SourceFile, file_date
from segmentation_pipeline.ingestion.line_numbers import forget_lines
from segmentation_pipeline.ingestion.remarks import forget_remarks
from segmentation_pipeline.specification.columns import SQL_TYPES
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    column_types,
    drop_relation,
    generated_columns,
    has_table,
    literal,
    quote,
)

SOURCE_LOADS = Table("core", "source_loads")
REJECTED_ROWS = Table("core", "rejected_rows")
EXPIRED_LOADS = Table("core", "expired_loads")
"""Loads whose rows are no longer kept: their files are known all the same."""

_AUDIT_SQL = f"""
CREATE TABLE IF NOT EXISTS {SOURCE_LOADS.sql} (
    load_id BIGINT PRIMARY KEY,
    source VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    specification_digest VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    rejected_rows BIGINT NOT NULL,
    rejected_values BIGINT NOT NULL,
    seconds DOUBLE NOT NULL,
    as_of DATE NOT NULL,
    run_id VARCHAR NOT NULL,
    snapshot_date DATE
);
CREATE TABLE IF NOT EXISTS {REJECTED_ROWS.sql} (
    load_id BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    file VARCHAR NOT NULL,
    line BIGINT NOT NULL,
    column_name VARCHAR,
    reason VARCHAR NOT NULL
);
CREATE TABLE IF NOT EXISTS {EXPIRED_LOADS.sql} (load_id BIGINT PRIMARY KEY);
"""


@dataclass(frozen=True)
class Load:
    """A load whose rows are in the raw table, or were there until they were no longer kept."""

    load_id: int
    file: str
    digest: str
    specification_digest: str
    snapshot_date: dt.date | None
    is_expired: bool = False


@dataclass(frozen=True)
class PlannedLoad:
    """A file to load, and the date of the snapshot it is (CRM only)."""

    file: SourceFile
    snapshot_date: dt.date | None = None


@dataclass(frozen=True)
class LoadPlan:
    """What a night does with a source's files, and which loads' rows leave the raw table."""

    to_load: tuple[PlannedLoad, ...]
    skipped: int
    outdated: tuple[int, ...]


def raw_table(source: str) -> Table:
    """Name the raw table of a source."""
    return Table("raw", f"raw_{source}")


def snapshot_in_force(
    connection: Connection,
    name: str,
    source: SourceSpec,
    as_of: dt.date,
    *,
    approximate: bool = False,
) -> int:
    """Find the load whose rows are a CRM source's snapshot on a date.

    It is the newest one not after the date; of two of the same date, the one loaded last. Raises
    SourceError where there is none, unless `approximate` (or the source's `approximate_dates`) lets
    the oldest one stand in.
    """
    loads = sorted(_snapshots(current_loads(connection, name)))
    in_force = [load_id for date, load_id in loads if date <= as_of]
    if in_force:
        return in_force[-1]
    if not loads:
        raise SourceError(f"source {name}: nothing has been loaded; materialise raw_{name} first")
    oldest = loads[0][0]
    if not (approximate or source.approximate_dates):
        raise SourceError(
            f"source {name}: no snapshot covers {as_of}, the oldest is of {oldest}; run a later "
            "date, or allow the oldest one (`approximate_dates: true`, or --approximate)"
        )
    return next(load_id for date, load_id in reversed(loads) if date == oldest)


def make_audit_tables(connection: Connection) -> None:
    """Make the tables of loads and of rejected rows, where they are not there yet."""
    connection.execute(_AUDIT_SQL)


def current_loads(connection: Connection, name: str) -> list[Load]:
    """List the loads whose rows are in a source's raw table, or have expired, by load_id."""
    if not has_table(connection, raw_table(name)) or not has_table(connection, SOURCE_LOADS):
        return []
    expired = "FALSE"
    if has_table(connection, EXPIRED_LOADS):
        expired = f"load_id IN (SELECT load_id FROM {EXPIRED_LOADS.sql})"
    found = connection.execute(
        f"SELECT load_id, file, digest, specification_digest, snapshot_date, {expired}"
        f" FROM {SOURCE_LOADS.sql} WHERE source = ? AND ({expired}"
        f" OR load_id IN (SELECT DISTINCT load_id FROM {raw_table(name).sql})) ORDER BY load_id",
        [name],
    ).fetchall()
    return [Load(*row) for row in found]


def plan_loads(
    name: str,
    source: SourceSpec,
    files: Sequence[SourceFile],
    current: Sequence[Load],
    as_of: dt.date,
) -> LoadPlan:
    """Decide which files to load, which to skip, and which loads they replace.

    A file that was loaded as it is, under the same declaration, is skipped; a changed one replaces
    its own rows. Of streams and surveys the raw table is what the files are tonight: the rows of a
    file that is gone go too, or a renamed file would count twice. Snapshots of CRM tables stay.
    """
    if source.kind == "crm" and source.snapshot_date is None:
        return _plan_undated_snapshot(name, source, files, current, as_of)
    specification_digest = reading_digest(source)
    known = {load.file: load for load in current}
    to_load: list[PlannedLoad] = []
    outdated = set() if source.kind == "crm" else {load.load_id for load in current}
    for file in files:
        date = (
            file_date(source.snapshot_date.file_name, file.path) if source.snapshot_date else None
        )
        load = known.get(file.name)
        if load is None:
            to_load.append(PlannedLoad(file, date))
        elif (load.digest, load.specification_digest) == (file.digest, specification_digest):
            outdated.discard(load.load_id)
        else:
            to_load.append(PlannedLoad(file, date))
            outdated.add(load.load_id)
    if source.kind != "crm":
        _refuse_copies(name, files)
    return LoadPlan(tuple(to_load), len(files) - len(to_load), tuple(sorted(outdated)))


def _plan_undated_snapshot(
    name: str,
    source: SourceSpec,
    files: Sequence[SourceFile],
    current: Sequence[Load],
    as_of: dt.date,
) -> LoadPlan:
    """Decide whether a CRM file is a new snapshot, dated by the night that finds it changed.

    A date run again must not claim that today's file was valid then: the file counts as known when
    it is the snapshot in force on that date, or the newest one.
    """
    if len(files) > 1:
        raise SourceError(
            f"source {name}: `{source.path}` matches {len(files)} files, and a CRM table without "
            "`snapshot_date` is one file; name one, or declare where the date stands"
        )
    (file,) = files
    dated = sorted(_snapshots(current))
    loads = {load.load_id: load for load in current}
    in_force = [load_id for date, load_id in dated if date <= as_of]
    newest = [load_id for _, load_id in dated]
    candidates = [loads[load_id] for load_id in (*in_force[-1:], *newest[-1:])]
    known = next((load for load in candidates if load.digest == file.digest), None)
    no_snapshots = tuple(load.load_id for load in current if load.snapshot_date is None)
    if known is None:
        return LoadPlan((PlannedLoad(file, as_of),), 0, no_snapshots)
    if known.specification_digest == reading_digest(source):
        return LoadPlan((), 1, no_snapshots)
    again = PlannedLoad(file, known.snapshot_date)
    return LoadPlan((again,), 0, (*no_snapshots, known.load_id))


def align_raw_table(connection: Connection, name: str, source: SourceSpec) -> None:
    """Make a source's raw table as declared; rows that cannot be read again keep what still fits.

    Older snapshots whose files are gone have NULL in a column that was declared since, and values
    cast to a type that was declared since.
    """
    table = raw_table(name)
    wanted = {
        "load_id": "BIGINT",
        "source_row": "BIGINT",
        **dict.fromkeys(source.id_columns, "VARCHAR"),
        **{column: SQL_TYPES[declared.type] for column, declared in source.columns.items()},
    }
    same = _columns_like_ids(source)
    if not has_table(connection, table):
        typed = ", ".join(
            f"{quote(column)} {kind}"
            + (" GENERATED ALWAYS AS (customer_id) VIRTUAL" if column in same else "")
            for column, kind in wanted.items()
        )
        connection.execute(f"CREATE TABLE {table.sql} ({typed})")
        return
    present = column_types(connection, table)
    is_same = list(present.items()) == list(wanted.items())
    if is_same and generated_columns(connection, table) <= same:
        return
    texts = {column: f"CAST({quote(column)} AS VARCHAR)" for column in present}
    kept = ", ".join(
        f"TRY_CAST({texts.get(column, 'NULL')} AS {kind}) AS {quote(column)}"
        for column, kind in wanted.items()
    )
    former = Table(table.schema, f"{table.name} as declared before")
    connection.execute(f"ALTER TABLE {table.sql} RENAME TO {quote(former.name)}")
    connection.execute(f"CREATE TABLE {table.sql} AS SELECT {kept} FROM {former.sql}")
    drop_relation(connection, former)


def _columns_like_ids(source: SourceSpec) -> set[str]:
    """Name the key's own column where it would say what `customer_id` says: it is not stored twice.

    Of a log of events, a second column of ids costs half as much again as all else: 0.6 of 1.6
    processor seconds for 2 million rows of six columns. Tables of earlier releases do store it, and
    so does one that was made again for its older rows, and snapshots, of which ids can outlive all
    else.
    """
    is_plain = isinstance(source.key, str) and source.kind != "crm" and source.identity is None
    named = set(source.key_columns) if is_plain else set()
    return {name for name in named if source.columns[name].type in ("text", "category")}


def forget_loads(
    connection: Connection, name: str, outdated: Sequence[int], current: Sequence[Load]
) -> None:
    """Remove the rows of outdated loads, and what was noted of their unreadable ones."""
    if not outdated:
        return
    ids = ", ".join(literal(load_id) for load_id in outdated)
    for noted in (REJECTED_ROWS, EXPIRED_LOADS):
        connection.execute(f"DELETE FROM {noted.sql} WHERE load_id IN ({ids})")
    forget_remarks(connection, outdated)
    forget_lines(connection, outdated)
    if len(outdated) == len(current):
        drop_relation(connection, raw_table(name))
    else:
        connection.execute(f"DELETE FROM {raw_table(name).sql} WHERE load_id IN ({ids})")


def _snapshots(loads: Sequence[Load]) -> list[tuple[dt.date, int]]:
    return [
        (load.snapshot_date, load.load_id)
        for load in loads
        if load.snapshot_date is not None and not load.is_expired
    ]


def _refuse_copies(name: str, files: Sequence[SourceFile]) -> None:
    """Refuse the same content under two names, or packed beside itself: it would count twice."""
    seen: dict[str, str] = {}
    for file in files:
        for told in (file.digest, unpacked_name(file.name)):
            if (other := seen.setdefault(told, file.name)) != file.name:
                raise SourceError(
                    f"source {name}: {file.name} is a copy of {other}; remove one: it counts twice"
                )
