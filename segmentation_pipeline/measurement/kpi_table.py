"""`segment_kpis` as it is published, made of the figures of all dates.

What belongs here: what a specification says of a KPI beside its figures, and the change of KPIs
whose past nobody can measure. How figures are measured belongs to `kpis`.
"""

from collections.abc import Mapping

from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.warehouse import Table, literal


def kpi_figures(segmentation: str) -> Table:
    """Name the table of figures, which grows night by night."""
    return Table(segmentation, "kpi_figures")


def segment_kpis_sql(segmentation: str, kpis: Mapping[str, Kpi]) -> str:
    """Write the SELECT of `segment_kpis`: all dates, with what the specification says of a KPI.

    The change of an expression is against the row of `window_days` before. Both rows have an
    interval, and that of the difference is made of them (MOVER: Zou & Donner 2008, Statistics in
    Medicine 27), as if the customers were others: it is too wide where they are the same.
    """
    declared = ", ".join(
        "("
        + ", ".join(
            literal(value)
            for value in (
                name,
                kpi.kind,
                kpi.description,
                kpi.unit,
                kpi.higher_is_better,
                kpi.window_days,
                kpi.expression is not None,
            )
        )
        + ")"
        for name, kpi in kpis.items()
    )
    if not kpis:
        declared = f"({', '.join(['NULL'] * 7)})"
    figures = kpi_figures(segmentation).sql
    difference = "(f.value - b.value)"
    down = "sqrt((f.value - f.lower) ** 2 + (b.upper - b.value) ** 2)"
    up = "sqrt((f.upper - f.value) ** 2 + (b.value - b.lower) ** 2)"
    change = {
        "previous_value": "b.value",
        "change": difference,
        "change_lower": f"{difference} - {down}",
        "change_upper": f"{difference} + {up}",
    }
    compared = ", ".join(
        f"CASE WHEN is_expression THEN {sql} ELSE f.{name} END AS {name}"
        for name, sql in change.items()
    )
    return f"""
        WITH declared AS (
            SELECT name::VARCHAR AS kpi, kind::VARCHAR AS kind, description::VARCHAR AS description,
                unit::VARCHAR AS unit, is_better::BOOLEAN AS is_higher_better,
                days::INTEGER AS window_days, is_expression::BOOLEAN AS is_expression
            FROM (VALUES {declared})
                AS t(name, kind, description, unit, is_better, days, is_expression)
            WHERE name IS NOT NULL
        )
        SELECT f.segment_id, f.kpi, f.kpi_date, kind, description, unit, is_higher_better,
            window_days, f.customers, f.measured_customers, f.numerator, f.denominator, f.value,
            f.lower, f.upper, f.method, {compared}, f.is_suppressed
        FROM {figures} f JOIN declared USING (kpi)
        LEFT JOIN {figures} b ON is_expression AND b.kpi = f.kpi AND b.segment_id = f.segment_id
            AND b.kpi_date = f.kpi_date - window_days"""
