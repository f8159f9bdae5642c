"""Great Expectations suites as blocking asset checks: of what comes in, `customers`, the matrices.

They have a check for each expectation, and a step for each suite. A table that is made for readers
has one for its whole contract, in the step that makes it (`table_results`), since 350 checks more
were a third of a night's events. Every result is kept in `core.validation_results` too: publishing
reads there whether the very build that it publishes passed, since a check guards only the run that
it is part of.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import dagster as dg

from segmentation_pipeline.assets.cross_checks import look_across_sources
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.source_suites import Suite, last_load, raw_suite
from segmentation_pipeline.assets.sources import raw_key
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.publication import work_tables
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.validation import (
    Expectation,
    ExpectationResult,
    record_results,
    validate_table,
)
from segmentation_pipeline.validation.cross_sources import cross_source_expectations
from segmentation_pipeline.validation.customers_suites import customers_suite
from segmentation_pipeline.validation.last_load import distribution_expectation
from segmentation_pipeline.validation.source_suites import raw_source_suite
from segmentation_pipeline.validation.table_suites import feature_matrix_suite
from segmentation_pipeline.warehouse import Connection, Table, column_types, require_builds

MakeSuite = Callable[[Connection, dt.date], Suite]
LookFurther = Callable[
    [Connection, dt.date, Sequence[ExpectationResult]], Sequence[ExpectationResult]
]
"""Looks at more than the table itself, once its suite has its results."""


def validated_home_tables(home: Home) -> list[Table]:
    """List the tables of the home that must have passed their suite."""
    return [*(raw_table(name) for name in home.customers.sources), CUSTOMERS]


def validated_segmentation_tables(name: str) -> list[Table]:
    """List the tables of a segmentation that must have passed their suite."""
    return [Table(name, "feature_matrix"), *work_tables(name)]


def build_checks(home: Home) -> Sequence[dg.AssetChecksDefinition]:
    """Make the checks of every table that is validated in a step of its own."""
    first = home.customers.nights.first
    checks = []
    for name, source in home.customers.sources.items():
        distribution = distribution_expectation(name, source)
        checks.append(
            _table_checks(
                raw_key(name),
                raw_table(name),
                [
                    *raw_source_suite(name, source, first),
                    *([distribution] if distribution is not None else []),
                ],
                partial(raw_suite, name, source),
                partial(last_load, name, source),
            )
        )
    across = [e for one in cross_source_expectations(home.customers) for e in one.expectations]
    checks.append(
        _table_checks(
            dg.AssetKey(["customers"]),
            CUSTOMERS,
            [*customers_suite(home.customers, first), *across],
            partial(_customers_suite, home.customers),
            partial(_across_sources, home.customers),
        )
    )
    for name in home.segmentations:
        matrix = Table(name, "feature_matrix")
        checks.append(
            _table_checks(
                dg.AssetKey([name, "feature_matrix"]),
                matrix,
                feature_matrix_suite(()),
                partial(_matrix_suite, matrix),
            )
        )
    return checks


def _across_sources(
    spec: CustomersSpec,
    connection: Connection,
    as_of: dt.date,
    _results: Sequence[ExpectationResult],
) -> Sequence[ExpectationResult]:
    return look_across_sources(connection, spec, as_of)


def _customers_suite(spec: CustomersSpec, _connection: Connection, as_of: dt.date) -> Suite:
    return customers_suite(spec, as_of), None


def _matrix_suite(matrix: Table, connection: Connection, _as_of: dt.date) -> Suite:
    return feature_matrix_suite(tuple(column_types(connection, matrix))[1:]), None


def _table_checks(
    key: dg.AssetKey,
    table: Table,
    declared: Sequence[Expectation],
    make_suite: MakeSuite,
    look_further: LookFurther | None = None,
) -> dg.AssetChecksDefinition:
    """Make one op that runs a table's whole suite and tells each declared expectation's result.

    Of results that are not `declared`, column by column, the one that is about all of them tells.
    """
    specs = [
        dg.AssetCheckSpec(
            expectation.name,
            asset=key,
            description=expectation.description,
            blocking=expectation.severity == "error",
        )
        for expectation in declared
    ]

    told = {spec.name for spec in specs}

    @dg.multi_asset_check(name="__".join([*key.path, "suite"]), specs=specs)
    def suite(
        context: dg.AssetCheckExecutionContext, workshop: Workshop
    ) -> Iterator[dg.AssetCheckResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [table], build.as_of)
            expectations, where = make_suite(connection, build.as_of)
            as_of = None if look_further is None else build.as_of
            results = validate_table(connection, table, expectations, where=where, as_of=as_of)
            if look_further is not None:
                results = [*results, *look_further(connection, build.as_of, results)]
            record_results(connection, table, results, build)
        for result in results:
            if result.expectation.name in told:
                yield _check_result(key, result)

    return suite


def _check_result(key: dg.AssetKey, result: ExpectationResult) -> dg.AssetCheckResult:
    is_error = result.expectation.severity == "error"
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=result.expectation.name,
        passed=result.success,
        severity=dg.AssetCheckSeverity.ERROR if is_error else dg.AssetCheckSeverity.WARN,
        description=result.message,
        metadata={
            "evaluated_rows": result.evaluated_rows,
            "unexpected_rows": result.unexpected_rows,
            "unexpected_share": result.unexpected_share,
            "outcome": result.outcome,
        },
    )
