"""Tonight's customers who are typed or not eligible, in the rows of `customer_segments`.

What belongs here: applying a typing model to the stream of those who lack a source. How it was
learned, and whether it may be used, belongs to `clustering.typed`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.assignment import read_columns
from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.typed.model import LEAST_PROBABILITY, TypingModel
from segmentation_pipeline.segments.hysteresis import PREVIOUS
from segmentation_pipeline.segments.membership import CUSTOMER_SEGMENTS_SCHEMA

KEPT_PROBABILITY = 0.5
"""Who was in a segment last night stays in it while it is likelier than all others together; the
way from one segment to another leads through unknown, and back from there needs .6 again."""

# Sums of whole numbers don't depend on the order of batches; these hold 8 billion customers.
_PARTS = 1 << 30


@dataclass(frozen=True)
class Names:
    """Segment ids by the labels of the model, and those of the rows that are no segment."""

    ids: Sequence[str]
    noise: str
    unknown: str
    ineligible: str


class ExpectedSizes:
    """Sums of the probabilities of those typed, by segment id: how many of them belong there."""

    def __init__(self) -> None:
        self._parts: dict[str, int] = {}

    def add(self, segment_ids: Sequence[str], probabilities: NDArray[np.float64]) -> None:
        """Add customers: probabilities (n, k) of k segments."""
        sums = np.rint(probabilities * _PARTS).astype(np.int64).sum(axis=0)
        for segment_id, parts in zip(segment_ids, sums.tolist(), strict=True):
            self._parts[segment_id] = self._parts.get(segment_id, 0) + parts

    @property
    def customers(self) -> dict[str, float]:
        """Segment id -> expected customers, to a thousandth."""
        return {name: round(parts / _PARTS, 3) for name, parts in sorted(self._parts.items())}


def typed_batches(
    batches: Iterable[pa.RecordBatch],
    model: TypingModel | None,
    names: Names,
    sizes: ExpectedSizes,
) -> Iterator[pa.RecordBatch]:
    """Type a stream of customers: rows of `customer_segments`, in the same order.

    In: `customer_id`, the columns of the model's preparation, and `hysteresis.PREVIOUS`. Without a
    model, which was refused, everybody is unknown. `raw_segment_id` is the likeliest segment where
    it is likely enough, else unknown, of whom the likeliest is the runner-up; `segment_id` is the
    same, but for those who stay. `sizes` gets what everybody's probabilities add up to.
    """
    for batch in batches:
        rows = batch.num_rows
        if model is None:
            unknown = pa.array([names.unknown] * rows, pa.string())
            sizes.add([names.unknown], np.ones((rows, 1)))
            yield _rows(batch, unknown, unknown, pa.nulls(rows, pa.string()), None)
            continue
        columns = read_columns(batch, model.preparation.column_names)
        probabilities = model.probabilities(columns)
        listed = [names.noise if label == NOISE else names.ids[label] for label in model.classes]
        sizes.add(listed, probabilities)
        yield _typed_rows(batch, model, probabilities, [*listed, names.unknown])


def ineligible_batches(batches: Iterable[pa.RecordBatch], names: Names) -> Iterator[pa.RecordBatch]:
    """Say of a stream of customers that they are not eligible: rows of `customer_segments`."""
    for batch in batches:
        rows = batch.num_rows
        named = pa.array([names.ineligible] * rows, pa.string())
        yield _rows(batch, named, named, pa.nulls(rows, pa.string()), None, is_typed=False)


def _typed_rows(
    batch: pa.RecordBatch,
    model: TypingModel,
    probabilities: NDArray[np.float64],
    listed: Sequence[str],
) -> pa.RecordBatch:
    rows, unknown = np.arange(batch.num_rows), len(listed) - 1
    likeliest = probabilities.argmax(axis=1)
    confidence = probabilities[rows, likeliest]
    raw = np.where(confidence >= LEAST_PROBABILITY, likeliest, unknown)
    previous = batch.column(PREVIOUS).cast(pa.int32()).fill_null(np.iinfo(np.int32).min)
    stays = (model.classes[likeliest] == previous.to_numpy()) & (confidence >= KEPT_PROBABILITY)
    others = probabilities.copy()
    others[rows, likeliest] = -1.0
    second = np.where(raw == unknown, likeliest, others.argmax(axis=1))
    has_second = (raw == unknown) | (probabilities.shape[1] > 1)
    names = pa.array(listed, pa.string())
    return _rows(
        batch,
        names.take(pa.array(np.where(stays, likeliest, raw))),
        names.take(pa.array(raw)),
        names.take(pa.array(second, mask=~np.broadcast_to(has_second, second.shape))),
        confidence,
    )


def _rows(
    batch: pa.RecordBatch,
    segment: pa.Array,
    raw: pa.Array,
    runner_up: pa.Array,
    confidence: NDArray[np.float64] | None,
    *,
    is_typed: bool = True,
) -> pa.RecordBatch:
    nothing = pa.nulls(batch.num_rows, pa.float64())
    no = pa.array(np.zeros(batch.num_rows, dtype=np.bool_))
    return pa.record_batch(
        {
            "customer_id": batch.column("customer_id").cast(pa.string()),
            "segment_id": segment,
            "raw_segment_id": raw,
            "runner_up_segment_id": runner_up,
            "distance": nothing,
            "margin": nothing,
            "probability": nothing,
            "is_borderline": no,
            "is_outlier": no,
            "is_typed": pa.array(np.full(batch.num_rows, is_typed)),
            "typing_confidence": nothing if confidence is None else pa.array(confidence),
        },
        schema=CUSTOMER_SEGMENTS_SCHEMA,
    )
