"""Who is to be contacted tonight, by which strategy: what campaign tools get.

A list has the treated customers whose time in the experiment isn't over, without those who may not
be contacted tonight, have had their share of contacts, or are customers no more. Who is left out so
stays in the arm.
"""

from segmentation_pipeline.measurement.assignments import ASSIGNMENTS, create_assignments
from segmentation_pipeline.measurement.contact import (
    capped_customers_sql,
    permitted_customers_sql,
)
from segmentation_pipeline.measurement.experiments import running_experiments
from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_table

STRATEGY_LISTS = Table("core", "strategy_lists")


def make_strategy_lists(connection: Connection, home: Home, build: Build) -> int:
    """Write `core.strategy_lists` (segmentation, strategy, customer_id); returns its rows.

    A strategy that is no experiment of the playbook any more has no list.
    """
    create_assignments(connection)
    customers = home.customers
    date = literal(build.as_of)
    running = [
        f"(segmentation = {literal(one.segmentation)} AND strategy = {literal(one.strategy)})"
        for one in running_experiments(connection, home)
    ]
    query = f"""
        SELECT segmentation, strategy, customer_id
        FROM {ASSIGNMENTS.sql}
        SEMI JOIN ({permitted_customers_sql(customers, build.as_of)}) AS permitted
            USING (customer_id)
        ANTI JOIN ({capped_customers_sql(customers, build.as_of)}) AS capped USING (customer_id)
        WHERE arm = 'treated' AND assigned_date <= {date} AND end_date > {date}
            AND ({" OR ".join(running) or "FALSE"})"""
    with without_values("asking who may be contacted (`experiments.permission`)"):
        return write_table(connection, STRATEGY_LISTS, query, build)
