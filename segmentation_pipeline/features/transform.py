"""The one SELECT that turns engineered features into the matrix.

It is generated from a preparation alone, and serves fitting, nightly scoring and one customer
alike: there is no second code path to drift from it.
"""

from dataclasses import replace

from segmentation_pipeline.features.engineered import LARGEST_VALUE
from segmentation_pipeline.features.preparation import (
    IS_MISSING,
    UNCLIPPED_SUFFIX,
    Lookup,
    Preparation,
    ScalingRow,
)
from segmentation_pipeline.warehouse import literal, quote

LARGEST_SCALED = 1e17
"""No scaled value is beyond it, so that float32 holds the sum of the squares of 10,000 columns."""


def feature_matrix_sql(preparation: Preparation, source_relation_sql: str) -> str:
    """Write the SELECT of `customer_id` and the matrix's columns, FLOAT and never NULL.

    The source is `engineered_features`, or any relation with its columns, in parentheses where it
    is a query. Each column is weight * (clip(fill(x)) - centre) / spread, in double precision:
    x is the transformed number, or a component of the category's vector. A clipped column stands
    there once more as it is before its bounds, which the outlier flag looks at.
    """
    lookups = preparation.lookups
    clauses = [_vectors_sql(feature, lookup) for feature, lookup in lookups.items()]
    joins = [
        f"LEFT JOIN {_vectors(feature)} ON source.{quote(feature)} = {_vectors(feature)}.category"
        for feature in lookups
    ]
    unscaled = [
        f"{_unscaled_sql(scaling, lookups.get(scaling.feature))} AS {quote(scaling.column_name)}"
        for scaling in preparation.scalings
    ]
    clauses.append(
        f"unscaled AS (SELECT source.customer_id, {', '.join(unscaled)}\n"
        f"FROM {source_relation_sql} AS source {' '.join(joins)})"
    )
    scaled = [
        f"CAST({_scaled_sql(scaling)} AS FLOAT) AS {quote(scaling.column_name)}"
        for scaling in preparation.scalings
    ]
    scaled += [
        f"CAST({_scaled_sql(replace(scaling, lower=None, upper=None))} AS FLOAT)"
        f" AS {quote(scaling.column_name + UNCLIPPED_SUFFIX)}"
        for scaling in preparation.scalings
        if scaling.is_clipped
    ]
    with_clauses = ",\n".join(clauses)
    return f"WITH {with_clauses}\nSELECT customer_id, {', '.join(scaled)} FROM unscaled"


def _vectors(feature: str) -> str:
    return quote(f"vectors of {feature}")


def _vectors_sql(feature: str, lookup: Lookup) -> str:
    """Write the lookup of one feature as a WITH clause: category, then a column per component.

    It has no rows where all categories are rare.
    """
    # Components are numbered: `A` and `a` would be one column to DuckDB.
    components = [f"component_{index}" for index in range(len(lookup.components))]
    rows = [
        f"({', '.join([literal(category), *map(literal, vector)])})"
        for category, vector in lookup.vectors.items()
    ]
    columns = ", ".join(["category", *components])
    nothing = ", ".join(["NULL::VARCHAR", *["NULL::DOUBLE"] * len(components)])
    vectors = f"VALUES {', '.join(rows)}" if rows else f"SELECT {nothing} WHERE false"
    return f"{_vectors(feature)}({columns}) AS ({vectors})"


def _unscaled_sql(scaling: ScalingRow, lookup: Lookup | None) -> str:
    """Write x, NULL where it is missing."""
    if lookup is None:
        x = _number_sql(scaling)
        return f"CAST(({x}) IS NULL AS DOUBLE)" if scaling.component == IS_MISSING else x
    value = f"source.{quote(scaling.feature)}"
    category = f"{_vectors(scaling.feature)}.category"
    if scaling.component == IS_MISSING:
        lacking = category if lookup.is_other_missing else value
        return f"CAST({lacking} IS NULL AS DOUBLE)"
    index = lookup.components.index(str(scaling.component))
    component = f"{_vectors(scaling.feature)}.component_{index}"
    if lookup.is_other_missing:
        return component
    return (
        f"CASE WHEN {category} IS NOT NULL THEN {component}"
        f" WHEN {value} IS NOT NULL THEN {literal(lookup.other[index])} END"
    )


def _number_sql(scaling: ScalingRow) -> str:
    x = f"CAST(source.{quote(scaling.feature)} AS DOUBLE)"
    return x if scaling.transform == "none" else f"CASE WHEN {x} >= 0 THEN ln(1 + {x}) END"


def _scaled_sql(scaling: ScalingRow) -> str:
    x = f"coalesce({quote(scaling.column_name)}, {literal(scaling.fill)})"
    lower, upper = bounds_in_reach(scaling)
    if lower is not None:
        x = f"greatest({x}, {literal(lower)})"
    if upper is not None:
        x = f"least({x}, {literal(upper)})"
    difference = f"({x} - {literal(scaling.centre)})"
    return f"{literal(scaling.weight)} * {difference} / {literal(scaling.spread)}"


def bounds_in_reach(scaling: ScalingRow) -> tuple[float | None, float | None]:
    """Find the bounds: the declared ones, and where spreads are tiny those that keep x in reach.

    They are left out where they aren't needed: they would be 40 % of the time of a wide matrix.
    """
    reach = LARGEST_SCALED * scaling.spread / scaling.weight
    if LARGEST_VALUE + abs(scaling.centre) <= reach:
        return scaling.lower, scaling.upper
    lower, upper = scaling.centre - reach, scaling.centre + reach
    return (
        lower if scaling.lower is None else max(lower, scaling.lower),
        upper if scaling.upper is None else min(upper, scaling.upper),
    )
