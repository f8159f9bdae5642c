"""The hash by which customers are drawn, and those with the smallest ones, found once a run.

Hashing every id takes longer than all else that a sample of many customers needs, and a night draws
five of each segmentation. So the first one keeps whose hashes are small, and the others look only
at these. They are kept in a temporary table: nothing of them is ever in the home's files.
"""

import hashlib
import math

from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    count_rows,
    literal,
    quote,
    read_build,
)

KEPT_CUSTOMERS = 100_000
"""Ten of the largest samples of a table; of no more customers none are kept."""

# No feature can be called so: theirs are plain names.
KEPT_KEY = quote("sample:key")


def sample_key_sql(seed: int, customer_id_sql: str) -> str:
    """Write the hash of a customer: md5 of the seed and the id."""
    return f"md5({literal(f'{seed}:')} || {customer_id_sql})"


def first_key_beyond(limit: int, rows: int) -> str | None:
    """Find a hash below which more than `limit` of `rows` hashes lie; None if that is all of them.

    Their number is binomial, with a mean ten standard deviations above `limit`: it is never less.
    """
    share = (limit + 10 * math.sqrt(limit) + 100) / max(rows, 1)
    return None if share >= 1 else f"{int(share * 16**12):012x}"


def kept_keys(connection: Connection, table: Table, seed: int, first_key: str | None) -> str | None:
    """Name the temporary table that has whoever of a table's customers is below a hash.

    Its columns are `customer_id` and `KEPT_KEY`. It is made of the segmentation's
    `engineered_features`, in which all its customers are, unless that was done since these were
    made. None where the table is small, or the hash beyond those that are kept: then every id is to
    be hashed.
    """
    if first_key is None or count_rows(connection, table) <= KEPT_CUSTOMERS:
        return None
    engineered = Table(table.schema, "engineered_features")
    build = read_build(connection, engineered)
    beyond = build and first_key_beyond(KEPT_CUSTOMERS, count_rows(connection, engineered))
    if not beyond or first_key > beyond:
        return None
    prefix = f"sample keys {table.schema} "
    name = prefix + hashlib.sha256(f"{build} {seed}".encode()).hexdigest()[:16]
    found = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'temp'"
        f" AND starts_with(table_name, {literal(prefix)})"
    ).fetchall()
    if (name,) not in found:
        for (outdated,) in found:
            connection.execute(f"DROP TABLE temp.{quote(outdated)}")
        key = sample_key_sql(seed, "customer_id")
        connection.execute(
            f"CREATE TEMP TABLE {quote(name)} AS SELECT customer_id, {key} AS {KEPT_KEY}"
            f" FROM {engineered.sql} WHERE {key} < {literal(beyond)}"
        )
    return f"temp.{quote(name)}"
