"""How the sources become one row per customer, and where they disagree.

The joined relation has one row per customer of the base source: its columns, each the first value
by precedence; `has_<source>`; and, for counting, `<source> rows`, the rows it has of a customer,
and `<source>.<column>` of the columns that several sources have (no declared name has a blank or
a dot).
"""

from collections.abc import Mapping, Sequence

from segmentation_pipeline.preparation.rows import SourceRows, cleaned_rows_sql, counting_rows_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.warehouse import literal, quote

_ROWS = "source rows"


def active_customers_sql(rows: SourceRows) -> str:
    """Write the query of how many rows of a stream each customer has."""
    return (
        f"SELECT customer_id, count(*) AS {quote(_ROWS)} FROM ({counting_rows_sql(rows)})"
        " GROUP BY customer_id"
    )


def former_rows_sql(
    base: SourceRows, rows: SourceRows, active: Mapping[str, str], joined: str
) -> str:
    """Write the query of how many rows of a source are of who was a customer once.

    Those are the keys of snapshots of `base` that were loaded before the one in force.
    """
    return (
        f"SELECT coalesce(sum({quote(_ROWS)}), 0)::BIGINT FROM ({_one_row_sql(rows, active)})"
        f" ANTI JOIN {joined} USING (customer_id) SEMI JOIN (SELECT customer_id FROM {base.raw.sql}"
        f" WHERE load_id < {literal(base.snapshot)}) AS former USING (customer_id)"
    )


def joined_sql(
    spec: CustomersSpec, sources: Sequence[SourceRows], active: Mapping[str, str]
) -> str:
    """Write the query of the joined relation.

    `active` names, for each stream, the relation of `active_customers_sql`.
    """
    base = spec.customers.base
    queries = {rows.name: _one_row_sql(rows, active) for rows in sources}
    joins = [
        f" LEFT JOIN ({query}) AS {quote(name)}"
        f" ON {quote(base)}.customer_id = {quote(name)}.customer_id"
        for name, query in queries.items()
        if name != base
    ]
    selected = [f"{quote(base)}.customer_id"]
    selected += [
        f"coalesce({', '.join(_qualified(source, column) for source in having)}) AS {quote(column)}"
        for column, having in spec.columns_by_source().items()
    ]
    selected += [
        f"{quote(name)}.customer_id IS NOT NULL AS {quote(f'has_{name}')}" for name in queries
    ]
    selected += [f"{_qualified(name, _ROWS)} AS {quote(rows_column(name))}" for name in queries]
    selected += [
        f"{_qualified(source, column)} AS {quote(f'{source}.{column}')}"
        for column, having in shared_columns(spec).items()
        for source in having
    ]
    return (
        f"SELECT {', '.join(selected)} FROM ({queries[base]})"
        f" AS {quote(base)}{''.join(joins)} WHERE {quote(base)}.customer_id IS NOT NULL"
    )


def conflicts_sql(spec: CustomersSpec, joined: str) -> str:
    """Write the query of where a less trusted source has another value than the one that is kept.

    Columns: customer_id, column_name, kept_source, other_source; never the values.
    """
    queries = [
        _conflict_sql(column, having, other, joined)
        for column, having in shared_columns(spec).items()
        for other in having[1:]
    ]
    if not queries:
        nothing = ", ".join(
            f"NULL::VARCHAR AS {name}"
            for name in ("customer_id", "column_name", "kept_source", "other_source")
        )
        return f"SELECT {nothing} WHERE FALSE"
    return " UNION ALL ".join(queries)


def rows_column(source: str) -> str:
    """Name the joined column that says how many rows a source has of a customer."""
    return f"{source} rows"


def shared_columns(spec: CustomersSpec) -> dict[str, list[str]]:
    """Column -> its sources, the most trusted first, where there are several."""
    return {name: having for name, having in spec.columns_by_source().items() if len(having) > 1}


def _one_row_sql(rows: SourceRows, active: Mapping[str, str]) -> str:
    if rows.name in active:
        return f"SELECT * FROM {active[rows.name]}"
    cleaned = cleaned_rows_sql(rows, rows.source.attribute_columns)
    return f"SELECT *, 1 AS {quote(_ROWS)} FROM ({cleaned})"


def _qualified(source: str, column: str) -> str:
    return f"{quote(source)}.{quote(column)}"


def _conflict_sql(column: str, having: Sequence[str], other: str, joined: str) -> str:
    kept_source = " ".join(
        f"WHEN {quote(f'{source}.{column}')} IS NOT NULL THEN {literal(source)}"
        for source in having
    )
    return (
        f"SELECT customer_id, {literal(column)} AS column_name,"
        f" CASE {kept_source} END AS kept_source, {literal(other)} AS other_source"
        f" FROM {joined} WHERE {quote(f'{other}.{column}')} <> {quote(column)}"
    )
