"""From which date on what was cut is kept: `core.kept`, by the name of a table or a source.

Whoever looks back asks here whether what they look at is whole.
"""

import datetime as dt

from segmentation_pipeline.warehouse import Connection, Table, has_table, literal

_KEPT = Table("core", "kept")


def keep_from(connection: Connection, name: str, first: dt.date) -> None:
    """Note that of a table or a source nothing is kept from before a date any more."""
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {_KEPT.sql} (name VARCHAR PRIMARY KEY, first DATE NOT NULL)"
    )
    connection.execute(
        f"INSERT INTO {_KEPT.sql} VALUES (?, ?)"
        " ON CONFLICT DO UPDATE SET first = greatest(first, excluded.first)",
        [name, first],
    )


def first_kept(connection: Connection, *names: str) -> dt.date:
    """Find the first date from which all of these are kept; `date.min` where nothing was cut."""
    if not has_table(connection, _KEPT):
        return dt.date.min
    listed = ", ".join(literal(name) for name in names)
    ((first,),) = connection.execute(
        f"SELECT max(first) FROM {_KEPT.sql} WHERE name IN ({listed})"
    ).fetchall()
    return first or dt.date.min
