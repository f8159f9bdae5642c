"""A bounded sample of every segment: so many of its customers with the smallest hash of their id.

What belongs here: who is in the sample. It is the same for any order of the rows and any number of
threads, and up to the bound it is everybody.
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from segmentation_pipeline.features.sample_keys import (
    KEPT_KEY,
    first_key_beyond,
    kept_keys,
    sample_key_sql,
)
from segmentation_pipeline.warehouse import Connection, Table, literal

_NO_BOUND = "g"
"""Beyond every digit of a hash."""


def segment_sizes(connection: Connection, members: Table) -> dict[str, int]:
    """Count the customers of each segment, noise included, by segment id."""
    return dict(
        connection.execute(
            f"SELECT segment_id, count(*) FROM {members.sql}"
            " WHERE segment_id IS NOT NULL GROUP BY segment_id ORDER BY segment_id"
        ).fetchall()
    )


def read_segment_sample(
    connection: Connection,
    members: Table,
    joined_sql: str,
    columns: Sequence[str],
    sizes: Mapping[str, int],
    *,
    seed: int,
    limit: int,
) -> pa.Table:
    """Read at most `limit` customers of each segment, in the order of the hash.

    Columns are `segment_id`, then `columns`: SQL expressions over what `joined_sql` adds to the
    alias `members`, such as `JOIN x.y AS features USING (customer_id)`. A segment of n customers is
    first cut to the hashes below which about `limit` of them lie, so that only those are sorted.
    """
    cuts = {
        segment_id: first_key_beyond(limit, size) or _NO_BOUND for segment_id, size in sizes.items()
    }
    keys = kept_keys(connection, members, seed, max(cuts.values(), default=None))
    query = _segment_sample_sql(members, joined_sql, columns, cuts, keys, seed=seed, limit=limit)
    return connection.sql(query).to_arrow_table()


def _segment_sample_sql(
    members: Table,
    joined_sql: str,
    columns: Sequence[str],
    cuts: Mapping[str, str],
    keys_sql: str | None,
    *,
    seed: int,
    limit: int,
) -> str:
    key = sample_key_sql(seed, "members.customer_id")
    if keys_sql is not None:
        key, joined_sql = KEPT_KEY, f"JOIN {keys_sql} USING (customer_id) {joined_sql}"
    listed = ", ".join(
        f"({literal(segment_id)}, {literal(first_key)})" for segment_id, first_key in cuts.items()
    )
    selected = ", ".join(("members.segment_id", *columns))
    return (
        f"SELECT {selected} FROM {members.sql} AS members {joined_sql}"
        f" JOIN (VALUES {listed}) AS cuts(cut_segment_id, first_key)"
        f" ON members.segment_id = cut_segment_id AND {key} < first_key"
        f" QUALIFY row_number() OVER (PARTITION BY members.segment_id ORDER BY {key},"
        f" members.customer_id) <= {limit}"
        f" ORDER BY members.segment_id, {key}, members.customer_id"
    )
