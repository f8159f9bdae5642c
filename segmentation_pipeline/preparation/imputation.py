"""What a missing value of a customer becomes, as SQL over the customers that stay.

All of it is the same for any row order and thread count. A median is found by sorting (which
spills, where an exact quantile would hold every value in memory); it is the value in the middle, or
halfway between the two in the middle; of integers it is the lower of the two. A mode is found by
counting; of equally frequent values it is the lowest.
"""

from collections.abc import Mapping

from segmentation_pipeline.specification.columns import (
    MISSING_CATEGORY,
    SQL_TYPES,
    ColumnSpec,
    Imputation,
)
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import literal, quote


def imputed_columns(spec: CustomersSpec) -> dict[str, Imputation]:
    """Column -> what its missing values become, where they become something."""
    return {
        name: column.impute
        for name, column in spec.customer_columns().items()
        if column.impute is not None and column.impute.method != "exclude_customer"
    }


def fills_sql(spec: CustomersSpec, customers: str, present: Mapping[str, int]) -> str:
    """Write the query of one row: what a missing value of each imputed column becomes.

    `customers` is the query of the customers that stay, `present` says how many of them have a
    value. Where nobody has one, median and mode are NULL.
    """
    columns = spec.customer_columns()
    fills = [
        f"CAST({_fill_sql(name, columns[name], imputation, customers, present[name])}"
        f" AS {SQL_TYPES[columns[name].type]}) AS {quote(name)}"
        for name, imputation in imputed_columns(spec).items()
    ]
    return f"SELECT {', '.join(fills)}"


def _fill_sql(
    name: str, column: ColumnSpec, imputation: Imputation, customers: str, present: int
) -> str:
    match imputation.method:
        case "constant":
            return literal(imputation.value)
        case "missing_category":
            return literal(MISSING_CATEGORY)
        case "median":
            return _median_sql(name, customers, present, is_integer=column.type == "integer")
        case "mode":
            return _mode_sql(name, customers)
        case "exclude_customer":
            raise NotImplementedError("who lacks such a value is left out before")


def _median_sql(name: str, customers: str, present: int, *, is_integer: bool) -> str:
    is_one_value = is_integer or present % 2 == 1
    # Halves are added, since the sum of the two may be too large for a DOUBLE.
    median = "min(value)" if is_one_value else "min(value) / 2 + max(value) / 2"
    return (
        f"(SELECT {median} FROM ("
        f"SELECT {quote(name)} AS value FROM ({customers}) WHERE {quote(name)} IS NOT NULL"
        f" ORDER BY value LIMIT {1 if is_one_value else 2} OFFSET {max(present - 1, 0) // 2}))"
    )


def _mode_sql(name: str, customers: str) -> str:
    return (
        f"(SELECT {quote(name)} FROM ({customers}) WHERE {quote(name)} IS NOT NULL"
        f" GROUP BY {quote(name)} ORDER BY count(*) DESC, {quote(name)} LIMIT 1)"
    )
