"""From our expectations to those of Great Expectations, and from its results to counts.

GX's own expectations are used where they are right inside DuckDB, ours (`rows_expectations`) where
GX has none, or where it is wrong or slow (`counting_sql` says why).
"""

from typing import Any

from segmentation_pipeline.validation.counting_sql import (
    age_days_sql,
    evaluated_rows_sql,
    unexpected_rows_sql,
)
from segmentation_pipeline.validation.expectations import Expectation
from segmentation_pipeline.validation.judgement import Counts
from segmentation_pipeline.validation.quiet_great_expectations import (
    BatchExpectation,
    ExpectColumnValuesToBeBetween,
    ExpectColumnValuesToBeInSet,
    ExpectTableColumnsToMatchSet,
    ExpectTableRowCountToBeBetween,
)
from segmentation_pipeline.validation.rows_expectations import (
    ExpectNewestDateToBeRecent,
    ExpectRowsToHold,
)

RESULT_FORMAT = {
    "result_format": "BASIC",
    "exclude_unexpected_values": True,
    "partial_unexpected_count": 0,
}
"""Counts, no values. BOOLEAN_ONLY has no counts; this format's queries for values say LIMIT 0."""


def to_great_expectations(expectation: Expectation, relation: str) -> BatchExpectation:
    """Write an expectation as one of GX; its name goes along as `meta["name"]`."""
    parameters, mostly = expectation.parameters, expectation.mostly
    told: dict[str, Any] = {
        "meta": {"name": expectation.name},
        "severity": "critical" if expectation.severity == "error" else "warning",
    }
    bounds: dict[str, Any] = {
        "min_value": parameters.get("minimum"),
        "max_value": parameters.get("maximum"),
    }
    column = expectation.column or ""
    match expectation.kind:
        case "row_count_between":
            return ExpectTableRowCountToBeBetween(**bounds, **told)
        case "columns_exist" | "columns_equal":
            return ExpectTableColumnsToMatchSet(
                # In quotation marks, since GX ignores the case of other names.
                column_set=[f'"{name}"' for name in expectation.columns],
                exact_match=expectation.kind == "columns_equal",
                **told,
            )
        case "in_set":
            return ExpectColumnValuesToBeInSet(
                column=column, value_set=list(parameters["values"]), mostly=mostly, **told
            )
        case "between":
            return ExpectColumnValuesToBeBetween(column=column, mostly=mostly, **bounds, **told)
        case "freshness":
            return ExpectNewestDateToBeRecent(
                evaluated_sql=evaluated_rows_sql(expectation),
                age_days_sql=age_days_sql(expectation),
                maximum_age_days=parameters["maximum_age_days"],
                **told,
            )
        case _:
            return ExpectRowsToHold(
                evaluated_sql=evaluated_rows_sql(expectation),
                unexpected_sql=unexpected_rows_sql(expectation, relation),
                mostly=mostly,
                **told,
            )


def read_counts(expectation: Expectation, success: bool, result: dict[str, Any]) -> Counts:
    """Read the counts of a GX result, and nothing else of it."""
    match expectation.kind:
        case "row_count_between":
            rows = int(result["observed_value"])
            return Counts(success, evaluated_rows=rows, observed=rows)
        case "columns_exist" | "columns_equal":
            mismatched = result.get("details", {}).get("mismatched", {})
            return Counts(
                success,
                missing_columns=tuple(name[1:-1] for name in mismatched.get("missing", ())),
                surplus_columns=tuple(mismatched.get("unexpected", ())),
            )
        case "freshness":
            return Counts(success, int(result["element_count"]), observed=result["observed_value"])
        case _:
            evaluated = int(result["element_count"]) - int(result.get("missing_count") or 0)
            return Counts(success, evaluated, int(result["unexpected_count"] or 0))
