"""`segment_map`: some customers as points on a plane, each with its segment and with no id.

The plane is the one in which the segments' centres lie farthest apart (between-class analysis,
Dolédec and Chessel 1987): an orthogonal projection of the matrix in which distances were taken, so
what lies near on the map may be apart in what it leaves out, but nothing is pulled apart by it. A
discriminant projection would: it divides by the spread within the segments, and shows gaps where a
crowd was cut.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.features import Preparation, read_sample
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

MOST_POINTS = 2_000
"""Readers see a cloud; more points would tell more of single customers and no more of segments."""

_DECIMALS = 2
_TOLD_FEATURES = 2
_TELLING_LOADING = 0.3
_SCHEMA = pa.schema(
    {
        "point": pa.int32(),
        "segment_id": pa.string(),
        "x": pa.float64(),
        "y": pa.float64(),
        "x_meaning": pa.string(),
        "y_meaning": pa.string(),
        "shown_share": pa.float64(),
    }
)

Rows = NDArray[np.float64]
Segments = NDArray[np.object_]


def make_segment_map(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    preparation: Preparation,
    smallest_group: int,
    build: Build,
) -> int:
    """Write `segment_map` from a sample of `feature_matrix`; returns its rows.

    Segments of fewer than `smallest_group` customers are left out. Points are numbered by segment
    and place, so that their order tells nothing of the customers' either.
    """
    rows = _map_rows(connection, name, spec, preparation, smallest_group)
    return write_rows(connection, Table(name, "segment_map"), _SCHEMA, rows, build)


def plane_of_centres(rows: Rows, segments: Segments) -> Rows:
    """Find the two orthonormal axes (2, d) along which segments' centres differ most.

    `rows` (n, d) are centred. Segments weigh by their customers. Where the centres lie on a line,
    the second axis is along which customers differ most across it; an axis that there is none for
    is 0. An axis points to where its largest loading is positive.
    """
    names, codes = np.unique(segments.astype(str), return_inverse=True)
    sizes = np.bincount(codes, minlength=len(names)).astype(np.float64)
    centres = np.stack([rows[codes == code].mean(axis=0) for code in range(len(names))])
    axes = _leading_axes(centres * np.sqrt(sizes)[:, np.newaxis])
    if len(axes) < 2:
        across = rows - (rows @ axes.T) @ axes
        axes = np.vstack((axes, _leading_axes(across)))[:2]
    found = np.zeros((2, rows.shape[1]))
    found[: len(axes)] = axes
    largest = np.abs(found).argmax(axis=1)
    signs = np.where(found[np.arange(2), largest] < 0, -1.0, 1.0)
    turned: Rows = found * signs[:, np.newaxis]
    return turned


def _map_rows(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    preparation: Preparation,
    smallest_group: int,
) -> list[dict[str, Any]]:
    columns = preparation.column_names
    matrix, seed = Table(name, "feature_matrix"), spec.clustering.seed
    ids, values = read_sample(connection, matrix, columns, seed, MOST_POINTS)
    segments = _segments_of(connection, name, ids.tolist(), smallest_group)
    is_shown = segments != None  # noqa: E711
    if not is_shown.any():
        return []
    rows = values[is_shown].astype(np.float64)
    if spec.clustering.metric == "cosine":
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    rows -= rows.mean(axis=0)
    axes = plane_of_centres(rows, segments[is_shown])
    points = rows @ axes.T
    total = float((rows**2).sum())
    shown_share = float((points**2).sum()) / total if total > 0 else 1.0
    meanings = [_meaning(axis, preparation) for axis in axes]
    # Adding 0.0 makes -0.0 positive: both are one place.
    rounded = (points.round(_DECIMALS) + 0.0).tolist()
    placed = sorted(zip(segments[is_shown].tolist(), *zip(*rounded, strict=True), strict=True))
    return [
        {
            "point": point,
            "segment_id": segment_id,
            "x": x,
            "y": y,
            "x_meaning": meanings[0],
            "y_meaning": meanings[1],
            "shown_share": round(shown_share, 4),
        }
        for point, (segment_id, x, y) in enumerate(placed, start=1)
    ]


def _segments_of(
    connection: Connection, name: str, ids: Sequence[str], smallest_group: int
) -> Segments:
    """Segment of each customer (n,); None where it is smaller than may be shown."""
    members = Table(name, "customer_segments").sql
    found = dict(
        connection.execute(
            f"SELECT customer_id, segment_id FROM {members}"
            " WHERE customer_id IN (SELECT unnest(CAST(? AS VARCHAR[])))"
            f" AND segment_id IN (SELECT segment_id FROM {members} GROUP BY segment_id"
            " HAVING count(*) >= ?)",
            [ids, smallest_group],
        ).fetchall()
    )
    return np.array([found.get(one) for one in ids], dtype=object)


def _leading_axes(rows: Rows) -> Rows:
    """Give up to two orthonormal axes (m, d) along which rows around 0 spread most."""
    _, sizes, axes = np.linalg.svd(rows, full_matrices=False)
    count = int((sizes > 1e-9 * max(float(sizes.max(initial=0.0)), 1e-9)).sum())
    leading: Rows = axes[: min(count, 2)]
    return leading


def _meaning(axis: Rows, preparation: Preparation) -> str | None:
    """Say in words what an axis leads to more of; None where it leads nowhere."""
    told: list[str] = []
    for column in np.argsort(-np.abs(axis), kind="stable").tolist():
        loading = float(axis[column])
        if abs(loading) < _TELLING_LOADING * float(np.abs(axis).max()) or loading == 0.0:
            break
        scaling = preparation.scalings[column]
        parts = [scaling.feature, *([scaling.component] if scaling.component else [])]
        words = f"{'more' if loading > 0 else 'less'} {' '.join(parts).replace('_', ' ')}"
        told.append(words)
        if len(told) == _TOLD_FEATURES:
            break
    return ", ".join(told) or None
