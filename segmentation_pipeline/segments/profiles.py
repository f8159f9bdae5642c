"""What sets each segment apart, feature by feature, in the feature's own unit."""

import math
from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

from segmentation_pipeline.segments.figures import Moments, category_counts, numeric_figures
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import Connection, Table, column_types

NUMERIC = {"BIGINT", "INTEGER", "DOUBLE", "FLOAT", "BOOLEAN", "HUGEINT"}
TELLING_DIFFERENCE = 0.2


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
    figures = numeric_figures(connection, features_table, assignment, numeric, quartile_customers)
    rows = []
    for name, found in figures.items():
        overall = found.overall
        for segment_id, of_segment in found.by_segment.items():
            inside = of_segment.moments
            lower, median, upper = of_segment.quartiles
            rows.append(
                {
                    "segment_id": segment_id,
                    "feature": name,
                    **_description(features[name]),
                    "customers": inside.customers,
                    "missing_share": 1 - inside.customers / of_segment.size,
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
    categorical = [name for name in features if types[name] == "VARCHAR"]
    rows = []
    counted = category_counts(connection, features_table, assignment, categorical)
    for name, counts in counted.items():
        segment_sizes: dict[str, int] = {}
        category_sizes: dict[str, int] = {}
        for (segment_id, category), customers in counts.items():
            segment_sizes[segment_id] = segment_sizes.get(segment_id, 0) + customers
            category_sizes[category] = category_sizes.get(category, 0) + customers
        total = sum(segment_sizes.values())
        for segment_id, size in segment_sizes.items():
            for category, everywhere in category_sizes.items():
                customers = counts.get((segment_id, category), 0)
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
