"""Erases customers from a home: from its warehouse, and from every version that is kept.

DELETE is no erasure in DuckDB: what it deleted stays in the file. So whatever held an erased
customer is written anew into another file, and the old one goes. The next night counts without
them.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.clustering.kept_effects import forget_effects
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.ingestion.tombstones import (
    erased_digest,
    erased_digests,
    is_erased_sql,
    remember_erased,
    remember_visitors,
    tables_with,
)
from segmentation_pipeline.publication import versions
from segmentation_pipeline.publication.building import OnStep
from segmentation_pipeline.publication.compaction import copy_warehouse, replace_warehouse
from segmentation_pipeline.publication.manifest import DATABASE
from segmentation_pipeline.publication.pseudonyms import pseudonym
from segmentation_pipeline.publication.remains import files_with, rows_that_remain
from segmentation_pipeline.publication.rewriting import ID, customer_tables, rewrite_versions
from segmentation_pipeline.segments.history import erase_from_history
from segmentation_pipeline.segments.nights import night_until
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.keys import RowNumberKey
from segmentation_pipeline.specification.source_checks import VISITOR_KEY
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    drop_relation,
    has_table,
    open_warehouse,
    transaction,
)


@dataclass(frozen=True)
class Erasure:
    """What was done: rows that went from the warehouse, versions and rows that were rewritten.

    `elsewhere` are the files of the home that the pipeline did not make and that still hold an id,
    such as source files: their rows are left out from now on, but the files are not the pipeline's.
    """

    warehouse_rows: int
    versions: int
    published_rows: int
    elsewhere: tuple[str, ...]


def erase_customers(
    home: Home,
    customer_ids: Sequence[str],
    *,
    salt: str,
    requested_on: dt.date,
    pseudonym_key: bytes | None = None,
    on_step: OnStep,
) -> Erasure:
    """Erase customers everywhere in a home but in its source files, and look whether it is so.

    Once begun it is finished by calling it again: the ids are remembered (as digests) first. The
    caller holds the home's lock; `salt` is random; `pseudonym_key` as for `publish`.

    Raises:
        PipelineError: an id is unknown, the home's ids are row numbers, or something that the
            pipeline made still holds an id when all is done.
        PublicationError: a rewritten version fails its audit; readers keep what they had.

    """
    _refuse_row_numbers(home)
    names = sorted({*customer_ids, *(_called(one, pseudonym_key) for one in customer_ids)})
    versions.clear_staging(home.published)
    if (home.published / "current").is_symlink():
        versions.refuse_stale_wal(home.published)
    limits = home.customers.limits
    with open_warehouse(
        home.warehouse, memory_limit=limits.memory, threads=limits.threads
    ) as connection:
        on_step("look for them")
        _refuse_unknown(connection, home, customer_ids, pseudonym_key)
        with transaction(connection):
            remember_erased(connection, names, salt=salt, requested_on=requested_on)
            visitors = _remember_their_visitors(connection, requested_on)
        on_step("take them out of the warehouse")
        warehouse_rows = _erase_rows(connection, home)
        rewritten = rewrite_versions(connection, home, on_step)
        on_step("write the warehouse anew")
        copy_warehouse(connection, home)
    replace_warehouse(home)
    on_step("look whether they are gone")
    files = files_with(home, [*names, *visitors])
    ours = [path for path in files if _is_ours(home, path)]
    remains = rows_that_remain(home) + [str(path.relative_to(home.path)) for path in ours]
    if remains:
        raise PipelineError(
            f"erasing is not complete: an erased id is still in {'; '.join(remains)}. Run it again"
        )
    elsewhere = tuple(str(path.relative_to(home.path)) for path in files if path not in ours)
    return Erasure(warehouse_rows, *rewritten, elsewhere)


def _is_ours(home: Home, path: Path) -> bool:
    """Whether the pipeline makes a file."""
    folders = (home.published, home.models, home.reports, home.logs, home.path / "dagster")
    return path.name.startswith(home.warehouse.stem) or any(
        path.is_relative_to(folder) for folder in folders
    )


def _refuse_row_numbers(home: Home) -> None:
    base = home.customers.customers.base
    if isinstance(home.customers.sources[base].key, RowNumberKey):
        raise PipelineError(
            f"source `{base}` knows its customers by their row number only, which another customer "
            "has as soon as a row goes: take the row out of the file, and run the next night"
        )


def _called(customer_id: str, key: bytes | None) -> str:
    """Say what a customer is called in what is published."""
    return customer_id if key is None else pseudonym(key, customer_id)


def _refuse_unknown(
    connection: Connection, home: Home, customer_ids: Sequence[str], key: bytes | None
) -> None:
    salt, known = erased_digests(connection)
    for customer_id in customer_ids:
        if salt and erased_digest(customer_id, salt) in known:
            continue
        if any(_holds(connection, table, customer_id) for table in customer_tables(connection)):
            continue
        if any(
            _version_holds(folder, _called(customer_id, key))
            for folder in versions.version_folders(home.published)
        ):
            continue
        raise PipelineError(
            "no customer of this home has one of the ids that were given: they are those of the "
            "CRM, in the form that `key` of customers.yaml declares, and no pseudonyms. Nothing "
            "was changed"
        )


def _holds(connection: Connection, table: Table, customer_id: str) -> bool:
    query = f"SELECT 1 FROM {table.sql} WHERE {ID} = ? LIMIT 1"
    return bool(connection.execute(query, [customer_id]).fetchall())


def _version_holds(folder: Path, customer_id: str) -> bool:
    with open_warehouse(folder / DATABASE, read_only=True) as connection:
        return any(_holds(connection, table, customer_id) for table in customer_tables(connection))


def _erase_rows(connection: Connection, home: Home) -> int:
    """Delete the rows of erased customers; the history keeps that somebody was erased.

    Pictures of customers are forgotten whole: nobody can be taken out of one.
    """
    forget_effects(connection)
    is_erased = is_erased_sql(connection, ID)
    rows = 0
    for name in home.segmentations:
        history, newest = Table(name, "segment_history"), night_until(connection, name, dt.date.max)
        if newest is None or not has_table(connection, history):
            continue
        erased = Table("core", "erased_now")
        connection.execute(
            f"CREATE OR REPLACE TABLE {erased.sql} AS"
            f" SELECT DISTINCT {ID} FROM {history.sql} WHERE {is_erased}"
        )
        rows += erase_from_history(connection, name, erased, newest.as_of)
        drop_relation(connection, erased)
    for table in customer_tables(connection):
        deleted = connection.execute(f"DELETE FROM {table.sql} WHERE {is_erased}").fetchall()
        rows += int(deleted[0][0])
    is_visitor = is_erased_sql(connection, VISITOR_KEY, is_visitor=True)
    for table in tables_with(connection, VISITOR_KEY):
        deleted = connection.execute(f"DELETE FROM {table.sql} WHERE {is_visitor}").fetchall()
        rows += int(deleted[0][0])
    return rows


def _remember_their_visitors(connection: Connection, requested_on: dt.date) -> list[str]:
    """Remember the web visitors that erased customers were, and name them.

    A visitor who was another customer, too, is forgotten with all events: a shared machine's id
    leads to whoever used it.
    """
    maps = {*tables_with(connection, VISITOR_KEY)} & {*customer_tables(connection)}
    is_erased = is_erased_sql(connection, ID)
    visitors: set[str] = set()
    for table in sorted(maps):
        query = f"SELECT DISTINCT {VISITOR_KEY} FROM {table.sql} WHERE {is_erased}"
        visitors |= {str(visitor) for (visitor,) in connection.execute(query).fetchall()}
        remember_visitors(connection, query, requested_on)
    return sorted(visitors)
