"""Cuts what `retention` of customers.yaml no longer keeps, at the end of a night.

What belongs here: rows of tables with a row per date, whole spells of `segment_history`, KPIs of
past dates, and the reports and logs of past nights. Rows of sources go when they are loaded
(`ingestion.expiry`), versions when one is published (`publication.keep_versions`).

Each cut is one transaction, and the same cut again finds nothing: a night that was killed needs no
repair. What nights compare with each other (who was in which segment, how many usually move, when
a model was refitted, the customers a model was fitted on) is in tables of its own or in the model,
and is not cut.
"""

import datetime as dt
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from segmentation_pipeline.contracts import CONTRACTS, Contract
from segmentation_pipeline.kept import keep_from
from segmentation_pipeline.measurement.kpi_inputs import kpi_inputs
from segmentation_pipeline.measurement.kpi_table import kpi_figures
from segmentation_pipeline.publication.gate import VALIDATION_RESULTS
from segmentation_pipeline.publication.plan import BEFORE, Plan
from segmentation_pipeline.segments.history import keep_history_from
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.retention import (
    CUT_AT_KPI_DATES,
    CUT_AT_SPELLS,
    kept_from,
)
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    has_table,
    literal,
    transaction,
)


def apply_retention(connection: Connection, home: Home, as_of: dt.date) -> dict[str, int]:
    """Cut the work tables of a home, for the newest date that was run; table -> rows that went.

    Published tables lose the same rows when they are published next.
    """
    cut = {}
    for name, first in _first_dates(home, as_of).items():
        with transaction(connection):
            rows = sum(_cut(connection, home, name, first))
            if name in (CUT_AT_SPELLS, CUT_AT_KPI_DATES):
                keep_from(connection, name, first)
        if rows:
            cut[name] = rows
    return cut


def is_kept_sql(home: Home, contract: Contract, as_of: dt.date) -> str:
    """Write the condition of the rows of a published table that are kept on a night."""
    keep = home.customers.retention.durations.get(contract.name)
    if keep is None:
        return "TRUE"
    first = literal(kept_from(keep, as_of))
    if contract.name == CUT_AT_SPELLS:
        return f"(valid_to IS NULL OR valid_to >= {first})"
    if contract.name == CUT_AT_KPI_DATES:
        return f"kpi_date >= {first}"
    return f"as_of >= {first}"


def outdated_rows(connection: Connection, home: Home, plan: Plan) -> dict[str, int]:
    """Count by table the rows of the version before, which is attached, that are kept no more."""
    counted = {}
    for name in sorted(home.customers.retention.durations):
        if plan.before is None or name not in plan.before.rows:
            continue
        outdated = f"NOT {is_kept_sql(home, CONTRACTS[name], plan.as_of)}"
        query = f"SELECT count(*) FROM {Table(BEFORE, name).sql} WHERE {outdated}"
        if rows := int(connection.execute(query).fetchall()[0][0]):
            counted[name] = rows
    return counted


def clear_past_nights(home: Home, as_of: dt.date) -> dict[str, int]:
    """Remove the reports and logs of nights that are over for so long; folder -> how many went."""
    retention, gone = home.customers.retention, {}
    for folder, keep in ((home.reports, retention.reports), (home.logs, retention.logs)):
        if keep is None:
            continue
        outdated = [path for date, path in _dated(folder) if date < kept_from(keep, as_of)]
        for path in outdated:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        if outdated:
            gone[folder.name] = len(outdated)
    return gone


def _first_dates(home: Home, as_of: dt.date) -> Mapping[str, dt.date]:
    durations = home.customers.retention.durations
    return {name: kept_from(keep, as_of) for name, keep in sorted(durations.items())}


def _cut(connection: Connection, home: Home, name: str, first: dt.date) -> Iterator[int]:
    """Delete from the work tables behind a published one; those of a night alone have no past."""
    if name == CUT_AT_SPELLS:
        for segmentation in home.segmentations:
            yield keep_history_from(connection, segmentation, first)
    elif name == CUT_AT_KPI_DATES:
        for segmentation in home.segmentations:
            _delete(connection, kpi_inputs(segmentation), "kpi_date", first)
            yield _delete(connection, kpi_figures(segmentation), "kpi_date", first)
    elif name == VALIDATION_RESULTS.name:
        yield _delete(connection, VALIDATION_RESULTS, "as_of", first)


def _delete(connection: Connection, table: Table, column: str, first: dt.date) -> int:
    if not has_table(connection, table):
        return 0
    query = f"DELETE FROM {table.sql} WHERE {column} < {literal(first)}"
    return int(connection.execute(query).fetchall()[0][0])


def _dated(folder: Path) -> Iterator[tuple[dt.date, Path]]:
    """List what is called by a date; whatever else somebody put there stays."""
    for path in sorted(folder.glob("????-??-??*")):
        name = path.name.removesuffix(".jsonl")
        try:
            yield dt.date.fromisoformat(name), path
        except ValueError:
            continue
