"""What a report is made of: the small tables of one published version, read and nothing else.

No table with a row per customer is read, so that no id can get into a page.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.warehouse import Connection, Table, open_warehouse, quote

Row = Mapping[str, Any]

_TABLES = (
    "segments",
    "structure_verdict",
    "segment_profiles",
    "segment_category_shares",
    "segment_traits",
    "segment_personas",
    "segment_rules",
    "segment_strategies",
    "segment_kpis",
    "sensitive_shares",
    "segment_map",
    "feature_distributions",
    "feature_importance",
    "feature_selection",
    "model_candidates",
    "preprocessing_effect",
    "segment_transitions",
    "segment_migration",
    "segment_nights",
    "refit_decision",
    "challenger_nights",
    "segmentation_runs",
    "cleaning_report",
    "source_loads",
    "validation_results",
)
_MOST_DATES = 30
"""Of a table of every night, so many of the last dates are read."""


@dataclass(frozen=True)
class Edition:
    """A published version: its date, and rows by table; a table that it lacks has none."""

    as_of: dt.date
    tables: Mapping[str, Sequence[Row]]

    def of(self, table: str, segmentation: str) -> list[Row]:
        """Rows of one segmentation, in the order of the table's key."""
        return [row for row in self.tables[table] if row["segmentation"] == segmentation]

    def tonight(self, table: str, segmentation: str, as_of: dt.date) -> list[Row]:
        """Rows of one segmentation and date of a table that has those of every night."""
        return [row for row in self.of(table, segmentation) if row["as_of"] == as_of]

    @property
    def segmentations(self) -> list[str]:
        """The segmentations that have segments, in the order of their names."""
        return list(dict.fromkeys(str(row["segmentation"]) for row in self.tables["segments"]))


def read_edition(database: Path, as_of: dt.date) -> Edition:
    """Read what a report tells of the version in a published file, opened read-only."""
    with open_warehouse(database, read_only=True) as connection:
        there = {
            str(row[0])
            for row in connection.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_catalog = current_database() AND table_schema = 'main'"
            ).fetchall()
        }
        tables = {
            name: _read(connection, name) if name in there and name in CONTRACTS else []
            for name in _TABLES
        }
    return Edition(as_of, tables)


def _read(connection: Connection, name: str) -> list[Row]:
    contract = CONTRACTS[name]
    table = Table("main", name).sql
    # Runs and seconds differ where nothing else does: equal versions make equal pages.
    volatile = ", ".join(quote(column.name) for column in contract.columns if column.is_volatile)
    columns = f"* EXCLUDE ({volatile})" if volatile else "*"
    newest = ""
    if contract.is_dated:
        newest = (
            f" WHERE as_of IN (SELECT DISTINCT as_of FROM {table} ORDER BY as_of DESC"
            f" LIMIT {_MOST_DATES if contract.has_segmentation else 1})"
        )
    elif name == "segment_kpis":
        newest = " QUALIFY kpi_date = max(kpi_date) OVER (PARTITION BY segmentation)"
    key = ", ".join(quote(column) for column in contract.key)
    query = f"SELECT {columns} FROM {table}{newest} ORDER BY {key}"
    rows: list[Row] = connection.sql(query).to_arrow_table().to_pylist()
    return rows
