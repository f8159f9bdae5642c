"""The assignment to centroids as SQL that any DuckDB runs, without this project.

The arithmetic is that of `clustering.metrics` and `clustering.nearest`, operation by operation:
prepared features rounded to FLOAT, sums over features in their order in DOUBLE, one rounding each,
the lowest label of equal distances. So labels are equal for every customer, and not nearly so.
"""

from collections.abc import Sequence
from textwrap import indent

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.rules import rules_assignment_sql
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.warehouse import literal, quote

FEATURES_RELATION = "engineered_features"
"""What the SQL reads: a row per customer, with `customer_id` and the features in their units."""

_NO_CENTROIDS = {
    "gaussian_mixture": "its segments are densities, not centres",
    "autoencoder": "its centres are those of a neural network's output",
    "dbscan": "its segments are dense places of any shape, without centres",
    "hdbscan": "its segments are dense places of any shape, without centres",
}


def segments_view_sql(found: PublishedModel) -> str:
    """Write the CREATE VIEW that puts customers into segments, as a night does.

    The view `segments_of_<segmentation>` has `customer_id`, `raw_segment_id` and `segment`, what it
    is called. It reads `engineered_features`, whose columns a comment lists.

    Raises ClusteringError where the model has no centroids, with the reason.
    """
    model = found.model
    if model.algorithm == "rules":
        labelled = rules_assignment_sql(model, FEATURES_RELATION)
        clauses = [("labelled", f"SELECT customer_id, raw_segment AS label FROM ({labelled})")]
        features = dict.fromkeys(model.feature_names)
    else:
        _require_centroids(model)
        clauses = [
            ("feature_matrix", feature_matrix_sql(found.preparation, FEATURES_RELATION)),
            *_assignment_clauses(model),
        ]
        features = dict.fromkeys(row.feature for row in found.preparation.scalings)
    with_sql = ",\n".join(f"{name} AS (\n{indent(query, '    ')}\n)" for name, query in clauses)
    ids = [*enumerate(found.segment_ids), (-1, noise_id(found.name))]
    called = " ".join(
        f"WHEN {literal(segment_id)} THEN {literal(found.labels.get(segment_id, segment_id))}"
        for _, segment_id in ids
    )
    identified = " ".join(f"WHEN {label} THEN {literal(segment_id)}" for label, segment_id in ids)
    view = quote(f"segments_of_{found.name}")
    return (
        f"{_comment(found, list(features))}"
        f"CREATE OR REPLACE VIEW {view} AS\n"
        f"WITH {with_sql},\n"
        f"identified AS (\n    SELECT customer_id, CASE label {identified} END AS raw_segment_id"
        "\n    FROM labelled\n)\n"
        f"SELECT customer_id, raw_segment_id, CASE raw_segment_id {called} END AS segment\n"
        "FROM identified;\n"
    )


def _require_centroids(model: SegmentModel) -> None:
    reason = _NO_CENTROIDS.get(model.algorithm)
    if reason is None and model.metric == "minkowski":
        reason = "its distances are powers, which no two programs round alike"
    if reason is not None:
        raise ClusteringError(
            f"a model of {model.algorithm} by {model.metric} is not written as SQL: {reason}. "
            "`segmentation score --input FILE` applies it"
        )


def _assignment_clauses(model: SegmentModel) -> list[tuple[str, str]]:
    """Write the WITH clauses from `feature_matrix` to `labelled`: coordinates, distances, least."""
    columns = [quote(name) for name in model.feature_names]
    doubles = [f"CAST({column} AS DOUBLE) AS {column}" for column in columns]
    clauses = [("coordinates", f"SELECT customer_id, {', '.join(doubles)} FROM feature_matrix")]
    relation = "coordinates"
    similarity = Similarity(model.metric)
    if model.metric == "cosine":
        clauses += _directions(columns)
        columns = [*columns, _NO_DIRECTION]
        relation = "directions"
    centroids = similarity.rows(np.asarray(model.arrays["prototypes"], dtype=np.float64))
    distances = [
        f"{_distance_sql(columns, centroid, similarity)} AS distance_{label}"
        for label, centroid in enumerate(centroids)
    ]
    clauses.append(("distances", f"SELECT customer_id,\n{_listed(distances)}\nFROM {relation}"))
    names = [f"distance_{label}" for label in range(len(centroids))]
    cases = " ".join(f"WHEN {name} THEN {label}" for label, name in enumerate(names))
    least = f"CASE least({', '.join(names)}) {cases} END"
    clauses.append(("labelled", f"SELECT customer_id, {least} AS label FROM distances"))
    return clauses


_NO_DIRECTION = quote("no direction")


def _directions(columns: Sequence[str]) -> list[tuple[str, str]]:
    """Divide rows by their lengths; one of zeros lies on an axis of its own."""
    squares = " + ".join(f"{column} * {column}" for column in columns)
    tiny = literal(float(np.finfo(np.float64).tiny))
    has_none = f"squared < {tiny}"
    units = [f"CASE WHEN {has_none} THEN 0 ELSE {c} / sqrt(squared) END AS {c}" for c in columns]
    flag = f"CAST({has_none} AS DOUBLE) AS {_NO_DIRECTION}"
    return [
        ("lengths", f"SELECT *, {squares} AS squared FROM coordinates"),
        ("directions", f"SELECT customer_id,\n{_listed([*units, flag])}\nFROM lengths"),
    ]


def _distance_sql(
    columns: Sequence[str], centroid: NDArray[np.float64], similarity: Similarity
) -> str:
    """Write the sum of |x - c|^p, which orders customers as the distance does."""
    differences = [
        f"({column} - {_number(float(value))})"
        for column, value in zip(columns, centroid, strict=True)
    ]
    if similarity.exponent == 1.0:
        return " + ".join(f"abs{difference}" for difference in differences)
    return " + ".join(f"{difference} * {difference}" for difference in differences)


def _number(value: float) -> str:
    """Write a coordinate; a negative one in parentheses, since `--` begins a comment."""
    return f"({literal(value)})" if value < 0 else literal(value)


def _listed(expressions: Sequence[str]) -> str:
    return indent(",\n".join(expressions), "    ")


def _comment(found: PublishedModel, features: Sequence[str]) -> str:
    lines = [
        f"-- Segmentation {found.name}, as published for {found.as_of}: who belongs in which",
        f"-- segment. It reads the relation {FEATURES_RELATION}, which needs these columns;",
        "-- NULL is a missing value.",
        "--   customer_id",
    ]
    if found.spec.typing is not None:
        sources = ", ".join(found.spec.typing.sources)
        lines[3:3] = [
            f"-- Who has no {sources} is typed by a night, and not by this: leave them out."
        ]
    for name in features:
        feature = found.spec.features[name]
        told = " ".join(feature.description.split()) + (
            f" ({feature.unit})" if feature.unit else ""
        )
        lines.append(f"--   {name}" + (f": {told}" if told else ""))
    return "\n".join(lines) + "\n"
