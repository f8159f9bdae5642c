"""What a night expects of a source's rows: its suite, and how they compare with the last load's."""

import datetime as dt
from collections.abc import Sequence

from segmentation_pipeline.ingestion import snapshot_in_force, usual_rows
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation import Expectation, ExpectationResult
from segmentation_pipeline.validation.last_load import compare_with_last_load
from segmentation_pipeline.validation.source_suites import raw_source_suite
from segmentation_pipeline.warehouse import Connection

Suite = tuple[Sequence[Expectation], str | None]
"""What is expected of a table, and of which of its rows (an SQL predicate; None: all)."""


def raw_suite(name: str, source: SourceSpec, connection: Connection, as_of: dt.date) -> Suite:
    """Look at the rows that the night will use: of a CRM table, those of the snapshot in force."""
    where, load_id = None, None
    if source.kind == "crm":
        # Whether that date may be approximated is for `customers` to say, not for its checks.
        load_id = snapshot_in_force(connection, name, source, as_of, approximate=True)
        where = f"load_id = {load_id}"
    usual = usual_rows(connection, name, source, as_of, load_id)
    return raw_source_suite(name, source, as_of, usual_rows=usual), where


def last_load(
    name: str,
    source: SourceSpec,
    connection: Connection,
    as_of: dt.date,
    results: Sequence[ExpectationResult],
) -> Sequence[ExpectationResult]:
    """Compare a source's new rows with those of the last load that passed."""
    load_id = None
    if source.kind == "crm":
        load_id = snapshot_in_force(connection, name, source, as_of, approximate=True)
    return compare_with_last_load(connection, name, source, as_of, load_id, results)
