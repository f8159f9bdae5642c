"""`feature_distributions`: how the values of a feature are spread in a segment and in everybody.

Bins are round numbers, chosen once for a model and a feature's definition and kept, so that one
night's picture can be laid over another's. Of each bin the customers are rounded to a multiple of
the smallest group that may be shown: fewer than half of that are nobody, and what is left of a
total when others are taken from it is as blurred as the bin itself. Hiding small bins instead would
want others hidden with them, and would leave of a small segment nothing to draw.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.features import read_feature_sample
from segmentation_pipeline.segments.profiles import NUMERIC
from segmentation_pipeline.segments.tables import described_features
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    literal,
    quote,
    transaction,
    write_rows,
)

_SAMPLED_CUSTOMERS = 10_000
_FEW_CUSTOMERS = 1_000
_BINS = {True: 5, False: 8}
"""About so many bins between the outer edges, of few customers or of many."""
_OUTER_QUANTILES = (0.02, 0.98)
_ROUND_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "feature": pa.string(),
        "bin": pa.int32(),
        "lower": pa.float64(),
        "upper": pa.float64(),
        "share": pa.float64(),
        "overall_share": pa.float64(),
    }
)


def make_feature_distributions(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    model_version: int,
    smallest_group: int,
    build: Build,
) -> int:
    """Write `feature_distributions`: a row per segment, numeric feature and bin; returns its rows.

    Segments of fewer than `smallest_group` customers are left out, and so is a feature that has one
    value only.
    """
    engineered = Table(name, "engineered_features")
    types = column_types(connection, engineered)
    numeric = {
        feature: one
        for feature, one in described_features(spec).items()
        if types[feature] in NUMERIC
    }
    edges = _kept_edges(connection, name, numeric, spec.clustering.seed, model_version)
    counts = _counts(connection, name, edges) if edges else {}
    rows: list[dict[str, Any]] = []
    for feature, cuts in edges.items():
        everybody = np.sum([per[feature] for _, per in counts.values()], axis=0)
        for segment_id, (size, per) in counts.items():
            if size >= smallest_group:
                shares = _shares(per[feature], smallest_group)
                overall = _shares(everybody, smallest_group)
                rows += _bin_rows(segment_id, feature, cuts, shares, overall)
    return write_rows(connection, Table(name, "feature_distributions"), _SCHEMA, rows, build)


def round_edges(values: NDArray[np.float64]) -> list[float]:
    """Choose the edges between bins: round numbers, at equal distances, rising; none of one value.

    The outer bins are open. Whole numbers get whole edges.

    >>> round_edges(np.arange(101.0))
    [20.0, 40.0, 60.0, 80.0]
    """
    present = values[np.isfinite(values)]
    if not len(present) or present.min() == present.max():
        return []
    low, high = np.quantile(present, _OUTER_QUANTILES)
    if low == high:
        low, high = present.min(), present.max()
    wanted = float(high - low) / _BINS[len(present) < _FEW_CUSTOMERS]
    magnitude = 10.0 ** math.floor(math.log10(wanted))
    step = next(one * magnitude for one in _ROUND_STEPS if one * magnitude >= wanted * (1 - 1e-9))
    if (present == np.rint(present)).all():
        step = max(1.0, float(math.ceil(step)))
    first, last = math.floor(float(low) / step) + 1, math.ceil(float(high) / step)
    # Multiplying, not adding up: 0.1 added ten times is not 1.
    decimals = max(0, 2 - math.floor(math.log10(step)))
    return [round(number * step, decimals) for number in range(first, max(last, first + 1))]


def _kept_edges(
    connection: Connection,
    name: str,
    features: Mapping[str, FeatureSpec],
    seed: int,
    model_version: int,
) -> dict[str, list[float]]:
    """Edges by feature, as they were chosen on the model's first night, or now and kept."""
    table = Table(name, "feature_bins")
    with transaction(connection):
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table.sql} (model_version INTEGER, feature VARCHAR,"
            " definition VARCHAR, edges DOUBLE[], PRIMARY KEY (model_version, feature, definition))"
        )
        found = {
            (feature, definition): edges
            for feature, definition, edges in connection.execute(
                f"SELECT feature, definition, edges FROM {table.sql} WHERE model_version = ?",
                [model_version],
            ).fetchall()
        }
        keys = {feature: (feature, _definition(one)) for feature, one in features.items()}
        lacking = [feature for feature, key in keys.items() if key not in found]
        if lacking:
            engineered = Table(name, "engineered_features")
            sample = read_feature_sample(connection, engineered, lacking, seed, _SAMPLED_CUSTOMERS)
            for feature in lacking:
                found[keys[feature]] = round_edges(sample.values[feature])
                connection.execute(
                    f"INSERT INTO {table.sql} VALUES (?, ?, ?, ?)",
                    [model_version, *keys[feature], found[keys[feature]]],
                )
    return {feature: found[key] for feature, key in keys.items() if found[key]}


def _definition(feature: FeatureSpec) -> str:
    """Digest what a feature's values depend on: how they are scaled or described doesn't count."""
    text = feature.model_dump_json(include={"column", "expression", "aggregate"})
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _counts(
    connection: Connection, name: str, edges: Mapping[str, Sequence[float]]
) -> dict[str, tuple[int, dict[str, NDArray[np.int64]]]]:
    """Segment -> (size, feature -> customers by bin), in one pass over the customers."""
    columns = [column for feature, cuts in edges.items() for column in _counts_sql(feature, cuts)]
    found = connection.execute(
        f"SELECT s.segment_id, count(*), {', '.join(columns)}"
        f" FROM {Table(name, 'customer_segments').sql} s"
        f" JOIN {Table(name, 'engineered_features').sql} f USING (customer_id)"
        " WHERE s.segment_id IS NOT NULL GROUP BY s.segment_id ORDER BY s.segment_id"
    ).fetchall()
    counts = {}
    for segment_id, size, *below in found:
        per, place = {}, 0
        for feature, cuts in edges.items():
            part = below[place : place + len(cuts) + 1]
            cumulated = np.array([0, *part], dtype=np.int64)
            per[feature] = cumulated[1:] - cumulated[:-1]
            place += len(cuts) + 1
        counts[segment_id] = (size, per)
    return counts


def _counts_sql(feature: str, cuts: Sequence[float]) -> list[str]:
    """Count the customers below each edge, and those with a value."""
    value = f"f.{quote(feature)}::DOUBLE"
    # A third of the time of count(*) FILTER, but nothing where there is nobody with a value.
    below = [f"coalesce(count_if({value} < {literal(float(cut))}), 0)" for cut in cuts]
    return [*below, f"count({value})"]


def _shares(counts: NDArray[np.int64], smallest_group: int) -> list[float]:
    """Shares of rounded counts; 0 everywhere where nobody has a value."""
    total = int(counts.sum())
    # Halves go up, not to the even multiple.
    rounded = (counts + smallest_group / 2) // smallest_group * smallest_group
    shares: list[float] = (np.minimum(rounded, total) / max(total, 1)).round(4).tolist()
    return shares


def _bin_rows(
    segment_id: str,
    feature: str,
    cuts: Sequence[float],
    shares: Sequence[float],
    overall: Sequence[float],
) -> list[dict[str, Any]]:
    bounds = [None, *cuts, None]
    return [
        {
            "segment_id": segment_id,
            "feature": feature,
            "bin": number,
            "lower": bounds[number - 1],
            "upper": bounds[number],
            "share": share,
            "overall_share": overall_share,
        }
        for number, (share, overall_share) in enumerate(zip(shares, overall, strict=True), start=1)
    ]
