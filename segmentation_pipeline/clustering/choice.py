"""The one rule that picks the number of segments among its candidates, and why the others lost."""

from collections.abc import Sequence
from dataclasses import replace

from segmentation_pipeline.clustering.candidates import Candidate
from segmentation_pipeline.errors import ClusteringError


def choose_candidate(candidates: Sequence[Candidate], *, fixed_k: int | None = None) -> Candidate:
    """Pick the candidate that becomes the model; its `reason` says why.

    The rule: the highest silhouette among the admissible; of equal ones the least k. A `fixed_k`
    replaces the comparison, not the limits: the candidate still has to be admissible. Where all
    customers are too alike to be told apart, the one segment is taken whatever was asked for.

    Raises ClusteringError with the limits that were broken where nothing is admissible.
    """
    admissible = [candidate for candidate in candidates if candidate.is_admissible]
    if fixed_k is not None and [candidate.k for candidate in candidates] != [1]:
        admissible = [candidate for candidate in admissible if candidate.k == fixed_k]
    if not admissible:
        raise _nothing_admissible(candidates, fixed_k)
    best = max(admissible, key=lambda candidate: (candidate.silhouette or 0.0, -candidate.k))
    if best.k == 1:
        return best
    if fixed_k is not None:
        return replace(best, reason=f"chosen: the specification fixes k = {fixed_k}")
    rivals = len(admissible)
    return replace(
        best,
        reason=f"chosen: silhouette {best.silhouette:.4f} is the highest of {rivals} admissible"
        if rivals > 1
        else "chosen: the only admissible candidate",
    )


def explain_choice(candidates: Sequence[Candidate], chosen: Candidate) -> list[Candidate]:
    """Give every candidate the `reason` why it won or lost against `chosen`; same order."""

    def reason(candidate: Candidate) -> str:
        if candidate.k == chosen.k:
            return chosen.reason
        if not candidate.is_admissible:
            return candidate.reason
        if (candidate.silhouette or 0.0) > (chosen.silhouette or 0.0):
            return f"lost: k = {chosen.k} is fixed"
        return (
            f"lost: silhouette {candidate.silhouette:.4f} is not above the "
            f"{chosen.silhouette:.4f} of k = {chosen.k}"
        )

    return [replace(candidate, reason=reason(candidate)) for candidate in candidates]


def _nothing_admissible(candidates: Sequence[Candidate], fixed_k: int | None) -> ClusteringError:
    considered = [candidate for candidate in candidates if fixed_k in {None, candidate.k}]
    if not considered:
        return ClusteringError(
            f"k = {fixed_k} is fixed, and was not among the candidates "
            f"({', '.join(str(candidate.k) for candidate in candidates)})"
        )
    is_small = all(candidate.labels is None or candidate.k == 1 for candidate in considered)
    reasons = "; ".join(f"k = {candidate.k}: {candidate.reason}" for candidate in considered)
    return ClusteringError(
        ("too few customers for any segmentation: " if is_small else "no candidate is admissible: ")
        + reasons
        + ". Lower the limit that is named, or widen the range of k"
    )
