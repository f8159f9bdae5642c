"""Rows that repeat another, or were overtaken by one: `core.left_out_rows`.

An exact duplicate equals another row in every declared column, as loaded. Of events that may be
ten million, so copies are looked for by a 64-bit hash, and only rows that share one are compared:
10 million rows of four columns take 2.7 s of processor time and 680 MB, once a night. SELECT
DISTINCT would take 1.9 s and 840 MB, more for wider rows, in each segmentation that reads them.

Where a customer has one row, that is the latest (or first) one; of several of the same date, or
without dates, the one with the most values, then the one that sorts lowest by its values, column
by column as declared. So which row is taken depends on what rows say, never on their order.
"""

from collections.abc import Sequence

from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.preparation.rows import LEFT_OUT_ROWS, SourceRows, existing_rows_sql
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    literal,
    quote,
    record_build,
    transaction,
)


def write_left_out_rows(connection: Connection, sources: Sequence[SourceRows], build: Build) -> int:
    """Replace `core.left_out_rows`; returns its rows.

    One source at a time: the hash tables of several at once would not fit into the memory limit.
    """
    with transaction(connection):
        connection.execute(
            f"CREATE OR REPLACE TABLE {LEFT_OUT_ROWS.sql}"
            " (source VARCHAR, load_id BIGINT, source_row BIGINT, step VARCHAR)"
        )
        for rows in sources:
            if rows.source.duplicates == "keep":
                continue
            query = overtaken_rows_sql(rows) if rows.source.is_attributes else copies_sql(rows)
            with without_values(f"looking for repeated rows of source `{rows.name}`"):
                connection.execute(f"INSERT INTO {LEFT_OUT_ROWS.sql} {query}")
        return record_build(connection, LEFT_OUT_ROWS, build)


def copies_sql(rows: SourceRows) -> str:
    """Write the query of the exact copies of earlier rows of a stream."""
    existing = existing_rows_sql(rows)
    columns = ", ".join(quote(name) for name in rows.columns)
    return (
        "WITH repeated AS ("
        f"SELECT hash({columns}) AS row_hash FROM ({existing})"
        " GROUP BY row_hash HAVING count(*) > 1"
        "), numbered AS ("
        f"SELECT load_id, source_row, {_copy_number_sql(rows)} AS copy_number FROM ({existing})"
        f" WHERE hash({columns}) IN (SELECT row_hash FROM repeated)"
        f") SELECT {literal(rows.name)}, load_id, source_row, 'exact_duplicate' FROM numbered"
        " WHERE copy_number > 1"
    )


def overtaken_rows_sql(rows: SourceRows) -> str:
    """Write the query of all rows of a customer but one, each with the step that takes it out."""
    existing = existing_rows_sql(rows)
    time = "NULL" if rows.source.time is None else quote(rows.source.time)
    preferred = _preferred_sql(rows)
    return (
        "WITH repeated AS ("
        f"SELECT customer_id FROM ({existing}) WHERE customer_id IS NOT NULL"
        " GROUP BY customer_id HAVING count(*) > 1"
        "), ranked AS ("
        f"SELECT load_id, source_row, {time} AS row_time, {_copy_number_sql(rows)} AS copy_number,"
        " row_number() OVER best_first AS place, first_value(row_time) OVER best_first AS kept_time"
        f" FROM ({existing}) WHERE customer_id IN (SELECT customer_id FROM repeated)"
        f" WINDOW best_first AS (PARTITION BY customer_id ORDER BY {preferred})"
        f") SELECT {literal(rows.name)}, load_id, source_row,"
        " CASE WHEN copy_number > 1 THEN 'exact_duplicate'"
        " WHEN row_time IS DISTINCT FROM kept_time THEN 'superseded_row'"
        " ELSE 'duplicate_customer' END"
        " FROM ranked WHERE place > 1"
    )


def _copy_number_sql(rows: SourceRows) -> str:
    columns = ", ".join(quote(name) for name in rows.columns)
    return f"row_number() OVER (PARTITION BY {columns} ORDER BY load_id, source_row)"


def _preferred_sql(rows: SourceRows) -> str:
    """Order a customer's rows; load and row number only order what is equal in every column."""
    columns = [quote(name) for name in rows.source.columns]
    order = []
    if rows.source.time is not None:
        direction = "ASC" if rows.source.keep == "first" else "DESC"
        order.append(f"{quote(rows.source.time)} {direction} NULLS LAST")
    order.append(f"{' + '.join(f'({column} IS NOT NULL)::INTEGER' for column in columns)} DESC")
    order += [f"{column} NULLS LAST" for column in columns]
    return ", ".join([*order, "load_id", "source_row"])
