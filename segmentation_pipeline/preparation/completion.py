"""From the joined relation to `customers`: who is left out, and what is filled in.

Who lacks a value of a column with `exclude_customer` is left out first, so that `median` and `mode`
are those of the customers that stay; then gaps are filled; then who breaks an expectation of
`customers` with `quarantine: row` is left out.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.preparation.counting import count_first_met
from segmentation_pipeline.preparation.imputation import fills_sql, imputed_columns
from segmentation_pipeline.preparation.report import JOINED, ReportLine
from segmentation_pipeline.preparation.rows import RowCheck, quarantine_checks
from segmentation_pipeline.preparation.temporary import TemporaryTables
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import Connection, literal, quote


@dataclass(frozen=True)
class Completed:
    """The query of `customers`, and what it does: `lines` are those of the joined table."""

    query: str
    lines: list[ReportLine]
    joined_customers: int
    all_missing: tuple[str, ...]


def complete(
    connection: Connection,
    tables: TemporaryTables,
    spec: CustomersSpec,
    joined: str,
    as_of: dt.date,
) -> Completed:
    """Make the query of `customers` over the joined relation, and count what it does."""
    required = _required_columns(spec)
    total, lacking = count_first_met(
        connection, joined, [f"{quote(name)} IS NULL" for name in required]
    )
    staying, staying_sql = total - sum(lacking), _staying_sql(joined, required)
    present = _count_values(connection, spec, staying_sql)
    filled_sql, filled = _fill(connection, tables, spec, staying_sql, present)
    dated_sql = f"SELECT *, {literal(as_of)} AS as_of FROM ({filled_sql})"
    checks = quarantine_checks(spec.customers.expectations)
    breaking = count_first_met(connection, f"({dated_sql})", [c.condition for c in checks])[1]
    all_missing = tuple(name for name, count in present.items() if not count)
    lines = [
        ReportLine(JOINED, None, "loaded", f"customers of `{spec.customers.base}`", total, total)
    ]
    lines += [
        ReportLine(JOINED, name, "excluded", "has no value: customer left out", count, total)
        for name, count in zip(required, lacking, strict=True)
    ]
    lines += [
        ReportLine(JOINED, None, check.step, check.description, count, staying)
        for check, count in zip(checks, breaking, strict=True)
    ]
    lines += [
        ReportLine(
            JOINED,
            name,
            "imputed",
            f"had no value: filled by {imputation.method}",
            staying - present[name] if name in filled else 0,
            staying,
        )
        for name, imputation in imputed_columns(spec).items()
    ]
    lines += [
        ReportLine(JOINED, name, "all_missing", "nobody has a value", staying, staying)
        for name in all_missing
    ]
    kept = staying - sum(breaking)
    lines.append(ReportLine(JOINED, None, "kept", "customers", kept, total))
    return Completed(_kept_sql(dated_sql, checks), lines, total, all_missing)


def _required_columns(spec: CustomersSpec) -> list[str]:
    """List the columns without which a customer is left out."""
    return [
        name
        for name, column in spec.customer_columns().items()
        if column.impute is not None and column.impute.method == "exclude_customer"
    ]


def _staying_sql(joined: str, required: Sequence[str]) -> str:
    where = " AND ".join(f"{quote(name)} IS NOT NULL" for name in required)
    return f"SELECT * FROM {joined}" + (f" WHERE {where}" if where else "")


def _count_values(connection: Connection, spec: CustomersSpec, staying_sql: str) -> dict[str, int]:
    """Count the customers that have a value, for each column of `customers`."""
    columns = list(spec.customer_columns())
    counts = ", ".join(["count(*)", *(f"count({quote(name)})" for name in columns)])
    found = connection.execute(f"SELECT {counts} FROM ({staying_sql})").fetchall()[0]
    return dict(zip(columns, found[1:], strict=True))


def _fill(
    connection: Connection,
    tables: TemporaryTables,
    spec: CustomersSpec,
    staying_sql: str,
    present: Mapping[str, int],
) -> tuple[str, set[str]]:
    """Write the query of the customers that stay, gaps filled; name the columns that have a fill.

    The query has the columns of `customers` and no others.
    """
    imputed = list(imputed_columns(spec))
    fills, filled = "", set()
    if imputed:
        relation = tables.make("fills_of_customers", fills_sql(spec, staying_sql, present))
        fills = f" CROSS JOIN {relation} AS fills"
        is_filled = ", ".join(f"{quote(name)} IS NOT NULL" for name in imputed)
        found = connection.execute(f"SELECT {is_filled} FROM {relation}").fetchall()[0]
        filled = {name for name, is_there in zip(imputed, found, strict=True) if is_there}
    values = [
        f"coalesce(staying.{quote(name)}, fills.{quote(name)}) AS {quote(name)}"
        if name in imputed
        else f"staying.{quote(name)}"
        for name in spec.customer_columns()
    ]
    flags = [f"staying.{quote(f'has_{name}')}" for name in spec.sources]
    selected = ", ".join(["staying.customer_id", *values, *flags])
    return f"SELECT {selected} FROM ({staying_sql}) AS staying{fills}", filled


def _kept_sql(dated_sql: str, checks: Sequence[RowCheck]) -> str:
    where = " AND ".join(f"({check.condition}) IS NOT TRUE" for check in checks)
    return f"SELECT * EXCLUDE (as_of) FROM ({dated_sql})" + (f" WHERE {where}" if where else "")
