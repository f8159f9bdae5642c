"""The counts and sums that profiles are made of, each in as few passes over customers as may be.

Sums run over integers: DuckDB adds floats in whatever order its threads finish, and the last bits
differ from run to run. Each feature is scaled by a power of two such that its largest
magnitude is 2^40: twelve digits relative to the largest value, and the sums of squares of 10^14
customers still fit into 128 bits.

What belongs here: what DuckDB counts. What follows from it belongs to `profiles`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.specification.columns import MISSING_CATEGORY
from segmentation_pipeline.warehouse import Connection, Table, count_rows, literal, quote

_MANTISSA_BITS = 40
_MOST_BITS = 500
"""The square of a larger scale is no DOUBLE: of features below 10^-138, only that much is told."""
_MOST_VALUES = 10_000_000
"""So many values are held for exact quartiles at once: 80 MB, twice that while it grows."""

Quartiles = tuple[float | None, float | None, float | None]
Sums = tuple[int, int, int]
"""How many values, their sum and that of their squares; scaled integers."""


@dataclass(frozen=True)
class Moments:
    """Count, mean and population variance of a group of customers."""

    customers: int
    mean: float
    variance: float

    def without(self, part: "Moments") -> "Moments":
        """Compute the moments of the others, when `part` is taken out of this group."""
        rest = self.customers - part.customers
        if rest == 0:
            return Moments(0, math.nan, math.nan)
        mean = (self.customers * self.mean - part.customers * part.mean) / rest
        between = (
            self.customers * (self.variance + self.mean**2)
            - part.customers * (part.variance + part.mean**2)
        ) / rest
        return Moments(rest, mean, max(between - mean**2, 0.0))


@dataclass(frozen=True)
class SegmentFigures:
    """A numeric feature in a segment of `size` customers; no quartiles where nobody has it."""

    size: int
    moments: Moments
    quartiles: Quartiles


@dataclass(frozen=True)
class FeatureFigures:
    """A numeric feature in everybody, and by segment."""

    overall: Moments
    by_segment: Mapping[str, SegmentFigures]


def numeric_figures(
    connection: Connection,
    features_table: Table,
    assignment: Table,
    numeric: Sequence[str],
    quartile_customers: int,
) -> dict[str, FeatureFigures]:
    """Compute the figures of numeric features, in segments and in everybody.

    One pass takes as many features as their values may be held in memory for exact quartiles.
    Quartiles are of all customers up to `quartile_customers`, above that of a sample by a hash of
    the id; all else is of all.
    """
    if not numeric:
        return {}
    (largest,) = connection.execute(
        "SELECT "
        + ", ".join(f"max(abs({quote(name)}::DOUBLE))" for name in numeric)
        + f" FROM {features_table.sql}"
    ).fetchall()
    scales = {
        name: 2.0 ** min(_MANTISSA_BITS - math.frexp(size or 1.0)[1], _MOST_BITS)
        for name, size in zip(numeric, largest, strict=True)
    }
    total = count_rows(connection, assignment)
    sampled = None
    if total > quartile_customers:
        bound = int(quartile_customers / total * 2**64)
        sampled = f"md5_number_lower(customer_id) < {bound}::UBIGINT"
    at_once = max(1, _MOST_VALUES // max(1, min(total, quartile_customers)))
    figures: dict[str, FeatureFigures] = {}
    for first in range(0, len(numeric), at_once):
        names = numeric[first : first + at_once]
        query = _figures_sql(
            features_table, assignment, {name: scales[name] for name in names}, sampled
        )
        found = connection.execute(query).fetchall()
        for place, name in enumerate(names):
            columns = slice(2 + 4 * place, 6 + 4 * place)
            cells = {str(row[0]): (int(row[1]), *row[columns]) for row in found}
            figures[name] = _feature_figures(cells, scales[name])
    return figures


def category_counts(
    connection: Connection, features_table: Table, assignment: Table, categorical: Sequence[str]
) -> dict[str, dict[tuple[str, str], int]]:
    """Count customers by feature, segment and category, in this order, in one pass.

    A missing value is a category of its own.
    """
    counts: dict[str, dict[tuple[str, str], int]] = {name: {} for name in categorical}
    if not categorical:
        return counts
    columns = [f"c{place}" for place in range(len(categorical))]
    values = ", ".join(
        f"coalesce(f.{quote(name)}, {literal(MISSING_CATEGORY)}) AS {column}"
        for name, column in zip(categorical, columns, strict=True)
    )
    found = connection.execute(
        f"SELECT segment_id, {', '.join(columns)}, count(*) FROM (SELECT s.segment_id, {values}"
        f" FROM {assignment.sql} s JOIN {features_table.sql} f USING (customer_id)"
        " WHERE s.segment_id IS NOT NULL)"
        f" GROUP BY GROUPING SETS ({', '.join(f'(segment_id, {column})' for column in columns)})"
        " ORDER BY ALL"
    ).fetchall()
    for segment_id, *categories, customers in found:
        # Each row counts a category of one feature, and has nothing of the others.
        place = next(at for at, category in enumerate(categories) if category is not None)
        counts[categorical[place]][segment_id, categories[place]] = customers
    return counts


def _figures_sql(
    features_table: Table, assignment: Table, scales: Mapping[str, float], sampled: str | None
) -> str:
    """Write the SELECT of segment, size, and of each feature its three sums and its quartiles."""
    only_sampled = "" if sampled is None else " FILTER (is_sampled)"
    told: list[str] = []
    values: list[str] = []
    for name, scale in scales.items():
        value = f"v{len(values)}"
        values.append(f"f.{quote(name)}::DOUBLE AS {value}")
        scaled = f"({value} * {literal(scale)})::HUGEINT"
        told += [
            f"count({value})",
            f"coalesce(sum({scaled}), 0)",
            f"coalesce(sum({scaled} * {scaled}), 0)",
            f"quantile_cont({value}, [0.25, 0.5, 0.75]){only_sampled}",
        ]
    if sampled is not None:
        values.append(f"{sampled} AS is_sampled")
    return (
        f"SELECT segment_id, count(*), {', '.join(told)}"
        f" FROM (SELECT s.segment_id, {', '.join(values)}"
        f" FROM {assignment.sql} s JOIN {features_table.sql} f USING (customer_id)"
        " WHERE s.segment_id IS NOT NULL) GROUP BY segment_id ORDER BY segment_id"
    )


def _feature_figures(
    cells: Mapping[str, tuple[int, int, int, int, Sequence[float] | None]], scale: float
) -> FeatureFigures:
    """Make the figures of a feature from its sums; `cells` are size, sums, quartiles by segment."""
    sums = [(int(count), int(first), int(second)) for _, count, first, second, _ in cells.values()]
    by_segment = {
        segment_id: SegmentFigures(size, _moments_of(own, scale), _quartiles_of(quartiles))
        for (segment_id, (size, *_, quartiles)), own in zip(cells.items(), sums, strict=True)
    }
    return FeatureFigures(_moments_of(_added(sums), scale), by_segment)


def _added(sums: Iterable[Sums]) -> Sums:
    count, first, second = (sum(values) for values in zip((0, 0, 0), *sums, strict=True))
    return count, first, second


def _moments_of(sums: Sums, scale: float) -> Moments:
    count, first, second = sums
    if not count:
        return Moments(0, math.nan, math.nan)
    # Exact integers up to here: the subtraction loses nothing.
    variance = (count * second - first * first) / (count * count)
    return Moments(count, first / count / scale, variance / scale**2)


def _quartiles_of(found: Sequence[float] | None) -> Quartiles:
    if found is None:
        return None, None, None
    lower, median, upper = found
    return lower, median, upper
