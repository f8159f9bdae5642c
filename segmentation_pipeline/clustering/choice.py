"""The one rule that picks among candidates, and why the others lost.

Within a family each has the figure that suits it. Across families silhouettes are not comparable,
since they favour round segments: on two moons K-Means has .5 and the true partition .33. There only
what is repeatable counts, for a family or against another, and it has to be clearly better than a
simpler one by a figure that means the same for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.clustering.evidence import CENTRED, REPRODUCED, CandidateEvidence
from segmentation_pipeline.clustering.validity import agreement_inside, merges
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
DENTED_P, DENTED_DEPTH = 0.05, 0.25
"""Of the worst border between segments that aren't to be merged. The verdict asks for more before
it claims a gap; what may be one isn't given up for a partition that leaks less by having less."""
UNCROWDED_P = 0.01
"""Of the same border by its customers' neighbours, since a bent strand that is cut gets as deep.
Neighbours share neighbours, so that .05 would not be .05: 6 of 60 such strands were below it."""
CLEARER = 2.0
"""How many times the crowded leak of the simpler family has to be that of the other."""
STRAY_LEAK = 0.001
"""A crowded leak that is as good as none: at 2,000 customers, 15 of 15,000 links. The shortest cut
through a crowd that was met, across two thin moons, leaks .0023; a chance gap in a crowd of
overlapping groups .0026; the true borders of moons, rings and the curved manifold .0001 at most."""
NEARLY_ALL = 0.9
"""Share of the held-out halves in which a mixture has to describe customers better."""
NO_LEAK = 0.0005
"""Within a family, by how much more than the least the crowded leak of more segments may be."""
AS_STABLE = 0.05
"""Within a family, by how much less than the highest the lowest Jaccard of more segments may be:
twice the standard error of twenty draws."""
NO_GAIN = 0.02
"""Nats a held-out customer that are no reason for one more component, nor for another family."""


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


@dataclass(frozen=True, slots=True, eq=False)
class _Simpler:
    """What a challenger meets: the families before its own.

    Everyone who held the place, the holder last; all picks, and all candidates.
    """

    held: list[CandidateEvidence]
    picks: list[CandidateEvidence]
    candidates: list[CandidateEvidence]


def choose_among_families(
    candidates: Sequence[CandidateEvidence], *, handicap: Mapping[Algorithm, float] | None = None
) -> Choice:
    """Go from the simplest family to the least simple; who is clearly better takes the place.

    The first family with an admissible candidate holds the place. The pick of each further family
    challenges it, and takes it if

    1. it is repeatable: every bootstrap Jaccard is at least .75, the held-out agreement .5. What
       isn't speaks against nobody in what follows;
    2. it is another partition: of those whom neither calls noise, an adjusted Rand index below .9
       (not asked of a mixture: where its segments are the same, it gains nothing in 4);
    3. it doesn't merely merge segments of any simpler family's pick whose borders are emptier than
       their centres (by a quarter, p at most .05), and less crowded to who is there (p at most
       .01);
    4. its evidence is clear, against everyone who held the place and against every candidate of a
       simpler family with as many segments. A mixture gains .02 nats a held-out customer more, also
       than one Gaussian of all, and more at all in nine of ten halves. Any other's crowded leak is
       as good as none (.001), and theirs are twice that and .001; who held the place with fewer
       segments is not asked for this, since fewer leak less (but is, if nobody tried as many). A
       mixture that held the place is not left for one that gains less: its components may overlap,
       and whoever merges those that do always leaks less.

    `handicap` multiplies what is asked for in 4. Where no family has an answer, such as a mixture
    alone whose components don't reappear, the admissible candidate that reappears most surely is
    taken: a partition is published, and the verdict says what it is worth.

    Raises ClusteringError where nothing is admissible, with the reasons.
    """
    simpler = _Simpler([], [], [])
    lost: dict[int, str] = {}
    held_because = ""
    for algorithm in SIMPLICITY:
        members = [c for c in candidates if c.algorithm == algorithm]
        if not members:
            continue
        pick = choose_within_family(members)
        lost |= {id(c): _lost_within(c, pick) for c in members}
        if pick.candidate is not None:
            took, why = _challenge(pick.candidate, simpler, (handicap or {}).get(algorithm, 1.0))
            if took:
                lost |= {
                    id(c): f"lost to {_named(pick.candidate)}: {why}" for c in simpler.held[-1:]
                }
                simpler.held.append(pick.candidate)
                held_because = f"{pick.reason}; {why}" if why else pick.reason
            else:
                lost[id(pick.candidate)] = f"lost to {_named(simpler.held[-1])}: {why}"
            simpler.picks.append(pick.candidate)
        simpler.candidates.extend(members)
    if simpler.held:
        chosen = simpler.held[-1]
    else:
        chosen = _comes_back_most(candidates)
        held_because = (
            "no family has an answer; of the admissible candidates it reappears most surely "
            f"(lowest Jaccard {chosen.stability.worst:.2f})"
        )
    lost[id(chosen)] = f"chosen: {held_because}"
    return Choice(chosen, tuple(lost[id(candidate)] for candidate in candidates))


def choose_within_family(candidates: Sequence[CandidateEvidence]) -> _Pick:
    """Pick one candidate of a family by the figure that suits the family.

    - K-Means, K-Medoids: the most segments that are stable and separated; if none are separated,
      the stable ones with the highest silhouette; if none are stable, the most stable ones.
    - A mixture: the fewest components within .02 nats of the best held-out gain of all, admissible
      or not. Where that is unstable, inadmissible or the largest number of several that were
      tried, the components approximate a shape, and the family has no answer.
    - Others: of the stable ones whose crowded leak is within .0005 of the least, those whose lowest
      Jaccard is within .05 of the highest; of these the most segments, then the least noise.
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
    most = max(c.stability.worst for c in clean)
    firm = [c for c in clean if c.stability.worst >= most - AS_STABLE]
    best = max(firm, key=lambda c: (c.segments, -c.noise_share))
    return _Pick(best, "the most stable segments with borders through the least crowd")


def _challenge(
    challenger: CandidateEvidence, simpler: _Simpler, handicap: float
) -> tuple[bool, str]:
    """Whether a challenger takes the place, and a clause that says why or why not."""
    if not simpler.held:
        return True, ""
    jaccard, agreement = challenger.stability.worst, challenger.held_out.agreement
    if not challenger.stability.stable:
        return False, f"it is not repeatable, the lowest bootstrap Jaccard is {jaccard:.2f}"
    if agreement < REPRODUCED:
        return False, f"it is not repeatable, halves of the customers agree by {agreement:.2f}"
    held = [c for c in simpler.held if c.is_repeatable]
    is_mixture = challenger.algorithm == "gaussian_mixture"
    same = agreement_inside(challenger.labels, simpler.held[-1].labels)
    if not is_mixture and same >= SAME_PARTITION and simpler.held[-1].is_repeatable:
        return False, f"nearly the same segments (adjusted Rand index {same:.2f}), and simpler"
    for mixture in (c for c in held if c.algorithm == "gaussian_mixture"):
        lead = np.median(_leads(challenger, mixture))
        if lead < -NO_GAIN:
            return False, (
                "as Gaussians its segments describe held-out customers worse "
                f"({lead:+.3f} nats each)"
            )
    for pick in simpler.picks:
        if _is_apart(pick) and merges(challenger.labels, pick.labels):
            return False, f"it merges segments of {_named(pick)} that are apart"
    at_equal = [c for c in simpler.candidates if c.segments == challenger.segments]
    rivals = [c for c in at_equal if c.is_repeatable]
    if is_mixture:
        return _predicts_better(challenger, [*held, *rivals], handicap)
    coarser = challenger.segments if at_equal else 0
    rivals += [c for c in held if c.segments >= coarser]
    return _runs_through_valleys(challenger, rivals, handicap)


def _predicts_better(
    challenger: CandidateEvidence, rivals: Sequence[CandidateEvidence], handicap: float
) -> tuple[bool, str]:
    def is_clear(leads: Sequence[float]) -> bool:
        is_often = np.mean(np.array(leads) > 0.0) >= NEARLY_ALL
        return bool(is_often and np.median(leads) >= wanted)

    wanted = NO_GAIN * handicap
    compared = [("one Gaussian of all", challenger.held_out.gains)]
    compared += [(_named(rival), _leads(challenger, rival)) for rival in rivals]
    name, least = min(compared, key=lambda pair: (is_clear(pair[1]), np.median(pair[1])))
    verb = "describes" if is_clear(least) else "does not describe"
    return is_clear(least), (
        f"as Gaussians it {verb} held-out customers clearly better than {name} "
        f"({np.median(least):+.3f} nats each, {wanted:.2f} wanted; better in "
        f"{sum(lead > 0.0 for lead in least)} of {len(least)} halves)"
    )


def _runs_through_valleys(
    challenger: CandidateEvidence, rivals: Sequence[CandidateEvidence], handicap: float
) -> tuple[bool, str]:
    leak = challenger.crowded_leak
    if handicap * leak > STRAY_LEAK:
        return False, f"its borders run through a crowd (crowded leak {leak:.4f})"
    if not rivals:
        return True, (
            f"no simpler family has {challenger.segments} repeatable segments, and these have "
            f"borders through valleys (crowded leak {leak:.4f})"
        )
    worst = min(rivals, key=lambda c: c.crowded_leak)
    won = worst.crowded_leak >= handicap * (CLEARER * leak + STRAY_LEAK)
    return won, (
        f"its borders run {'' if won else 'not clearly '}through less of a crowd than those of "
        f"{_named(worst)} (crowded leak {leak:.4f}, theirs {worst.crowded_leak:.4f})"
    )


def _is_apart(pick: CandidateEvidence) -> bool:
    is_dented = pick.border.p <= DENTED_P and pick.border.depth >= DENTED_DEPTH
    return pick.is_repeatable and is_dented and pick.crowded_border_p <= UNCROWDED_P


def _leads(one: CandidateEvidence, other: CandidateEvidence) -> tuple[float, ...]:
    """Nats by which one describes customers better, half by half; what is stable has them all."""
    pairs = zip(one.held_out.gains, other.held_out.gains, strict=True)
    return tuple(gain - others for gain, others in pairs)


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


def _comes_back_most(candidates: Sequence[CandidateEvidence]) -> CandidateEvidence:
    """Take what is admissible and has the highest lowest Jaccard; of equal ones the simplest."""
    admissible = [candidate for candidate in candidates if candidate.is_admissible]
    if not admissible:
        lines = [f"{_named(candidate)}: {candidate.reason}" for candidate in candidates]
        raise ClusteringError("no candidate is admissible\n" + "\n".join(lines))
    return max(admissible, key=lambda c: (c.stability.worst, -SIMPLICITY.index(c.algorithm)))
