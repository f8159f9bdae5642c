"""Relations that live as long as customers are being made."""

from collections.abc import Iterator
from contextlib import contextmanager

from segmentation_pipeline.warehouse import Connection, quote


class TemporaryTables:
    """Temporary tables of a connection, by name."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._names: list[str] = []

    def make(self, name: str, query: str) -> str:
        """Make a table of a query's result; returns its name for generated SQL."""
        relation = f"temp.{quote(name)}"
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {quote(name)} AS {query}")
        self._names.append(relation)
        return relation

    def drop(self) -> None:
        """Drop them all."""
        while self._names:
            self._connection.execute(f"DROP TABLE IF EXISTS {self._names.pop()}")


@contextmanager
def temporary_tables(connection: Connection) -> Iterator[TemporaryTables]:
    """Give temporary tables for the length of a `with` block."""
    tables = TemporaryTables(connection)
    try:
        yield tables
    finally:
        tables.drop()
