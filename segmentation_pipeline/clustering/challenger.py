"""A challenger: the model that tonight's customers would give, near to the one in force if it can.

What belongs here: the warm start, the cold one, and the choice between them (rule 5 of the
statistics). When a challenger is due belongs to `measurement`, what becomes of it to `segments`.

A warm start goes on from the segments in force: K-Means, from the means of the customers that each
of them holds tonight, in the challenger's own preparation. So it doesn't matter that scales,
categories or columns have changed since. A cold one is the search that a first model gets, with at
least 20 starts. A warm one keeps more customers where they are, so that a cold one has to be better
by two standard errors on customers whom neither saw.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.families import families_of
from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.found import Fidelity, Found
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.model import JSON, SegmentModel
from segmentation_pipeline.clustering.new_model import Training, find
from segmentation_pipeline.clustering.search import Progress
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.clustering.validity import random_halves, segments_log_density
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Clustering
from segmentation_pipeline.specification.customers import Limits
from segmentation_pipeline.specification.segmentation import SegmentationSpec

COLD_STARTS = 20
CLEARLY_BETTER = 2.0
"""Standard errors by which a cold start has to be better."""
_MOST_COMPARED = 50_000
"""Customers in the two halves together: their mean gain is then known to .01 nats or so."""


@dataclass(frozen=True)
class Start:
    """Where a challenger started from, and why."""

    kind: Literal["warm", "cold"]
    reason: str


@dataclass(frozen=True)
class Gain:
    """How much likelier one model makes customers held out than another, in nats a customer."""

    mean: float
    standard_error: float

    @property
    def is_clear(self) -> bool:
        """Whether it is more than two standard errors."""
        return self.mean > CLEARLY_BETTER * self.standard_error


@dataclass(frozen=True, eq=False)
class WarmKMeans:
    """K-Means from the means of segments that there are, `labels` (n,) of the matrix's rows."""

    labels: Labels
    family: KMeansFamily

    @property
    def algorithm(self) -> Literal["k_means"]:
        """Its name in the YAML and in the tables."""
        return self.family.algorithm

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,  # noqa: ARG002 -- nothing is drawn
        workers: int = 1,  # noqa: ARG002
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit the one candidate; nothing where two segments come to be one."""
        fit = self.family.fit_from(matrix, self.labels)
        if on_done is not None:
            on_done("from the segments in force")
        return [] if fit is None else [fit]

    def refits(self, fit: Fit) -> FitPredict:
        """Give the function that fits the same candidate on other rows, from scratch."""
        return self.family.refits(fit)

    def assigner(
        self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, JSON]
    ) -> Assigner:
        """Make the assigner of a fit."""
        return self.family.assigner(arrays, parameters)


def find_challenger(
    spec: SegmentationSpec,
    training: Training,
    champion: SegmentModel,
    labels: Labels,
    limits: Limits,
    *,
    fidelity: Fidelity,
    progress: Progress,
) -> tuple[Found, Start]:
    """Search a challenger on tonight's customers, from a warm start and from cold ones.

    `training` is in the challenger's preparation; `labels` (n,) are the segments in which the
    champion puts its rows. Raises ClusteringError where no candidate keeps to the limits.
    """
    cold_spec = with_cold_starts(spec)
    cold = find(
        cold_spec, training, limits, fidelity=fidelity, progress=lambda x: progress(f"cold: {x}")
    )
    lacking = _no_warm_start(champion, labels)
    if lacking is not None:
        return cold, Start("cold", lacking)
    metric: Literal["euclidean", "cosine"] = (
        "cosine" if champion.metric == "cosine" else "euclidean"
    )
    family = KMeansFamily((), metric=metric)
    try:
        warm = find(
            spec,
            training,
            limits,
            fidelity=fidelity,
            progress=lambda x: progress(f"warm: {x}"),
            families=[WarmKMeans(labels, family)],
        )
    except ClusteringError as error:
        return cold, Start("cold", f"the segments in force can't go on: {error}")
    gain = _gain(cold_spec.clustering, training.matrix, labels, family, cold.fit)
    start = choose_start(gain)
    return (cold if start.kind == "cold" else warm), start


def with_cold_starts(spec: SegmentationSpec) -> SegmentationSpec:
    """Give a specification as many starts as a cold challenger gets at least."""
    starts = max(COLD_STARTS, spec.clustering.starts)
    clustering = spec.clustering.model_copy(update={"starts": starts})
    return spec.model_copy(update={"clustering": clustering})


def choose_start(gain: Gain | None) -> Start:
    """Choose by how much better the cold start is; None where it can't be said."""
    if gain is None:
        return Start("warm", "too few customers to compare it with a cold start")
    if gain.mean == 0:
        return Start("warm", "a cold start is no better")
    told = (
        f"by {gain.mean:+.3f} nats a customer held out (standard error {gain.standard_error:.3f})"
    )
    if gain.is_clear:
        return Start("cold", f"a cold start is clearly better, {told}")
    return Start("warm", f"a cold start is not clearly better, {told}")


def held_out_gain(rows: Matrix, cold: Labels, warm: Labels, others: Matrix) -> Gain:
    """Measure how much likelier `cold` segments make customers held out than `warm` ones.

    By one yardstick for every family and number of segments: the density of `others` (m, d) under
    a Gaussian for each segment of `rows` (n, d), as in `validity.held_out`.
    """
    gains = segments_log_density(rows, cold, others) - segments_log_density(rows, warm, others)
    spread = float(gains.std(ddof=1)) if len(gains) > 1 else 0.0
    return Gain(float(gains.mean()), spread / math.sqrt(len(gains)))


def _no_warm_start(champion: SegmentModel, labels: Labels) -> str | None:
    """Say why there is no warm start, if there is none."""
    if champion.algorithm != "k_means":
        return f"{champion.algorithm} has no warm start"
    segments = int(str(champion.parameters["segments"]))
    if segments < 2:
        return "the model in force has one segment"
    if len(np.unique(labels)) < segments:
        return "a segment of the model in force holds nobody tonight"
    return None


def _gain(
    clustering: Clustering, matrix: Matrix, labels: Labels, family: KMeansFamily, cold: Fit
) -> Gain | None:
    """Fit both on one half of the customers, and look at the other."""
    compared = matrix[:_MOST_COMPARED]
    ((first, second),) = random_halves(len(compared), seed=clustering.seed, n_splits=1)
    rows, others = compared[first], compared[second]
    if len(np.unique(labels[first])) < len(np.unique(labels)):
        return None
    warm = family.fit_from(rows, labels[first])
    if warm is None:
        return None
    warm_labels = family.assigner(warm.arrays, warm.parameters).query(list(rows.T)).own
    cold_labels = _refitted(clustering, rows, cold)
    if cold_labels is None:
        return None
    # Inside a job, linear algebra runs on one thread, so that its bits don't depend on how many.
    return Workers(1).map(
        lambda _: held_out_gain(rows, cold_labels, warm_labels.astype(np.intp), others), [None]
    )[0]


def _refitted(clustering: Clustering, rows: Matrix, fit: Fit) -> Labels | None:
    """Fit a cold candidate's like on other rows (n, d), with all of its starts; labels (n,)."""
    alone = clustering.model_copy(update={"algorithm": fit.algorithm})
    (family,) = families_of(alone, [fit.segments])
    fits = family.fit(rows, seed=clustering.seed)
    if not fits:
        return None
    same = [one for one in fits if one.parameters == fit.parameters]
    taken = (same or fits)[0]
    return family.assigner(taken.arrays, taken.parameters).query(list(rows.T)).own.astype(np.intp)
