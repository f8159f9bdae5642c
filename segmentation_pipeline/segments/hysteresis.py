"""From one night to the next: a customer stays in a segment until leaving it is clear.

What belongs here: who moves tonight, given tonight's raw labels and last night's published segments
(rule 3 of the statistics). A frozen model relabels 0.6 to 5.4 % of customers each night, mostly
the same ones to and fro across a border; with hysteresis 0.1 to 0.6 % move. What is remembered from
night to night belongs to `history`.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.assignment import read_columns
from segmentation_pipeline.clustering.family import Assigner, Floats
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Algorithm, Metric

LEAST_MARGIN = 0.2
"""t beyond which a customer moves between prototypes: a fifth of the way from border to centre.

Asking for more of who creeps over a border, as chance in few events does, makes fewer false moves,
and leaves more customers in the wrong segment (98.5 % in the right one become 97.6 or 96.9 %): most
of these moves mend what the first night had wrong. docs/history.md has the figures."""
LEAST_ODDS = 3.0
"""Posterior odds of the new segment against the old, beyond which one moves in a mixture."""
NIGHTS = 3
"""Nights in a row, tonight's included, that the same other label is needed where there is no t."""

# No feature can be called so: theirs are plain names.
PREVIOUS = "hold:previous"
"""Column: label of the segment published last night; NULL for whom nothing holds."""
PENDING = "hold:pending"
"""Column: the other label that last night's model gave; NULL where it was the published one."""
PENDING_NIGHTS = "hold:nights"
"""Column: for how many nights in a row it did, last night's included."""

_NONE = np.iinfo(np.int32).min

Labels = NDArray[np.int32]
HoldKind = Literal["margin", "odds", "nights", "none"]
Batches = Iterable[pa.RecordBatch]


class Clearance(Protocol):
    """How much better one segment suits each row than another."""

    def __call__(self, columns: Sequence[Floats], new: Labels, old: Labels) -> NDArray[np.float64]:
        """Say by how much `new` (n,) suits rows better than `old` (n,); neither is noise.

        Each value depends on its row alone, as an assigner's do.
        """
        ...


@dataclass(frozen=True, eq=False)
class HoldRule:
    """When a customer whose raw label is another one moves.

    That is where the `clearance` is at least `least`; where there is none, on the night that is the
    `nights`-th in a row with this label (1: at once).
    """

    clearance: Clearance | None = None
    least: float = 0.0
    nights: int = NIGHTS


class PrototypeMargin:
    """t = (d_old^2 - d_new^2) / d(old, new)^2, 0 on the border and 1 at the new prototype.

    A ratio of distances would depend on the number of dimensions: at 50 it misses 60 % of those who
    truly moved. By cosine, distances are half a squared chord, and t is the same ratio of chords.
    `prototypes` (k, d) are in the space in which the assigner measures.
    """

    def __init__(self, assigner: Assigner, prototypes: NDArray[np.float64], metric: Metric) -> None:
        if metric not in ("euclidean", "cosine"):
            raise ClusteringError(f"by {metric} there is no straight line between two prototypes")
        self._assigner = assigner
        self._prototypes = prototypes
        self._similarity = Similarity(metric)
        self._power = 2 if metric == "euclidean" else 1

    def __call__(self, columns: Sequence[Floats], new: Labels, old: Labels) -> NDArray[np.float64]:
        """Compute t (n,) of rows between the prototypes of two labels."""
        between = self._similarity.to_labelled(
            [column[new] for column in self._prototypes.T], self._prototypes, old
        )
        to_old = self._assigner.distances(columns, old)
        to_new = self._assigner.distances(columns, new)
        margin: NDArray[np.float64] = (
            to_old**self._power - to_new**self._power
        ) / between**self._power
        return margin


class MixtureOdds:
    """Posterior odds of two components of a Gaussian mixture.

    The densities are those of `clustering.gaussian_components`, by its Mahalanobis distances:
    log w + log |U| - distance^2 / 2, and what all components have in common.
    """

    def __init__(self, assigner: Assigner, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._assigner = assigner
        diagonals = np.einsum("kii->ki", arrays["precisions_cholesky"])
        heights: NDArray[np.float64] = np.log(arrays["weights"]) + np.log(diagonals).sum(axis=1)
        self._heights = heights

    def __call__(self, columns: Sequence[Floats], new: Labels, old: Labels) -> NDArray[np.float64]:
        """Compute the odds (n,) of rows for `new` against `old`; infinite beyond 1e308."""
        with np.errstate(over="ignore"):
            odds: NDArray[np.float64] = np.exp(self.logarithms(columns, new, old))
        return odds

    def logarithms(
        self, columns: Sequence[Floats], new: Labels, old: Labels
    ) -> NDArray[np.float64]:
        """Compute the natural logarithms (n,) of the odds."""
        to_old = self._assigner.distances(columns, old)
        to_new = self._assigner.distances(columns, new)
        heights = self._heights[new] - self._heights[old]
        logarithms: NDArray[np.float64] = heights + (to_old**2 - to_new**2) / 2.0
        return logarithms


def hold_kind(algorithm: Algorithm, metric: Metric) -> HoldKind:
    """Choose how a family's customers are held.

    Rules are held by nothing: whoever meets a rule that people wrote belongs to its segment, and a
    table that says otherwise would be wrong.
    """
    if algorithm == "rules":
        return "none"
    if algorithm == "gaussian_mixture":
        return "odds"
    if algorithm in ("k_means", "k_medoids", "autoencoder") and metric in ("euclidean", "cosine"):
        return "margin"
    return "nights"


def hold_rule(
    kind: HoldKind, assigner: Assigner, arrays: Mapping[str, NDArray[Any]], metric: Metric
) -> HoldRule:
    """Make the rule of a kind for a model: its assigner, arrays and metric."""
    match kind:
        case "margin":
            prototypes = PrototypeMargin(assigner, arrays["prototypes"], metric)
            return HoldRule(prototypes, LEAST_MARGIN)
        case "odds":
            return HoldRule(MixtureOdds(assigner, arrays), LEAST_ODDS)
        case "nights":
            return HoldRule()
        case "none":
            return HoldRule(nights=1)


def hold_batches(
    batches: Batches,
    assign: Callable[[Batches], Iterable[pa.RecordBatch]],
    feature_names: Sequence[str],
    rule: HoldRule,
) -> Iterator[pa.RecordBatch]:
    """Assign a stream of customers, and hold whom tonight's label does not clearly move.

    In: the feature matrix with the columns `PREVIOUS`, `PENDING` and `PENDING_NIGHTS`
    (`history.matrix_with_last_night_sql`). `assign` turns batches into as
    many of `clustering.assignment.assignment_schema`. Out: those, with a column `segment` (int32,
    -1 for noise): the label of the segment in which the customer is published tonight. It is
    `raw_segment`, or the previous one. One batch is held in memory.
    """
    features, rest = itertools.tee(batches)
    for assigned, batch in zip(assign(features), rest, strict=True):
        raw = assigned.column("raw_segment").to_numpy()
        held = _held(batch, raw, feature_names, rule)
        yield assigned.append_column(pa.field("segment", pa.int32(), nullable=False), held)


def _held(
    batch: pa.RecordBatch, raw: Labels, feature_names: Sequence[str], rule: HoldRule
) -> pa.Array:
    previous = _labels(batch, PREVIOUS)
    # Whoever is new, or comes from a segment that the model doesn't have, has nothing to stay in.
    rows = np.flatnonzero((previous != raw) & (previous != _NONE))
    if not len(rows):
        return pa.array(raw)
    if rule.clearance is None:
        pending, nights = _labels(batch, PENDING)[rows], _labels(batch, PENDING_NIGHTS)[rows]
        moves = np.where(pending == raw[rows], nights, 0) + 1 >= rule.nights
    else:
        part = batch.take(pa.array(rows))
        columns = read_columns(part, feature_names)
        moves = rule.clearance(columns, raw[rows], previous[rows]) >= rule.least
    held = raw.copy()
    held[rows[~moves]] = previous[rows[~moves]]
    return pa.array(held)


def _labels(batch: pa.RecordBatch, name: str) -> Labels:
    column = batch.column(name).cast(pa.int32()).fill_null(_NONE)
    labels: Labels = column.to_numpy(zero_copy_only=False)
    return labels
