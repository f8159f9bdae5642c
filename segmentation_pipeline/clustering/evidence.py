"""What the choice among candidates reads, and how it is gathered from a fit.

What belongs here: which figures there are of every candidate. The figures themselves belong to
`validity`, `stability` and `structure`, the rule that reads them to `choice`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.border_crowd import crowded_border_p
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.clustering.stability import FitPredict, Stability, cluster_stability
from segmentation_pipeline.clustering.structure.border import (
    UNSEPARATED,
    BorderTest,
    Centre,
    Split,
    border_test,
)
from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix
from segmentation_pipeline.clustering.validity import (
    Halves,
    HeldOut,
    Neighbourhoods,
    crowded_leak,
    held_out,
    neighbourhoods,
    random_halves,
)
from segmentation_pipeline.specification.clustering import Algorithm

EVIDENCE_ROWS = 2_000
"""Customers that the figures are taken on. More would make a border's share of the links smaller,
and so change what "clearly" means in the rule that compares them."""
N_RESAMPLES = 20
"""Bootstrap draws of a candidate. The mean of twenty Jaccards has a standard error of .02 near the
threshold of .75; the partition that is published gets a hundred for its verdict."""
N_FIRST_RESAMPLES = 5
"""Draws that are enough where the lowest mean Jaccard after them is below or above these."""
HOPELESS, CERTAIN = 0.6, 0.95
"""To be at .75 after twenty draws, the other fifteen would have to be above .8, or below .69."""
N_FEW_SPLITS = 2
"""Halvings for what isn't stable: neither can it win, nor does it count against another."""
CENTRED: tuple[Algorithm, ...] = ("k_means", "k_medoids")
"""Families whose number of segments the border between two centres decides."""
REPRODUCED = 0.5
"""Least agreement of segments found in one half of the customers with those of the other."""
LARGEST_NOISE_SHARE = 0.2
"""More noise than this is no answer to who the customers are."""
NOTHING_STABLE = Stability((), "bootstrap")
NOTHING_HELD_OUT = HeldOut(0.0, ())


@dataclass(frozen=True, slots=True, eq=False)
class CandidateEvidence:
    """All that the choice knows of one candidate.

    `labels` (m,) are those of the shared sample. `reason` says why it is inadmissible, and is empty
    for an admissible one. What isn't computed speaks for nobody: `stability` and `held_out` of an
    inadmissible one (but for the gains of a mixture), `border` and `crowded_border_p` of one that
    isn't stable, or not of K-Means or K-Medoids. Of the autoencoder everything is measured in the
    customers' own columns, not in latent ones.
    """

    algorithm: Algorithm
    parameters: Mapping[str, JSON]
    segments: int
    labels: Labels
    noise_share: float
    smallest_share: float
    silhouette: float
    stability: Stability
    border: BorderTest
    crowded_border_p: float
    held_out: HeldOut
    crowded_leak: float
    reason: str = ""

    @property
    def is_admissible(self) -> bool:
        """Whether it may be published at all."""
        return not self.reason

    @property
    def is_repeatable(self) -> bool:
        """Whether other customers of the same kind would have shown the same segments.

        Every bootstrap Jaccard is at least .75, and halves agree by at least .5.
        """
        return (
            self.is_admissible and self.stability.stable and self.held_out.agreement >= REPRODUCED
        )


@dataclass(frozen=True, slots=True, eq=False)
class SharedSample:
    """What the figures of all candidates share: computed once.

    `matrix` (m, d) are at most 2,000 customers in hash order; `splits`, of the same customers, are
    those of the border test.
    """

    matrix: Matrix
    similarity: Similarity
    around: Neighbourhoods
    halves: tuple[Halves, ...]
    splits: tuple[Split, ...]
    seed: int


def share_sample(
    matrix: Matrix, similarity: Similarity, splits: tuple[Split, ...], *, seed: int
) -> SharedSample:
    """Prepare what every candidate is measured on: neighbours and halvings of the customers."""
    return SharedSample(
        matrix=matrix,
        similarity=similarity,
        around=neighbourhoods(matrix, similarity),
        halves=tuple(random_halves(len(matrix), seed=seed)),
        splits=splits,
        seed=seed,
    )


def gather_evidence(
    sample: SharedSample,
    algorithm: Algorithm,
    parameters: Mapping[str, JSON],
    assigned: NDArray[np.integer[Any]],
    fit_predict: FitPredict,
    *,
    reason: str = "",
    workers: int = 1,
) -> CandidateEvidence:
    """Measure one candidate on the shared sample.

    Args:
        sample: from `share_sample`.
        algorithm: the family.
        parameters: what tells the candidate from the family's others.
        assigned: segments (m,) of the sample's customers, -1 for noise.
        fit_predict: refits the candidate on other rows.
        reason: why the candidate is inadmissible whatever its figures, or nothing. Rules may leave
            as many customers out as they like.
        workers: threads; they change nothing.

    """
    labels = assigned.astype(np.intp)
    numbers, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    noise = float(np.mean(labels == NOISE))
    if not reason and noise > LARGEST_NOISE_SHARE and algorithm != "rules":
        reason = (
            f"inadmissible: {noise:.0%} of the customers are noise, "
            f"more than {LARGEST_NOISE_SHARE:.0%}"
        )
    if not reason and len(numbers) < 2:
        reason = "inadmissible: there are fewer than two segments in the sample"
    stability, border, apart = NOTHING_STABLE, UNSEPARATED, NOTHING_HELD_OUT
    crowded_p = 1.0
    if not reason:
        stability = _stability(sample, labels, fit_predict, workers)
    if stability.stable and algorithm in CENTRED:
        border = border_test(
            sample.matrix,
            labels,
            sample.splits,
            fit_predict,
            seed=sample.seed,
            centre=centre_of(algorithm),
            workers=workers,
        )
        crowded_p = crowded_border_p(sample.matrix, sample.around, labels, centre_of(algorithm))
    if not reason or algorithm == "gaussian_mixture":
        needs_all = stability.stable or algorithm == "gaussian_mixture"
        apart = held_out(
            sample.matrix,
            len(numbers),
            fit_predict,
            sample.halves[: None if needs_all else N_FEW_SPLITS],
            sample.similarity,
            seed=sample.seed,
            workers=workers,
        )
    return CandidateEvidence(
        algorithm=algorithm,
        parameters=parameters,
        segments=len(numbers),
        labels=labels,
        noise_share=noise,
        smallest_share=float(sizes.min(initial=len(labels))) / len(labels) if len(sizes) else 0.0,
        silhouette=_silhouette(sample, labels, workers),
        stability=stability,
        border=border,
        crowded_border_p=crowded_p,
        held_out=apart,
        crowded_leak=crowded_leak(sample.around, labels),
        reason=reason,
    )


def centre_of(algorithm: Algorithm) -> Centre:
    """What the centre of a family's segments is, where borders are looked at."""
    return "median" if algorithm == "k_medoids" else "mean"


def _stability(
    sample: SharedSample, labels: Labels, fit_predict: FitPredict, workers: int
) -> Stability:
    """Mean Jaccards of twenty draws, or of the first five where those leave no doubt."""

    def measured(seed: int, n_resamples: int) -> Stability:
        return cluster_stability(
            sample.matrix,
            labels,
            fit_predict,
            seed=seed,
            n_resamples=n_resamples,
            workers=workers,
        )

    first = measured(sample.seed, N_FIRST_RESAMPLES)
    if not HOPELESS <= first.worst <= CERTAIN or first.scheme != "bootstrap":
        return first
    # Draws of another seed: its first ones would be the same customers again.
    rest = measured(sample.seed + N_RESAMPLES, N_RESAMPLES - N_FIRST_RESAMPLES)
    share = N_FIRST_RESAMPLES / N_RESAMPLES
    pairs = zip(first.jaccards, rest.jaccards, strict=True)
    return Stability(tuple(share * a + (1.0 - share) * b for a, b in pairs), first.scheme)


def _silhouette(sample: SharedSample, labels: Labels, workers: int) -> float:
    inside = labels != NOISE
    if not inside.any():
        return 0.0
    widths = silhouette_widths(
        sample.matrix[inside],
        [labels[inside].astype(np.int32)],
        similarity=sample.similarity,
        workers=workers,
    )
    return float(widths.mean())
