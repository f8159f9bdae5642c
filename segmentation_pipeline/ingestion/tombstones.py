"""Who was erased at their own request: kept as digests, so that nobody is named and none returns.

A digest of an id can be guessed by whoever has the warehouse and a list of ids to try; the salt
only keeps ready-made tables of digests from working.
"""

import datetime as dt
import hashlib
from collections.abc import Sequence

from segmentation_pipeline.warehouse import Connection, Table, has_table, literal

TOMBSTONES = Table("core", "erased_customers")
_OF_VISITOR = "visitor\x1f"
"""Before a visitor's id, so that it is no customer's: no id holds a control character."""


def remember_erased(
    connection: Connection, customer_ids: Sequence[str], *, salt: str, requested_on: dt.date
) -> None:
    """Note that these customers must not come back; `salt` counts for the first ones only."""
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {TOMBSTONES.sql} (digest VARCHAR PRIMARY KEY,"
        " salt VARCHAR NOT NULL, requested_on DATE NOT NULL)"
    )
    salt = _salt(connection) or salt
    connection.executemany(
        f"INSERT OR IGNORE INTO {TOMBSTONES.sql} VALUES (?, ?, ?)",
        [(erased_digest(customer_id, salt), salt, requested_on) for customer_id in customer_ids],
    )


def erased_digest(customer_id: str, salt: str) -> str:
    """Compute the digest that is kept of an id, as `is_erased_sql` does."""
    return hashlib.sha256(f"{salt}{customer_id}".encode()).hexdigest()


def of_visitor(visitor: str) -> str:
    """Write a visitor's id as it is remembered, beside customers' ids."""
    return f"{_OF_VISITOR}{visitor}"


def is_erased_sql(connection: Connection, column: str, *, is_visitor: bool = False) -> str | None:
    """Write the condition that an id (an SQL expression) was erased; None where nobody was."""
    salt = _salt(connection)
    if salt is None:
        return None
    digests = f"(SELECT digest FROM {TOMBSTONES.sql})"
    return f"coalesce({_digest_sql(salt, column, is_visitor=is_visitor)} IN {digests}, false)"


def remember_visitors(connection: Connection, visitors: str, requested_on: dt.date) -> int:
    """Note visitors (a query of their ids, with an erased customer's); returns how many are new."""
    salt = _salt(connection)
    if salt is None:
        return 0
    noted = connection.execute(
        f"INSERT OR IGNORE INTO {TOMBSTONES.sql} SELECT DISTINCT"
        f" {_digest_sql(salt, 'visitor', is_visitor=True)}, {literal(salt)},"
        f" {literal(requested_on)} FROM ({visitors}) AS visitors(visitor)"
        " WHERE visitor IS NOT NULL"
    ).fetchall()
    return int(noted[0][0])


def _digest_sql(salt: str, column: str, *, is_visitor: bool) -> str:
    prefix = salt + (_OF_VISITOR if is_visitor else "")
    return f"sha256({literal(prefix)} || {column})"


def tables_with(connection: Connection, column: str) -> list[Table]:
    """List the tables (no views) of the warehouse that have a column, such as `visitor_key`."""
    found = connection.execute(
        "SELECT schema_name, table_name FROM duckdb_columns() JOIN duckdb_tables()"
        " USING (database_name, schema_name, table_name)"
        " WHERE database_name = current_database() AND column_name = ? ORDER BY ALL",
        [column],
    ).fetchall()
    return [Table(*row) for row in found]


def erased_digests(connection: Connection) -> tuple[str, frozenset[str]]:
    """Give the salt and all digests; empty ones where nobody was erased."""
    if not has_table(connection, TOMBSTONES):
        return "", frozenset()
    found = connection.execute(f"SELECT digest, salt FROM {TOMBSTONES.sql}").fetchall()
    return (found[0][1] if found else ""), frozenset(digest for digest, _ in found)


def _salt(connection: Connection) -> str | None:
    return erased_digests(connection)[0] or None
