"""Raw tables -> one clean row per customer, and what was done to make it so.

`rows` says which rows of a source count on a night, `repeats` which of them say the same thing or
have been overtaken, `values` which values are possible and how categories are spelled, `joining`
how sources meet, `completion` what a missing value becomes, `report` how all of this is told, and
`customers` does it. What a customer's events add up to belongs to `features`, which reads them
through `events_sql`.
"""

from segmentation_pipeline.preparation.customers import (
    CUSTOMER_CONFLICTS,
    CUSTOMERS,
    CustomersSummary,
    make_customers,
)
from segmentation_pipeline.preparation.report import CLEANING_REPORT
from segmentation_pipeline.preparation.rows import LEFT_OUT_ROWS, events_sql

__all__ = [
    "CLEANING_REPORT",
    "CUSTOMERS",
    "CUSTOMER_CONFLICTS",
    "LEFT_OUT_ROWS",
    "CustomersSummary",
    "events_sql",
    "make_customers",
]
