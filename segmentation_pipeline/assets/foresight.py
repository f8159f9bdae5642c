"""What would stop the next night before it fits a model: for `segmentation check`.

Looked for on a copy of the warehouse that is thrown away, by what a night itself does: sources are
loaded, validated and made into customers, with the history that shares and volumes are judged by;
and customers into features, which may tell nothing.
"""

import datetime as dt
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from segmentation_pipeline.assets.cross_checks import look_across_sources
from segmentation_pipeline.assets.features import engineer_features, find_preparation
from segmentation_pipeline.assets.source_rows import bring_up_to_date
from segmentation_pipeline.assets.source_suites import last_load, raw_suite
from segmentation_pipeline.clustering.champion import champion_in_force
from segmentation_pipeline.errors import PipelineError, PreparationError
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.ingestion import raw_table, snapshot_in_force
from segmentation_pipeline.preparation import CUSTOMERS, make_customers
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.unused import unused_texts
from segmentation_pipeline.validation import (
    ExpectationResult,
    blocking_failures,
    validate_table,
)
from segmentation_pipeline.validation.customers_suites import customers_suite
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    DatabaseError,
    Table,
    column_types,
    open_warehouse,
)

_SPACE_FACTOR = 2
"""The copy, and as much for what the night adds: a first load of large files may need more, and is
then stopped by DuckDB, which is told."""
_NOT_TRIED = "the next night was not tried, the files alone were looked at"


def foreseen_stops(home: Home, as_of: dt.date, environment: Mapping[str, str]) -> list[str]:
    """Tell, in a sentence each, what would stop a night of a date; the home stays as it is.

    Raises SourceError for a file that no night can load, and PipelineError where the night can't be
    tried: there is no room for the copy, or somebody writes to the warehouse while it is copied.
    """
    limits = home.customers.limits
    with TemporaryDirectory(prefix="segmentation-check-") as folder:
        copied = _copied(home, Path(folder))
        try:
            with open_warehouse(
                copied, memory_limit=limits.memory, threads=limits.threads
            ) as connection:
                return _stops(connection, home, Build(as_of, "check"), environment)
        except DatabaseError as error:
            # Its message may quote a value.
            raise PipelineError(
                f"{_NOT_TRIED}: on the copy of the warehouse DuckDB stopped with "
                f"{type(error).__name__}; is there room left in {copied.parent.parent}?"
            ) from None


def _copied(home: Home, folder: Path) -> Path:
    """Copy the warehouse, with the log that a killed run may have left; there may be none yet."""
    warehouse = home.warehouse
    before = _states(warehouse)
    wanted = _SPACE_FACTOR * sum(size for size, _ in before.values())
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise PipelineError(
            f"{_NOT_TRIED}: {folder.parent} has {free // 10**6} MB free, and a copy of the "
            f"warehouse wants {wanted // 10**6} MB; make room, or let TMPDIR name another folder"
        )
    for file in before:
        try:
            shutil.copyfile(file, folder / file.name)
        except OSError as error:
            raise PipelineError(
                f"{_NOT_TRIED}: {file} cannot be copied to {folder.parent} ({error.strerror}); "
                "TMPDIR names another folder"
            ) from None
    if _states(warehouse) != before:
        raise PipelineError(
            f"{_NOT_TRIED}: a run began to write to {warehouse} while it was copied; try again "
            "when it has ended"
        )
    return folder / warehouse.name


def _states(warehouse: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of the files that a warehouse is made of."""
    files = (warehouse, warehouse.with_name(f"{warehouse.name}.wal"))
    found = {file: file.stat() for file in files if file.exists()}
    return {file: (state.st_size, state.st_mtime_ns) for file, state in found.items()}


def _stops(
    connection: Connection, home: Home, build: Build, environment: Mapping[str, str]
) -> list[str]:
    spec, as_of = home.customers, build.as_of
    found: list[str] = []
    for name, source in spec.sources.items():
        bring_up_to_date(connection, home, name, build, environment)
        expectations, where = raw_suite(name, source, connection, as_of)
        table = raw_table(name)
        results = validate_table(connection, table, expectations, where=where, as_of=as_of)
        further = last_load(name, source, connection, as_of, results)
        found += _told(table, [*results, *further])
    if found:
        return found
    snapshots = {
        name: snapshot_in_force(connection, name, source, as_of)
        for name, source in spec.sources.items()
        if source.kind == "crm"
    }
    try:
        make_customers(connection, spec, snapshots, build, unused_texts(home))
    except PreparationError as error:
        return [str(error)]
    results = validate_table(connection, CUSTOMERS, customers_suite(spec, as_of), as_of=as_of)
    found = _told(CUSTOMERS, [*results, *look_across_sources(connection, spec, as_of)])
    if found:
        return found
    return [
        f"{name}: {stop}"
        for name in home.segmentations
        if (stop := _stop_of_features(connection, home, name, build)) is not None
    ]


def _stop_of_features(connection: Connection, home: Home, name: str, build: Build) -> str | None:
    try:
        engineer_features(connection, home, name, build)
        champion = champion_in_force(connection, home, name, build.as_of)
        preparation = find_preparation(connection, home, name, champion)
        types = column_types(connection, Table(name, "engineered_features"))
        check_features(preparation, name, types)
    except PreparationError as error:
        return str(error)
    return None


def _told(table: Table, results: Iterable[ExpectationResult]) -> list[str]:
    """Say what stops, as a night's own message does."""
    return [
        f"{table}: {one.expectation.name}: {one.message}" for one in blocking_failures([*results])
    ]
