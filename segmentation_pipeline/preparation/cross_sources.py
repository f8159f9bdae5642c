"""What holds between sources, counted: ids that another source knows, rows beside their customer.

Counts only. What is expected, and what follows from a count, belongs to `validation` and `assets`.
All questions that a source is asked are answered by one look at its rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.ingestion.loads import SOURCE_LOADS
from segmentation_pipeline.preparation.customers import CUSTOMERS
from segmentation_pipeline.preparation.rows import (
    SourceRows,
    counting_rows_sql,
    existing_rows_sql,
)
from segmentation_pipeline.specification.expectations import CUSTOMERS_ALIAS
from segmentation_pipeline.warehouse import Connection, literal, quote


@dataclass(frozen=True)
class KnownIds:
    """Of the different ids of a source: how many another one knows, or knew in an earlier snapshot.

    `former` ids are among the `known` ones. Erased customers are in neither source.
    """

    ids: int
    known: int
    former: int


@dataclass(frozen=True)
class RowsBeside:
    """Of the rows of a source whose customer is in `customers`: how many break a predicate."""

    rows: int
    broken: int


def count_known_ids(
    connection: Connection, rows: SourceRows, others: Sequence[SourceRows]
) -> list[KnownIds]:
    """Count a source's ids, and for each other source those that it knows; on rows that exist.

    Of a source of kind crm, a snapshot of an earlier date than the one in force knows former
    customers. Memory is that of the different ids, and spills.
    """
    counts = ["count(*)"]
    for other in others:
        now, ever = _is_in_sql(_ids_sql(other)), _is_in_sql(_ids_ever_sql(other))
        counts += [f"count(*) FILTER ({ever})", f"count(*) FILTER ({ever} AND NOT {now})"]
    (found,) = connection.execute(
        f"SELECT {', '.join(counts)} FROM ({_ids_sql(rows)}) AS named"
    ).fetchall()
    ids, *pairs = (int(count) for count in found)
    return [
        KnownIds(ids, known, former) for known, former in zip(pairs[::2], pairs[1::2], strict=True)
    ]


def count_beside_customers(
    connection: Connection, rows: SourceRows, predicates: Sequence[str]
) -> list[RowsBeside]:
    """Count the rows that break each predicate, among those that count and have a customer.

    A predicate reads the row as it was loaded, under the source's name, and `customers`; one that
    is NULL holds. It reads `core.left_out_rows`, which `make_customers` makes for the same night.
    """
    # The line break ends a comment at the end of a predicate.
    broken = "".join(f", count(*) FILTER (WHERE NOT ({predicate}\n))" for predicate in predicates)
    own = quote(rows.name)
    (found,) = connection.execute(
        f"SELECT count(*){broken} FROM ({counting_rows_sql(rows)}) AS {own}"
        f" JOIN {CUSTOMERS.sql} AS {quote(CUSTOMERS_ALIAS)}"
        f" ON {own}.customer_id = {quote(CUSTOMERS_ALIAS)}.customer_id"
    ).fetchall()
    total, *counts = (int(count) for count in found)
    return [RowsBeside(total, count) for count in counts]


def _ids_sql(rows: SourceRows) -> str:
    return (
        f"SELECT DISTINCT customer_id FROM ({existing_rows_sql(rows)})"
        " WHERE customer_id IS NOT NULL"
    )


def _ids_ever_sql(rows: SourceRows) -> str:
    """Write the query of the ids that a source has or had; of a stream that is the same."""
    if rows.snapshot is None:
        return _ids_sql(rows)
    return (
        f"SELECT customer_id FROM {rows.raw.sql} WHERE customer_id IS NOT NULL AND load_id IN ("
        f"SELECT load_id FROM {SOURCE_LOADS.sql} WHERE source = {literal(rows.name)} AND"
        f" snapshot_date <= (SELECT snapshot_date FROM {SOURCE_LOADS.sql}"
        f" WHERE load_id = {literal(rows.snapshot)}))"
    )


def _is_in_sql(ids: str) -> str:
    return f"named.customer_id IN ({ids})"
