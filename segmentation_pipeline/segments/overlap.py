"""Two labelings of the same customers, counted against each other inside DuckDB.

What belongs here: the counting, for matching a new model with the one before, and for setting two
segmentations side by side. What follows from the counts belongs to `matching`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.segments.matching import Contingency
from segmentation_pipeline.segments.suppressed_rows import Pairs, hidden_pairs
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

_CROSSTAB_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "other_segmentation": pa.string(),
        "other_segment_id": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "overall_share": pa.float64(),
        "lift": pa.float64(),
        "is_suppressed": pa.bool_(),
    }
)


def count_overlap(
    connection: Connection, old: Table, new: Table, *, old_ids: Sequence[str], segments: int
) -> Contingency:
    """Count the customers of each pair of segments of two models on one date.

    `old` has `customer_id` and `segment_id`: what the model before says tonight, an id of `old_ids`
    or noise. `new` has `customer_id` and `raw_segment`: the label of the new model, 0 to
    `segments` - 1 or negative for noise. Both stay in DuckDB; k_old x k_new counts come out.
    """
    labels = {segment_id: label for label, segment_id in enumerate(old_ids)}
    counts = np.zeros((len(old_ids), segments), dtype=np.int64)
    old_sizes = np.zeros(len(old_ids), dtype=np.int64)
    new_sizes = np.zeros(segments, dtype=np.int64)
    shared = old_customers = new_customers = 0
    for segment_id, label, customers in connection.execute(
        "SELECT o.segment_id, n.raw_segment, count(*)"
        f" FROM {old.sql} o FULL JOIN {new.sql} n USING (customer_id) GROUP BY ALL"
    ).fetchall():
        old_customers += customers if segment_id is not None else 0
        new_customers += customers if label is not None else 0
        if segment_id is None or label is None:
            continue
        shared += customers
        before = labels.get(segment_id)
        if before is not None:
            old_sizes[before] += customers
        if label >= 0:
            new_sizes[label] += customers
            if before is not None:
                counts[before, label] += customers
    return Contingency(counts, old_sizes, new_sizes, shared, old_customers, new_customers)


def make_segment_crosstabs(
    connection: Connection, names: Sequence[str], smallest_group: int, build: Build
) -> None:
    """Write `segment_crosstab` of each segmentation: its segments against those of the others.

    A row for each pair of segments that share customers, of those whom both segmentations have;
    small pairs are withheld, the same ones from either side. The caller sees to it that all
    `customer_segments` are of one date.

    - share: of the segment's customers whom the other segmentation has too;
    - overall_share: the other segment's share of all customers whom both have;
    - lift: the first over the second; 1 where the two have nothing to do with each other.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for name, other in combinations(names, 2):
        counted = _count_pairs(connection, name, other)
        hidden = hidden_pairs(counted, smallest_group)
        rows[name] += _crosstab_rows(other, counted, hidden)
        turned = {(second, first): customers for (first, second), customers in counted.items()}
        rows[other] += _crosstab_rows(name, turned, {(second, first) for first, second in hidden})
    for name in names:
        table = Table(name, "segment_crosstab")
        write_rows(connection, table, _CROSSTAB_SCHEMA, rows[name], build)


def _count_pairs(connection: Connection, name: str, other: str) -> Pairs:
    mine, theirs = Table(name, "customer_segments").sql, Table(other, "customer_segments").sql
    return {
        (segment_id, other_segment_id): int(customers)
        for segment_id, other_segment_id, customers in connection.execute(
            "SELECT m.segment_id, t.segment_id, count(*)"
            f" FROM {mine} m JOIN {theirs} t USING (customer_id) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
    }


def _crosstab_rows(
    other: str, counted: Pairs, hidden: Collection[tuple[str, str]]
) -> Iterator[dict[str, Any]]:
    sizes: Counter[str] = Counter()
    other_sizes: Counter[str] = Counter()
    for (segment_id, other_segment_id), customers in counted.items():
        sizes[segment_id] += customers
        other_sizes[other_segment_id] += customers
    # A pair that shares nobody has a row where it is withheld: none would tell that it is empty.
    for pair in sorted({*counted, *hidden}):
        is_hidden, customers = pair in hidden, counted.get(pair, 0)
        share = customers / sizes[pair[0]]
        overall_share = other_sizes[pair[1]] / sizes.total()
        yield {
            "segment_id": pair[0],
            "other_segmentation": other,
            "other_segment_id": pair[1],
            "customers": None if is_hidden else customers,
            "share": None if is_hidden else share,
            "overall_share": overall_share,
            "lift": None if is_hidden else share / overall_share,
            "is_suppressed": is_hidden,
        }
