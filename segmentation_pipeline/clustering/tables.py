"""Candidates and centroids as rows of work tables."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from segmentation_pipeline.clustering.candidates import Candidate

CANDIDATES_SCHEMA = pa.schema(
    {
        "algorithm": pa.string(),
        "segments": pa.int32(),
        "silhouette": pa.float64(),
        "silhouette_standard_error": pa.float64(),
        "davies_bouldin": pa.float64(),
        "calinski_harabasz": pa.float64(),
        "inertia": pa.float64(),
        "smallest_share": pa.float64(),
        "is_admissible": pa.bool_(),
        "is_chosen": pa.bool_(),
        "reason": pa.string(),
        "seconds": pa.float64(),
    }
)
CENTROIDS_SCHEMA = pa.schema(
    {"raw_segment": pa.int32(), "column_name": pa.string(), "centroid": pa.float64()}
)


def candidate_rows(candidates: Sequence[Candidate], chosen: Candidate) -> list[dict[str, Any]]:
    """Make a row of `model_candidates` for each candidate."""
    return [
        {
            "algorithm": candidate.algorithm,
            "segments": candidate.k,
            "silhouette": candidate.silhouette,
            "silhouette_standard_error": candidate.silhouette_error,
            "davies_bouldin": candidate.davies_bouldin,
            "calinski_harabasz": candidate.calinski_harabasz,
            "inertia": candidate.inertia,
            "smallest_share": candidate.smallest_share,
            "is_admissible": candidate.is_admissible,
            "is_chosen": candidate.k == chosen.k,
            "reason": candidate.reason,
            "seconds": candidate.seconds,
        }
        for candidate in candidates
    ]


def centroid_rows(chosen: Candidate, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Make a row of `segment_model` for each cluster and matrix column; none before a fit."""
    if chosen.centroids is None:
        return []
    return [
        {"raw_segment": label, "column_name": column, "centroid": float(value)}
        for label, centroid in enumerate(chosen.centroids)
        for column, value in zip(columns, centroid, strict=True)
    ]
