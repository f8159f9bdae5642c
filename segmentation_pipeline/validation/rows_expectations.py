"""Expectations of ours for GX: rows counted by an SQL aggregate, and the age of the newest date.

GX's `UnexpectedRowsExpectation` has no `mostly`, fetches up to 200 of the rows that it finds, and
runs two queries for each. An aggregate is one more column of the one SELECT into which GX bundles
the counts of a suite, and fetches a number.
"""

from typing import Any, ClassVar

import sqlalchemy as sa

from segmentation_pipeline.validation.quiet_great_expectations import (
    BatchExpectation,
    MetricDomainTypes,
    MetricPartialFunctionTypes,
    SqlAlchemyExecutionEngine,
    TableMetricProvider,
    metric_partial,
)


class _SqlAggregate(TableMetricProvider):
    """A number that an SQL aggregate gives; the aggregate is the metric's one value key."""

    @metric_partial(
        engine=SqlAlchemyExecutionEngine,
        partial_fn_type=MetricPartialFunctionTypes.AGGREGATE_FN,
        domain_type=MetricDomainTypes.TABLE,
    )
    def _sqlalchemy(  # GX passes the class as a keyword
        cls,  # noqa: N805
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        **_: Any,
    ) -> tuple[sa.ColumnElement[int], dict[str, Any], dict[str, Any]]:
        (key,) = cls.value_keys
        # Not sa.text, which would read the `:name` of a predicate as a parameter.
        return sa.literal_column(metric_value_kwargs[key]), metric_domain_kwargs, {}


class EvaluatedRows(_SqlAggregate):
    """How many rows an expectation applies to."""

    metric_name = "rows.evaluated"
    value_keys = ("evaluated_sql",)


class UnexpectedRows(_SqlAggregate):
    """How many of them do not hold."""

    metric_name = "rows.unexpected"
    value_keys = ("unexpected_sql",)


class NewestAge(_SqlAggregate):
    """How many days old the newest date is; None without a date."""

    metric_name = "rows.age_days"
    value_keys = ("age_days_sql",)


class ExpectRowsToHold(BatchExpectation):
    """Of the rows counted by `evaluated_sql`, at least `mostly` are not in `unexpected_sql`."""

    evaluated_sql: str
    unexpected_sql: str
    mostly: float = 1.0

    metric_dependencies: ClassVar[tuple[str, ...]] = ("rows.evaluated", "rows.unexpected")
    success_keys: ClassVar[tuple[str, ...]] = ("evaluated_sql", "unexpected_sql", "mostly")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 (GX's signature)
        execution_engine: Any = None,  # noqa: ARG002
    ) -> Any:
        evaluated, unexpected = metrics["rows.evaluated"], metrics["rows.unexpected"]
        return {
            # The quotient, as GX's own expectations have it: 900 / 1000 >= 0.9 is exact.
            "success": evaluated == 0 or (evaluated - unexpected) / evaluated >= self.mostly,
            "result": {"element_count": evaluated, "unexpected_count": unexpected},
        }


class ExpectNewestDateToBeRecent(BatchExpectation):
    """There is a date, and it is at most `maximum_age_days` days old."""

    evaluated_sql: str
    age_days_sql: str
    maximum_age_days: int

    metric_dependencies: ClassVar[tuple[str, ...]] = ("rows.evaluated", "rows.age_days")
    success_keys: ClassVar[tuple[str, ...]] = ("evaluated_sql", "age_days_sql", "maximum_age_days")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,  # noqa: ARG002 (GX's signature)
        execution_engine: Any = None,  # noqa: ARG002
    ) -> Any:
        age = metrics["rows.age_days"]
        return {
            "success": age is not None and age <= self.maximum_age_days,
            "result": {"element_count": metrics["rows.evaluated"], "observed_value": age},
        }
