"""The profiles of earlier loads, kept in the warehouse: `core.source_profiles`, a row per column.

`core.compared_loads` says which loads a night looked at, which night's profile is theirs, and
whether the source passed its checks: only such a load is compared with.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from segmentation_pipeline.validation.profiles import ColumnProfile, kept_words
from segmentation_pipeline.warehouse import Connection, Table, has_table, transaction

COMPARED_LOADS = Table("core", "compared_loads")
SOURCE_PROFILES = Table("core", "source_profiles")
_KEPT_NIGHTS = 90
_TABLES_SQL = f"""
CREATE TABLE IF NOT EXISTS {COMPARED_LOADS.sql} (
    source VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    loads BIGINT[] NOT NULL,
    profile_as_of DATE NOT NULL,
    is_accepted BOOLEAN NOT NULL,
    PRIMARY KEY (source, as_of)
);
CREATE TABLE IF NOT EXISTS {SOURCE_PROFILES.sql} (
    source VARCHAR NOT NULL,
    as_of DATE NOT NULL,
    column_name VARCHAR NOT NULL,
    rows BIGINT NOT NULL,
    people BIGINT NOT NULL,
    present BIGINT NOT NULL,
    words VARCHAR[],
    word_rows BIGINT[],
    quartiles DOUBLE[] NOT NULL,
    ranks DOUBLE[] NOT NULL,
    PRIMARY KEY (source, as_of, column_name)
);
"""


@dataclass(frozen=True)
class KeptProfile:
    """The last load that passed: the loads known by then, and the profile of the newest of them."""

    loads: frozenset[int]
    as_of: dt.date
    columns: Mapping[str, ColumnProfile]


def last_accepted(connection: Connection, source: str, as_of: dt.date) -> KeptProfile | None:
    """Find what a night's loads are compared with: of an earlier night, and one that passed."""
    if not has_table(connection, COMPARED_LOADS):
        return None
    found = connection.execute(
        f"SELECT loads, profile_as_of FROM {COMPARED_LOADS.sql}"
        " WHERE source = ? AND as_of < ? AND is_accepted ORDER BY as_of DESC LIMIT 1",
        [source, as_of],
    ).fetchall()
    if not found:
        return None
    loads, profile_as_of = found[0]
    rows = connection.execute(
        "SELECT column_name, rows, people, present, words, word_rows, quartiles, ranks"
        f" FROM {SOURCE_PROFILES.sql} WHERE source = ? AND as_of = ?",
        [source, profile_as_of],
    ).fetchall()
    columns = {
        name: ColumnProfile(
            rows,
            people,
            present,
            None if words is None else dict(zip(words, counts, strict=True)),
            tuple(quartiles),
            tuple(ranks),
        )
        for name, rows, people, present, words, counts, quartiles, ranks in rows
    }
    return KeptProfile(frozenset(loads), profile_as_of, columns)


def keep_profile(
    connection: Connection,
    source: str,
    as_of: dt.date,
    loads: Collection[int],
    profile: Mapping[str, ColumnProfile] | KeptProfile,
    *,
    is_accepted: bool,
) -> None:
    """Keep what a night looked at, in place of what it kept before.

    Where no load was new, the profile is that of an earlier night, and stands already.
    """
    with transaction(connection):
        connection.execute(_TABLES_SQL)
        connection.execute(
            f"DELETE FROM {SOURCE_PROFILES.sql} WHERE source = ? AND as_of = ?", [source, as_of]
        )
        if isinstance(profile, KeptProfile):
            profile_as_of = profile.as_of
        else:
            profile_as_of = as_of
            _insert(connection, source, as_of, profile)
        connection.execute(
            f"INSERT OR REPLACE INTO {COMPARED_LOADS.sql} VALUES (?, ?, ?, ?, ?)",
            [source, as_of, sorted(loads), profile_as_of, is_accepted],
        )
        _forget_old_ones(connection, source)


def _insert(
    connection: Connection, source: str, as_of: dt.date, profile: Mapping[str, ColumnProfile]
) -> None:
    rows: list[object] = []
    for name, column in profile.items():
        words = None if column.words is None else kept_words(column)
        rows += [source, as_of, name, column.rows, column.people, column.values]
        rows += [None, None] if words is None else [[*words], [*words.values()]]
        rows += [[*column.quartiles], [*column.ranks]]
    if profile:
        places = ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"] * len(profile))
        connection.execute(f"INSERT INTO {SOURCE_PROFILES.sql} VALUES {places}", rows)


def _forget_old_ones(connection: Connection, source: str) -> None:
    oldest = connection.execute(
        f"SELECT as_of FROM {COMPARED_LOADS.sql} WHERE source = ?"
        " ORDER BY as_of DESC LIMIT 1 OFFSET ?",
        [source, _KEPT_NIGHTS],
    ).fetchall()
    if oldest:
        connection.execute(
            f"DELETE FROM {COMPARED_LOADS.sql} WHERE source = $source AND as_of <= $oldest"
            f" AND as_of < (SELECT max(as_of) FROM {COMPARED_LOADS.sql}"
            " WHERE source = $source AND is_accepted)",
            {"source": source, "oldest": oldest[0][0]},
        )
        connection.execute(
            f"DELETE FROM {SOURCE_PROFILES.sql} WHERE source = $source AND as_of NOT IN ("
            f"SELECT profile_as_of FROM {COMPARED_LOADS.sql} WHERE source = $source)",
            {"source": source},
        )
