"""The tables that describe a segmentation's segments, made from who belongs where."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from segmentation_pipeline.features import Preparation
from segmentation_pipeline.segments.outside import described_customers, outside_labels
from segmentation_pipeline.segments.profiles import (
    category_share_rows,
    profile_rows,
    ranked,
)
from segmentation_pipeline.segments.suppressed_rows import suppress_profiles, suppress_shares
from segmentation_pipeline.segments.trait_names import name_segments
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

_NOBODY = "nobody yet"
"""What a segment is called that no customer has been in: traits would be of nobody."""

_PROFILES_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "feature": pa.string(),
        "description": pa.string(),
        "unit": pa.string(),
        "criterion": pa.string(),
        "use": pa.string(),
        "customers": pa.int64(),
        "missing_share": pa.float64(),
        "mean": pa.float64(),
        "standard_deviation": pa.float64(),
        "median": pa.float64(),
        "lower_quartile": pa.float64(),
        "upper_quartile": pa.float64(),
        "overall_mean": pa.float64(),
        "overall_standard_deviation": pa.float64(),
        "standardised_difference": pa.float64(),
        "rank": pa.int32(),
        "is_suppressed": pa.bool_(),
    }
)
_SHARES_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "feature": pa.string(),
        "category": pa.string(),
        "criterion": pa.string(),
        "use": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "overall_share": pa.float64(),
        "lift": pa.float64(),
        "is_suppressed": pa.bool_(),
    }
)
_SEGMENTS_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "number_in_model": pa.int32(),
        "label": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "expected_customers": pa.float64(),
        "is_noise": pa.bool_(),
        "verdict": pa.string(),
    }
)


def make_segment_profiles(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    quartile_customers: int,
    build: Build,
    *,
    smallest_group: int,
) -> int:
    """Write `segment_profiles`: a row per segment and numeric feature; returns its rows.

    Figures of fewer than `smallest_group` customers are withheld here, and not only before they are
    published: whatever is made of the table is as safe as the table.
    """
    found = profile_rows(
        connection,
        Table(name, "engineered_features"),
        described_customers(name, spec),
        described_features(spec),
        quartile_customers,
    )
    rows = ranked(suppress_profiles(found, smallest_group))
    return write_rows(connection, Table(name, "segment_profiles"), _PROFILES_SCHEMA, rows, build)


def make_segment_category_shares(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    build: Build,
    *,
    smallest_group: int,
) -> int:
    """Write `segment_category_shares`: a row per segment, feature and category.

    Categories of fewer than `smallest_group` customers of a segment are withheld, and as many
    others as keep them unknown.
    """
    found = category_share_rows(
        connection,
        Table(name, "engineered_features"),
        described_customers(name, spec),
        described_features(spec),
    )
    rows = list(suppress_shares(found, smallest_group))
    table = Table(name, "segment_category_shares")
    return write_rows(connection, table, _SHARES_SCHEMA, rows, build)


def make_segments(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    ids: Sequence[str],
    given_labels: Mapping[str, str],
    build: Build,
) -> int:
    """Write `segments`: size, share, label and verdict of each; a label once given stays.

    `ids` are all of the model's: one that has no customer tonight is listed with none, since it may
    be somebody's runner-up. `given_labels` are those that the specification gives.
    """
    traits = _rows(connection, Table(name, "segment_traits"))
    counted = connection.execute(
        "SELECT segment_id, count(*), count(*) FILTER (NOT is_typed)"
        f" FROM {Table(name, 'customer_segments').sql} GROUP BY segment_id ORDER BY segment_id"
    ).fetchall()
    sizes = {segment_id: customers for segment_id, customers, _ in counted}
    typed = {row["segment_id"]: row["customers"] for row in _rows(connection, _typed_sizes(name))}
    expected = {segment_id: float(sure) for segment_id, _, sure in counted}
    present = [segment_id for segment_id in ids if segment_id in sizes]
    outside = outside_labels(name)
    withheld = withheld_segments(_rows(connection, Table(name, "segment_profiles")))
    labels = dict(outside) | name_segments(
        connection, name, spec, present, traits, given_labels, withheld
    )
    total = sum(sizes.values())
    listed = [*ids, *(segment_id for segment_id in sizes if segment_id not in ids)]
    (judged,) = _rows(connection, Table(name, "structure_verdict"))
    numbers = {segment_id: number for number, segment_id in enumerate(ids)}
    rows = [
        {
            "segment_id": segment_id,
            "number_in_model": numbers.get(segment_id),
            "label": labels.get(segment_id) or given_labels.get(segment_id) or _NOBODY,
            "customers": sizes.get(segment_id, 0),
            "share": sizes.get(segment_id, 0) / total,
            "expected_customers": expected.get(segment_id, 0.0) + typed.get(segment_id, 0.0),
            "is_noise": segment_id in outside,
            "verdict": judged["verdict"],
        }
        for segment_id in listed
    ]
    return write_rows(connection, Table(name, "segments"), _SEGMENTS_SCHEMA, rows, build)


def described_features(spec: SegmentationSpec) -> Mapping[str, FeatureSpec]:
    """Choose the features that profiles tell: those that make or describe the segments."""
    return {name: feature for name, feature in spec.features.items() if feature.use != "input"}


def withheld_segments(profiles: Iterable[Mapping[str, Any]]) -> set[str]:
    """Find the segments of which a figure that may set them apart is not shown."""
    return {
        row["segment_id"] for row in profiles if row["is_suppressed"] and row["use"] == "clustering"
    }


def with_uses(spec: SegmentationSpec, preparation: Preparation) -> SegmentationSpec:
    """The specification by what its features do: one that was left out of the distance describes.

    A segment would else be named twice after the same thing, where one feature copies another.
    Rules have no distance that a feature could be left out of.
    """
    used = {row.feature for row in preparation.scalings}
    if not used:
        return spec
    features = {
        name: feature.model_copy(update={"use": "profile"})
        if feature.use == "clustering" and name not in used
        else feature
        for name, feature in spec.features.items()
    }
    return spec.model_copy(update={"features": features})


def _typed_sizes(name: str) -> Table:
    return Table(name, "typed_sizes")


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(f"FROM {table.sql}").to_arrow_table().to_pylist()
    return rows
