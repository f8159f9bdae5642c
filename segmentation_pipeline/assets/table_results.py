"""What a step tells Dagster of a table that it made, and whether it is as its contract promises.

The contract is a blocking check in the step of its table: a step of its own for each of the
example's 66 contracts took 2.5 s of processor time of every night. Tried on Dagster 1.13: a check
that fails shows at its table, fails the step once all its tables are told, and so stops what comes
after any of them; a step that tells no result for a declared check fails, too; and neither the
table nor the check can be selected without the other.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from segmentation_pipeline.assets.metadata import Metadata, table_metadata
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.publication import work_tables
from segmentation_pipeline.validation import ExpectationResult, record_results, validate_table
from segmentation_pipeline.validation.table_suites import contract_suite
from segmentation_pipeline.warehouse import Build, Connection, Table

CONTRACT = "contract"


def contract_checks(name: str, *tables: str) -> list[dg.AssetCheckSpec]:
    """Declare the checks that a step has which makes these tables of a segmentation."""
    return [
        dg.AssetCheckSpec(
            CONTRACT,
            asset=[name, table],
            description="Rows, columns, keys and values are as readers are promised.",
            blocking=True,
        )
        for table in tables
        if _is_promised(Table(name, table))
    ]


def table_result(
    connection: Connection,
    table: Table,
    rows: int,
    build: Build,
    metadata: Metadata | None = None,
    *,
    checks: Sequence[dg.AssetCheckResult] = (),
    tags: dict[str, str] | None = None,
) -> dg.MaterializeResult:
    """Tell of a segmentation's table, and look at its contract if it has one.

    `metadata` and `checks` are told besides. What the contract's check found is kept in
    `core.validation_results` too, under the run that made the table. Where a night dies before
    that, the table has no results: it is not published until its step has run again.
    """
    promised = [_contract_result(connection, table, build)] if _is_promised(table) else []
    return dg.MaterializeResult(
        asset_key=[table.schema, table.name],
        metadata={**table_metadata(connection, table, rows), **(metadata or {})},
        check_results=[*promised, *checks],
        tags=tags,
    )


def _is_promised(table: Table) -> bool:
    return table in work_tables(table.schema)


def _contract_result(connection: Connection, table: Table, build: Build) -> dg.AssetCheckResult:
    results = validate_table(connection, table, contract_suite(CONTRACTS[table.name]))
    record_results(connection, table, results, build)
    failed = [result for result in results if not result.success]
    return dg.AssetCheckResult(
        asset_key=[table.schema, table.name],
        check_name=CONTRACT,
        passed=not failed,
        description="; ".join(f"{one.expectation.name}: {one.message}" for one in failed)
        or f"all {len(results)} expectations hold",
        metadata={"expectations": _shown_results(results)},
    )


def _shown_results(results: Sequence[ExpectationResult]) -> dg.MetadataValue[Any]:
    """Show each expectation with its counts."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "expectation": result.expectation.name,
                    "holds": result.success,
                    "evaluated_rows": result.evaluated_rows,
                    "unexpected_rows": result.unexpected_rows,
                }
            )
            for result in results
        ]
    )
