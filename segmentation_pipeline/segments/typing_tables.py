"""`typing_accuracy` and `typing_confusion`: what was found when the typing in force was learned."""

import json
from typing import Any

import pyarrow as pa

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.typed.judging import Assessment
from segmentation_pipeline.clustering.typed.model import typing_of
from segmentation_pipeline.segments.identity import noise_id, segment_ids
from segmentation_pipeline.warehouse import Build, Connection, Table, write_rows

_FIGURES = (
    "effective_customers",
    "accuracy",
    "balanced_accuracy",
    "lowest_recall",
    "kappa",
    "kappa_standard_error",
    "calibration_error",
    "unknown_share",
    "known_accuracy",
)
_COUNTS = ("learned_customers", "held_out_customers", "silent_customers", "answering")
_ACCURACY_SCHEMA = pa.schema(
    {
        "weighting": pa.string(),
        "is_refused": pa.bool_(),
        "reason": pa.string(),
        "learned_customers": pa.int64(),
        "held_out_customers": pa.int64(),
        "silent_customers": pa.int64(),
        "answering": pa.string(),
        **dict.fromkeys(_FIGURES, pa.float64()),
        "calibration": pa.string(),
    }
)
_CONFUSION_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "typed_segment_id": pa.string(),
        "customers": pa.int64(),
        "share": pa.float64(),
        "weighted_share": pa.float64(),
    }
)


def assessment_in_force(champion: Champion) -> Assessment | None:
    """What is known of the typing in force; None where nobody is typed."""
    typed = typing_of(champion.model)
    return None if typed is None else typed.assessment


def make_typing_accuracy(
    connection: Connection, name: str, champion: Champion, build: Build
) -> int:
    """Write `typing_accuracy`: two rows, plain and weighted; none where nobody is typed."""
    found = assessment_in_force(champion)
    rows = [] if found is None else _accuracy_rows(found)
    return write_rows(connection, Table(name, "typing_accuracy"), _ACCURACY_SCHEMA, rows, build)


def make_typing_confusion(
    connection: Connection, name: str, champion: Champion, build: Build
) -> int:
    """Write `typing_confusion`: a row per pair of segments; the model's segments have their ids."""
    found, record = assessment_in_force(champion), champion.record
    ids = segment_ids(connection, name, record.model_version, record.k)
    rows = []
    if found is not None:
        listed = [noise_id(name) if label == NOISE else ids[label] for label in found.classes]
        for segment_id, counts, weights in zip(
            listed, found.confusion, found.weighted_confusion, strict=True
        ):
            rows += [
                {
                    "segment_id": segment_id,
                    "typed_segment_id": typed_id,
                    "customers": customers,
                    "share": customers / sum(counts),
                    "weighted_share": weight / sum(weights),
                }
                for typed_id, customers, weight in zip(listed, counts, weights, strict=True)
            ]
    return write_rows(connection, Table(name, "typing_confusion"), _CONFUSION_SCHEMA, rows, build)


def _accuracy_rows(found: Assessment) -> list[dict[str, Any]]:
    rows = []
    for weighting, figures in (("plain", found.plain), ("weighted", found.weighted)):
        told = {name: getattr(found, name) for name in _COUNTS}
        told |= {name: getattr(figures, name, None) for name in _FIGURES}
        bins = None if figures is None else [[round(n, 4) for n in row] for row in figures.bins]
        rows.append(
            told
            | {
                "weighting": weighting,
                "is_refused": bool(found.refusals),
                "reason": "; ".join(found.refusals) or None,
                "calibration": None if bins is None else json.dumps(bins),
            }
        )
    return rows
