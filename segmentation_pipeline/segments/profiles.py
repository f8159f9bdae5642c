"""What sets each segment apart, feature by feature, in the feature's own unit.

Sums run over integers: DuckDB adds floats in whatever order its threads finish, and the last bits
differ from run to run. Each feature is scaled by a power of two such that its largest
magnitude is 2^40: twelve digits relative to the largest value, and the sums of squares of 10^14
customers still fit into 128 bits.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from segmentation_pipeline.specification.columns import MISSING_CATEGORY
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import Connection, Table, column_types, literal, quote

NUMERIC = {"BIGINT", "INTEGER", "DOUBLE", "FLOAT", "BOOLEAN", "HUGEINT"}
_MANTISSA_BITS = 40
TELLING_DIFFERENCE = 0.2


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


def standardised_difference(inside: Moments, overall: Moments) -> float | None:
    """Compute (mean in - mean out) / pooled standard deviation (Cohen 1988, d with pooled sd).

    None where there is nobody outside, or where neither side varies.

    >>> standardised_difference(Moments(2, 3.0, 1.0), Moments(4, 2.0, 2.0))
    2.0
    """
    outside = overall.without(inside)
    if not inside.customers or not outside.customers:
        return None
    pooled = (
        inside.customers * inside.variance + outside.customers * outside.variance
    ) / overall.customers
    # Below this, what is left of the variance is rounding of the subtraction in `without`.
    if pooled <= 1e-12 * (overall.variance + overall.mean**2):
        return None
    return (inside.mean - outside.mean) / math.sqrt(pooled)


def profile_rows(
    connection: Connection,
    features_table: Table,
    assignment: Table,
    features: Mapping[str, FeatureSpec],
    quartile_customers: int,
) -> list[dict[str, Any]]:
    """Describe each segment by its numeric features: a row per segment and feature.

    Means and deviations are of all customers; quartiles of all up to `quartile_customers`, above
    that of a sample by a hash of the id, since an exact quantile holds every value in memory.
    """
    types = column_types(connection, features_table)
    numeric = [name for name in features if types[name] in NUMERIC]
    if not numeric:
        return []
    moments = _moments(connection, features_table, assignment, numeric)
    rows = []
    for name in numeric:
        quartiles = _quartiles(connection, features_table, assignment, name, quartile_customers)
        overall, sizes = moments[name]
        for segment_id, (size, inside) in sizes.items():
            lower, median, upper = quartiles.get(segment_id, (None, None, None))
            rows.append(
                {
                    "segment_id": segment_id,
                    "feature": name,
                    **_description(features[name]),
                    "customers": inside.customers,
                    "missing_share": 1 - inside.customers / size,
                    "mean": _or_none(inside.mean),
                    "standard_deviation": _deviation(inside),
                    "median": median,
                    "lower_quartile": lower,
                    "upper_quartile": upper,
                    "overall_mean": _or_none(overall.mean),
                    "overall_standard_deviation": _deviation(overall),
                    "standardised_difference": standardised_difference(inside, overall),
                }
            )
    return ranked(rows)


def category_share_rows(
    connection: Connection,
    features_table: Table,
    assignment: Table,
    features: Mapping[str, FeatureSpec],
) -> list[dict[str, Any]]:
    """Describe each segment by its categories: a row per segment, feature and category.

    A missing value is the category "missing". `lift` is the share in the segment over that of all.
    """
    types = column_types(connection, features_table)
    rows = []
    for name in features:
        if types[name] != "VARCHAR":
            continue
        counts = connection.execute(
            f"SELECT s.segment_id, coalesce(f.{quote(name)}, {literal(MISSING_CATEGORY)}), count(*)"
            f" FROM {assignment.sql} s JOIN {features_table.sql} f USING (customer_id)"
            " WHERE s.segment_id IS NOT NULL GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        segment_sizes: dict[str, int] = {}
        category_sizes: dict[str, int] = {}
        for segment_id, category, customers in counts:
            segment_sizes[segment_id] = segment_sizes.get(segment_id, 0) + customers
            category_sizes[category] = category_sizes.get(category, 0) + customers
        found = {(segment_id, category): customers for segment_id, category, customers in counts}
        total = sum(segment_sizes.values())
        for segment_id, size in segment_sizes.items():
            for category, everywhere in category_sizes.items():
                customers = found.get((segment_id, category), 0)
                share, overall_share = customers / size, everywhere / total
                rows.append(
                    {
                        "segment_id": segment_id,
                        "feature": name,
                        "category": category,
                        "criterion": features[name].criterion,
                        "use": features[name].use,
                        "customers": customers,
                        "share": share,
                        "overall_share": overall_share,
                        "lift": share / overall_share,
                    }
                )
    return rows


def _moments(
    connection: Connection, features_table: Table, assignment: Table, numeric: Sequence[str]
) -> dict[str, tuple[Moments, dict[str, tuple[int, Moments]]]]:
    """Feature -> (moments of everybody, segment -> (size, moments)); exact sums."""
    largest = connection.execute(
        "SELECT "
        + ", ".join(f"max(abs({quote(name)}::DOUBLE))" for name in numeric)
        + f" FROM {features_table.sql}"
    ).fetchall()[0]
    scales = {
        name: 2.0 ** (_MANTISSA_BITS - math.frexp(size or 1.0)[1])
        for name, size in zip(numeric, largest, strict=True)
    }
    sums = ", ".join(_moment_sums_sql(name, scales[name]) for name in numeric)
    found = connection.execute(
        f"SELECT s.segment_id, count(*), {sums}"
        f" FROM {assignment.sql} s JOIN {features_table.sql} f USING (customer_id)"
        " WHERE s.segment_id IS NOT NULL GROUP BY s.segment_id ORDER BY s.segment_id"
    ).fetchall()
    moments = {}
    for index, name in enumerate(numeric):
        parts = {row[0]: (row[1], row[2 + 3 * index : 5 + 3 * index]) for row in found}
        everybody = [
            sum(values) for values in zip(*(part for _, part in parts.values()), strict=True)
        ]
        moments[name] = (
            _moments_of(everybody, scales[name]),
            {
                segment_id: (size, _moments_of(part, scales[name]))
                for segment_id, (size, part) in parts.items()
            },
        )
    return moments


def _moment_sums_sql(name: str, scale: float) -> str:
    scaled = f"(f.{quote(name)}::DOUBLE * {literal(scale)})::HUGEINT"
    return (
        f"count(f.{quote(name)}), coalesce(sum({scaled}), 0), coalesce(sum({scaled} * {scaled}), 0)"
    )


def _moments_of(sums: Sequence[int], scale: float) -> Moments:
    count, first, second = (int(value) for value in sums)
    if not count:
        return Moments(0, math.nan, math.nan)
    # Exact integers up to here: the subtraction loses nothing.
    variance = (count * second - first * first) / (count * count)
    return Moments(count, first / count / scale, variance / scale**2)


def _quartiles(
    connection: Connection,
    features_table: Table,
    assignment: Table,
    name: str,
    quartile_customers: int,
) -> dict[str, tuple[float, float, float]]:
    total = connection.execute(f"SELECT count(*) FROM {assignment.sql}").fetchall()[0][0]
    sampled = ""
    if total > quartile_customers:
        bound = int(quartile_customers / total * 2**64)
        sampled = f" AND md5_number_lower(customer_id) < {bound}::UBIGINT"
    rows = connection.execute(
        f"SELECT s.segment_id, quantile_cont(f.{quote(name)}::DOUBLE, [0.25, 0.5, 0.75])"
        f" FROM {assignment.sql} s JOIN {features_table.sql} f USING (customer_id)"
        f" WHERE s.segment_id IS NOT NULL AND f.{quote(name)} IS NOT NULL{sampled}"
        " GROUP BY s.segment_id"
    ).fetchall()
    return {segment_id: tuple(quartiles) for segment_id, quartiles in rows}


def ranked(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rank each segment's features of one use by |standardised difference|; none is last.

    Those that make the segments differ by construction: they would push the others down.
    """
    in_order = sorted(
        rows,
        key=lambda row: (
            row["segment_id"],
            row["use"],
            -abs(row["standardised_difference"] or 0.0),
            row["feature"],
        ),
    )
    return [
        {**row, "rank": rank}
        for _, of_segment in groupby(in_order, key=itemgetter("segment_id", "use"))
        for rank, row in enumerate(of_segment, start=1)
    ]


def _description(feature: FeatureSpec) -> dict[str, Any]:
    return {
        "description": feature.description,
        "unit": feature.unit,
        "criterion": feature.criterion,
        "use": feature.use,
    }


def _deviation(moments: Moments) -> float | None:
    return _or_none(math.sqrt(moments.variance) if moments.customers else math.nan)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
