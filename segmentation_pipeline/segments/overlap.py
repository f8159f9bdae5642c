"""Two labelings of the same customers, counted against each other inside DuckDB.

What belongs here: the counting, for matching a new model with the one before, and for setting two
segmentations side by side. What follows from the counts belongs to `matching`.
"""

from collections.abc import Sequence

import numpy as np

from segmentation_pipeline.segments.matching import Contingency
from segmentation_pipeline.warehouse import Connection, Table, literal


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


def segment_crosstab_sql(name: str, other: str) -> str:
    """Write the SELECT of `segment_crosstab`: segments of one segmentation against another's.

    A row for each pair of segments that share customers; the customers whom both segmentations
    have. The caller sees to it that both `customer_segments` are of one date.

    - share: of the segment's customers whom the other segmentation has too;
    - overall_share: the other segment's share of all customers whom both have;
    - lift: the first over the second; 1 where the two have nothing to do with each other.
    """
    mine, theirs = Table(name, "customer_segments").sql, Table(other, "customer_segments").sql
    return f"""
        SELECT
            segment_id,
            {literal(other)} AS other_segmentation,
            other_segment_id,
            customers,
            customers / segment_customers AS share,
            other_customers / all_customers AS overall_share,
            share / overall_share AS lift
        FROM (
            SELECT
                *,
                sum(customers) OVER (PARTITION BY segment_id)::BIGINT AS segment_customers,
                sum(customers) OVER (PARTITION BY other_segment_id)::BIGINT AS other_customers,
                sum(customers) OVER ()::BIGINT AS all_customers
            FROM (
                SELECT
                    m.segment_id, t.segment_id AS other_segment_id, count(*) AS customers
                FROM {mine} m JOIN {theirs} t USING (customer_id)
                GROUP BY ALL
            )
        )"""
