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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa

from segmentation_pipeline.segments.identity import noise_id
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
    connection: Connection, name: str, distance_shares: Mapping[str, float], build: Build
) -> int:
    """Write `feature_importance` from `segment_profiles` and `segment_category_shares`.

    `distance_shares` has the share of each feature that is part of the distance. Customers in no
    segment don't count. Returns the rows.
    """
    rows = importance_rows(
        [
            *_numbers(connection, Table(name, "segment_profiles"), noise_id(name)),
            *_categories(connection, Table(name, "segment_category_shares"), noise_id(name)),
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


def _categories(connection: Connection, shares: Table, noise: str) -> Iterator[Separation]:
    """Split Gini's variance of each category, a missing value being one of its categories.

    A group of n has sum over categories of n p (1 - p) = (n^2 - sum of squared counts) / n.
    """
    counted = f"FROM {shares.sql} WHERE segment_id <> {literal(noise)}"
    everybody = dict(
        connection.execute(
            "SELECT feature, sum(n::HUGEINT * n) FROM"
            f" (SELECT feature, category, sum(customers) AS n {counted} GROUP BY ALL)"
            " GROUP BY feature"
        ).fetchall()
    )
    found = connection.execute(
        "SELECT feature, criterion, use, sum(customers) AS n, sum(customers::HUGEINT * customers)"
        f" {counted} GROUP BY feature, criterion, use, segment_id HAVING n > 0"
        " ORDER BY feature, segment_id"
    ).fetchall()
    for (feature, criterion, use), rows in groupby(found, key=lambda row: row[:3]):
        groups = [(int(size), int(squares)) for _, _, _, size, squares in rows]
        customers = sum(size for size, _ in groups)
        # Exact integers up to each division.
        total = (customers * customers - int(everybody[feature])) / customers
        within = math.fsum((size * size - squares) / size for size, squares in groups)
        yield Separation(
            feature, criterion, use, customers, len(groups), max(total - within, 0.0), within
        )


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
