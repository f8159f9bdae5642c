"""Reopens a version as a reader would, and compares it with the contracts and with itself.

All queries stream or group by segment: memory does not grow with the number of customers.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from segmentation_pipeline.contracts import CONTRACTS, Contract
from segmentation_pipeline.publication.building import parquet_file
from segmentation_pipeline.publication.exports import export_faults
from segmentation_pipeline.publication.manifest import DATABASE, Manifest
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    column_types,
    count_rows,
    literal,
    open_warehouse,
    quote,
)

_MEMORY = "256MB"
_TOLERANCE = 1e-9

# What must be empty, and what it means when it is not.
_CROSS_CHECKS = {
    "segments whose `customers` are not those that customer_segments has": """
        FROM (SELECT segmentation, segment_id, customers FROM segments)
        FULL JOIN (
            SELECT segmentation, segment_id, count(*) AS assigned
            FROM customer_segments GROUP BY ALL
        ) USING (segmentation, segment_id)
        WHERE customers IS DISTINCT FROM coalesce(assigned, 0)
        """,
    "segments whose `share` is not their part of the segmentation's customers": f"""
        FROM (
            SELECT share, customers, sum(customers) OVER (PARTITION BY segmentation) AS total
            FROM segments
        )
        WHERE (abs(share - customers / nullif(total, 0)) <= {_TOLERANCE}) IS NOT TRUE
        """,
    "segmentations whose shares do not sum to 1": f"""
        FROM (SELECT sum(share) AS total FROM segments GROUP BY segmentation)
        WHERE (abs(total - 1) <= {_TOLERANCE}) IS NOT TRUE
        """,
    "segments whose KPIs of the newest date are not of all their customers": """
        FROM (
            SELECT segmentation, segment_id, as_of AS kpi_date, customers AS assigned
            FROM segments WHERE customers > 0
        )
        JOIN (SELECT DISTINCT segmentation, kpi, kpi_date FROM segment_kpis)
            USING (segmentation, kpi_date)
        LEFT JOIN segment_kpis USING (segmentation, segment_id, kpi, kpi_date)
        WHERE customers IS DISTINCT FROM assigned
        """,
    "KPIs of a date whose segments don't add up to everybody": """
        FROM (
            SELECT sum(customers * if(segment_id = 'everybody', -1, 1)) AS difference
            FROM segment_kpis GROUP BY segmentation, kpi, kpi_date
        )
        WHERE difference <> 0
        """,
}
# Rows of `segments` that are none, by the end of their ids.
_NO_SEGMENTS = ("noise", "unknown", "ineligible")
_SEGMENT_REFERENCES = {
    "customer_segments": ("raw_segment_id", "runner_up_segment_id"),
    "segment_profiles": ("segment_id",),
    "segment_category_shares": ("segment_id",),
    "segment_rules": ("segment_id",),
    "segment_strategies": ("segment_id",),
}

_REGISTRY_REFERENCES = {
    "segments": ("segment_id",),
    "strategy_assignments": ("segment_id",),
    "segment_history": ("segment_id",),
    "segment_transitions": ("from_segment_id", "to_segment_id"),
    "segment_movements": ("from_segment_id", "to_segment_id"),
    "segment_migration": ("from_segment_id", "to_segment_id"),
}


def audit_version(
    folder: Path, manifest: Manifest, personal: Collection[str], *, threads: int | None = None
) -> list[str]:
    """Say all that is wrong with a version; an empty list is a passed audit.

    `personal` are the columns of the home that never leave the warehouse.
    """
    with open_warehouse(
        folder / DATABASE, memory_limit=_MEMORY, threads=threads, read_only=True
    ) as connection:
        faults = list(_structure_faults(connection, folder, manifest))
        # The other queries only run on tables that are what they should be.
        if not faults:
            for contract in CONTRACTS.values():
                faults += _row_faults(connection, contract)
            faults += _cross_faults(connection, manifest)
            faults += _personal_faults(connection, personal)
            faults += export_faults(connection, folder)
    wal = folder / f"{DATABASE}.wal"
    if wal.exists():
        faults.append(f"{wal.name} is beside the file: it was not closed")
    return faults


def _structure_faults(connection: Connection, folder: Path, manifest: Manifest) -> Iterator[str]:
    found = {
        str(row[0])
        for row in connection.execute(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_catalog = current_database()"
        ).fetchall()
    }
    for name in sorted(found ^ set(CONTRACTS)):
        yield f"{name} is {'missing' if name in CONTRACTS else 'in no contract'}"
    for name in sorted(found & set(CONTRACTS)):
        types = {column.name: column.type for column in CONTRACTS[name].columns}
        if column_types(connection, Table("main", name)) != types:
            yield f"{name}: its columns are not those of its contract"
            continue
        path = literal(str(parquet_file(folder, name)))
        described = connection.execute(f"DESCRIBE FROM read_parquet({path})").fetchall()
        if {row[0]: row[1] for row in described} != types:
            yield f"{name}: the columns of its Parquet file are not those of its contract"
        in_parquet = _count(connection, f"FROM read_parquet({path})")
        counts = {manifest.rows[name], count_rows(connection, Table("main", name)), in_parquet}
        if len(counts) > 1:
            yield f"{name}: DuckDB file, Parquet file and manifest differ in their number of rows"


def _row_faults(connection: Connection, contract: Contract) -> Iterator[str]:
    table = Table("main", contract.name).sql
    required = [column.name for column in contract.columns if not column.is_nullable]
    counted = ", ".join(f"count(*) - count({quote(name)})" for name in required)
    missing = connection.execute(f"SELECT {counted} FROM {table}").fetchall()[0]
    for name, rows in zip(required, missing, strict=True):
        if rows:
            yield f"{contract.name}.{name} has no value in {rows} rows"
    # Rows are sorted by key, so equal keys are neighbours: a look at the row before streams, where
    # a GROUP BY would hold every customer. It also finds rows out of order.
    key = ", ".join(quote(name) for name in contract.key)
    disordered = _count(
        connection,
        f"FROM (SELECT row({key}) AS key, lag(row({key})) OVER () AS key_before FROM {table})"
        " WHERE key_before >= key",
    )
    if disordered:
        yield f"{contract.name}: {disordered} rows repeat the key ({key}), or are out of its order"


def _cross_faults(connection: Connection, manifest: Manifest) -> Iterator[str]:
    for meaning, query in _CROSS_CHECKS.items():
        if rows := _count(connection, query):
            yield f"{rows} {meaning}"
    populated = connection.execute(
        "SELECT segmentation FROM segments GROUP BY ALL HAVING sum(customers) > 0"
    ).fetchall()
    for name in sorted(manifest.segmentations.keys() ^ {str(row[0]) for row in populated}):
        yield f"segmentation {name} has no customers, or is not in the manifest"
    # A segmentation that has left the home keeps its dated rows, and nothing that they refer to.
    alive = ", ".join(literal(name) for name in manifest.segmentations)
    known = f"segmentation IN ({alive})"
    yield from _reference_faults(connection, _SEGMENT_REFERENCES, "segments", "TRUE")
    outside = ", ".join(f"segmentation || '-{row}'" for row in _NO_SEGMENTS)
    is_segment = f"{known} AND segment_id NOT IN ({outside})"
    yield from _reference_faults(connection, _REGISTRY_REFERENCES, "segment_registry", is_segment)
    for contract in CONTRACTS.values():
        if contract.has_segmentation and not contract.is_dated:
            origin = "segmentation, as_of, run_id, model_version"
            strangers = _count(
                connection,
                f"FROM (SELECT DISTINCT {origin} FROM {quote(contract.name)})"
                f" ANTI JOIN segmentation_runs USING ({origin})",
            )
            if strangers:
                yield f"{contract.name} has rows of {strangers} runs not in segmentation_runs"


def _reference_faults(
    connection: Connection, references: Mapping[str, Sequence[str]], target: str, where: str
) -> Iterator[str]:
    """Say which tables name segments that a table of segments doesn't have."""
    for table, columns in references.items():
        for column in columns:
            unknown = _count(
                connection,
                f"FROM (SELECT DISTINCT segmentation, {column} AS segment_id FROM {table}"
                f" WHERE {column} IS NOT NULL)"
                f" ANTI JOIN {target} USING (segmentation, segment_id) WHERE {where}",
            )
            if unknown:
                yield f"{table}.{column} names {unknown} segments that are not in {target}"


def _personal_faults(connection: Connection, personal: Collection[str]) -> Iterator[str]:
    """Columns can't be personal, since the contracts list them all; features could be."""
    for contract in CONTRACTS.values():
        if contract.has_segmentation and any(c.name == "feature" for c in contract.columns):
            rows = connection.execute(
                f"SELECT DISTINCT feature FROM {quote(contract.name)} ORDER BY feature"
            ).fetchall()
            for name in sorted({str(row[0]) for row in rows} & set(personal)):
                yield f"{contract.name} tells of `{name}`, which is personal"


def _count(connection: Connection, query: str) -> int:
    return int(connection.execute(f"SELECT count(*) {query}").fetchall()[0][0])
