"""What campaigns did: how often a strategy was sent, delivered, bounced, to whom and when."""

import datetime as dt

from segmentation_pipeline.preparation import events_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import quote


def has_exposures(customers: CustomersSpec) -> bool:
    """Whether a home knows what was sent."""
    return any(source.kind == "exposures" for source in customers.sources.values())


def exposures_sql(customers: CustomersSpec, as_of: dt.date) -> str:
    """Write the SELECT of `customer_id, strategy, status, exposed_date` of all exposures so far.

    Rows dated after `as_of` don't exist for it; it must be the date of `core.customers`.
    """
    parts = [
        f"SELECT customer_id, CAST(strategy AS VARCHAR) AS strategy, status,"
        f" CAST({quote(source.time or '')} AS DATE) AS exposed_date"
        f" FROM ({events_sql(name, source, as_of)})"
        for name, source in customers.sources.items()
        if source.kind == "exposures"
    ]
    if not parts:
        return (
            "SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS strategy,"
            " NULL::VARCHAR AS status, NULL::DATE AS exposed_date WHERE FALSE"
        )
    return " UNION ALL ".join(parts)
