"""Writes a version into its staging folder: one DuckDB file, its Parquet twins, a manifest."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentation_pipeline.contracts import (
    CONTRACTS,
    CONTRACTS_VERSION,
    Contract,
    ContractColumn,
    contracts_digest,
)
from segmentation_pipeline.measurement.lists import STRATEGY_LISTS
from segmentation_pipeline.publication.exports import write_exports
from segmentation_pipeline.publication.manifest import (
    DATABASE,
    PARQUET,
    Manifest,
    describe_files,
    write_manifest,
)
from segmentation_pipeline.publication.plan import BEFORE, Plan
from segmentation_pipeline.publication.pseudonyms import key_fingerprint
from segmentation_pipeline.publication.tables import (
    CUSTOMER_ID,
    is_of_customers,
    published_parts_sql,
)
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    checkpoint,
    count_rows,
    literal,
    quote,
    rows_in_order,
    transaction,
)

OnStep = Callable[[str], None]
"""Told in words what comes next, before it is done: for progress, and for tests that kill."""

NEXT = "version-next"
"""The version that is being built, attached for writing."""
# The oldest format that duckdb 2.0 writes: what it writes by default, 1.4 and older cannot open.
_STORAGE_VERSION = "v1.2.0"
_ROW_GROUP_ROWS = 122_880
# Level 1 takes a tenth of the time off and makes files as small as the default 3 (2,000,000 rows of
# customer_segments: 32.2 and 32.1 MB).
_PARQUET_COMPRESSION = "COMPRESSION zstd, COMPRESSION_LEVEL 1"


@contextmanager
def attached_version(connection: Connection, folder: Path) -> Iterator[None]:
    """Attach a version's file read-only as `BEFORE`, for the length of a `with` block."""
    with attached(connection, folder / DATABASE, BEFORE, "READ_ONLY"):
        yield


@contextmanager
def new_database(connection: Connection, folder: Path) -> Iterator[None]:
    """Attach the new file of a version as `NEXT`, and leave it whole: nothing beside it."""
    option = f"STORAGE_VERSION {literal(_STORAGE_VERSION)}"
    with attached(connection, folder / DATABASE, NEXT, option):
        yield
        checkpoint(connection, NEXT)


def build_version(
    connection: Connection, home: Home, plan: Plan, staged: Path, on_step: OnStep
) -> Manifest:
    """Write all tables of a version, and its manifest, into the folder `staged`.

    The version before must be attached. Nothing is held in Python: rows go from the warehouse to
    both forms within DuckDB, which spills what it sorts.
    """
    with new_database(connection, staged):
        with rows_in_order(connection, is_kept=True), transaction(connection):
            _create_tables(connection, plan)
            for contract in CONTRACTS.values():
                on_step(f"write {contract.name}")
                table = Table(NEXT, contract.name).sql
                for part in published_parts_sql(connection, home, plan, contract):
                    connection.execute(f"INSERT INTO {table} {part}")
        checkpoint(connection, NEXT)
        rows = {name: count_rows(connection, Table(NEXT, name)) for name in CONTRACTS}
        (staged / PARQUET).mkdir()
        for contract in CONTRACTS.values():
            on_step(f"write {contract.name} as Parquet")
            copy_to_parquet(connection, contract.name, staged)
        on_step("write the lists of who gets what")
        assignments = Table(NEXT, "strategy_assignments")
        write_exports(connection, home, plan, STRATEGY_LISTS, assignments, staged)
        on_step(f"close {DATABASE}")
    on_step("write the manifest")
    manifest = Manifest(
        version=staged.name,
        previous=plan.before.version if plan.before else None,
        as_of=plan.as_of,
        night=plan.build.as_of,
        run_id=plan.build.run_id,
        contracts_digest=contracts_digest(),
        contracts_version=CONTRACTS_VERSION,
        pseudonym_key=None if plan.pseudonym_key is None else key_fingerprint(plan.pseudonym_key),
        segmentations=plan.segmentations(),
        rows=rows,
        files=describe_files(staged),
    )
    write_manifest(staged, manifest)
    return manifest


def parquet_file(folder: Path, table: str) -> Path:
    """Say where a version keeps a table as Parquet."""
    return folder / PARQUET / f"{table}.parquet"


def _create_tables(connection: Connection, plan: Plan) -> None:
    """Create the empty tables of a version, with their comments.

    Where the contracts are those of the version before, its catalogue is copied: a comment on each
    column costs more than its rows where these are few.
    """
    is_copied = plan.before is not None and plan.before.contracts_digest == contracts_digest()
    if is_copied:
        connection.execute(f"COPY FROM DATABASE {quote(BEFORE)} TO {quote(NEXT)} (SCHEMA)")
    for contract in CONTRACTS.values():
        # An earlier release, and an erasure, leave it to DuckDB how customers are compressed.
        if not is_copied or is_of_customers(contract):
            _create_table(connection, contract)


def _create_table(connection: Connection, contract: Contract) -> None:
    table = Table(NEXT, contract.name)
    columns = ", ".join(
        f"{quote(column.name)} {column.type}{_compression_sql(contract, column)}"
        for column in contract.columns
    )
    connection.execute(f"CREATE OR REPLACE TABLE {table.sql} ({columns})")
    connection.execute("; ".join(_comments_sql(table, contract)))


def _compression_sql(contract: Contract, column: ContractColumn) -> str:
    """Say how texts are compressed in a table of customers: DuckDB would try all ways, and choose.

    It would choose the same, since every id is another one and other texts are few; trying takes a
    quarter of the time of writing. A text that is too long for it is kept as it is.
    """
    if column.type != "VARCHAR" or not is_of_customers(contract):
        return ""
    return f" USING COMPRESSION {'fsst' if column.name == CUSTOMER_ID else 'dictionary'}"


def _comments_sql(table: Table, contract: Contract) -> Iterator[str]:
    described = f"{contract.description} Grain: {contract.grain}."
    yield f"COMMENT ON TABLE {table.sql} IS {literal(described)}"
    for column in contract.columns:
        unit = "" if column.unit is None else f" Unit: {column.unit}."
        comment = literal(column.description + unit)
        yield f"COMMENT ON COLUMN {table.sql}.{quote(column.name)} IS {comment}"


def copy_to_parquet(connection: Connection, table: str, staged: Path) -> None:
    """Write a table of the version that is being built as Parquet, in its own order."""
    with rows_in_order(connection, is_kept=True):
        connection.execute(
            f"COPY {Table(NEXT, table).sql} TO {literal(str(parquet_file(staged, table)))}"
            f" (FORMAT parquet, {_PARQUET_COMPRESSION}, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})"
        )


@contextmanager
def attached(connection: Connection, path: Path, name: str, option: str) -> Iterator[None]:
    """Attach a DuckDB file under a name, for the length of a `with` block."""
    connection.execute(f"ATTACH {literal(str(path))} AS {quote(name)} ({option})")
    try:
        yield
    finally:
        connection.execute(f"DETACH {quote(name)}")
