"""Ids that a file writes in several ways and the declared key makes one: counted, or refused.

They are one customer who is written `17` here and `EMP-00017` there, or two customers whom the key
mixes up: only a person can tell, so lines are named. Compared within a file: from source to source
the ways of writing differ by intention.
"""

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.incoming import ROW_FAILURE, value_column
from segmentation_pipeline.ingestion.keys_sql import key_parts
from segmentation_pipeline.ingestion.reading import Incoming
from segmentation_pipeline.ingestion.remarks import Remark
from segmentation_pipeline.specification.keys import KeyForm
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, quote

_NAMED_PAIRS = 3


def count_collisions(
    connection: Connection, source: SourceSpec, incoming: Incoming, file_name: str
) -> tuple[Remark, int]:
    """Count a file's ids that stand there written in several ways; returns all its ids, too.

    Raises SourceError where they are more than the declared share.
    """
    ids = (
        f"SELECT min(written) <> max(written) AS collides, arg_min(line, (written, line)) AS one,"
        f" arg_max(line, (written, -line)) AS other"
        f" FROM (SELECT customer_id, {_written_sql(source)} AS written, {incoming.line} AS line"
        f" FROM {incoming.relation} WHERE {quote(ROW_FAILURE)} IS NULL) GROUP BY customer_id"
    )
    collided, all_ids, line = connection.execute(
        "SELECT count(*) FILTER (WHERE collides), count(*),"
        f" min(least(one, other)) FILTER (WHERE collides) FROM ({ids})"
    ).fetchall()[0]
    if all_ids and collided / all_ids > source.allowed_collisions:
        pairs = connection.execute(
            f"SELECT least(one, other), greatest(one, other) FROM ({ids}) WHERE collides"
            f" ORDER BY ALL LIMIT {_NAMED_PAIRS}"
        ).fetchall()
        named = ", ".join(f"{one} and {other}" for one, other in pairs)
        raise SourceError(
            f"{file_name}: `key` makes one id of what is written in several ways for {collided:,} "
            f"of {all_ids:,} ids ({collided / all_ids:.2%}; `maximum_collision_share` allows "
            f"{source.allowed_collisions:.2%}): see lines {named}. If they are two customers, make "
            "the key tell them apart; if they are one, raise it"
        )
    return Remark("key_collision", None, collided, line), all_ids


def _written_sql(source: SourceSpec) -> str:
    """Write how an id stands in the file; of an expression's columns, a hash of them all."""
    if isinstance(source.key, KeyForm):
        return f"nfc_normalize({value_column(source.key.column)})"
    columns = ", ".join(value_column(name) for name in sorted(key_parts(source.key)))
    return f"hash({columns})"
