"""Well-known labelled kinds: every family, and the choice among them, beside scikit-learn.

    python -m benchmarks.labelled_kinds                        # all kinds, seed 0, resumable
    python -m benchmarks.labelled_kinds --kinds moons,rings --seeds 0-2

Standardised features, the default settings of a segmentation, 2 to 20 segments; nothing is taken
from the labels but where a column says so. Finished cases are kept, one JSON line each, and are not
computed again: delete the file to start anew.
"""

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from statistics import median, median_low

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from benchmarks.kinds import KINDS
from segmentation_pipeline.clustering.candidates import Limits
from segmentation_pipeline.clustering.choice import SIMPLICITY, choose_within_family
from segmentation_pipeline.clustering.evidence import CandidateEvidence
from segmentation_pipeline.clustering.families import families_of, similarity_of
from segmentation_pipeline.clustering.found import Found, SearchSample
from segmentation_pipeline.clustering.search import search
from segmentation_pipeline.clustering.structure.raw_features import Matrix, RawFeature
from segmentation_pipeline.specification.clustering import Clustering

RESULTS = Path(__file__).parent / "results"
KS = range(2, 21)
CHOICE = "the choice among all"
KNOWN = "who knows the densities"
WARD = "agglomerative (Ward)"
OUR_RADIUS = "dbscan at our radius"
NOTABLE = 0.02

HEAD = """# Labelled kinds, beside scikit-learn

How to read it: each kind has labels, and every row of the table says how well one way to find
segments agrees with them: by the adjusted Rand index (ARI) and the adjusted mutual information
(AMI), 1 for the labels themselves and 0 for chance. **own k**: the number of segments that the
family's own rule took out of 2 to 20, without the labels; a dash where it took none, since nothing
of it was repeatable and admissible. **true k**: the same family where it is told how many there are
(of several candidates the one that its rule takes); a dash where a density family found no
partition with as many. **scikit-learn**: its own algorithm, told the true k where it takes one, and
so to be held against that; DBSCAN and HDBSCAN at their defaults. Noise counts as one more group.

The first row of a kind is what the product would publish: the choice among all families. *Who
knows the densities* is what nobody exceeds but by luck, since Gaussians overlap. Labels are one
truth among others: two of the three species of iris touch.

Generators are in `kinds.py`; features are standardised, settings the defaults.

| kind | way | own k | ARI | AMI | true k: ARI | AMI | scikit-learn: ARI | AMI |
|---|---|---:|---:|---:|---:|---:|---:|---:|"""


def searched(matrix: Matrix, seed: int, workers: int) -> Found:
    """All families of the product, and its choice."""
    spec = Clustering(algorithm=list(SIMPLICITY), maximum_segments=KS[-1], seed=seed)
    features = [RawFeature(f"f{i}", column, "continuous") for i, column in enumerate(matrix.T)]
    return search(
        matrix,
        lambda ks: families_of(spec, ks),
        SearchSample(features, lambda raw: np.column_stack([one.values for one in raw])),
        Limits(ks=KS, time_budget_seconds=math.inf),
        similarity=similarity_of(spec),
        seed=seed,
        handicap=spec.handicap,
        fidelity=lambda _, __: math.nan,
        workers=workers,
        progress=lambda _: None,
    )


def scored(truth: np.ndarray, labels: np.ndarray) -> dict:
    """Agreement with the labels; noise counts as one more group."""
    return {
        "segments": len(np.unique(labels[labels >= 0])),
        "ari": float(adjusted_rand_score(truth, labels)),
        "ami": float(adjusted_mutual_info_score(truth, labels)),
    }


def own_pick(candidates: Sequence[CandidateEvidence]) -> CandidateEvidence | None:
    """What the family's rule takes, if it takes any."""
    return choose_within_family(candidates).candidate if candidates else None


def told_pick(candidates: Sequence[CandidateEvidence], k: int) -> CandidateEvidence | None:
    """The candidate with k segments; of several the rule's, else the most repeatable one."""
    told = [one for one in candidates if one.segments == k]
    return own_pick(told) or max(told, key=lambda one: one.stability.worst, default=None)


def scikit_learn(matrix: Matrix, k: int, dense: Mapping | None) -> dict[str, np.ndarray]:
    """What its user would run, told the number of segments where the algorithm takes it.

    `dense` are the parameters of our DBSCAN, if it found anything.
    """
    from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering, KMeans
    from sklearn.mixture import GaussianMixture

    models = {
        "k_means": KMeans(k, n_init=10, random_state=0),
        "gaussian_mixture": GaussianMixture(k, n_init=10, random_state=0),
        "hdbscan": HDBSCAN(copy=True),
        "dbscan": DBSCAN(),
        WARD: AgglomerativeClustering(k),
    }
    if dense is not None:
        models[OUR_RADIUS] = DBSCAN(eps=dense["radius"], min_samples=dense["neighbours"])
    return {name: model.fit_predict(matrix) for name, model in models.items()}


def judged(kind: str, seed: int, workers: int) -> dict:
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    drawn = KINDS[kind](rng)
    # The product has its customers in the order of a hash.
    order = rng.permutation(len(drawn.truth))
    matrix, truth = drawn.matrix[order], drawn.truth[order]
    matrix = (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)
    k = len(np.unique(truth))
    began = time.process_time()
    found = searched(matrix, seed, workers)
    seconds = time.process_time() - began
    picks = {}
    for algorithm in SIMPLICITY:
        of_family = [one.evidence for one in found.candidates if one.algorithm == algorithm]
        members = [one for one in of_family if one is not None]
        picks[algorithm] = own_pick(members), told_pick(members, k)
    dense = next((pick for pick in picks["dbscan"] if pick is not None), None)
    theirs = scikit_learn(matrix, k, None if dense is None else dense.parameters)
    if found.chosen.evidence is None:
        raise TypeError(f"{kind} has only one segment")
    return {
        "kind": kind,
        "seed": seed,
        "customers": len(matrix),
        "features": matrix.shape[1],
        "segments": k,
        "own": {
            name: scored(truth, own.labels) for name, (own, _) in picks.items() if own is not None
        },
        "told": {
            name: scored(truth, told.labels)
            for name, (_, told) in picks.items()
            if told is not None
        },
        "theirs": {name: scored(truth, labels) for name, labels in theirs.items()},
        "known": None if drawn.best is None else scored(truth, drawn.best[order]),
        "chosen": scored(truth, found.chosen.evidence.labels)
        | {"algorithm": found.chosen.algorithm, "reason": found.chosen.reason},
        "seconds": seconds,
    }


def run(cases: Sequence[tuple[str, int]], file: Path, workers: int) -> list[dict]:
    """Judge what the file does not hold yet, and append it there case by case."""
    file.parent.mkdir(exist_ok=True)
    done = {}
    if file.exists():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        done = {(row["kind"], row["seed"]): row for row in rows}
    todo = [case for case in cases if case not in done]
    with file.open("a") as lines:
        for count, case in enumerate(todo, start=1):
            row = judged(*case, workers)
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            done[case] = row
            chosen = row["chosen"]
            print(
                f"{count}/{len(todo)} {case[0]}, seed {case[1]}: {chosen['algorithm']} with "
                f"{chosen['segments']} of {row['segments']}, ARI {chosen['ari']:.2f}, "
                f"{row['seconds']:.0f} s",
                flush=True,
            )
    return list(done.values())


def report(rows: Sequence[dict]) -> str:
    lines = [*HEAD.splitlines()]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        lines += _lines([row for row in rows if row["kind"] == kind])
    lines += ["", "## Where ours lost", ""]
    lines += [
        f"- {row['kind']}, seed {row['seed']}: {loss}" for row in rows for loss in _losses(row)
    ]
    seconds = [row["seconds"] for row in rows]
    lines += [
        "",
        f"The search among all families took {np.median(seconds):.0f} s of one core (median).",
    ]
    return "\n".join(lines) + "\n"


def _lines(rows: Sequence[dict]) -> list[str]:
    """Table rows of one kind; medians where there are several seeds."""
    first = rows[0]
    shape = f"{first['customers']:,} x {first['features']}, {first['segments']} segments"
    families = ", ".join(dict.fromkeys(row["chosen"]["algorithm"] for row in rows))
    chosen = _cells([row["chosen"] for row in rows], with_segments=True)
    lines = [f"| **{first['kind']}** ({shape}) | **{CHOICE}: {families}** | {chosen} | | | | |"]
    for way in [*SIMPLICITY, OUR_RADIUS, WARD]:
        own, told, theirs = (
            [row[part].get(way) for row in rows] for part in ("own", "told", "theirs")
        )
        cells = [_cells(own, with_segments=True), _cells(told), _cells(theirs)]
        lines.append(f"| | {way} | {' | '.join(cells)} |")
    if first["known"] is not None:
        known = _cells([row["known"] for row in rows])
        lines.append(f"| | {KNOWN} | | | | {known} | | |")
    return lines


def _cells(scores: Sequence[dict | None], *, with_segments: bool = False) -> str:
    known = [one for one in scores if one is not None]
    if not known:
        return " | ".join("-" * (2 + with_segments))
    figures = [f"{median(one[name] for one in known):.2f}" for name in ("ari", "ami")]
    if with_segments:
        figures.insert(0, str(median_low(one["segments"] for one in known)))
    return " | ".join(figures)


def _losses(row: dict) -> list[str]:
    """Where scikit-learn or another family of ours was better by more than .02."""
    losses = [
        f"{family} at the true k has {ours['ari']:.2f}, scikit-learn's "
        f"{row['theirs'][family]['ari']:.2f}"
        for family, ours in row["told"].items()
        if family in row["theirs"] and row["theirs"][family]["ari"] > ours["ari"] + NOTABLE
    ]
    chosen = row["chosen"]
    for what, scores in (("by its own rule", row["own"]), ("of scikit-learn's", row["theirs"])):
        name, best = max(scores.items(), key=lambda item: item[1]["ari"])
        if best["ari"] > chosen["ari"] + NOTABLE:
            losses.append(
                f"the choice, {chosen['algorithm']} with {chosen['segments']} segments, has "
                f"{chosen['ari']:.2f}; {name} {what} {best['ari']:.2f}"
            )
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", default=";".join(KINDS), help="separated by semicolons")
    parser.add_argument("--seeds", default="0-0", help="first-last")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    first, last = map(int, arguments.seeds.split("-"))
    cases = [
        (kind, seed) for seed, kind in product(range(first, last + 1), arguments.kinds.split(";"))
    ]
    rows = run(cases, RESULTS / "labelled_kinds.jsonl", arguments.workers)
    rows.sort(key=lambda row: (list(KINDS).index(row["kind"]), row["seed"]))
    (RESULTS / "labelled_kinds.md").write_text(report(rows))


if __name__ == "__main__":
    main()
