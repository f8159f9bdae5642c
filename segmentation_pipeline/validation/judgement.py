"""From what was counted to a result: the verdict, its share and its sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.validation.expectations import (
    TABLE_LEVEL,
    Expectation,
    ExpectationResult,
)


@dataclass(frozen=True)
class Counts:
    """What was found of an expectation that ran: GX's verdict, and the numbers behind it.

    `observed` is the number of rows (`row_count_between`) or days (`freshness`).
    """

    success: bool
    evaluated_rows: int = 0
    unexpected_rows: int = 0
    observed: int | None = None
    missing_columns: tuple[str, ...] = ()
    surplus_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class DidNotRun:
    """Why an expectation could not run: the class of the exception, never its message."""

    exception: str


def judge_suite(
    expectations: Sequence[Expectation], found: Mapping[str, Counts | DidNotRun]
) -> list[ExpectationResult]:
    """Turn what was found (by name of the expectation) into results, in the suite's order.

    An expectation that did not run fails. So does a row-level one that had no row to evaluate,
    unless the suite allows that by a floor of zero: a row count of `minimum` 0 for an empty table,
    a `not_null` of `mostly` 0 for an empty column.
    """
    return [
        judge(e, found[e.name], may_be_empty=_may_be_empty(e, expectations, found))
        for e in expectations
    ]


def judge(
    expectation: Expectation,
    found: Counts | DidNotRun,
    *,
    may_be_empty: bool = False,
    message: str | None = None,
) -> ExpectationResult:
    """Turn what was found of one expectation into its result, as `judge_suite` does.

    `message` says it in another sentence than the usual one, where it ran.
    """
    if isinstance(found, DidNotRun):
        failure = f"could not run ({found.exception}), which is a failure"
        return ExpectationResult(expectation, False, 0, 0, 1.0, found.exception, failure)
    by_row = expectation.kind not in TABLE_LEVEL
    success = found.success and (not by_row or found.evaluated_rows > 0 or may_be_empty)
    return ExpectationResult(
        expectation=expectation,
        success=success,
        evaluated_rows=found.evaluated_rows,
        unexpected_rows=found.unexpected_rows,
        unexpected_share=(
            found.unexpected_rows / found.evaluated_rows
            if by_row and found.evaluated_rows
            else float(not success)
        ),
        exception=None,
        message=message or _usual_message(expectation, found),
    )


def _may_be_empty(
    expectation: Expectation,
    expectations: Sequence[Expectation],
    found: Mapping[str, Counts | DidNotRun],
) -> bool:
    floors = [e for e in expectations if e.kind == "row_count_between"]
    if any(isinstance(c := found[f.name], Counts) and c.observed == 0 for f in floors):
        return any(f.parameters.get("minimum") == 0 for f in floors)
    return any(
        e.kind == "not_null" and e.mostly == 0.0 and e.column in expectation.named_columns
        for e in expectations
    )


def _usual_message(expectation: Expectation, counts: Counts) -> str:
    if expectation.kind in TABLE_LEVEL:
        return _table_message(expectation, counts)
    return _rows_message(expectation, counts)


def _rows_message(expectation: Expectation, counts: Counts) -> str:
    if counts.evaluated_rows == 0:
        return "no row to evaluate"
    if counts.unexpected_rows == 0:
        return f"holds for all {counts.evaluated_rows} rows"
    return (
        f"{counts.unexpected_rows} of {counts.evaluated_rows} rows do not hold; "
        f"{100 * (1 - expectation.mostly):.4g} % may"
    )


def _table_message(expectation: Expectation, counts: Counts) -> str:
    parameters = expectation.parameters
    if expectation.kind == "row_count_between":
        wanted = " and ".join(
            f"{word} {parameters[bound]}"
            for word, bound in (("at least", "minimum"), ("at most", "maximum"))
            if bound in parameters
        )
        return f"{counts.observed} rows; expected {wanted}"
    if expectation.kind == "freshness":
        allowed = f"{parameters['maximum_age_days']} allowed"
        if counts.observed is None:
            return f"no date up to {parameters['as_of']}; {allowed}"
        return f"the newest date is {counts.observed} days old; {allowed}"
    if counts.success:
        return "the columns are there"
    said = [f"missing: {', '.join(counts.missing_columns)}"] if counts.missing_columns else []
    if expectation.kind == "columns_equal" and counts.surplus_columns:
        said.append(f"not expected: {', '.join(counts.surplus_columns)}")
    return "; ".join(said)
