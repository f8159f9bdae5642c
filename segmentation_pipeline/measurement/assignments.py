"""Who is in which strategy's experiment, in which arm, from when to when.

What belongs here: `core.strategy_assignments`, a row per customer and strategy that is written on
the first night on which the strategy is the customer's, and never again. What a customer does then,
in which segment they are, even a change of the playbook: nothing moves them (intention to treat).

A customer is in one strategy's experiment at a time, whatever the arm: were who is held out of one
given another, the two would be compared, and not the one with nothing. The strategy with the
smallest priority goes first; of equals, that of the segmentation that goes first
(`experiments.order`), then the one that stands first in its file.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence

from segmentation_pipeline.measurement.arms import (
    Environment,
    arm_sql,
    experiment_key,
    key_parameters,
)
from segmentation_pipeline.measurement.contact import (
    capped_customers_sql,
    permitted_customers_sql,
)
from segmentation_pipeline.measurement.customer_kpis import customer_kpi_sql
from segmentation_pipeline.measurement.experiments import (
    RunningExperiment,
    begin_experiments,
    create_experiments,
    running_experiments,
)
from segmentation_pipeline.measurement.exposures import exposures_sql, has_exposures
from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.source_checks import EXPOSURE_STATUSES
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    transaction,
    write_table,
)

ASSIGNMENTS = Table("core", "strategy_assignments")
STANDING = "temp.strategy_standing"
"""Tonight's customers of each strategy: how many are in each arm, and of each other one, whether
they may be in it and what is in the way."""

_ASSIGNMENTS_SQL = f"""
CREATE TABLE IF NOT EXISTS {ASSIGNMENTS.sql} (
    segmentation VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    customer_id VARCHAR NOT NULL,
    segment_id VARCHAR NOT NULL,
    is_typed BOOLEAN NOT NULL,
    arm VARCHAR NOT NULL,
    assigned_date DATE NOT NULL,
    end_date DATE NOT NULL,
    value_before DOUBLE
);
CREATE TABLE IF NOT EXISTS core.strategy_nights (as_of DATE PRIMARY KEY)
"""


def assign_strategies(
    connection: Connection,
    home: Home,
    ready: Collection[str],
    environment: Environment,
    build: Build,
) -> int:
    """Draw tonight's new customers of each strategy into arms; returns how many they are.

    `ready` are the segmentations whose segments and strategies are tonight's. It leaves `STANDING`
    behind, of which `audience` counts. A date before the newest one that was run draws nobody: its
    lists went out as they were. The same date again draws who is new since. One transaction.

    Raises SpecificationError where the key is not to be found.
    """
    create_assignments(connection)
    experiments = running_experiments(connection, home)
    with transaction(connection):
        with without_values("asking who may be contacted (`experiments.permission`)"):
            _make_standing(connection, home.customers, experiments, ready, build.as_of)
        drawn = 0
        if is_newest_night(connection, build.as_of):
            drawn = _draw(connection, home.customers, experiments, environment, build.as_of)
            _keep_values(connection, home, experiments, build.as_of)
        connection.execute("INSERT OR IGNORE INTO core.strategy_nights VALUES (?)", [build.as_of])
    return drawn


def forget_standing(connection: Connection) -> None:
    """Drop `STANDING`, once it has been counted: it has a row per customer and strategy."""
    connection.execute(f"DROP TABLE IF EXISTS {STANDING}")


def make_strategy_assignments(
    connection: Connection, customers: CustomersSpec, segmentation: str, build: Build
) -> int:
    """Write a segmentation's `strategy_assignments`, with what was sent to each customer so far.

    It tells of all dates at once: a past date that is run again takes nothing back. Returns the
    number of rows.
    """
    newest = connection.execute("SELECT max(as_of) FROM core.strategy_nights").fetchall()[0][0]
    as_of = max(newest or build.as_of, build.as_of)
    query = f"""
        SELECT
            strategy, customer_id, segment_id, is_typed, arm, assigned_date, end_date,
            {_sent_counts_sql(customers)}
        FROM {ASSIGNMENTS.sql}
        LEFT JOIN ({_sent_sql(customers, as_of)}) USING (segmentation, strategy, customer_id)
        WHERE segmentation = {literal(segmentation)}"""
    return write_table(connection, Table(segmentation, "strategy_assignments"), query, build)


def is_newest_night(connection: Connection, as_of: dt.date) -> bool:
    """Whether no later night was run: readings and draws are made on the newest one only."""
    create_assignments(connection)
    later = connection.execute(
        "SELECT 1 FROM core.strategy_nights WHERE as_of > ? LIMIT 1", [as_of]
    )
    return not later.fetchall()


def create_assignments(connection: Connection) -> None:
    """Create the tables of assignments where there are none."""
    create_experiments(connection)
    connection.execute(_ASSIGNMENTS_SQL)


def _make_standing(
    connection: Connection,
    customers: CustomersSpec,
    experiments: Sequence[RunningExperiment],
    ready: Collection[str],
    as_of: dt.date,
) -> None:
    """Make `STANDING`: a row for each arm, and for each customer who is in none."""
    date = literal(as_of)
    open_ones = [one for one in experiments if one.segmentation in ready and one.is_open(as_of)]
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE strategy_standing AS
        WITH eligible AS MATERIALIZED ({_eligible_sql(open_ones, as_of)}),
        permitted AS ({permitted_customers_sql(customers, as_of)}),
        capped AS ({capped_customers_sql(customers, as_of)}),
        busy AS (
            SELECT customer_id FROM {ASSIGNMENTS.sql}
            WHERE assigned_date <= {date} AND end_date > {date}
        )
        SELECT segmentation, strategy, arm, count(*) AS customers
        FROM eligible WHERE arm IS NOT NULL GROUP BY ALL
        UNION ALL BY NAME
        SELECT
            *,
            1 AS customers,
            customer_id IN (FROM permitted) AS is_permitted,
            customer_id IN (FROM capped) AS is_capped,
            customer_id IN (FROM busy) AS is_busy
        FROM eligible WHERE arm IS NULL""")


def _eligible_sql(experiments: Iterable[RunningExperiment], as_of: dt.date) -> str:
    """Select who is in a segment to which a strategy applies, with the arm and the precedence."""
    parts = [
        f"""
            SELECT
                c.customer_id, {literal(one.segmentation)} AS segmentation, s.strategy,
                c.segment_id, c.is_typed, s.priority, {one.place} AS place, s.rank, so_far.arm
            FROM {Table(one.segmentation, "customer_segments").sql} c
            JOIN {Table(one.segmentation, "segment_strategies").sql} s USING (segment_id)
            LEFT JOIN (
                SELECT customer_id, arm FROM {ASSIGNMENTS.sql}
                WHERE segmentation = {literal(one.segmentation)}
                    AND strategy = {literal(one.strategy)} AND assigned_date <= {literal(as_of)}
            ) so_far USING (customer_id)
            WHERE s.strategy = {literal(one.strategy)}"""
        for one in experiments
    ]
    if not parts:
        return (
            "SELECT NULL::VARCHAR AS customer_id, NULL::VARCHAR AS segmentation,"
            " NULL::VARCHAR AS strategy, NULL::VARCHAR AS segment_id, NULL::BOOLEAN AS is_typed,"
            " NULL::INTEGER AS priority, NULL::INTEGER AS place, NULL::INTEGER AS rank,"
            " NULL::VARCHAR AS arm WHERE FALSE"
        )
    return " UNION ALL ".join(parts)


def _draw(
    connection: Connection,
    customers: CustomersSpec,
    experiments: Sequence[RunningExperiment],
    environment: Environment,
    as_of: dt.date,
) -> int:
    """Assign whom nothing keeps from it, each to the first of their strategies."""
    if customers.experiments is None or not experiments:
        return 0
    key = key_parameters(experiment_key(customers.experiments, environment))
    declared = ", ".join(
        f"({literal(one.segmentation)}, {literal(one.strategy)},"
        f" {literal(one.experiment.hold_out)}, {one.experiment.days})"
        for one in experiments
    )
    arm = arm_sql(
        "segmentation || '.' || strategy", "hold_out", customers.experiments.global_hold_out
    )
    inserted = connection.execute(
        f"""
        INSERT INTO {ASSIGNMENTS.sql}
        SELECT
            segmentation, strategy, customer_id, segment_id, is_typed,
            {arm} AS arm, {literal(as_of)}, {literal(as_of)} + days, NULL
        FROM (
            FROM {STANDING}
            WHERE arm IS NULL AND is_permitted AND NOT is_capped AND NOT is_busy
            QUALIFY row_number() OVER (
                PARTITION BY customer_id ORDER BY priority, place, rank, strategy
            ) = 1
        )
        JOIN (VALUES {declared}) AS declared(segmentation, strategy, hold_out, days)
            USING (segmentation, strategy)""",
        key,
    ).fetchall()
    begun = connection.execute(
        f"SELECT DISTINCT segmentation, strategy FROM {ASSIGNMENTS.sql}"
        f" WHERE assigned_date = {literal(as_of)}"
    ).fetchall()
    begin_experiments(
        connection,
        [
            one
            for one in experiments
            if one.started_date is None and (one.segmentation, one.strategy) in begun
        ],
        as_of,
    )
    return int(inserted[0][0])


def _keep_values(
    connection: Connection, home: Home, experiments: Sequence[RunningExperiment], as_of: dt.date
) -> None:
    """Keep tonight's value of a goal that is an expression: later nights have its columns no more.

    A goal that is an aggregate of dated rows can be computed of any window, and isn't kept.
    """
    for one in experiments:
        goal = home.customers.kpis.get(one.goal_kpi)
        if goal is not None and goal.expression is not None:
            drawn = (
                f"assigned_date = {literal(as_of)} AND segmentation = {literal(one.segmentation)}"
                f" AND strategy = {literal(one.strategy)}"
            )
            people = f"SELECT customer_id FROM {ASSIGNMENTS.sql} WHERE {drawn}"
            values = customer_kpi_sql(home, one.goal_kpi, as_of, as_of, people)
            connection.execute(
                f"UPDATE {ASSIGNMENTS.sql} AS assigned SET value_before = kpi.numerator"
                f" FROM ({values}) AS kpi WHERE assigned.customer_id = kpi.customer_id AND {drawn}"
            )


def _sent_counts_sql(customers: CustomersSpec) -> str:
    """Select how often each status was told; nothing where no source tells."""
    is_known = has_exposures(customers)
    return ", ".join(
        (f"coalesce({status}_count, 0)" if is_known else "NULL::BIGINT") + f" AS {status}_count"
        for status in EXPOSURE_STATUSES
    )


def _sent_sql(customers: CustomersSpec, as_of: dt.date) -> str:
    """Count the exposures of each assignment, from the night of the draw to its end."""
    counts = ", ".join(
        f"count(*) FILTER (status = {literal(status)}) AS {status}_count"
        for status in EXPOSURE_STATUSES
    )
    return f"""
            SELECT segmentation, strategy, customer_id, {counts}
            FROM {ASSIGNMENTS.sql} JOIN ({exposures_sql(customers, as_of)})
                USING (strategy, customer_id)
            WHERE exposed_date BETWEEN assigned_date AND end_date
            GROUP BY ALL"""
