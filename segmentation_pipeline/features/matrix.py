"""`feature_matrix`, `encodings`, `scalings` and `feature_selection` of a segmentation."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.specification.customers import Limits
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    count_rows,
    literal,
    quote,
    require_builds,
    write_rows,
    write_table,
    write_view,
)

UNSEEN_ALARM_SHARE = 0.05
"""More values without a vector of their own than this (and than at fitting) raise an alarm."""

_ENCODINGS = pa.schema(
    [
        ("feature", pa.string()),
        ("category", pa.string()),
        ("is_other", pa.bool_()),
        ("component", pa.string()),
        ("value", pa.float64()),
    ]
)
_SCALINGS = pa.schema(
    [
        *((name, pa.string()) for name in ("column_name", "feature", "component", "transform")),
        *(
            (name, pa.float64())
            for name in ("centre", "spread", "lower", "upper", "fill", "weight")
        ),
    ]
)
_SELECTION = pa.schema(
    [
        ("feature", pa.string()),
        ("column_name", pa.string()),
        ("is_kept", pa.bool_()),
        ("reason", pa.string()),
        ("missing_share", pa.float64()),
        ("distinct_values", pa.int64()),
        ("unseen_share", pa.float64()),
    ]
)


@dataclass(frozen=True)
class FeatureMatrix:
    """What was made, and how tonight's customers differ from those of the fitting."""

    rows: int
    columns: int
    is_stored: bool
    """A table; else a view."""
    missing_shares: Mapping[str, float]
    """Feature -> share of customers for whom the fill is used."""
    unseen_shares: Mapping[str, float]
    """Category -> share of its values without a vector of their own."""
    negatives: Mapping[str, int]
    """Feature under log1p -> customers whose value is negative, and so counts as missing."""
    alarms: Sequence[str]
    """A sentence per feature with too many unseen categories."""


def make_feature_matrix(
    connection: Connection,
    name: str,
    preparation: Preparation,
    limits: Limits,
    build: Build,
    *,
    features: Table | None = None,
) -> FeatureMatrix:
    """Make `<name>.feature_matrix` from engineered features, and the three small tables.

    `features` holds those of the customers who are grouped (`participation.grouped_features`);
    `<name>.engineered_features`, where it is None.

    Up to `limits.table_customers` it is a table, above a view. `feature_selection` has tonight's
    missing and unseen shares of all customers.

    Raises PreparationError where the preparation was fitted on features that there no longer are,
    and StaleUpstreamError where `engineered_features` was made for another date.
    """
    engineered = features or Table(name, "engineered_features")
    require_builds(connection, [engineered], build.as_of)
    check_features(preparation, name, column_types(connection, engineered))
    rows = count_rows(connection, engineered)
    is_stored = rows <= limits.table_customers
    matrix, query = Table(name, "feature_matrix"), feature_matrix_sql(preparation, engineered.sql)
    if is_stored:
        write_table(connection, matrix, query, build)
    else:
        write_view(connection, matrix, query, build, rows)
    lacking = _count_lacking(connection, engineered, preparation)
    missing = {feature: one.missing / max(rows, 1) for feature, one in lacking.items()}
    unseen = {
        feature: lacking[feature].odd / max(lacking[feature].present, 1)
        for feature in preparation.lookups
    }
    selection = [
        replace(
            row,
            missing_share=missing[row.feature],
            unseen_share=unseen.get(row.feature),
        )
        for row in preparation.selection
    ]
    for table, schema, content in (
        ("encodings", _ENCODINGS, preparation.encodings),
        ("scalings", _SCALINGS, preparation.scalings),
        ("feature_selection", _SELECTION, selection),
    ):
        records = [asdict(row) for row in content]
        write_rows(connection, Table(name, table), schema, records, build)
    return FeatureMatrix(
        rows=rows,
        columns=len(preparation.scalings),
        is_stored=is_stored,
        missing_shares=missing,
        unseen_shares=unseen,
        negatives={feature: lacking[feature].odd for feature in _logarithms(preparation)},
        alarms=_alarms(preparation, unseen),
    )


def check_features(preparation: Preparation, name: str, types: Mapping[str, str]) -> None:
    """Raise PreparationError where a feature that was fitted is gone, or of another kind now."""
    categories = preparation.lookups
    kept = {scaling.feature for scaling in preparation.scalings}
    for feature in {row.feature: None for row in preparation.selection}:
        is_same_kind = (types.get(feature) == "VARCHAR") == (feature in categories)
        if feature not in types or (feature in kept and not is_same_kind):
            raise PreparationError(
                f"segmentation `{name}`: its preparation was fitted with feature `{feature}`, "
                "which there no longer is in that form: refit the segmentation"
            )


@dataclass(frozen=True)
class _Lacking:
    """Of one feature: how many customers have a value, lack x, have a value that is odd.

    A category is odd without a vector of its own, the argument of a logarithm when negative.
    """

    present: int
    missing: int
    odd: int


def _count_lacking(
    connection: Connection, engineered: Table, preparation: Preparation
) -> dict[str, _Lacking]:
    lookups, logarithms = preparation.lookups, _logarithms(preparation)
    features = list(dict.fromkeys(row.feature for row in preparation.selection))
    counts = []
    for feature in features:
        value = quote(feature)
        is_odd, is_odd_missing = "false", False
        if feature in lookups:
            known = ", ".join(map(literal, lookups[feature].vectors))
            is_odd = f"{value} NOT IN ({known})" if known else f"{value} IS NOT NULL"
            is_odd_missing = lookups[feature].is_other_missing
        elif feature in logarithms:
            is_odd, is_odd_missing = f"CAST({value} AS DOUBLE) < 0", True
        is_missing = f"{value} IS NULL OR {is_odd}" if is_odd_missing else f"{value} IS NULL"
        counts.append(f"count({value})")
        counts += [f"count(*) FILTER (WHERE {is_lacking})" for is_lacking in (is_missing, is_odd)]
    query = f"SELECT {', '.join(counts)} FROM {engineered.sql}"
    found = connection.execute(query).fetchall()[0]
    triples = zip(found[::3], found[1::3], found[2::3], strict=True)
    return {feature: _Lacking(*one) for feature, one in zip(features, triples, strict=True)}


def _logarithms(preparation: Preparation) -> list[str]:
    """Name the features whose logarithm enters the matrix."""
    rows = [row for row in preparation.scalings if row.transform == "log1p"]
    return list(dict.fromkeys(row.feature for row in rows))


def _alarms(preparation: Preparation, unseen: Mapping[str, float]) -> list[str]:
    """Say which features have more unseen categories than the fitting had reason to expect.

    A one-hot encoding with a cap has a share of others from the start; where the categories were
    listed by a person, any unseen one is news.
    """
    lookups = preparation.lookups
    fitted = {row.feature: row for row in preparation.selection}
    alarms = []
    for feature, share in unseen.items():
        is_listed = lookups[feature].is_other_missing
        expected = 0.0 if is_listed else fitted[feature].unseen_share or 0.0
        if share - expected > UNSEEN_ALARM_SHARE:
            alarms.append(
                f"feature `{feature}`: {share:.1%} of its values are categories without a vector "
                f"of their own ({expected:.1%} were expected): add them to its `encoding` or to "
                "the column's `aliases`, or refit"
            )
    return alarms
