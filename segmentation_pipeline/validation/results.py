"""Results as rows of `core.validation_results`, and those among them that stop a night."""

from collections.abc import Sequence
from typing import Any

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.validation.expectations import ExpectationResult
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    quote,
    record_build,
    require_builds,
    transaction,
)

VALIDATION_RESULTS = Table("core", "validation_results")


def blocking_failures(results: Sequence[ExpectationResult]) -> list[ExpectationResult]:
    """Find the failures that stop what comes after: those of severity `error`."""
    return [r for r in results if not r.success and r.expectation.severity == "error"]


def validation_results_rows(
    made: Build, table: Table, results: Sequence[ExpectationResult]
) -> list[dict[str, Any]]:
    """Make the rows of `core.validation_results`, one for each expectation.

    `made` is the build of the table, so that its rows tell which very table was looked at.
    `column_name` lists the columns where an expectation looks at several, and is None at none.
    """
    return [
        {
            "as_of": made.as_of,
            "run_id": made.run_id,
            "table_name": str(table),
            "expectation": result.expectation.name,
            "kind": result.expectation.kind,
            "column_name": ", ".join(result.expectation.named_columns) or None,
            "severity": result.expectation.severity,
            "success": result.success,
            "evaluated_rows": result.evaluated_rows,
            "unexpected_rows": result.unexpected_rows,
            "unexpected_share": result.unexpected_share,
            "message": result.message,
            "outcome": result.outcome,
        }
        for result in results
    ]


def record_results(
    connection: Connection, table: Table, results: Sequence[ExpectationResult], build: Build
) -> None:
    """Keep a table's results for its date, in place of earlier ones of that table and date.

    They are noted under the run that made the table, not the one that looked at it: a check run
    again alone speaks of the same table still. `build` says for which date.

    Raises:
        StaleUpstreamError: the table was made for another date, or never.

    """
    made = require_builds(connection, [table], build.as_of)[table]
    columns = CONTRACTS[VALIDATION_RESULTS.name].columns
    declared = ", ".join(
        f"{quote(c.name)} {c.type}{'' if c.is_nullable else ' NOT NULL'}" for c in columns
    )
    rows = validation_results_rows(made, table, results)
    # One statement: `executemany` took half a second of a night.
    places = ", ".join(["(" + ", ".join("?" for _ in columns) + ")"] * len(rows))
    values = [row[column.name] for row in rows for column in columns]
    with transaction(connection):
        connection.execute(f"CREATE TABLE IF NOT EXISTS {VALIDATION_RESULTS.sql} ({declared})")
        # An earlier release made the table without it; `IF NOT EXISTS` leaves any other alone.
        connection.execute(
            f"ALTER TABLE {VALIDATION_RESULTS.sql} ADD COLUMN IF NOT EXISTS outcome VARCHAR"
        )
        connection.execute(
            f"DELETE FROM {VALIDATION_RESULTS.sql} WHERE as_of = ? AND table_name = ?",
            [made.as_of, str(table)],
        )
        names = ", ".join(quote(column.name) for column in columns)
        connection.execute(
            f"INSERT INTO {VALIDATION_RESULTS.sql} ({names}) VALUES {places}", values
        )
        record_build(connection, VALIDATION_RESULTS, build)
