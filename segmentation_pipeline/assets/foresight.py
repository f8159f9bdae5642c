"""What would stop the next night before it makes features: for `segmentation check`.

Looked for on a copy of the warehouse that is thrown away, by what a night itself does: sources are
loaded, validated and made into customers, with the history that shares and volumes are judged by.
"""

import datetime as dt
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from segmentation_pipeline.assets.cross_checks import look_across_sources
from segmentation_pipeline.assets.source_suites import last_load, raw_suite
from segmentation_pipeline.errors import PipelineError, PreparationError
from segmentation_pipeline.ingestion import load_source, raw_table, snapshot_in_force
from segmentation_pipeline.preparation import CUSTOMERS, make_customers
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.validation import (
    ExpectationResult,
    blocking_failures,
    validate_table,
)
from segmentation_pipeline.validation.customers_suites import customers_suite
from segmentation_pipeline.warehouse import Build, Connection, Table, open_warehouse


def foreseen_stops(home: Home, as_of: dt.date, environment: Mapping[str, str]) -> list[str]:
    """Tell, in a sentence each, what would stop a night of a date; the home stays as it is.

    Nobody may be writing to the home. Raises SourceError for a file that no night can load, and
    PipelineError where there is no room for the copy.
    """
    limits = home.customers.limits
    with TemporaryDirectory() as folder:
        copied = Path(folder) / home.warehouse.name
        for file in (home.warehouse, home.warehouse.with_name(f"{home.warehouse.name}.wal")):
            _copy(file, copied.with_name(file.name))
        with open_warehouse(
            copied, memory_limit=limits.memory, threads=limits.threads
        ) as connection:
            return _stops(connection, home, Build(as_of, "check"), environment)


def _copy(file: Path, to: Path) -> None:
    if not file.exists():
        return
    try:
        shutil.copyfile(file, to)
    except OSError as error:
        raise PipelineError(
            f"{file}: cannot be copied to {to.parent} ({error.strerror}), where the next night was "
            "to be tried; TMPDIR names another folder"
        ) from None


def _stops(
    connection: Connection, home: Home, build: Build, environment: Mapping[str, str]
) -> list[str]:
    spec, as_of = home.customers, build.as_of
    found: list[str] = []
    for name, source in spec.sources.items():
        load_source(connection, home.path, name, source, build, environment)
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
        make_customers(connection, spec, snapshots, build)
    except PreparationError as error:
        return [str(error)]
    results = validate_table(connection, CUSTOMERS, customers_suite(spec, as_of), as_of=as_of)
    return _told(CUSTOMERS, [*results, *look_across_sources(connection, spec, as_of)])


def _told(table: Table, results: Iterable[ExpectationResult]) -> list[str]:
    """Say what stops, as a night's own message does."""
    return [
        f"{table}: {one.expectation.name}: {one.message}" for one in blocking_failures([*results])
    ]
