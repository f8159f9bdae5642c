"""Who is most like one customer, and in which features.

What belongs here: the search through a stream of customers, and what a distance consists of. How
a distance is computed belongs to `metrics`; what is shown of it belongs to the command line.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmentation_pipeline.clustering.assignment import read_columns
from segmentation_pipeline.clustering.metrics import Doubles, Floats, Similarity
from segmentation_pipeline.errors import ClusteringError

CustomerId: TypeAlias = str | int


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two customers are in one feature.

    A distance to the power p (for cosine: the squared chord) is a sum over features. `share` is
    this feature's part of it, 0 where the two are equal altogether; `expected_share` is its part
    between two random customers: a feature with the larger `share` sets the two apart, one with the
    smaller brings them together. `as_near_share` is the share of random customers who are at least
    as near to the first of the two in this feature: 0.02 says that only one in fifty is, 1 that
    anyone would have been (as in a feature that hardly varies).
    """

    feature: str
    share: float
    expected_share: float
    as_near_share: float


@dataclass(frozen=True, slots=True)
class Similar:
    """A customer, the distance from the one who was asked for, and what makes them alike.

    `features` are in the order of `as_near_share`, so that the ones come first in which few would
    have been as near; ties by `expected_share`, largest first, then as they were given.
    """

    customer_id: CustomerId
    distance: float
    features: tuple[Likeness, ...]


def similar_customers(
    customer_id: CustomerId,
    vector: Floats,
    batches: Iterable[pa.RecordBatch],
    sample: Floats,
    features: Mapping[str, str],
    similarity: Similarity,
    count: int,
) -> list[Similar]:
    """Find the customers nearest to one, nearest first, ties by `customer_id`.

    Args:
        customer_id: the customer, who is left out of the answer.
        vector: the customer's prepared features, shape (d,).
        batches: all customers, with `customer_id` and the columns of `features`; read once.
        sample: prepared features of customers in random order, shape (n, d) with n >= 2: the
            random customers against whom likeness is told.
        features: column of the feature matrix -> the feature that it encodes, in the order of
            `vector`; the columns of one feature count together.
        similarity: the metric.
        count: how many to find; fewer where there are fewer customers.

    Memory is that of one batch and of the sample. Raises ClusteringError for a sample of fewer than
    two, a vector that is not finite, and as `assignment.read_columns` does.

    """
    if len(sample) < 2 or not np.isfinite(vector).all():
        raise ClusteringError(
            "likeness is told against at least two customers, and of one whose features are finite"
        )
    nearest = _Nearest(count)
    for batch in batches:
        columns = read_columns(batch, list(features))
        distances = similarity.to_vector(columns, vector)
        if not np.isfinite(distances).all():
            raise ClusteringError(
                "prepared features are finite, but too large for a distance to be computed"
            )
        ids = batch.column("customer_id")
        is_other = pc.not_equal(ids, pa.scalar(customer_id, ids.type))
        distances[~is_other.to_numpy(zero_copy_only=False)] = np.inf
        nearest.offer(ids, columns, distances)
    if not nearest.ids:
        return []
    groups = list(features.values())
    reference = list(vector[:, np.newaxis])
    columns = list(sample.T)
    # Rows that follow one another in a random order are random pairs; the last has the first.
    pairs = similarity.parts(columns, [np.roll(column, 1) for column in columns])
    expected = _shares(_by_feature(pairs, groups).mean(axis=1, keepdims=True))[:, 0]
    others = np.sort(_by_feature(similarity.parts(columns, reference), groups), axis=1)
    parts = _by_feature(similarity.parts(list(nearest.rows.T), reference), groups)
    as_near = [
        np.searchsorted(other, part, side="right") / len(sample)
        for other, part in zip(others, parts, strict=True)
    ]
    return [
        Similar(neighbour, float(distance), _in_order(groups, shares, expected, near))
        for neighbour, distance, shares, near in zip(
            nearest.ids, nearest.distances, _shares(parts).T, np.array(as_near).T, strict=True
        )
    ]


class _Nearest:
    """The nearest customers of those that were offered."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.ids: list[CustomerId] = []
        self.distances = np.empty(0)
        self.rows: Floats = np.empty((0, 0))

    def offer(self, ids: pa.Array, columns: Sequence[Floats], distances: Doubles) -> None:
        """Take the nearest of a batch, and of those found until now; an infinite one is nobody."""
        limit = self.distances[-1] if len(self.ids) == self._count else np.inf
        if len(distances) > self._count:
            limit = min(limit, np.partition(distances, self._count - 1)[self._count - 1])
        chosen = np.flatnonzero((distances <= limit) & np.isfinite(distances))
        if not len(chosen):
            return
        rows = np.column_stack([column[chosen] for column in columns])
        every_id = [*self.ids, *ids.take(pa.array(chosen)).to_pylist()]
        every_distance = np.concatenate([self.distances, distances[chosen]])
        every_row = np.concatenate([self.rows, rows]) if len(self.ids) else rows
        # Of equally near customers there may be a batch full; ids decide among them.
        order = sorted(range(len(every_id)), key=lambda i: (every_distance[i], every_id[i]))
        kept = order[: self._count]
        self.ids = [every_id[i] for i in kept]
        self.distances, self.rows = every_distance[kept], every_row[kept]


def _by_feature(parts: Sequence[Doubles], groups: Sequence[str]) -> Doubles:
    """Sum of the parts of each feature's columns, (features, n), features as they first come."""
    sums = dict.fromkeys(groups, np.zeros(1))
    for group, part in zip(groups, parts, strict=True):
        sums[group] = sums[group] + part
    return np.array(list(sums.values()))


def _shares(parts: Doubles) -> Doubles:
    """Each part's share of the sum over features, (features, n); 0 where all are 0."""
    totals = parts.sum(axis=0)
    return parts / np.where(totals > 0.0, totals, 1.0)


def _in_order(
    groups: Sequence[str], shares: Doubles, expected: Doubles, as_near: Doubles
) -> tuple[Likeness, ...]:
    told = map(
        Likeness, dict.fromkeys(groups), shares.tolist(), expected.tolist(), as_near.tolist()
    )
    return tuple(sorted(told, key=lambda one: (one.as_near_share, -one.expected_share)))
