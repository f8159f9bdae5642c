"""How segments and strategies fall on columns marked sensitive, which nobody was grouped by.

What belongs here: the shares and what is withheld of them. Which cells of a table of counts are
withheld belongs to `suppression`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.segments.suppression import Counts, Hidden, hidden_cells
from segmentation_pipeline.specification.columns import MISSING_CATEGORY, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.strategies import NO_STRATEGY
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    literal,
    quote,
    write_rows,
)

_SCHEMA = pa.schema(
    {
        "group_kind": pa.string(),
        "group_name": pa.string(),
        "column_name": pa.string(),
        "category": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "overall_share": pa.float64(),
        "ratio": pa.float64(),
        "is_suppressed": pa.bool_(),
    }
)
_MOST_CATEGORIES = 50
_OTHER = "other"
"""What the rarest categories of a column are counted as, where it has more than that."""
_QUARTERS = ("1st quarter (lowest)", "2nd quarter", "3rd quarter", "4th quarter (highest)")


@dataclass(frozen=True)
class CountedColumn:
    """Customers by group and category, and which of the counts are withheld.

    `hidden` has one more row than `counts`, for everybody.
    """

    segments: Sequence[str]
    categories: Sequence[str]
    counts: Counts
    hidden: Hidden


def make_sensitive_shares(
    connection: Connection, name: str, customers: CustomersSpec, build: Build
) -> int:
    """Write `sensitive_shares`: a row per sensitive column, category, and segment or strategy.

    A personal column is left out, since its values never leave the warehouse, and so is one of
    events, of which a customer has many. Numbers and dates are told by the quarters of all
    customers, texts by whether there is one. Returns the number of rows.
    """
    rows = [
        row
        for column, declared in customers.customer_columns().items()
        if declared.sensitive and not declared.personal
        for row in _column_rows(connection, name, column, declared, customers)
    ]
    return write_rows(connection, Table(name, "sensitive_shares"), _SCHEMA, rows, build)


def _column_rows(
    connection: Connection,
    name: str,
    column: str,
    declared: ColumnSpec,
    customers: CustomersSpec,
) -> Iterator[dict[str, Any]]:
    category = _category_sql(connection, column, declared, customers.limits.table_customers)
    counted = _counted(connection, name, category, customers.limits.smallest_group)
    groups = [("segment", segment, [index]) for index, segment in enumerate(counted.segments)]
    groups += [
        ("strategy", strategy, [counted.segments.index(segment) for segment in segments])
        for strategy, segments in _segments_by_strategy(connection, name).items()
    ]
    everybody = counted.counts.sum(axis=0)
    for kind, group, members in groups:
        size = int(counted.counts[members].sum())
        for index, found in enumerate(counted.categories):
            # A strategy's figure is the sum of its segments': it tells nothing that they don't.
            is_hidden = bool(counted.hidden[members, index].any())
            is_total_hidden = bool(counted.hidden[-1, index])
            count = int(counted.counts[members, index].sum())
            overall = int(everybody[index]) / int(everybody.sum())
            yield {
                "group_kind": kind,
                "group_name": group,
                "column_name": column,
                "category": found,
                "customers": None if is_hidden else count,
                "share": None if is_hidden else count / size,
                "overall_share": None if is_total_hidden else overall,
                "ratio": None if is_hidden or is_total_hidden else count / size / overall,
                "is_suppressed": is_hidden or is_total_hidden,
            }


def _counted(
    connection: Connection, name: str, category_sql: str, smallest_group: int
) -> CountedColumn:
    """Count customers by segment and category, in the order of their names."""
    found = connection.execute(
        f"SELECT segment_id, {category_sql} AS category, count(*)"
        f" FROM {Table(name, 'customer_segments').sql} JOIN {CUSTOMERS.sql} USING (customer_id)"
        " GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    sizes: dict[str, int] = {}
    for _, category, customers in found:
        sizes[category] = sizes.get(category, 0) + customers
    by_size = sorted(sizes, key=lambda category: (-sizes[category], category))
    categories = sorted(sizes)
    if len(categories) > _MOST_CATEGORIES:
        told = [category for category in by_size if category != _OTHER]
        categories = [*sorted(told[: _MOST_CATEGORIES - 1]), _OTHER]
    segments = sorted({segment_id for segment_id, _, _ in found})
    counts = np.zeros((len(segments), len(categories)), dtype=np.int64)
    places = {category: index for index, category in enumerate(categories)}
    rows = {segment_id: index for index, segment_id in enumerate(segments)}
    for segment_id, category, customers in found:
        counts[rows[segment_id], places.get(category, len(categories) - 1)] += customers
    hidden = hidden_cells(counts, smallest_group, has_total_row=True)
    return CountedColumn(segments, categories, counts, hidden)


def _category_sql(
    connection: Connection, column: str, declared: ColumnSpec, quartile_customers: int
) -> str:
    """Write the expression of a customer's category of a column."""
    value = quote(column)
    if declared.type == "category":
        return f"coalesce({value}, {literal(MISSING_CATEGORY)})"
    cases = [f"WHEN {value} IS NULL THEN {literal(MISSING_CATEGORY)}"]
    if declared.type == "boolean":
        cases += [f"WHEN {value} THEN 'yes'", "ELSE 'no'"]
    elif declared.type == "text":
        cases.append("ELSE 'given'")
    else:
        bounds = _quartiles(connection, column, quartile_customers)
        cases += [
            f"WHEN {value} <= {literal(bound)}::{column_types(connection, CUSTOMERS)[column]}"
            f" THEN {literal(quarter)}"
            for bound, quarter in zip(bounds, _QUARTERS, strict=False)
        ]
        cases.append(f"ELSE {literal(_QUARTERS[-1])}")
    return f"CASE {' '.join(cases)} END"


def _quartiles(connection: Connection, column: str, quartile_customers: int) -> list[str]:
    """Find three values that divide all customers, or a sample of many by a hash of the id."""
    total = connection.execute(f"SELECT count(*) FROM {CUSTOMERS.sql}").fetchall()[0][0]
    sampled = ""
    if total > quartile_customers:
        bound = int(quartile_customers / total * 2**64)
        sampled = f" AND md5_number_lower(customer_id) < {bound}::UBIGINT"
    (row,) = connection.execute(
        f"SELECT quantile_disc({quote(column)}, [0.25, 0.5, 0.75]) FROM {CUSTOMERS.sql}"
        f" WHERE {quote(column)} IS NOT NULL{sampled}"
    ).fetchall()
    return [str(bound) for bound in row[0] or ()]


def _segments_by_strategy(connection: Connection, name: str) -> Mapping[str, list[str]]:
    rows = connection.execute(
        "SELECT strategy, list(segment_id ORDER BY segment_id)"
        f" FROM {Table(name, 'segment_strategies').sql} WHERE strategy <> ?"
        " GROUP BY strategy ORDER BY strategy",
        [NO_STRATEGY],
    ).fetchall()
    return dict(rows)
