"""The tables that describe a segmentation's segments, made from who belongs where."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from segmentation_pipeline.segments.identity import NOISE_LABEL, label_segments, noise_id
from segmentation_pipeline.segments.profiles import (
    category_share_rows,
    profile_rows,
    segment_label,
)
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
    }
)
_SEGMENTS_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "label": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
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
) -> int:
    """Write `segment_profiles`: a row per segment and numeric feature; returns its rows."""
    rows = profile_rows(
        connection,
        Table(name, "engineered_features"),
        Table(name, "customer_segments"),
        described_features(spec),
        quartile_customers,
    )
    return write_rows(connection, Table(name, "segment_profiles"), _PROFILES_SCHEMA, rows, build)


def make_segment_category_shares(
    connection: Connection, name: str, spec: SegmentationSpec, build: Build
) -> int:
    """Write `segment_category_shares`: a row per segment, feature and category."""
    rows = category_share_rows(
        connection,
        Table(name, "engineered_features"),
        Table(name, "customer_segments"),
        described_features(spec),
    )
    table = Table(name, "segment_category_shares")
    return write_rows(connection, table, _SHARES_SCHEMA, rows, build)


def make_segments(
    connection: Connection,
    name: str,
    ids: Sequence[str],
    given_labels: Mapping[str, str],
    build: Build,
) -> int:
    """Write `segments`: size, share, label and verdict of each; a label once given stays.

    `ids` are all of the model's: one that has no customer tonight is listed with none, since it may
    be somebody's runner-up. `given_labels` are those that the specification gives.
    """
    profiles = _rows(connection, Table(name, "segment_profiles"))
    shares = _rows(connection, Table(name, "segment_category_shares"))
    sizes = dict(
        connection.execute(
            f"SELECT segment_id, count(*) FROM {Table(name, 'customer_segments').sql}"
            " GROUP BY segment_id ORDER BY segment_id"
        ).fetchall()
    )
    labels = {noise_id(name): NOISE_LABEL} | label_segments(
        connection,
        name,
        {
            segment_id: given_labels.get(segment_id)
            or segment_label(
                [row for row in profiles if row["segment_id"] == segment_id],
                [row for row in shares if row["segment_id"] == segment_id],
            )
            for segment_id in sizes
        },
    )
    total = sum(sizes.values())
    listed = [*ids, *(segment_id for segment_id in sizes if segment_id not in ids)]
    (judged,) = _rows(connection, Table(name, "structure_verdict"))
    rows = [
        {
            "segment_id": segment_id,
            "label": labels.get(segment_id) or given_labels.get(segment_id) or _NOBODY,
            "customers": sizes.get(segment_id, 0),
            "share": sizes.get(segment_id, 0) / total,
            "is_noise": segment_id == noise_id(name),
            "verdict": judged["verdict"],
        }
        for segment_id in listed
    ]
    return write_rows(connection, Table(name, "segments"), _SEGMENTS_SCHEMA, rows, build)


def described_features(spec: SegmentationSpec) -> Mapping[str, FeatureSpec]:
    """Choose the features that profiles tell: those that make or describe the segments."""
    return {name: feature for name, feature in spec.features.items() if feature.use != "input"}


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(f"FROM {table.sql}").to_arrow_table().to_pylist()
    return rows
