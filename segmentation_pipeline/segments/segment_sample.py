"""A bounded sample of every segment: so many of its customers with the smallest hash of their id.

What belongs here: who is in the sample. It is the same for any order of the rows and any number of
threads, and up to the bound it is everybody.
"""

from collections.abc import Mapping, Sequence

from segmentation_pipeline.features.sample import first_key_beyond
from segmentation_pipeline.warehouse import Connection, Table, literal


def segment_sizes(connection: Connection, members: Table) -> dict[str, int]:
    """Count the customers of each segment, noise included, by segment id."""
    return dict(
        connection.execute(
            f"SELECT segment_id, count(*) FROM {members.sql}"
            " WHERE segment_id IS NOT NULL GROUP BY segment_id ORDER BY segment_id"
        ).fetchall()
    )


def segment_sample_sql(
    members: Table,
    joined_sql: str,
    columns: Sequence[str],
    sizes: Mapping[str, int],
    *,
    seed: int,
    limit: int,
) -> str:
    """Write the SELECT of at most `limit` customers of each segment, in the order of the hash.

    Columns are `segment_id`, then `columns`: SQL expressions over what `joined_sql` adds to the
    alias `members`, such as `JOIN x.y AS features USING (customer_id)`. The hash is md5 of the seed
    and the id. A segment of n customers is first cut to the hashes below which about `limit` of
    them lie, so that only those are sorted.
    """
    # "g" is beyond every digit of a hash.
    cuts = ", ".join(
        f"({literal(segment_id)}, {literal(first_key_beyond(limit, size) or 'g')})"
        for segment_id, size in sizes.items()
    )
    key = f"md5({literal(f'{seed}:')} || members.customer_id)"
    selected = ", ".join(("members.segment_id", *columns))
    return (
        f"SELECT {selected} FROM {members.sql} AS members {joined_sql}"
        f" JOIN (VALUES {cuts}) AS cuts(cut_segment_id, first_key)"
        f" ON members.segment_id = cut_segment_id AND {key} < first_key"
        f" QUALIFY row_number() OVER (PARTITION BY members.segment_id ORDER BY {key},"
        f" members.customer_id) <= {limit}"
        f" ORDER BY members.segment_id, {key}, members.customer_id"
    )
