"""Looks whether an erased customer is gone: rows in databases, bytes in files."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from segmentation_pipeline.ingestion.tombstones import (
    erased_digests,
    is_erased_sql,
    tables_with,
)
from segmentation_pipeline.publication.manifest import DATABASE
from segmentation_pipeline.publication.rewriting import ID, customer_tables
from segmentation_pipeline.publication.versions import version_folders
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.source_checks import VISITOR_KEY
from segmentation_pipeline.warehouse import Connection, Table, literal, open_warehouse

_SEARCHED_LENGTH = 6
"""An id shorter than this stands by chance in any file: no bytes are searched for it."""
_CHUNK_BYTES = 1 << 24


def rows_that_remain(home: Home) -> list[str]:
    """Say which tables of the warehouse and of the versions still have erased customers."""
    with open_warehouse(home.warehouse, read_only=True) as connection:
        salt, digests = erased_digests(connection)
        of_visitors = [
            f"{table} ({rows} rows of a visitor)"
            for table, rows in _visitors_that_remain(connection)
        ]
    listed = ", ".join(literal(digest) for digest in sorted(digests))
    databases = [folder / DATABASE for folder in version_folders(home.published)]
    found = []
    for database in [home.warehouse, *databases]:
        with open_warehouse(database, read_only=True) as connection:
            for table in customer_tables(connection):
                rows = connection.execute(
                    f"SELECT count(*) FROM {table.sql}"
                    f" WHERE sha256({literal(salt)} || {ID}) IN ({listed})"
                ).fetchall()[0][0]
                if rows:
                    found.append(f"{table} of {database.relative_to(home.path)} ({rows} rows)")
    return found + of_visitors


def _visitors_that_remain(connection: Connection) -> Iterator[tuple[Table, int]]:
    """Tell the tables that still have web visitors who were erased customers."""
    is_erased = is_erased_sql(connection, VISITOR_KEY, is_visitor=True) or "false"
    for table in tables_with(connection, VISITOR_KEY):
        query = f"SELECT count(*) FROM {table.sql} WHERE {is_erased}"
        if rows := connection.execute(query).fetchall()[0][0]:
            yield table, int(rows)


def files_with(home: Home, customer_ids: Sequence[str]) -> list[Path]:
    """List the files of a home in which the bytes of an id stand by themselves.

    Ids of fewer than six characters are not looked for.
    """
    searched = [one.encode() for one in customer_ids if len(one) >= _SEARCHED_LENGTH]
    if not searched:
        return []
    any_id = b"|".join(re.escape(one) for one in searched)
    pattern = re.compile(rb"(?<![0-9A-Za-z])(?:" + any_id + rb")(?![0-9A-Za-z])")
    overlap = max(map(len, searched)) + 1
    return [path for path in _files(home.path) if _contains(path, pattern, overlap)]


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def _contains(path: Path, pattern: re.Pattern[bytes], overlap: int) -> bool:
    """Look through a file chunk by chunk, each with what stands before and after it."""
    before = b""
    try:
        opened = path.open("rb")
    except FileNotFoundError:  # Dagster's own files come and go, where its UI is up.
        return False
    with opened as file:
        chunk = file.read(_CHUNK_BYTES)
        while chunk:
            following = file.read(_CHUNK_BYTES)
            seen, after = before + chunk, following[:1]
            # What begins at the first byte kept of the chunk before was looked at with that chunk.
            for found in pattern.finditer(seen + after, 1 if len(before) == overlap else 0):
                if found.end() <= len(seen):
                    return True
            before, chunk = seen[-overlap:], following
    return False
