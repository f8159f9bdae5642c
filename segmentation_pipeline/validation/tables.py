"""Runs a suite on a table: counts come back, values never leave DuckDB.

What Great Expectations would let pass is refused: here a suite that is empty, or that an empty
table would pass, and an expectation that could not run; in `judgement` one that looked at nothing.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from segmentation_pipeline.errors import ValidationFailedError
from segmentation_pipeline.validation.expectations import (
    COUNTED_ELSEWHERE,
    Expectation,
    ExpectationResult,
)
from segmentation_pipeline.validation.judgement import Counts, DidNotRun, judge_suite
from segmentation_pipeline.warehouse import (
    Connection,
    DatabaseError,
    Table,
    column_types,
    literal,
)

if TYPE_CHECKING:
    from segmentation_pipeline.validation.duckdb_batches import OneConnectionEngine
    from segmentation_pipeline.validation.quiet_great_expectations import Batch


def validate_table(
    connection: Connection,
    table: Table,
    expectations: Sequence[Expectation],
    *,
    where: str | None = None,
    as_of: dt.date | None = None,
) -> list[ExpectationResult]:
    """Run a suite on a table or view, inside DuckDB; one result for each expectation, in order.

    The suite must have a `row_count_between` with a `minimum`; what else makes an expectation fail
    is told at `judgement.judge_suite`. `where` chooses rows by an SQL predicate (those of one
    snapshot, for instance); `as_of` is a column of that name for predicates that speak of it. Runs
    on a cursor of `connection`, which stays as it was; uncommitted changes are not seen.

    Raises:
        ValidationFailedError: the suite is empty, has no floor for the number of rows, or two of
            its expectations have one name; or there is no such table.

    """
    _require_sound_suite(table, expectations)
    found: dict[str, Counts | DidNotRun] = {}
    with connection.cursor() as cursor:
        try:
            present = set(column_types(cursor, table))
        except DatabaseError as error:
            raise ValidationFailedError(
                f"{table} cannot be read ({type(error).__name__}): make it, then validate it again"
            ) from None
        for expectation in expectations:
            fault = _find_fault(expectation, present)
            if fault is not None:
                found[expectation.name] = fault
        runnable = [e for e in expectations if e.name not in found]
        if runnable:
            relation = _relation_sql(table, where, as_of)
            found |= _run(cursor, relation, runnable)
    return judge_suite(expectations, found)


def _require_sound_suite(table: Table, expectations: Sequence[Expectation]) -> None:
    if not expectations:
        raise ValidationFailedError(f"{table} has no expectations: an empty suite proves nothing")
    names = [e.name for e in expectations]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValidationFailedError(f"{table} has several expectations named {', '.join(twice)}")
    elsewhere = sorted(e.name for e in expectations if e.kind in COUNTED_ELSEWHERE)
    if elsewhere:
        raise ValidationFailedError(
            f"{table}: {', '.join(elsewhere)} look at other tables too: counted elsewhere"
        )
    if not any(e.kind == "row_count_between" and "minimum" in e.parameters for e in expectations):
        raise ValidationFailedError(
            f"{table} has no floor for its number of rows, and most expectations hold for an empty "
            "table: add a row_count_between with a minimum"
        )


def _find_fault(expectation: Expectation, present: set[str]) -> DidNotRun | None:
    if expectation.kind in ("columns_exist", "columns_equal"):
        return None
    return None if set(expectation.named_columns) <= present else DidNotRun("MissingColumn")


def _relation_sql(table: Table, where: str | None, as_of: dt.date | None) -> str:
    dated = "" if as_of is None else f", {literal(as_of)} AS as_of"
    return f"SELECT *{dated} FROM {table.sql}" + (f" WHERE ({where}\n)" if where else "")


def _run(
    cursor: Connection, relation: str, expectations: Sequence[Expectation]
) -> dict[str, Counts | DidNotRun]:
    from segmentation_pipeline.validation.duckdb_batches import open_batch

    with open_batch(cursor, relation) as (batch, engine):
        return _evaluate(batch, engine, expectations)


def _evaluate(
    batch: "Batch", engine: "OneConnectionEngine", expectations: Sequence[Expectation]
) -> dict[str, Counts | DidNotRun]:
    """Evaluate all at once; those that raised again in halves, until the faulty one is alone.

    GX bundles the counts of a suite into one SELECT, so one fault fails them all.
    """
    from segmentation_pipeline.validation.duckdb_batches import VALIDATED
    from segmentation_pipeline.validation.quiet_great_expectations import gx
    from segmentation_pipeline.validation.remembering import remembered_configurations
    from segmentation_pipeline.validation.translation import (
        RESULT_FORMAT,
        read_counts,
        to_great_expectations,
    )

    engine.last_error = None
    by_name = {e.name: e for e in expectations}
    suite = gx.ExpectationSuite(
        name=VALIDATED, expectations=[to_great_expectations(e, VALIDATED) for e in expectations]
    )
    found: dict[str, Counts | DidNotRun] = {}
    with remembered_configurations():
        results = batch.validate(suite, result_format=RESULT_FORMAT).results
    for result in results:
        configuration = result.expectation_config
        if configuration is not None and result.result:  # which is empty where it raised
            name = configuration.meta["name"]
            found[name] = read_counts(by_name[name], bool(result.success), result.result)
    raised = [e for e in expectations if e.name not in found]
    if raised and len(expectations) == 1:
        return {raised[0].name: DidNotRun(engine.last_error or "MetricError")}
    middle = len(raised) // 2
    for part in (raised[:middle], raised[middle:]):
        if part:
            found |= _evaluate(batch, engine, part)
    return found
