"""The suite of `customers`, which follows from what its sources promise.

Its names are the same whatever the date and the data: each is a check of the Dagster graph.
"""

import datetime as dt
from collections.abc import Sequence

from segmentation_pipeline.specification.columns import MISSING_CATEGORY, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.validation.derived import (
    declared_expectation,
    not_null,
    possible,
    row_floor,
    share_left,
    unique,
)
from segmentation_pipeline.validation.expectations import Expectation
from segmentation_pipeline.warehouse import quote


def customers_suite(spec: CustomersSpec, as_of: dt.date) -> list[Expectation]:
    """Say what `customers` must satisfy: what the sources promise, after cleaning, in full.

    Impossible values and unlisted categories are gone, imputed columns have no gaps, and a column
    that is left with gaps has no more of them, among the customers whom one of its sources knows,
    than were allowed to be missing or impossible there.
    """
    has_source = tuple(f"has_{source}" for source in spec.sources)
    suite = [
        row_floor(spec.customers.minimum_customers, "at least `minimum_customers` customers"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=("customer_id", *spec.customer_columns(), *has_source),
            description="the key, every column of the sources and a mark per source are there",
        ),
        not_null("customer_id", 1.0, "a customer has an id"),
        unique(("customer_id",), "one row per customer"),
    ]
    sources_of = spec.columns_by_source()
    for column, declared in spec.customer_columns().items():
        suite.append(_gaps(column, declared, spec, sources_of[column]))
        imputed = _imputed(declared)
        number = None if isinstance(imputed, str) else imputed
        suite += possible(column, declared, as_of, 1.0, number)
        if declared.categories is not None:
            also = (imputed,) if isinstance(imputed, str) else ()
            suite.append(
                Expectation(
                    f"{column}__in_set",
                    "in_set",
                    column,
                    parameters={"values": (*declared.categories, *also)},
                    description="the category is listed",
                )
            )
    return [*suite, *map(declared_expectation, spec.customers.expectations)]


def _gaps(
    column: str, declared: ColumnSpec, spec: CustomersSpec, sources: Sequence[str]
) -> Expectation:
    if declared.impute is not None:
        return not_null(column, 1.0, "no gap is left by the imputation")
    allowed = max(
        one.maximum_null_share + one.maximum_rejected_share
        for one in (spec.sources[source].clean_columns[column] for source in sources)
    )
    if allowed >= 1.0:
        return not_null(column, 0.0, "may be missing everywhere")
    known = " OR ".join(quote(f"has_{source}") for source in sources)
    return Expectation(
        f"{column}__not_null",
        "row_predicate",
        parameters={"predicate": f"{quote(column)} IS NOT NULL", "where": known},
        mostly=share_left(allowed),
        description="where a source knows the customer, no more is missing than it may lack",
    )


def _imputed(declared: ColumnSpec) -> str | float | bool | None:
    """What an imputation writes, where that is known before the night."""
    if declared.impute is None:
        return None
    return (
        MISSING_CATEGORY if declared.impute.method == "missing_category" else declared.impute.value
    )
