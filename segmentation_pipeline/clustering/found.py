"""What a search found: the candidates with their reasons, the chosen one, and the others beside it.

What belongs here: how the rule's answer becomes a result that says of every candidate why. The
order of the work belongs to `search`, the rule to `choice`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from segmentation_pipeline.clustering.candidates import Candidate, Limits, described
from segmentation_pipeline.clustering.choice import choose_among_families, choose_within_family
from segmentation_pipeline.clustering.family import Family, Fit
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.scoring import Scores
from segmentation_pipeline.clustering.structure.one_split import one_split
from segmentation_pipeline.clustering.structure.raw_features import (
    Labels,
    Matrix,
    Prepare,
    RawFeature,
)
from segmentation_pipeline.clustering.structure.verdict import OtherSegments
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Algorithm

Fidelity = Callable[[Sequence[RawFeature], Labels], float]
"""(raw features of the sample, its labels) -> share of customers that a short rule places."""


@dataclass(frozen=True, eq=False)
class SearchSample:
    """The customers on whom candidates are compared: at most 2,000, the first of the matrix.

    `features` are their raw features, `prepare` makes the matrix of those.
    """

    features: Sequence[RawFeature]
    prepare: Prepare


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found: all candidates with their reasons, and the chosen one.

    `fit` and `family` are those of the chosen; `others` is what the other families found.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    fit: Fit
    family: Family
    others: tuple[OtherSegments, ...]


class NoCandidateError(ClusteringError):
    """No candidate may be published; `candidates` say why."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        is_any_fitted = any(one.evidence is not None for one in candidates)
        reasons = "; ".join(
            f"{one.algorithm} with {one.segments} segments: {one.reason}" for one in candidates
        )
        super().__init__(
            ("no candidate is admissible: " if is_any_fitted else "no candidate could be fitted: ")
            + reasons
            + ". Lower the limit that is named, or widen the range of segments"
        )
        self.candidates = tuple(candidates)


def choose_found(
    candidates: Sequence[Candidate],
    families: Sequence[Family],
    sample: SearchSample,
    seed: int,
    handicap: Mapping[Algorithm, float],
    fidelity: Fidelity,
    limits: Limits,
) -> Found:
    """Let the rule choose, and tell each candidate its reason.

    Raises NoCandidateError where no candidate is admissible.
    """
    evidence = [one.evidence for one in candidates if one.evidence is not None]
    if not any(one.is_admissible for one in evidence):
        raise NoCandidateError(candidates)
    choice = choose_among_families(evidence, handicap=handicap)
    reasons = {id(one): reason for one, reason in zip(evidence, choice.reasons, strict=True)}
    told = []
    for candidate in candidates:
        if candidate.evidence is None:
            told.append(candidate)
            continue
        is_chosen = candidate.evidence is choice.chosen
        reason = reasons[id(candidate.evidence)]
        if is_chosen and limits.is_fixed:
            reason = f"chosen: the specification fixes {candidate.segments} segments"
        told.append(
            replace(
                candidate,
                is_chosen=is_chosen,
                reason=reason,
                rule_fidelity=fidelity(sample.features, candidate.evidence.labels),
            )
        )
    (chosen,) = (one for one in told if one.is_chosen)
    if chosen.fit is None:
        raise TypeError("a chosen candidate was fitted")
    return Found(
        candidates=tuple(told),
        chosen=chosen,
        fit=chosen.fit,
        family=next(one for one in families if one.algorithm == chosen.algorithm),
        others=_others(told, chosen, sample, seed),
    )


def _others(
    candidates: Sequence[Candidate], chosen: Candidate, sample: SearchSample, seed: int
) -> tuple[OtherSegments, ...]:
    """Say what the best candidate of each other family found."""
    from sklearn.metrics import adjusted_rand_score

    if chosen.evidence is None:
        return ()
    found = []
    for algorithm in dict.fromkeys(one.algorithm for one in candidates):
        members = [
            one.evidence
            for one in candidates
            if one.algorithm == algorithm and one.evidence is not None
        ]
        if algorithm == chosen.algorithm or not any(one.is_admissible for one in members):
            continue
        best = choose_within_family(members).candidate or max(
            (one for one in members if one.is_admissible), key=lambda one: one.silhouette
        )
        ari = float(adjusted_rand_score(chosen.evidence.labels, best.labels))
        split = one_split(sample.features, best.labels, seed=seed)
        found.append(OtherSegments(algorithm, ari, split))
    return tuple(found)


def one_segment(
    matrix: Matrix,
    reason: str,
    limits: Limits,
    similarity: Similarity,
    seed: int,
    others: Sequence[Candidate] = (),
) -> Found:
    """Put everyone into one segment, for a reason; `others` are candidates that lost.

    Raises ClusteringError where they are fewer than the privacy floor.
    """
    rows = len(matrix)
    if rows < limits.privacy_floor:
        raise ClusteringError(
            f"too few customers for any segmentation: {rows}, fewer than the privacy floor of "
            f"{limits.privacy_floor}"
        )
    family = KMeansFamily(
        ks=(1,), metric="cosine" if similarity.metric == "cosine" else "euclidean"
    )
    (fit,) = family.fit(matrix, seed=seed)
    candidate = Candidate(
        algorithm="k_means",
        parameters=described(fit.parameters),
        metric=fit.metric,
        segments=1,
        fit=fit,
        scores=Scores(None, None, None, None, 1, rows, rows, 0.0),
        evidence=None,
        rule_fidelity=None,
        seconds=fit.seconds,
        is_chosen=True,
        reason=f"one segment: {reason}",
    )
    return Found((*others, candidate), candidate, fit, family, ())
