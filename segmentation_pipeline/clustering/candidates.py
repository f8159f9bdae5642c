"""A candidate: one way to segment the customers, what was measured of it, why it won or lost.

What belongs here: what a candidate is, and the limits that it has to keep to. How candidates are
found belongs to `search`, the rule that takes one to `choice`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segmentation_pipeline.clustering.evidence import LARGEST_NOISE_SHARE, CandidateEvidence
from segmentation_pipeline.clustering.family import Fit
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.scoring import Scores
from segmentation_pipeline.specification.clustering import Algorithm, Metric


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to segment the customers.

    `parameters` say in words what was tried of the family, such as `segments=3`. `fit` is None of
    one that was not fitted; then `segments` is what was asked for, 0 where nothing was. `evidence`
    is None where there is nothing to compare: not fitted, or everyone in one segment. `seconds` is
    what fitting and measuring took, without what candidates share. `reason` says why it was chosen,
    and else why not.
    """

    algorithm: Algorithm
    parameters: str
    metric: Metric
    segments: int
    fit: Fit | None
    scores: Scores | None
    evidence: CandidateEvidence | None
    rule_fidelity: float | None
    seconds: float
    is_chosen: bool
    reason: str

    @property
    def is_admissible(self) -> bool:
        """Whether it may be published: it was fitted, and keeps to the limits."""
        if self.evidence is None:
            return self.fit is not None
        return self.evidence.is_admissible


@dataclass(frozen=True)
class Limits:
    """What the specification asks of a search.

    `ks` are the numbers of segments to try, the one that is fixed if `is_fixed`. `minimum_share`
    is that of the smallest segment, None for the smaller of 1 % and 0.2 / k; it has at least
    `privacy_floor` customers. Silhouettes are taken on `silhouette_customers`.
    """

    ks: Sequence[int]
    is_fixed: bool = False
    minimum_share: float | None = None
    privacy_floor: int = 10
    silhouette_customers: int = 5_000
    time_budget_seconds: float = 600.0


def inadmissible(scores: Scores, segments: int, limits: Limits) -> str:
    """Say why a candidate may not be published; empty where it may."""
    least = min(0.01, 0.2 / max(1, segments))
    if limits.minimum_share is not None:
        least = limits.minimum_share
    if limits.is_fixed and segments not in limits.ks:
        return f"inadmissible: the specification fixes {limits.ks[0]} segments"
    if scores.segments < segments:
        return f"inadmissible: {segments - scores.segments} of {segments} segments hold nobody"
    if scores.smallest_size < limits.privacy_floor:
        return (
            f"inadmissible: the smallest segment has {scores.smallest_size} of {scores.size} "
            f"customers, fewer than the privacy floor of {limits.privacy_floor}"
        )
    if scores.smallest_share < least:
        return (
            f"inadmissible: the smallest segment has {scores.smallest_share:.2%} of the customers, "
            f"less than the minimum share of {least:.2%}"
        )
    if scores.noise_share > LARGEST_NOISE_SHARE:
        return (
            f"inadmissible: {scores.noise_share:.0%} of the customers are in no segment, more than "
            f"{LARGEST_NOISE_SHARE:.0%}"
        )
    return ""


def not_fitted(algorithm: Algorithm, metric: Metric, segments: int, reason: str) -> Candidate:
    """Make the candidate that stands for what could not be fitted."""
    return Candidate(
        algorithm=algorithm,
        parameters=described({"segments": segments} if segments else {}),
        metric=metric,
        segments=segments,
        fit=None,
        scores=None,
        evidence=None,
        rule_fidelity=None,
        seconds=0.0,
        is_chosen=False,
        reason=reason,
    )


def described(parameters: Mapping[str, JSON]) -> str:
    """Say parameters in words; reasons stay with the model.

    >>> described({"segments": 3, "radius": 0.70000001, "covariance": "full"})
    'segments=3, radius=0.7, covariance=full'
    """
    told = []
    for name, value in parameters.items():
        if value is None or name.endswith("_reason"):
            continue
        told.append(f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}")
    return ", ".join(told) or "none"
