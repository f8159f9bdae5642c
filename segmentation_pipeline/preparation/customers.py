"""`core.customers`: one clean row per customer, made from the raw tables of the night."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.preparation.completion import complete
from segmentation_pipeline.preparation.counting import SourceCounts, count_source
from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.preparation.joining import (
    active_customers_sql,
    conflicts_sql,
    former_rows_sql,
    joined_sql,
    rows_column,
    shared_columns,
)
from segmentation_pipeline.preparation.limits import (
    check_customers,
    check_orphans,
    check_unreadable,
)
from segmentation_pipeline.preparation.repeats import write_left_out_rows
from segmentation_pipeline.preparation.report import ReportLine, write_cleaning_report
from segmentation_pipeline.preparation.rows import SourceRows
from segmentation_pipeline.preparation.temporary import TemporaryTables, temporary_tables
from segmentation_pipeline.preparation.visitors import write_visitor_spans
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    quote,
    require_builds,
    write_table,
)

CUSTOMERS = Table("core", "customers")
CUSTOMER_CONFLICTS = Table("core", "customer_conflicts")
NO_TEXTS: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True)
class CustomersSummary:
    """What was made, in counts.

    `left_out` customers lacked a required value or broke a quarantining expectation; `all_missing`
    names the columns of `customers` without any value.
    """

    customers: int
    left_out: int
    conflicts: int
    report_rows: int
    all_missing: tuple[str, ...]


def make_customers(
    connection: Connection,
    spec: CustomersSpec,
    snapshots: Mapping[str, int],
    build: Build,
    unused_texts: Mapping[str, Collection[str]] = NO_TEXTS,
) -> CustomersSummary:
    """Replace `core.customers`, `customer_conflicts`, `cleaning_report` and `left_out_rows`.

    The same raw rows give the same tables, whatever their order and the thread count; the order of
    a table's rows is not defined. `snapshots` holds, for each source of kind crm, the load_id of
    its snapshot in force. `unused_texts` are columns, by source, that the report is to tell of.

    Raises:
        StaleUpstreamError: a raw table is not of this night.
        PreparationError: too many orphans, unreadable values or customers left out, too few
            customers, or an SQL expression that fails. `customers` then stays as it was.

    """
    sources = [_source_rows(name, spec, snapshots, build) for name in spec.sources]
    require_builds(connection, [rows.raw for rows in sources], build.as_of)
    write_visitor_spans(connection, sources, build)
    write_left_out_rows(connection, sources, build)
    counts = []
    for rows in sources:
        with without_values(f"counting the rows of source `{rows.name}`"):
            unused = unused_texts.get(rows.name, ())
            counts.append(count_source(connection, rows, unused))
    check_unreadable(spec, [line for count in counts for line in count.lines])
    with temporary_tables(connection) as tables:
        with without_values("joining the sources"):
            active = _active_customers(tables, sources)
            joined = tables.make("joined_customers", joined_sql(spec, sources, active))
            former = _former_rows(connection, spec, sources, active, joined)
            lines = _source_lines(connection, spec, counts, former, joined)
        check_orphans(spec, lines)
        with without_values("completing `customers` and checking its expectations"):
            completed = complete(connection, tables, spec, joined, build.as_of)
        check_customers(spec, completed.lines)
        with without_values("writing `customers`"):
            customers = write_table(connection, CUSTOMERS, completed.query, build)
            conflicts = write_table(
                connection, CUSTOMER_CONFLICTS, conflicts_sql(spec, joined), build
            )
    lines += [*_conflict_lines(connection, spec, completed.joined_customers), *completed.lines]
    return CustomersSummary(
        customers=customers,
        left_out=completed.joined_customers - customers,
        conflicts=conflicts,
        report_rows=write_cleaning_report(connection, lines, build),
        all_missing=completed.all_missing,
    )


def _source_rows(
    name: str, spec: CustomersSpec, snapshots: Mapping[str, int], build: Build
) -> SourceRows:
    source = spec.sources[name]
    if source.kind == "crm" and name not in snapshots:
        raise PreparationError(
            f"source `{name}` has no snapshot in force on {build.as_of}: load one of that date or "
            "before, or allow `approximate_dates`"
        )
    return SourceRows(name, source, build.as_of, snapshots.get(name))


def _active_customers(tables: TemporaryTables, sources: list[SourceRows]) -> dict[str, str]:
    """Count the rows of each stream by customer; returns the relations for generated SQL."""
    return {
        rows.name: tables.make(f"active_customers_of_{rows.name}", active_customers_sql(rows))
        for rows in sources
        if not rows.source.is_attributes
    }


def _former_rows(
    connection: Connection,
    spec: CustomersSpec,
    sources: list[SourceRows],
    active: Mapping[str, str],
    joined: str,
) -> dict[str, int]:
    """Count each source's rows of people who left, where the base tells of them by snapshots."""
    (base,) = (rows for rows in sources if rows.name == spec.customers.base)
    if base.snapshot is None:
        return {}
    return {
        rows.name: connection.execute(former_rows_sql(base, rows, active, joined)).fetchall()[0][0]
        for rows in sources
        if rows is not base
    }


def _source_lines(
    connection: Connection,
    spec: CustomersSpec,
    counts: list[SourceCounts],
    former: Mapping[str, int],
    joined: str,
) -> list[ReportLine]:
    """Tell what was counted of each source, and how many of its rows met a customer."""
    kept_rows = ", ".join(
        f"coalesce(sum({quote(rows_column(count.source))}), 0)::BIGINT" for count in counts
    )
    kept = connection.execute(f"SELECT {kept_rows} FROM {joined}").fetchall()[0]
    base = spec.customers.base
    lines = []
    for count, kept_count in zip(counts, kept, strict=True):
        orphan = "without a customer's id" if count.source == base else f"of nobody in `{base}`"
        left = former.get(count.source, 0)
        orphans = count.counting_rows - kept_count - left
        lines += [
            *count.lines,
            ReportLine(
                count.source,
                None,
                "former_customer",
                f"of who left `{base}`: left out",
                left,
                count.counting_rows,
            ),
            ReportLine(
                count.source, None, "orphan", f"{orphan}: left out", orphans, count.counting_rows
            ),
            ReportLine(
                count.source, None, "kept", "rows of customers", kept_count, count.loaded_rows
            ),
        ]
    return lines


def _conflict_lines(
    connection: Connection, spec: CustomersSpec, customers: int
) -> list[ReportLine]:
    found = {
        (column, other): count
        for column, other, count in connection.execute(
            f"SELECT column_name, other_source, count(*) FROM {CUSTOMER_CONFLICTS.sql} GROUP BY ALL"
        ).fetchall()
    }
    return [
        ReportLine(
            other,
            column,
            "conflict",
            "another value than that of a more trusted source: not used",
            found.get((column, other), 0),
            customers,
        )
        for column, having in shared_columns(spec).items()
        for other in having[1:]
    ]
