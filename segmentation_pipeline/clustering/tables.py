"""Candidates and segments' centres as rows of work tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.candidates import Candidate
from segmentation_pipeline.clustering.structure.null_test import NullComparison

CANDIDATES_SCHEMA = pa.schema(
    {
        "algorithm": pa.string(),
        "parameters": pa.string(),
        "metric": pa.string(),
        "segments": pa.int32(),
        "silhouette": pa.float64(),
        "silhouette_standard_error": pa.float64(),
        "davies_bouldin": pa.float64(),
        "calinski_harabasz": pa.float64(),
        "inertia": pa.float64(),
        "bic": pa.float64(),
        "log_likelihood": pa.float64(),
        "reconstruction_error": pa.float64(),
        "smallest_share": pa.float64(),
        "noise_share": pa.float64(),
        "border_p": pa.float64(),
        "border_depth": pa.float64(),
        "crowded_border_p": pa.float64(),
        "null_z": pa.float64(),
        "null_p": pa.float64(),
        "lowest_jaccard": pa.float64(),
        "jaccards": pa.string(),
        "held_out_agreement": pa.float64(),
        "held_out_gain": pa.float64(),
        "crowded_leak": pa.float64(),
        "rule_fidelity": pa.float64(),
        "is_admissible": pa.bool_(),
        "is_chosen": pa.bool_(),
        "reason": pa.string(),
        "seconds": pa.float64(),
    }
)
CENTRES_SCHEMA = pa.schema(
    {"raw_segment": pa.int32(), "column_name": pa.string(), "centre": pa.float64()}
)
_FIGURES = ("inertia", "bic", "log_likelihood", "reconstruction_error")


def candidate_rows(
    candidates: Sequence[Candidate], nulls: Mapping[int, NullComparison]
) -> list[dict[str, Any]]:
    """Make a row of `model_candidates` for each candidate; what isn't known of one is None.

    `nulls` compare K-Means with the null, by number of segments.
    """
    return [
        {
            "algorithm": candidate.algorithm,
            "parameters": candidate.parameters,
            "metric": candidate.metric,
            "segments": candidate.segments,
            **_scores(candidate),
            **_figures(candidate),
            **_evidence(candidate),
            **_null(nulls.get(candidate.segments)),
            "rule_fidelity": candidate.rule_fidelity,
            "is_admissible": candidate.is_admissible,
            "is_chosen": candidate.is_chosen,
            "reason": candidate.reason,
            "seconds": candidate.seconds,
        }
        for candidate in candidates
    ]


def centre_rows(centres: NDArray[np.float64], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Make a row of `segment_model` for each segment and matrix column."""
    return [
        {"raw_segment": label, "column_name": column, "centre": float(value)}
        for label, centre in enumerate(centres)
        for column, value in zip(columns, centre, strict=True)
    ]


def _scores(candidate: Candidate) -> dict[str, Any]:
    scores = candidate.scores
    if scores is None:
        return {}
    return {
        "silhouette": scores.silhouette,
        "silhouette_standard_error": scores.silhouette_error,
        "davies_bouldin": scores.davies_bouldin,
        "calinski_harabasz": scores.calinski_harabasz,
        "smallest_share": scores.smallest_share,
        "noise_share": scores.noise_share,
    }


def _figures(candidate: Candidate) -> dict[str, Any]:
    figures = {} if candidate.fit is None else candidate.fit.figures
    return {name: figures.get(name) for name in _FIGURES}


def _evidence(candidate: Candidate) -> dict[str, Any]:
    evidence = candidate.evidence
    if evidence is None or not evidence.is_admissible:
        return {}
    jaccards = evidence.stability.jaccards
    gains = evidence.held_out.gains
    return {
        "border_p": evidence.border.p,
        "border_depth": evidence.border.depth,
        "crowded_border_p": evidence.crowded_border_p,
        "lowest_jaccard": evidence.stability.worst,
        "jaccards": json.dumps([round(jaccard, 4) for jaccard in jaccards]),
        "held_out_agreement": evidence.held_out.agreement,
        "held_out_gain": float(np.median(gains)) if gains else None,
        "crowded_leak": evidence.crowded_leak,
    }


def _null(comparison: NullComparison | None) -> dict[str, Any]:
    if comparison is None:
        return {}
    return {"null_z": comparison.z, "null_p": comparison.p}
