"""Writes the kept versions anew, without the names of erased customers.

What a version says of everybody together stays as it was published, and so its sums do: an erased
customer's own rows get a name that nobody has and that nothing leads back to.
"""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from segmentation_pipeline.contracts import CONTRACTS, contracts_digest
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.ingestion.tombstones import (
    erased_digest,
    erased_digests,
    is_erased_sql,
)
from segmentation_pipeline.publication import versions
from segmentation_pipeline.publication.audit import audit_version
from segmentation_pipeline.publication.building import (
    NEXT,
    OnStep,
    attached_version,
    copy_to_parquet,
    new_database,
    parquet_file,
)
from segmentation_pipeline.publication.manifest import (
    DATABASE,
    MANIFEST,
    PARQUET,
    Manifest,
    describe_files,
    write_manifest,
)
from segmentation_pipeline.publication.plan import BEFORE
from segmentation_pipeline.publication.publishing import personal_columns
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, Table, literal, quote, transaction

ID = "customer_id"


def customer_tables(connection: Connection, catalog: str | None = None) -> list[Table]:
    """List the tables (no views) of a database that have rows of customers."""
    in_catalog = "current_database()" if catalog is None else literal(catalog)
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_columns() JOIN duckdb_tables()"
        " USING (database_name, schema_name, table_name)"
        f" WHERE database_name = {in_catalog} AND column_name = {literal(ID)} ORDER BY ALL"
    ).fetchall()
    return [Table(*row) for row in found]


def rewrite_versions(connection: Connection, home: Home, on_step: OnStep) -> tuple[int, int]:
    """Write every kept version anew where one of them holds an erased customer.

    They get new names in the same order, so that readers pass from the old ones to the new ones by
    the one link that moves. Returns the numbers of versions and of rows.
    """
    published = home.published
    kept = list(versions.kept_versions(published)) if published.exists() else []
    if published.exists():
        # Nothing leads to the others: a rollback, or an erasure that was killed, left them behind.
        versions.prune(published, len(kept))
        versions.clear_staging(published)
    if not any(_holds_erased(connection, home, manifest) for manifest in kept):
        return 0, 0
    rows, previous = 0, None
    placeholder = _placeholder_sql(connection)
    for manifest in reversed(kept):
        on_step(f"write version {manifest.version} anew")
        version = versions.next_version(published, manifest.run_id)
        staged = versions.make_staging(published, version)
        fresh, renamed = _rewrite_version(
            connection, home, manifest, staged, placeholder, previous=previous
        )
        rows += renamed
        versions.seal(staged)
        if manifest.contracts_digest == contracts_digest():
            faults = audit_version(staged, fresh, personal_columns(home))
            if faults:
                raise PublicationError(
                    f"version {manifest.version} without the erased customers failed its audit: "
                    f"{'; '.join(faults)}. Readers keep the versions that there are"
                )
        versions.install(published, staged)
        previous = version
    if previous is not None:
        versions.put_in_force(published, previous)
    on_step("delete the versions that held them")
    versions.prune(published, len(kept))
    versions.clear_staging(published)
    return len(kept), rows


def _holds_erased(connection: Connection, home: Home, manifest: Manifest) -> bool:
    folder = versions.version_folder(home.published, manifest.version)
    is_erased = is_erased_sql(connection, ID)
    with attached_version(connection, folder):
        return any(
            connection.execute(
                f"SELECT 1 FROM {Table(BEFORE, table.name).sql} WHERE {is_erased} LIMIT 1"
            ).fetchall()
            for table in customer_tables(connection, BEFORE)
        )


def _placeholder_sql(connection: Connection) -> str:
    """Write the name that an erased customer's rows get: the same in all tables, of nobody.

    Its salt is drawn by DuckDB, used by this command alone and kept nowhere.
    """
    (salt,) = connection.execute("SELECT uuid()::VARCHAR").fetchall()[0]
    return f"'erased-' || left(sha256({literal(str(salt))} || {ID}), 16)"


def _rewrite_version(
    connection: Connection,
    home: Home,
    manifest: Manifest,
    staged: Path,
    placeholder: str,
    *,
    previous: str | None,
) -> tuple[Manifest, int]:
    """Write a version into `staged`, its erased customers' rows under the placeholder."""
    folder = versions.version_folder(home.published, manifest.version)
    (staged / PARQUET).mkdir()
    rows = 0
    with attached_version(connection, folder), new_database(connection, staged):
        of_customers = {table.name for table in customer_tables(connection, BEFORE)}
        for name in manifest.rows:
            columns = _columns(connection, name)
            key = [c for c in CONTRACTS[name].key if c in columns] if name in CONTRACTS else []
            key = key or columns
            with transaction(connection):
                rows += _rewrite_table(
                    connection, name, key, placeholder if name in of_customers else None
                )
            if name in of_customers:
                copy_to_parquet(connection, name, staged)
            else:
                shutil.copy2(parquet_file(folder, name), parquet_file(staged, name))
    _copy_other_files(connection, folder, staged)
    fresh = manifest.model_copy(
        update={"version": staged.name, "previous": previous, "files": describe_files(staged)}
    )
    write_manifest(staged, fresh)
    return fresh, rows


def _columns(connection: Connection, name: str) -> list[str]:
    described = connection.execute(f"DESCRIBE {Table(BEFORE, name).sql}").fetchall()
    return [str(row[0]) for row in described]


def _rewrite_table(
    connection: Connection, name: str, key: Sequence[str], placeholder: str | None
) -> int:
    """Copy a table with its comments, in the order of its key; returns the rows renamed."""
    old, new = Table(BEFORE, name).sql, Table(NEXT, name).sql
    order = ", ".join(quote(column) for column in key)
    rows = 0
    if placeholder is None:
        connection.execute(f"CREATE TABLE {new} AS FROM {old} ORDER BY {order}")
    else:
        is_erased = is_erased_sql(connection, ID)
        rows = connection.execute(f"SELECT count(*) FROM {old} WHERE {is_erased}").fetchall()[0][0]
        renamed = f"CASE WHEN {is_erased} THEN {placeholder} ELSE {ID} END AS {ID}"
        connection.execute(
            f"CREATE TABLE {new} AS FROM (SELECT * REPLACE ({renamed}) FROM {old}) ORDER BY {order}"
        )
    where = f"WHERE database_name = {literal(BEFORE)} AND table_name = {literal(name)}"
    ((said,),) = connection.execute(f"SELECT comment FROM duckdb_tables() {where}").fetchall()
    connection.execute(f"COMMENT ON TABLE {new} IS {literal(said)}")
    for column, comment in connection.execute(
        f"SELECT column_name, comment FROM duckdb_columns() {where}"
    ).fetchall():
        connection.execute(f"COMMENT ON COLUMN {new}.{quote(column)} IS {literal(comment)}")
    return int(rows)


def _copy_other_files(connection: Connection, folder: Path, staged: Path) -> None:
    """Copy what a version holds besides its tables; lists of customers without the erased ones."""
    salt, digests = erased_digests(connection)

    def is_erased(cell: str) -> bool:
        # An apostrophe in front may be the lists' own, which keeps a spreadsheet from reckoning.
        ids = (cell, cell.removeprefix("'"))
        return any(erased_digest(one, salt) in digests for one in ids)

    for path in sorted(folder.rglob("*")):
        within = path.relative_to(folder)
        if path.is_dir() or within.parts[0] in (DATABASE, MANIFEST, PARQUET):
            continue
        target = staged / within
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            connection.execute(
                f"COPY (FROM read_parquet({literal(str(path))})"
                f" WHERE NOT {is_erased_sql(connection, ID)} ORDER BY ALL)"
                f" TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
            )
        elif path.suffix == ".csv":
            with (
                path.open(newline="", encoding="utf-8") as old,
                target.open("w", newline="", encoding="utf-8") as new,
            ):
                at = next(csv.reader([header := old.readline()])).index(ID)
                new.write(header)
                new.writelines(line for line in old if not is_erased(next(csv.reader([line]))[at]))
        else:
            shutil.copy2(path, target)
