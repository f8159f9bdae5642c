"""What the rows of a load look like, column by column: shares of missing values, words, quartiles.

A profile is made of at most 100,000 rows, chosen by a hash of their numbers, by two looks at those
rows, whatever the size of the load. It holds counts and cut points; it stays in the warehouse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

PROFILED_ROWS = 100_000
"""A share of so many rows is known to half a percentage point."""
_SAMPLE = quote("profiled rows")
_WORDS = 20
_SMALLEST_WORD = 10
"""Rarer words are told together: their shares are noise, and a person may be behind them."""
_QUARTILES = (0.25, 0.5, 0.75)

Look = Literal["missing", "words", "numbers"]
"""What is looked at in a column: its missing values always, and its words or numbers."""


@dataclass(frozen=True)
class ColumnProfile:
    """A column of a load, in counts; `people` are the different ids among its rows.

    `words` are the commonest with their rows; of numbers, `quartiles` are values that occur, and
    `ranks` the share of values below each of them, half of those equal to it included.
    """

    rows: int
    people: int
    values: int
    words: Mapping[str, int] | None = None
    quartiles: tuple[float, ...] = ()
    ranks: tuple[float, ...] = ()

    @property
    def independent_rows(self) -> float:
        """How many rows chance drew: what one person does in an hour is no five observations."""
        return float(self.people)

    @property
    def independent_values(self) -> float:
        """The same of the values."""
        return self.values * self.people / self.rows

    def counts(self, words: Sequence[str]) -> list[int]:
        """Count the rows of these words, and last those of all others."""
        found = self.words or {}
        counts = [found.get(word, 0) for word in words]
        return [*counts, self.values - sum(counts)]


@dataclass(frozen=True)
class Profile:
    """The profile of a load with all its words; how it ranks the quartiles of an earlier one."""

    rows: int
    columns: Mapping[str, ColumnProfile]
    ranks_before: Mapping[str, tuple[float, ...]]


def profiled_columns(source: SourceSpec) -> dict[str, Look]:
    """List the columns that are compared, and what is looked at in them.

    Ids and the time differ from load to load; of personal columns, texts and dates it is only asked
    whether a value is there.
    """
    left_out = {*source.key_columns, source.time}
    return {
        name: _look(column)
        for name, column in source.columns.items()
        if name not in left_out and source.distribution.of(name) != "ignore"
    }


def kept_words(profile: ColumnProfile) -> dict[str, int]:
    """Choose the words of a column by which later loads are compared."""
    common = sorted((profile.words or {}).items(), key=lambda item: (-item[1], item[0]))
    return {word: count for word, count in common[:_WORDS] if count >= _SMALLEST_WORD}


def make_profile(
    connection: Connection,
    rows_sql: str,
    rows: int,
    columns: Mapping[str, Look],
    id_column: str,
    before: Mapping[str, ColumnProfile],
) -> Profile:
    """Profile the rows of a query with load_id, source_row, ids and the columns.

    `rows` are its rows; `before` is the profile of the load that they will be compared with.
    """
    every = -(-rows // PROFILED_ROWS)
    chosen = f" WHERE hash(load_id, source_row) % {every} = 0" if every > 1 else ""
    names = ", ".join(quote(name) for name in (id_column, *columns))
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {_SAMPLE} AS SELECT {names} FROM ({rows_sql}){chosen}"
    )
    try:
        counted = _count_values(connection, columns)
        ((sampled, people),) = connection.execute(
            f"SELECT count(*), count(DISTINCT {quote(id_column)}) FROM {_SAMPLE}"
        ).fetchall()
        cuts = {
            name: (counted[name][2], before[name].quartiles if name in before else ())
            for name, look in columns.items()
            if look == "numbers"
        }
        own, earlier = _count_ranks(connection, cuts)
    finally:
        connection.execute(f"DROP TABLE {_SAMPLE}")
    found = {
        name: ColumnProfile(sampled, people, values, words, quartiles, own.get(name, ()))
        for name, (values, words, quartiles) in counted.items()
    }
    return Profile(sampled, found, earlier)


def _look(column: ColumnSpec) -> Look:
    if column.personal:
        return "missing"
    if column.is_numeric:
        return "numbers"
    return "words" if column.type in ("category", "boolean") else "missing"


def _count_values(
    connection: Connection, columns: Mapping[str, Look]
) -> dict[str, tuple[int, dict[str, int] | None, tuple[float, ...]]]:
    """Count values and words, and find quartiles, of all columns at once."""
    selected = []
    for name, look in columns.items():
        column = quote(name)
        words = f"histogram(CAST({column} AS VARCHAR))" if look == "words" else "NULL"
        quartiles = f"quantile_disc(CAST({column} AS DOUBLE), {[*_QUARTILES]})"
        selected += [f"count({column})", words, quartiles if look == "numbers" else "NULL"]
    (row,) = connection.execute(f"SELECT {', '.join(selected)} FROM {_SAMPLE}").fetchall()
    found = {}
    for at, (name, look) in enumerate(columns.items()):
        values, words, quartiles = row[3 * at : 3 * at + 3]
        counts = {str(word): int(n) for word, n in (words or {}).items()}
        found[name] = (
            int(values),
            counts if look == "words" else None,
            tuple(float(one) for one in quartiles or ()),
        )
    return found


def _count_ranks(
    connection: Connection,
    cuts: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]],
) -> tuple[dict[str, tuple[float, ...]], dict[str, tuple[float, ...]]]:
    """Rank a column's own quartiles and those of an earlier load among its values."""
    ranks = {
        name: [
            f"(count(*) FILTER ({quote(name)} < {literal(cut)})"
            f" + count(*) FILTER ({quote(name)} = {literal(cut)}) / 2) / count({quote(name)})"
            for cut in (*own, *earlier)
        ]
        for name, (own, earlier) in cuts.items()
    }
    selected = [one for column in ranks.values() for one in column]
    if not selected:
        return {}, {}
    (row,) = connection.execute(f"SELECT {', '.join(selected)} FROM {_SAMPLE}").fetchall()
    values = iter(row)
    own_ranks, earlier_ranks = {}, {}
    for name, (own, earlier) in cuts.items():
        # NULL where the column has no value.
        own_ranks[name] = tuple(float(next(values)) for _ in own)
        earlier_ranks[name] = tuple(
            one for one in [next(values) for _ in earlier] if one is not None
        )
    return own_ranks, earlier_ranks
