"""The KPI of each customer in the arms of an experiment, before the draw and after it.

What belongs here: reading. Which customers are compared and how belongs to `effects`. A customer's
window begins on the day after the draw, and the one of the past ends on the night of the draw: what
is compared has happened after, what it is adjusted by before. A KPI that is an expression has its
past in the assignment, since `customers` holds tonight's columns only.
"""

import datetime as dt
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.measurement.assignments import ASSIGNMENTS
from segmentation_pipeline.measurement.compared import Arm
from segmentation_pipeline.measurement.customer_kpis import (
    KpiWindow,
    denominator_column,
    kpi_values_sql,
    numerator_column,
)
from segmentation_pipeline.measurement.experiments import RunningExperiment
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection, literal, quote

Floats = NDArray[np.float64]

_FIGURES = ("numerator", "denominator", "before", "before_denominator")


@dataclass(frozen=True, eq=False)
class ArmValues:
    """The customers of an experiment who count for its effect, in the order of their ids.

    All arrays are (n,); NaN is no value. `denominator` and `before_denominator` are NaN unless the
    KPI is a ratio.
    """

    segment_ids: NDArray[np.object_]
    is_treated: NDArray[np.bool_]
    numerator: Floats
    denominator: Floats
    before: Floats
    before_denominator: Floats

    def arms(self, segment_id: str | None, *, is_ratio: bool) -> tuple[Arm, Arm]:
        """Give the treated and those held out, of a segment or (None) of all."""
        chosen = self.within(segment_id)
        treated, control = (
            self._arm(chosen & rows, is_ratio=is_ratio)
            for rows in (self.is_treated, ~self.is_treated)
        )
        return treated, control

    def within(self, segment_id: str | None) -> NDArray[np.bool_]:
        """Mark the customers of a segment, or (None) all."""
        if segment_id is None:
            return np.ones(self.is_treated.size, dtype=np.bool_)
        return np.equal(self.segment_ids, segment_id).astype(np.bool_)

    def _arm(self, rows: NDArray[np.bool_], *, is_ratio: bool) -> Arm:
        return Arm(
            numerator=self.numerator[rows],
            denominator=self.denominator[rows] if is_ratio else None,
            before=self.before[rows],
            before_denominator=self.before_denominator[rows] if is_ratio else None,
        )


def read_arm_values(
    connection: Connection,
    home: Home,
    one: RunningExperiment,
    *,
    until: dt.date,
    days_back: int = 0,
) -> ArmValues:
    """Read the KPI of everybody drawn up to `until`, typed customers left out.

    Of more than `limits.sample_customers` in an arm, those with the smallest hash are read. With
    `days_back` all windows lie so many days earlier: the experiment as if it had been then.
    """
    dates = [
        date
        for (date,) in connection.execute(
            f"SELECT DISTINCT assigned_date FROM ({_cohort_sql(home, one, until)})"
            " ORDER BY assigned_date"
        ).fetchall()
    ]
    back, day = dt.timedelta(days=days_back), dt.timedelta(days=1)
    window = dt.timedelta(days=one.experiment.days)
    kpi = home.customers.kpis[one.goal_kpi]
    parts = []
    for date in dates:
        windows = {"after": KpiWindow(kpi, date + day - back, date + window - back)}
        before = "value_before AS before, NULL AS before_denominator"
        if kpi.expression is None:
            windows["past"] = windows["after"].before
            before = _columns_sql("past", "before", "before_denominator")
        # Whoever is no customer any more has no value, not a value of 0.
        drawn = (
            f"SELECT customer_id FROM cohort SEMI JOIN {CUSTOMERS.sql} USING (customer_id)"
            f" WHERE assigned_date = {literal(date)}"
        )
        parts.append(f"""
            SELECT
                cohort.customer_id, segment_id, is_treated,
                {_columns_sql("after", "numerator", "denominator")},
                {before}
            FROM cohort
            LEFT JOIN (
                {kpi_values_sql(home.customers, windows, drawn, is_few=True)}
            ) AS kpi USING (customer_id)
            WHERE assigned_date = {literal(date)}""")
    if not parts:
        return ArmValues(
            np.empty(0, dtype=np.object_),
            np.empty(0, dtype=np.bool_),
            *(np.empty(0) for _ in _FIGURES),
        )
    figures = ", ".join(f"coalesce({name}, 'nan')::DOUBLE AS {name}" for name in _FIGURES)
    found = connection.sql(
        f"WITH cohort AS MATERIALIZED ({_cohort_sql(home, one, until)})"
        f" SELECT segment_id, is_treated, {figures} FROM ({' UNION ALL '.join(parts)})"
        " ORDER BY customer_id"
    ).to_arrow_table()
    return ArmValues(
        *(
            found[name].to_numpy(zero_copy_only=False)
            for name in ("segment_id", "is_treated", *_FIGURES)
        )
    )


def _columns_sql(window: str, numerator: str, denominator: str) -> str:
    """Select the two parts of the KPI in a window under these names."""
    return (
        f"kpi.{quote(numerator_column(window))} AS {numerator},"
        f" kpi.{quote(denominator_column(window))} AS {denominator}"
    )


def _cohort_sql(home: Home, one: RunningExperiment, until: dt.date) -> str:
    """Select who counts for the effect of an experiment."""
    return (
        "SELECT customer_id, segment_id, arm = 'treated' AS is_treated, assigned_date, value_before"
        f" FROM {ASSIGNMENTS.sql} WHERE segmentation = {literal(one.segmentation)}"
        f" AND strategy = {literal(one.strategy)} AND NOT is_typed"
        f" AND arm IN ('treated', 'hold_out') AND assigned_date <= {literal(until)}"
        # The hash says nothing of the arm, so that a sample of each is one of its customers.
        " QUALIFY row_number() OVER (PARTITION BY arm ORDER BY md5('effect:' || customer_id))"
        f" <= {home.customers.limits.sample_customers}"
    )
