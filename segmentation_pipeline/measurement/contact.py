"""Who may be contacted tonight: permission, and how often they were contacted before."""

import datetime as dt

from segmentation_pipeline.measurement.exposures import exposures_sql
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.experiments import FrequencyCap
from segmentation_pipeline.warehouse import literal


def permitted_customers_sql(customers: CustomersSpec, as_of: dt.date) -> str:
    """Write the SELECT of each `customer_id` with permission; NULL is none."""
    if customers.experiments is None:
        return "SELECT NULL::VARCHAR AS customer_id WHERE FALSE"
    # The line break ends a comment at the end of the predicate.
    return (
        f"SELECT customer_id FROM (SELECT *, {literal(as_of)} AS as_of FROM {CUSTOMERS.sql})"
        f" WHERE ({customers.experiments.permission}\n)"
    )


def capped_customers_sql(customers: CustomersSpec, as_of: dt.date) -> str:
    """Write the SELECT of each `customer_id` that has reached one of the frequency caps.

    A contact is a row `sent`, of any strategy, in the cap's last days up to `as_of`.
    """
    caps = customers.experiments.frequency_caps if customers.experiments is not None else []
    if not caps:
        return "SELECT NULL::VARCHAR AS customer_id WHERE FALSE"
    reached = " OR ".join(_reached_sql(cap, as_of) for cap in caps)
    return (
        f"SELECT customer_id FROM ({exposures_sql(customers, as_of)})"
        f" WHERE status = 'sent' GROUP BY customer_id HAVING {reached}"
    )


def _reached_sql(cap: FrequencyCap, as_of: dt.date) -> str:
    first = literal(as_of - dt.timedelta(days=cap.days))
    return f"count(*) FILTER (exposed_date > {first}) >= {cap.maximum_contacts}"
