"""`feature_importance`: how much each feature separates the segments.

It is told in shares of variance, so that numbers and categories can be compared:

- a number: eta^2, the variance between segments / all of it;
- a category: the same of its 0/1 indicators taken together, which is Goodman & Kruskal's tau
  (1954), the R^2 of Light & Margolin's analysis of variance of categories (1971). A category of two
  has the eta^2 of the same feature as a number 0/1; Cramer's V^2 has another scale as soon as there
  are more categories than segments.

Both are (k - 1) / (n - 1) on average where k segments of n customers are drawn at random; that much
is taken off (Kelley's epsilon^2, 1935, adjusted R^2), else a thousand segments of noise would seem
to explain it.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.outside import described_customers
from segmentation_pipeline.segments.segment_sample import segment_sizes
from segmentation_pipeline.segments.suppressed_rows import completed_shares
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_rows

_ROUNDING = 1e-20

_SCHEMA = pa.schema(
    {
        "feature": pa.string(),
        "criterion": pa.string(),
        "use": pa.string(),
        "importance": pa.float64(),
        "rank": pa.int32(),
        "distance_share": pa.float64(),
    }
)


def make_feature_importance(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    distance_shares: Mapping[str, float],
    build: Build,
) -> int:
    """Write `feature_importance` from `segment_profiles` and `segment_category_shares`.

    It is made of what those publish, and of sizes; so it tells nothing that they withhold.
    `distance_shares` has the share of each feature that is part of the distance. Customers in no
    segment don't count. Returns the rows.
    """
    shares = connection.sql(
        "SELECT segment_id, feature, category, criterion, use, customers, overall_share"
        f" FROM {Table(name, 'segment_category_shares').sql} ORDER BY feature, segment_id, category"
    ).to_arrow_table()
    sizes = segment_sizes(connection, described_customers(name, spec))
    rows = importance_rows(
        [
            *_numbers(connection, Table(name, "segment_profiles"), noise_id(name)),
            *_categories(shares.to_pylist(), sizes, noise_id(name)),
        ],
        distance_shares,
    )
    return write_rows(connection, Table(name, "feature_importance"), _SCHEMA, rows, build)


@dataclass(frozen=True, slots=True)
class Separation:
    """One feature: its variance between the segments and within them, in sums over customers."""

    feature: str
    criterion: str | None
    use: str
    customers: int
    """Those that have a value."""
    segments: int
    """Those with such a customer."""
    between: float
    within: float

    @property
    def importance(self) -> float | None:
        """Epsilon^2, 0 to 1; None where nothing varies or every customer is a segment.

        >>> Separation("age", None, "profile", 11, 2, between=91.0, within=9.0).importance
        0.9
        """
        total = self.between + self.within
        if total <= 0 or self.customers <= self.segments:
            return None
        unexplained = self.within / total
        freedom = (self.customers - 1) / (self.customers - self.segments)
        return max(0.0, 1.0 - unexplained * freedom)


def importance_rows(
    separations: Iterable[Separation], distance_shares: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rank the features of each use by their importance, ties by name; those without one last."""
    rows: list[dict[str, Any]] = []
    ranks: dict[str, int] = {}
    for one in sorted(
        separations, key=lambda one: (one.use, -_or(one.importance, -1.0), one.feature)
    ):
        ranks[one.use] = ranks.get(one.use, 0) + 1
        rows.append(
            {
                "feature": one.feature,
                "criterion": one.criterion,
                "use": one.use,
                "importance": one.importance,
                "rank": ranks[one.use],
                "distance_share": distance_shares.get(one.feature),
            }
        )
    return rows


def _numbers(connection: Connection, profiles: Table, noise: str) -> Iterator[Separation]:
    """Split the variance of each number, of the customers that have one."""
    found = connection.execute(
        "SELECT feature, criterion, use, customers, mean, standard_deviation"
        f" FROM {profiles.sql} WHERE segment_id <> {literal(noise)} AND customers > 0"
        " ORDER BY feature, segment_id"
    ).fetchall()
    for (feature, criterion, use), rows in groupby(found, key=lambda row: row[:3]):
        groups = [row[3:] for row in rows]
        customers = sum(size for size, _, _ in groups)
        mean = math.fsum(size * inside for size, inside, _ in groups) / customers
        between = math.fsum(size * (inside - mean) ** 2 for size, inside, _ in groups)
        within = math.fsum(size * deviation**2 for size, _, deviation in groups)
        # Where all values are equal, the mean of the means may still be a rounding away from them.
        if between + within <= _ROUNDING * customers * mean**2:
            between = within = 0.0
        yield Separation(feature, criterion, use, customers, len(groups), between, within)


def _categories(
    rows: Iterable[Mapping[str, Any]], sizes: Mapping[str, int], noise: str
) -> Iterator[Separation]:
    """Split Gini's variance of each category, a missing value being one of its categories.

    A group of n has sum over categories of n p (1 - p) = n - (sum of squared counts) / n. Withheld
    counts are completed from the totals: with the true ones, the result would tell them.
    """
    by_feature = sorted(rows, key=lambda row: str(row["feature"]))
    for _, found in groupby(by_feature, key=lambda row: str(row["feature"])):
        of_feature = list(found)
        segments, counts = completed_shares(of_feature, sizes)
        groups = [
            inside
            for segment, inside in zip(segments, counts, strict=True)
            if segment != noise and any(inside)
        ]
        if not groups:
            continue
        customers = round(math.fsum(map(math.fsum, groups)))
        total = _gini([math.fsum(column) for column in zip(*groups, strict=True)])
        within = math.fsum(map(_gini, groups))
        first = of_feature[0]
        yield Separation(
            first["feature"],
            first["criterion"],
            first["use"],
            customers,
            len(groups),
            max(total - within, 0.0),
            within,
        )


def _gini(counts: Sequence[float]) -> float:
    size = math.fsum(counts)
    return (size * size - math.fsum(count * count for count in counts)) / size


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
