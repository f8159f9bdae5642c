"""The one rule that picks among candidates, and why the others lost.

Within a family each has the figure that suits it. Across families silhouettes are not comparable,
since they favour round segments: on two moons K-Means has .5 and the true partition .33. There a
family has to be repeatable first, and then to be clearly better than a simpler one by a figure that
means the same for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.clustering.evidence import CENTRED, CandidateEvidence
from segmentation_pipeline.clustering.structure.raw_features import NOISE
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Algorithm

SIMPLICITY: tuple[Algorithm, ...] = (
    "k_means",
    "k_medoids",
    "gaussian_mixture",
    "autoencoder",
    "hdbscan",
    "dbscan",
)
"""From the family that is explained in a sentence to the one that leaves customers out."""
SAME_PARTITION = 0.9
"""Partitions that agree so well (adjusted Rand index) differ at their borders only."""
REPRODUCED = 0.5
"""Least agreement of segments found in one half of the customers with those of the other."""
MERGED = 0.95
"""Share of customers whose segment lies in one of the other partition's, if that only merges."""
CLEARER = 2.0
"""How many times the crowded leak of the simpler family has to be that of the other."""
STRAY_LEAK = 0.001
"""A crowded leak that is as good as none: at 2,000 customers, 15 of 15,000 links. The shortest cut
through a crowd that was met, across two thin moons, leaks .0023."""
CLEAR_GAIN = 0.05
"""Nats by which a mixture's segments must describe a held-out customer better."""
NO_LEAK = 0.0005
"""Within a family, by how much more than the least the crowded leak of more segments may be."""
NO_GAIN = 0.02
"""Nats that are no reason for one more component."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """The chosen candidate, and a reason for each candidate, in the order they were given in."""

    chosen: CandidateEvidence
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Pick:
    """A family's best candidate, if it has one, and why it is that or why there is none."""

    candidate: CandidateEvidence | None
    reason: str


def choose_among_families(
    candidates: Sequence[CandidateEvidence], *, handicap: Mapping[Algorithm, float] | None = None
) -> Choice:
    """Go from the simplest family to the least simple; who is clearly better takes the place.

    The first family with an admissible candidate holds the place. The pick of each further family
    challenges it, and takes it if

    1. it is repeatable: every bootstrap Jaccard is at least .75, the held-out agreement .5;
    2. it is another partition: of those whom neither calls noise, an adjusted Rand index below .9;
    3. it doesn't merely merge segments that the border test finds separated;
    4. its evidence is clear, against the candidate of the holder's family with as many segments
       (if none is admissible, that is won) and against the holder:
       a mixture gains .05 nats a held-out customer more. Twice any other's crowded leak, and .001,
       is at most theirs; or, with more segments than the holder, is at most .001. A mixture that
       holds the place is not left for one that gains less: its components may overlap, and whoever
       merges those that do always leaks less.

    `handicap` multiplies what is asked for in 4.

    Raises ClusteringError where nothing is admissible, with the reasons.
    """
    families = {
        algorithm: [c for c in candidates if c.algorithm == algorithm] for algorithm in SIMPLICITY
    }
    lost: dict[int, str] = {}
    holder: CandidateEvidence | None = None
    held_because = ""
    for algorithm, members in families.items():
        if not members:
            continue
        pick = choose_within_family(members)
        lost |= {id(c): _lost_within(c, pick) for c in members}
        challenger = pick.candidate
        if challenger is None:
            continue
        if holder is None:
            holder, held_because = challenger, pick.reason
            continue
        took, reason = _challenge(
            challenger, holder, families[holder.algorithm], (handicap or {}).get(algorithm, 1.0)
        )
        if took:
            lost[id(holder)] = f"lost to {_named(challenger)}: {reason}"
            holder, held_because = challenger, f"{pick.reason}; {reason}"
        else:
            lost[id(challenger)] = f"lost to {_named(holder)}: {reason}"
    if holder is None:
        raise _no_candidate(candidates)
    lost[id(holder)] = f"chosen: {held_because}"
    return Choice(holder, tuple(lost[id(candidate)] for candidate in candidates))


def choose_within_family(candidates: Sequence[CandidateEvidence]) -> _Pick:
    """Pick one candidate of a family by the figure that suits the family.

    - K-Means, K-Medoids: the most segments that are stable and separated; if none are separated,
      the stable ones with the highest silhouette; if none are stable, the most stable ones.
    - A mixture: the fewest components within .02 nats of the best held-out gain of all, admissible
      or not. Where that is unstable, inadmissible or the largest number of several that were
      tried, the components approximate a shape, and the family has no answer.
    - Others: of the stable ones whose crowded leak is within .0005 of the least, the most segments,
      then the least noise.
    """
    algorithm = candidates[0].algorithm
    admissible = [candidate for candidate in candidates if candidate.is_admissible]
    if not admissible:
        return _Pick(None, "none of the family's candidates is admissible")
    if algorithm in CENTRED:
        return _centred_pick(admissible, len(candidates))
    if algorithm == "gaussian_mixture":
        return _mixture_pick(candidates)
    return _dense_pick(admissible)


def _centred_pick(admissible: Sequence[CandidateEvidence], tried: int) -> _Pick:
    stable = [c for c in admissible if c.stability.stable]
    separated = [c for c in stable if c.border.separates(tried)]
    if separated:
        best = max(separated, key=lambda c: c.segments)
        return _Pick(best, "the most segments that are stable and separated")
    if stable:
        best = max(stable, key=lambda c: c.silhouette)
        return _Pick(best, "no segments are separated; of the stable ones the highest silhouette")
    best = max(admissible, key=lambda c: c.stability.worst)
    return _Pick(best, "no segments are stable; these are the most stable ones")


def _mixture_pick(candidates: Sequence[CandidateEvidence]) -> _Pick:
    known = [c for c in candidates if c.held_out.gains]
    most = max((_gain(c) for c in known), default=0.0)
    near = [c for c in known if _gain(c) >= most - NO_GAIN]
    best = min(near, key=lambda c: (c.segments, -_gain(c)))
    why = f"{best.segments} components describe held-out customers best"
    if not best.is_admissible:
        return _Pick(None, f"{why}, and they are inadmissible")
    tried = {c.segments for c in candidates}
    if len(tried) > 1 and best.segments == max(tried):
        return _Pick(None, f"{why}, the most that were tried: they may approximate a shape")
    if not best.stability.stable:
        return _Pick(
            None,
            f"{why}, but don't reappear (lowest Jaccard {best.stability.worst:.2f}): they "
            "approximate a shape",
        )
    return _Pick(best, why)


def _dense_pick(admissible: Sequence[CandidateEvidence]) -> _Pick:
    stable = [c for c in admissible if c.stability.stable]
    if not stable:
        return _Pick(None, "none of the family's admissible candidates is stable")
    least = min(c.crowded_leak for c in stable)
    clean = [c for c in stable if c.crowded_leak <= least + NO_LEAK]
    best = max(clean, key=lambda c: (c.segments, -c.noise_share))
    return _Pick(best, "the most stable segments with borders through the least crowd")


def _challenge(
    challenger: CandidateEvidence,
    holder: CandidateEvidence,
    holders: Sequence[CandidateEvidence],
    handicap: float,
) -> tuple[bool, str]:
    """Whether a challenger takes the holder's place, and a clause that says why or why not."""
    if not challenger.stability.stable:
        return False, (
            f"it is not repeatable, the lowest bootstrap Jaccard is "
            f"{challenger.stability.worst:.2f}"
        )
    if challenger.held_out.agreement < REPRODUCED:
        return False, (
            "it is not repeatable, halves of the customers agree by "
            f"{challenger.held_out.agreement:.2f}"
        )
    same = _agreement(challenger, holder)
    if same >= SAME_PARTITION:
        return False, f"nearly the same segments (adjusted Rand index {same:.2f}), and simpler"
    if holder.algorithm == "gaussian_mixture" and _lead(challenger, holder) < -NO_GAIN:
        return False, (
            "as Gaussians its segments describe held-out customers worse "
            f"({_lead(challenger, holder):+.3f} nats each)"
        )
    if _is_separated(holder, holders) and _merges(challenger, holder):
        return False, "it merges segments that are separated"
    at_equal = [c for c in holders if c.segments == challenger.segments and c is not holder]
    rivals = [c for c in at_equal if c.is_admissible]
    is_tried = bool(at_equal) or holder.segments == challenger.segments
    if challenger.algorithm == "gaussian_mixture":
        return _predicts_better(challenger, [holder, *rivals], handicap)
    return _runs_through_less_crowd(challenger, holder, rivals, handicap, is_tried=is_tried)


def _predicts_better(
    challenger: CandidateEvidence, rivals: Sequence[CandidateEvidence], handicap: float
) -> tuple[bool, str]:
    leads = [_lead(challenger, rival) for rival in rivals]
    least, rival = min(zip(leads, rivals, strict=True), key=lambda pair: pair[0])
    wanted = CLEAR_GAIN * handicap
    verb = "describes" if least >= wanted else "does not describe"
    return least >= wanted, (
        f"as Gaussians it {verb} held-out customers clearly better than {_named(rival)} "
        f"({least:+.3f} nats each, {wanted:.2f} wanted)"
    )


def _runs_through_less_crowd(
    challenger: CandidateEvidence,
    holder: CandidateEvidence,
    rivals: Sequence[CandidateEvidence],
    handicap: float,
    *,
    is_tried: bool,
) -> tuple[bool, str]:
    least = handicap * (CLEARER * challenger.crowded_leak + STRAY_LEAK)
    is_finer = (
        is_tried
        and challenger.segments > holder.segments
        and handicap * challenger.crowded_leak <= STRAY_LEAK
    )
    compared = rivals if is_finer else [holder, *rivals]
    worst = min(compared, key=lambda c: c.crowded_leak, default=None)
    if worst is None:
        return True, (
            f"{holder.algorithm} has no admissible {challenger.segments} segments, and these have "
            f"borders through valleys (crowded leak {challenger.crowded_leak:.4f})"
        )
    won = worst.crowded_leak >= least
    return won, (
        f"its borders run {'' if won else 'not clearly '}through less of a crowd than those of "
        f"{_named(worst)} (crowded leak {challenger.crowded_leak:.4f}, theirs "
        f"{worst.crowded_leak:.4f})"
    )


def _agreement(one: CandidateEvidence, other: CandidateEvidence) -> float:
    """Adjusted Rand index over the customers whom neither partition calls noise."""
    from sklearn.metrics import adjusted_rand_score

    inside = (one.labels != NOISE) & (other.labels != NOISE)
    return float(adjusted_rand_score(one.labels[inside], other.labels[inside]))


def _is_separated(holder: CandidateEvidence, holders: Sequence[CandidateEvidence]) -> bool:
    return holder.stability.stable and holder.border.separates(len(holders))


def _merges(challenger: CandidateEvidence, holder: CandidateEvidence) -> bool:
    """Whether the challenger's segments, fewer, are unions of the holder's, noise apart."""
    inside = (challenger.labels != NOISE) & (holder.labels != NOISE)
    if challenger.segments >= holder.segments or not inside.any():
        return False
    shared = np.zeros((holder.segments, challenger.segments))
    holds = np.unique(holder.labels[inside], return_inverse=True)[1]
    challenges = np.unique(challenger.labels[inside], return_inverse=True)[1]
    np.add.at(shared, (holds, challenges), 1.0)
    return bool(shared.max(axis=1).sum() >= MERGED * shared.sum())


def _lead(one: CandidateEvidence, other: CandidateEvidence) -> float:
    """Nats by which one describes customers better than the other: median over held-out halves."""
    return float(np.median(np.subtract(one.held_out.gains, other.held_out.gains)))


def _gain(candidate: CandidateEvidence) -> float:
    return float(np.median(candidate.held_out.gains))


def _lost_within(candidate: CandidateEvidence, pick: _Pick) -> str:
    if not candidate.is_admissible:
        return candidate.reason
    if pick.candidate is None:
        return f"lost: {pick.reason}"
    return f"lost to {_named(pick.candidate)}: {pick.reason}"


def _named(candidate: CandidateEvidence) -> str:
    return f"{candidate.algorithm} with {candidate.segments} segments"


def _no_candidate(candidates: Sequence[CandidateEvidence]) -> ClusteringError:
    lines = [f"{_named(candidate)}: {candidate.reason or 'lost'}" for candidate in candidates]
    return ClusteringError("no candidate is admissible\n" + "\n".join(lines))
