"""A seeded sample of customers, chosen and ordered by a hash of their ids.

What is fitted is fitted on it, in its order: then neither the order of rows, nor threads, nor the
version of DuckDB changes a bit of what is learned.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.features.sample_keys import (
    KEPT_KEY,
    first_key_beyond,
    kept_keys,
    sample_key_sql,
)
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    column_types,
    count_rows,
    literal,
    quote,
    read_batches,
)

Ids = NDArray[np.object_]
"""Customer ids, shape (n,), texts."""


@dataclass(frozen=True, eq=False)
class FeatureSample:
    """Engineered features of some customers."""

    customer_ids: Ids
    values: Mapping[str, NDArray[Any]]
    """Feature -> shape (n,): a number, or a boolean as 0/1, is float64 with NaN where missing; a
    category is an object with None where missing."""


def sample_sql(
    relation_sql: str,
    columns: Sequence[str],
    seed: int,
    limit: int,
    first_key: str | None = None,
    keys_sql: str | None = None,
) -> str:
    """Write the SELECT of the `limit` customers with the smallest hash, in the order of the hash.

    The hash is that of `sample_key_sql`. `columns` are SQL expressions over the relation.
    `first_key` leaves out hashes from that one on, which spares sorting them where it is known that
    enough are left; `keys_sql` is what `kept_keys` gives for it.
    """
    key = sample_key_sql(seed, "customer_id")
    if keys_sql is not None:
        key, relation_sql = KEPT_KEY, f"{relation_sql} JOIN {keys_sql} USING (customer_id)"
    where = "" if first_key is None else f"WHERE {key} < {literal(first_key)}\n"
    return (
        f"SELECT {', '.join(columns)} FROM {relation_sql}\n{where}"
        f"ORDER BY {key}, customer_id LIMIT {limit}"
    )


def read_sample(
    connection: Connection, table: Table, columns: Sequence[str], seed: int, limit: int
) -> tuple[Ids, NDArray[np.float32]]:
    """Read matrix columns of at most `limit` customers, all if there are no more.

    Returns the ids, shape (n,), and the values, shape (n, len(columns)), in the order of the hash.
    """
    size = min(count_rows(connection, table), limit)
    ids = np.empty(size, dtype=object)
    values = np.empty((size, len(columns)), dtype=np.float32)
    listed = [f"CAST({quote(column)} AS FLOAT)" for column in columns]
    filled = 0
    for batch_ids, *batch in _sample_batches(connection, table, listed, seed, limit):
        rows = slice(filled, filled + len(batch_ids))
        ids[rows] = batch_ids
        for index, column in enumerate(batch):
            values[rows, index] = column
        filled = rows.stop
    return ids, values


def read_feature_sample(
    connection: Connection, table: Table, features: Sequence[str], seed: int, limit: int
) -> FeatureSample:
    """Read engineered features of at most `limit` customers, all if there are no more."""
    types = column_types(connection, table)
    listed = [
        quote(feature) if types[feature] == "VARCHAR" else f"CAST({quote(feature)} AS DOUBLE)"
        for feature in features
    ]
    batches = list(_sample_batches(connection, table, listed, seed, limit))
    if not batches:
        kinds = [object if types[feature] == "VARCHAR" else np.float64 for feature in features]
        batches = [[np.empty(0, dtype=kind) for kind in (object, *kinds)]]
    ids, *columns = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return FeatureSample(ids, dict(zip(features, columns, strict=True)))


def _sample_batches(
    connection: Connection, table: Table, columns: Sequence[str], seed: int, limit: int
) -> Iterator[list[NDArray[Any]]]:
    """Stream the ids and columns of a sample."""
    first_key = first_key_beyond(limit, count_rows(connection, table))
    keys = kept_keys(connection, table, seed, first_key)
    query = sample_sql(table.sql, ["customer_id", *columns], seed, limit, first_key, keys)
    for batch in read_batches(connection, query):
        if batch.num_rows:
            yield [column.to_numpy(zero_copy_only=False) for column in batch.columns]
