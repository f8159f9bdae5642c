"""`typing_accuracy` and `typing_confusion`: what was found when the typing in force was learned."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.typed.judging import Assessment
from segmentation_pipeline.clustering.typed.model import typing_of
from segmentation_pipeline.segments.identity import noise_id, segment_ids
from segmentation_pipeline.segments.suppression import hidden_cells
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
        "is_suppressed": pa.bool_(),
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
    connection: Connection, name: str, champion: Champion, build: Build, smallest_group: int
) -> int:
    """Write `typing_confusion`: a row per pair of segments; the model's segments have their ids.

    Pairs of 1 to below `smallest_group` customers are withheld, and as many others as keep them
    unknown to who knows how many customers were kept aside of each segment, and typed as each.
    """
    found, record = assessment_in_force(champion), champion.record
    ids = segment_ids(connection, name, record.model_version, record.k)
    rows = []
    if found is not None:
        listed = [noise_id(name) if label == NOISE else ids[label] for label in found.classes]
        confusion = np.array(found.confusion, dtype=np.int64)
        weighted = np.array(found.weighted_confusion, dtype=np.float64)
        hidden = hidden_cells(confusion, smallest_group, has_total_row=False)
        rows = [
            {
                "segment_id": listed[row],
                "typed_segment_id": listed[column],
                **_told(confusion[row], weighted[row], column, is_hidden=bool(is_hidden)),
            }
            for (row, column), is_hidden in np.ndenumerate(hidden)
        ]
    return write_rows(connection, Table(name, "typing_confusion"), _CONFUSION_SCHEMA, rows, build)


def _told(
    counts: NDArray[np.int64], weights: NDArray[np.float64], column: int, *, is_hidden: bool
) -> dict[str, Any]:
    figures = {
        "customers": int(counts[column]),
        "share": float(counts[column] / counts.sum()),
        "weighted_share": float(weights[column] / weights.sum()),
    }
    return {**(dict.fromkeys(figures) if is_hidden else figures), "is_suppressed": is_hidden}


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
