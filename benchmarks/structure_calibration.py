"""How often the structure verdict is wrong: on data without segments, and on planted ones.

    python benchmarks/structure_calibration.py            # all sets, two processes, resumable
    python benchmarks/structure_calibration.py --fast     # one set of each family

Finished sets are kept, one JSON line each, and are not computed again: delete the file to start
anew. The table goes to benchmarks/results/structure_calibration.md.

A set without segments is a false alarm if its verdict is `supported`. A planted set is a miss if
its verdict is anything else. Planted centroids are 5.5 to 8 standard deviations of a segment from
their nearest neighbour, the smallest segment has 100 customers or more.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.clustering.structure.examination import (
    SEGMENT_COUNTS,
    examine,
    kmeans_candidates,
    structure_sample,
)
from segmentation_pipeline.clustering.structure.raw_features import Matrix, RawFeature
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.structure.verdict import choose_segment_count, judge

RESULTS = Path(__file__).parent / "results"
N_RESAMPLES = 40  # Of 100: the mean Jaccard moves by .01, and 650 sets fit into an hour.
Rng = np.random.Generator


@dataclass(frozen=True)
class DataSet:
    """One set to judge: `family` names its generator."""

    truth: str
    family: str
    n: int
    d: int
    repeat: int

    @property
    def key(self) -> str:
        """What the results file knows the set by, and what seeds it."""
        return f"{self.truth}/{self.family}/n{self.n}/d{self.d}/{self.repeat}"


def standardised(features: Sequence[RawFeature]) -> Matrix:
    """The usual preparation: one-hot categories, every column with mean 0 and variance 1."""
    columns = []
    for feature in features:
        if feature.kind == "categorical":
            codes, names = feature.category_codes()
            columns.extend((codes == code).astype(np.float64) for code in range(len(names)))
        else:
            columns.append(feature.values)
    matrix = np.column_stack(columns)
    spread = matrix.std(axis=0)
    return (matrix - matrix.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)


# --- Without segments: latent trends, turned into features of every kind ---


def normal(rng: Rng, n: int, d: int) -> Matrix:
    return rng.standard_normal((n, d))


def correlated_normal(rng: Rng, n: int, d: int) -> Matrix:
    """A few common factors of random strength, each feature with variance 1."""
    loadings = rng.standard_normal((d, max(1, d // 3))) * rng.uniform(0.3, 1.5)
    root = np.hstack([loadings, np.eye(d)])
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    return rng.standard_normal((n, root.shape[1])) @ root.T


def uniform(rng: Rng, n: int, d: int) -> Matrix:
    return rng.uniform(size=(n, d))


def multivariate_t(rng: Rng, n: int, d: int) -> Matrix:
    freedom = rng.uniform(3.0, 6.0)
    return correlated_normal(rng, n, d) / np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)


def scale_mixture(rng: Rng, n: int, d: int) -> Matrix:
    """One centre, two spreads."""
    wide = rng.uniform(size=(n, 1)) < rng.uniform(0.1, 0.4)
    return correlated_normal(rng, n, d) * np.where(wide, rng.uniform(2.0, 4.0), 1.0)


def curved(rng: Rng, n: int, d: int) -> Matrix:
    """A bent sheet: half of the features are squares of the others, with noise."""
    flat = correlated_normal(rng, n, d)
    bent = flat[:, : d // 2] ** 2 * rng.uniform(0.5, 1.0)
    return np.hstack([flat[:, : d - d // 2], bent + 0.4 * rng.standard_normal(bent.shape)])


def arc(rng: Rng, n: int, d: int) -> Matrix:
    """A line along two thirds of a circle, evenly filled, in two features; the rest is noise."""
    angle = rng.uniform(0.0, rng.uniform(0.8, 1.35) * np.pi, n)
    line = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.15 * rng.standard_normal((n, 2))
    return np.hstack([line, 0.5 * rng.standard_normal((n, d - 2))])


def lognormal(rng: Rng, n: int, d: int) -> Matrix:
    return np.exp(rng.uniform(0.4, 1.0) * correlated_normal(rng, n, d))


def zero_inflated_counts(rng: Rng, n: int, d: int) -> Matrix:
    latent = correlated_normal(rng, n, d)
    counts = rng.poisson(np.exp(rng.uniform(0.0, 2.0, d) + 0.7 * latent))
    return np.where(rng.uniform(size=(n, d)) < rng.uniform(0.1, 0.7, d), 0, counts)


def levels(rng: Rng, latent: Matrix, most: int) -> Matrix:
    """Cut each column into 2..most levels of random shares."""
    codes = np.empty(latent.shape)
    for column in range(latent.shape[1]):
        shares = rng.dirichlet(np.full(rng.integers(2, most + 1), 4.0))
        cuts = np.quantile(latent[:, column], np.cumsum(shares)[:-1])
        codes[:, column] = np.searchsorted(cuts, latent[:, column])
    return codes


def as_features(matrix: Matrix, kinds: Iterable[str]) -> list[RawFeature]:
    features = []
    for number, (column, kind) in enumerate(zip(matrix.T, kinds, strict=True)):
        values = np.array([f"c{v:.0f}" for v in column], dtype=object)
        features.append(RawFeature(f"f{number}", values if kind == "categorical" else column, kind))
    return features


def of_kind(kind: str, make: Callable[[Rng, int, int], Matrix]):
    return lambda rng, n, d: as_features(make(rng, n, d), [kind] * d)


def mixed(rng: Rng, n: int, d: int) -> list[RawFeature]:
    kinds = [("continuous", "integer", "ordinal", "categorical")[i % 4] for i in range(d)]
    matrix = correlated_normal(rng, n, d)
    for column, kind in enumerate(kinds):
        if kind == "integer":
            matrix[:, column] = rng.poisson(np.exp(1.0 + 0.7 * matrix[:, column]))
        elif kind in {"ordinal", "categorical"}:
            matrix[:, [column]] = levels(rng, matrix[:, [column]], 5)
    return as_features(matrix, kinds)


WITHOUT = {
    "uniform": of_kind("continuous", uniform),
    "Gaussian": of_kind("continuous", normal),
    "correlated": of_kind("continuous", correlated_normal),
    "multivariate t": of_kind("continuous", multivariate_t),
    "curved": of_kind("continuous", curved),
    "arc": of_kind("continuous", arc),
    "scale mixture": of_kind("continuous", scale_mixture),
    "zero-inflated counts": of_kind("integer", zero_inflated_counts),
    "log-normal": of_kind("continuous", lognormal),
    "ordinal": of_kind("ordinal", lambda rng, n, d: levels(rng, correlated_normal(rng, n, d), 7)),
    "one-hot only": of_kind(
        "categorical", lambda rng, n, d: levels(rng, correlated_normal(rng, n, d), 6)
    ),
    "mixed": mixed,
}


# --- Planted segments ---


@dataclass(frozen=True)
class Plan:
    """Who is in which segment, and where the centroids are in units of a segment's spread."""

    labels: np.ndarray
    centroids: Matrix


def plan(rng: Rng, n: int, d: int, *, even: bool) -> Plan:
    k = int(rng.integers(2, 7))
    spare = rng.dirichlet(np.full(k, 20.0 if even else 1.0)) * (n - 100 * k)
    sizes = 100 + spare.astype(int)
    sizes[0] += n - sizes.sum()
    centroids = rng.standard_normal((k, d))
    gaps = np.linalg.norm(centroids[:, None] - centroids, axis=2)[np.triu_indices(k, 1)]
    return Plan(
        rng.permutation(np.repeat(np.arange(k), sizes)),
        centroids * rng.uniform(5.5, 8.0) / gaps.min(),
    )


def round_segments(rng: Rng, n: int, d: int, *, even: bool = True):
    planned = plan(rng, n, d, even=even)
    matrix = planned.centroids[planned.labels] + normal(rng, n, d)
    return as_features(matrix, ["continuous"] * d), planned.labels


def unbalanced(rng: Rng, n: int, d: int):
    return round_segments(rng, n, d, even=False)


def correlated_segments(rng: Rng, n: int, d: int):
    """Features correlate within segments; variances within stay 1."""
    planned = plan(rng, n, d, even=True)
    matrix = planned.centroids[planned.labels] + correlated_normal(rng, n, d)
    return as_features(matrix, ["continuous"] * d), planned.labels


def heavy_tails(rng: Rng, n: int, d: int):
    """Within a segment a multivariate t with 6 degrees of freedom, scaled to variance 1."""
    planned = plan(rng, n, d, even=True)
    noise = normal(rng, n, d) / np.sqrt(rng.chisquare(6.0, (n, 1)) / 4.0)
    return as_features(
        planned.centroids[planned.labels] + noise, ["continuous"] * d
    ), planned.labels


def irrelevant_features(rng: Rng, n: int, d: int):
    """A third of the features (at least one) don't differ between segments."""
    relevant = d - max(1, d // 3)
    planned = plan(rng, n, relevant, even=True)
    matrix = np.hstack(
        [planned.centroids[planned.labels] + normal(rng, n, relevant), normal(rng, n, d - relevant)]
    )
    return as_features(matrix, ["continuous"] * d), planned.labels


def mixed_segments(rng: Rng, n: int, d: int):
    """Rounded, cut into five levels or two categories: what a survey makes of such segments."""
    planned = plan(rng, n, d, even=True)
    matrix = planned.centroids[planned.labels] + normal(rng, n, d)
    kinds = [
        ("continuous", "integer", "continuous", "ordinal", "categorical")[i % 5] for i in range(d)
    ]
    for column, kind in enumerate(kinds):
        if kind == "integer":
            matrix[:, column] = np.round(2.0 * matrix[:, column])
        elif kind in {"ordinal", "categorical"}:
            matrix[:, [column]] = levels(rng, matrix[:, [column]], 5 if kind == "ordinal" else 2)
    return as_features(matrix, kinds), planned.labels


PLANTED = {
    "round": round_segments,
    "unbalanced": unbalanced,
    "correlated within": correlated_segments,
    "heavy tails": heavy_tails,
    "irrelevant features": irrelevant_features,
    "mixed kinds": mixed_segments,
}


# --- Run and report ---


def all_sets(*, fast: bool) -> list[DataSet]:
    if fast:
        return [DataSet("none", f, 1000, 8, 0) for f in WITHOUT] + [
            DataSet("planted", f, 1000, 8, 0) for f in PLANTED
        ]
    without = product(WITHOUT, (300, 1000, 4000), (3, 8, 20), range(3))
    planted = product(PLANTED, (1000, 3000, 10000), (3, 8, 20), range(6))
    return [DataSet("none", *cell) for cell in without] + [
        DataSet("planted", *cell) for cell in planted
    ]


def judged(data: DataSet) -> dict:
    """Everything about one set that the tables need."""
    seed = crc32(data.key.encode())
    rng = np.random.default_rng(seed)
    if data.truth == "none":
        features, truth = WITHOUT[data.family](rng, data.n, data.d), np.zeros(data.n)
    else:
        features, truth = PLANTED[data.family](rng, data.n, data.d)
    start = time.perf_counter()
    sample = structure_sample(features, standardised, seed=seed)
    partitions = kmeans_candidates(sample, SEGMENT_COUNTS)
    candidates = [
        examine(sample, labels, kmeans_labels, n_resamples=N_RESAMPLES)
        for labels in partitions.values()
    ]
    chosen = choose_segment_count(candidates, smallest_share=0.005)
    evidence = next(c for c in candidates if c.n_segments == chosen.n_segments)
    verdict = judge(evidence, n_customers=data.n, n_tried=len(candidates))
    return {
        **asdict(data),
        "key": data.key,
        "word": verdict.word,
        "k": chosen.n_segments,
        "reason": chosen.reason,
        "planted_k": len(np.unique(truth)),
        "ari": adjusted_rand_score(truth[sample.rows], partitions[chosen.n_segments]),
        "separated": verdict.separated,
        "any_separated": any(c.border.separates(len(candidates)) for c in candidates),
        "border_p": evidence.border.p,
        "depth": evidence.border.depth,
        "null_p": evidence.null.p,
        "null_z": evidence.null.z,
        "any_null": any(c.beyond_correlation for c in candidates),
        "worst_jaccard": evidence.stability.worst,
        "spearman_gap": sample.null.spearman_gap,
        "seconds": time.perf_counter() - start,
    }


def run(sets: Sequence[DataSet], file: Path, *, n_processes: int) -> list[dict]:
    """Judge what the file does not hold yet, and append it there set by set."""
    file.parent.mkdir(exist_ok=True)
    done = {}
    if file.exists():
        done = {row["key"]: row for row in map(json.loads, file.read_text().splitlines())}
    todo = [data for data in sets if data.key not in done]
    results = Parallel(n_jobs=n_processes, return_as="generator_unordered")(
        delayed(judged)(data) for data in todo
    )
    with file.open("a") as lines:
        for count, row in enumerate(results, start=1):
            lines.write(json.dumps(row) + "\n")
            lines.flush()
            done[row["key"]] = row
            wrong = (row["word"] == "supported") != (row["truth"] == "planted")
            print(f"{count}/{len(todo)} {row['key']} {row['word']}{'  <- wrong' if wrong else ''}")
    return [done[data.key] for data in sets]


def table(rows: Sequence[dict], by: str) -> list[str]:
    """One line per value of a column, and one for all."""
    groups = {
        value: [r for r in rows if r[by] == value] for value in dict.fromkeys(r[by] for r in rows)
    }
    planted = rows[0]["truth"] == "planted"
    words = ("supported", "weak", "continuum", "too few to tell")
    last = "planted k found | mean ARI" if planted else "any k separated | any k beyond the null"
    lines = [f"| {by} | sets | {' | '.join(words)} | {last} |", "|---" * 8 + "|"]
    for name, group in {**groups, "all": list(rows)}.items():
        counts = [sum(r["word"] == word for r in group) for word in words]
        if planted:
            found = sum(r["k"] == r["planted_k"] for r in group)
            extra = [f"{found}", f"{np.mean([r['ari'] for r in group]):.3f}"]
        else:
            extra = [str(sum(r[f] for r in group)) for f in ("any_separated", "any_null")]
        lines.append(f"| {' | '.join(map(str, [name, len(group), *counts, *extra]))} |")
    return lines


def report(rows: Sequence[dict]) -> str:
    lines = ["# Structure: how often the verdict is wrong", "", *__doc__.splitlines()[-4:], ""]
    for truth, title in (("none", "Without segments"), ("planted", "Planted segments")):
        part = [row for row in rows if row["truth"] == truth]
        wrong = [r for r in part if (r["word"] == "supported") != (truth == "planted")]
        lines += [f"## {title}: {len(wrong)} of {len(part)} wrong", ""]
        for by in ("family", "n", "d"):
            lines += [*table(part, by), ""]
        if wrong:
            lines += ["Wrong:", ""]
            lines += [
                f"- {r['key']}: {r['word']} at k = {r['k']} (planted {r['planted_k']}), border p "
                f"{r['border_p']:.2g}, depth {r['depth']:.2f}, null p {r['null_p']:.3f}, worst "
                f"Jaccard {r['worst_jaccard']:.2f}"
                for r in wrong
            ]
            lines.append("")
    seconds = [row["seconds"] for row in rows]
    lines.append(
        f"One set took {np.median(seconds):.1f} s in the median and {max(seconds):.1f} s at most, "
        "on one core."
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="one set of each family")
    parser.add_argument("--every", type=int, default=1, help="only every n-th set")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    name = "structure_calibration_fast" if arguments.fast else "structure_calibration"
    rows = run(
        all_sets(fast=arguments.fast)[:: arguments.every],
        RESULTS / f"{name}.jsonl",
        n_processes=arguments.processes,
    )
    (RESULTS / f"{name}.md").write_text(report(rows))


if __name__ == "__main__":
    main()
