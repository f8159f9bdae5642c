"""The search for a model: every candidate of every family, fitted, measured, and one of them taken.

What belongs here: the order of the work, what candidates share, and the time that it may take. How
a family fits belongs to its module, what is measured to `scoring` and `evidence`, the rule to
`choice`, what is told of its answer to `found`.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.candidates import (
    Candidate,
    Limits,
    described,
    inadmissible,
    not_fitted,
)
from segmentation_pipeline.clustering.evidence import (
    EVIDENCE_ROWS,
    SharedSample,
    gather_evidence,
    share_sample,
)
from segmentation_pipeline.clustering.family import Family, Fit
from segmentation_pipeline.clustering.found import (
    Fidelity,
    Found,
    SearchSample,
    choose_found,
    one_segment,
)
from segmentation_pipeline.clustering.metrics import Similarity, count_distinct
from segmentation_pipeline.clustering.scoring import score_partitions
from segmentation_pipeline.clustering.structure.border import dithered_splits
from segmentation_pipeline.clustering.structure.raw_features import (
    Matrix,
)
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Algorithm

Progress = Callable[[str], None]
_DENSE: tuple[Algorithm, ...] = ("dbscan", "hdbscan")
"""Families that find their own number of segments, and none where there is one crowd."""


def search(
    matrix: Matrix,
    make_families: Callable[[Sequence[int]], Sequence[Family]],
    sample: SearchSample,
    limits: Limits,
    *,
    similarity: Similarity,
    seed: int,
    handicap: Mapping[Algorithm, float],
    fidelity: Fidelity,
    workers: int = 1,
    progress: Progress,
) -> Found:
    """Fit and measure every candidate, and choose one.

    Args:
        matrix: prepared features of all customers, or of a sample that the caller drew, (n, d),
            in the order of a hash of the customer's id.
        make_families: numbers of segments -> what is tried, in this order. A number above n / 2 is
            listed, not tried.
        sample: the first min(n, 2,000) of the same customers as raw features.
        limits: what a candidate must keep to, and how long the search may take.
        similarity: the metric of the segmentation.
        seed: of every random choice; the same seed gives the same model for any `workers`.
        handicap: see `choice.choose_among_families`.
        fidelity: how well a short rule tells the segments.
        workers: threads.
        progress: gets a phrase when something has been done.

    Where there are fewer distinct customers than the least number of segments, or density families
    alone find no groups within the limits, everyone is in one segment: of one crowd they find
    specks at most. A candidate that isn't begun since the time is spent is listed with that reason;
    the first family is always finished. Memory: the matrix once more for each worker, n labels a
    candidate.

    Raises ClusteringError for a matrix that is empty or not finite, and for too few customers;
    NoCandidateError where no candidate is admissible.

    """
    _check(matrix)
    least = min(limits.ks)
    distinct = count_distinct(matrix, least, similarity)
    if distinct < least:
        return one_segment(matrix, _alike(len(matrix), distinct, least), limits, similarity, seed)
    ks = [k for k in limits.ks if k <= len(matrix) // 2]
    if not ks:
        raise ClusteringError(
            f"too few customers for any segmentation: {least} segments need at least {2 * least} "
            f"customers, there are {len(matrix)}"
        )
    families = make_families(ks)
    shared = share(matrix, sample, similarity, seed)
    deadline = time.monotonic() + limits.time_budget_seconds
    candidates: list[Candidate] = []
    for number, family in enumerate(families):
        if number and time.monotonic() > deadline:
            reason = f"not tried: the time budget of {limits.time_budget_seconds} s was spent"
            candidates.append(not_fitted(family.algorithm, similarity.metric, 0, reason))
            progress(f"{family.algorithm}: {reason}")
            continue
        progress(f"{family.algorithm}: fitting")
        fits = family.fit(
            matrix,
            seed=seed,
            workers=workers,
            on_done=_telling(progress, family.algorithm),
        )
        candidates += _measured(family, fits, matrix, shared, limits, seed, workers, progress)
        candidates += _missing(family, fits, limits, len(matrix), similarity)
    if all(one.algorithm in _DENSE and not one.is_admissible for one in candidates):
        reason = "no algorithm of the specification finds groups of customers within the limits"
        return one_segment(matrix, reason, limits, similarity, seed, candidates)
    return choose_found(candidates, families, sample, seed, handicap, fidelity, limits)


def _alike(rows: int, distinct: int, least: int) -> str:
    if distinct == 1:
        return f"all {rows} customers are identical in these features"
    return f"only {distinct} distinct customers among {rows}, fewer than the least k of {least}"


def _check(matrix: Matrix) -> None:
    if matrix.ndim != 2 or matrix.shape[0] == 0:
        raise ClusteringError("too few customers: there is none to make segments of")
    if matrix.shape[1] == 0:
        raise ClusteringError("no feature is left to make segments by")
    if not np.isfinite(matrix).all():
        raise ClusteringError("the feature matrix holds a NaN or infinite value")


def share(matrix: Matrix, sample: SearchSample, similarity: Similarity, seed: int) -> SharedSample:
    """Prepare what the evidence for all candidates shares."""
    splits = dithered_splits(sample.features, sample.prepare, seed=seed)
    return share_sample(matrix[:EVIDENCE_ROWS], similarity, splits, seed=seed)


def _measured(
    family: Family,
    fits: Sequence[Fit],
    matrix: Matrix,
    shared: SharedSample,
    limits: Limits,
    seed: int,
    workers: int,
    tell: Progress,
) -> list[Candidate]:
    """Measure the candidates of one family: scores on all rows, evidence on the shared sample."""
    labelings = [_labels(family, fit, matrix) for fit in fits]
    if not labelings:
        return []
    tell(f"{family.algorithm}: scores")
    scores = score_partitions(
        matrix,
        labelings,
        shared.similarity,
        seed=seed,
        silhouette_rows=limits.silhouette_customers,
        workers=workers,
    )
    found = []
    for fit, labels, score in zip(fits, labelings, scores, strict=True):
        began = time.perf_counter()
        evidence = gather_evidence(
            shared,
            fit.algorithm,
            fit.parameters,
            labels[: len(shared.matrix)],
            family.refits(fit),
            reason=inadmissible(score, fit.segments, limits),
            workers=workers,
        )
        tell(f"{family.algorithm}: {described(fit.parameters)}: evidence")
        found.append(
            Candidate(
                algorithm=fit.algorithm,
                parameters=described(fit.parameters),
                metric=fit.metric,
                segments=fit.segments,
                fit=fit,
                scores=score,
                evidence=evidence,
                rule_fidelity=None,
                seconds=fit.seconds + time.perf_counter() - began,
                is_chosen=False,
                reason=evidence.reason,
            )
        )
    return found


def _labels(family: Family, fit: Fit, matrix: Matrix) -> NDArray[np.int32]:
    return family.assigner(fit.arrays, fit.parameters).query(list(matrix.T)).own


def _missing(
    family: Family, fits: Sequence[Fit], limits: Limits, rows: int, similarity: Similarity
) -> list[Candidate]:
    """List what a family could not fit."""
    if family.algorithm in _DENSE:
        if fits:
            return []
        reason = "not fitted: it finds no two dense groups of customers"
        return [not_fitted(family.algorithm, similarity.metric, 0, reason)]
    fitted = {fit.segments for fit in fits}
    return [
        not_fitted(
            family.algorithm,
            similarity.metric,
            k,
            f"not fitted: {k} segments need at least {2 * k} customers, there are {rows}"
            if k > rows // 2
            else "not fitted: too few customers differ in these features",
        )
        for k in limits.ks
        if k not in fitted
    ]


def _telling(progress: Progress, algorithm: Algorithm) -> Progress:
    return lambda phrase: progress(f"{algorithm}: {phrase}")
