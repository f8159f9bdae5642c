"""How often the structure verdict is wrong: on data without segments, and on planted ones.

    python -m benchmarks.structure_calibration            # all sets, two processes, resumable
    python -m benchmarks.structure_calibration --fast     # one set of each family

Finished sets are kept, one JSON line each, and are not computed again: delete the file to start
anew. The table goes to benchmarks/results/structure_calibration.md.

A set without segments is a false alarm if its verdict is `supported`. A planted set is a miss if
its verdict is anything else. Planted centroids are 5.5 to 8 standard deviations of a segment from
their nearest neighbour, the smallest segment has 100 customers or more.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
from joblib import Parallel, delayed
from sklearn.metrics import adjusted_rand_score

from benchmarks.structure_sets import PLANTED, WITHOUT, as_features, correlated_normal
from segmentation_pipeline.clustering.structure.examination import (
    SEGMENT_COUNTS,
    examine,
    kmeans_candidates,
    structure_sample,
    structure_verdict,
)
from segmentation_pipeline.clustering.structure.raw_features import Matrix, RawFeature
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.structure.verdict import choose_segment_count, judge

RESULTS = Path(__file__).parent / "results"
N_RESAMPLES = 25
"""Bootstrap draws instead of 100: mean Jaccards move by .02, and the run takes half the time."""


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


def cost_table() -> list[str]:
    """Seconds of one whole verdict, for k = 2..8, on two threads, and how busy the machine was."""
    load = os.getloadavg()[0]
    lines = ["| customers | d = 5 | d = 30 |", "|---|---|---|"]
    for n in (1000, 10_000, 100_000):
        cells = []
        for d in (5, 30):
            features = as_features(
                correlated_normal(np.random.default_rng(n + d), n, d), ["continuous"] * d
            )
            start, processor = time.perf_counter(), time.process_time()
            structure_verdict(features, standardised, seed=0, workers=2)
            spent = time.process_time() - processor
            cells.append(f"{time.perf_counter() - start:.1f} s ({spent:.1f} s of processor)")
        lines.append(f"| {n:,} | {cells[0]} | {cells[1]} |")
    return [*lines, "", f"{load:.0f} processes wanted the {os.cpu_count()} cores when it began."]


def report(rows: Sequence[dict]) -> str:
    lines = ["# Structure: how often the verdict is wrong", "", *__doc__.splitlines()[-3:], ""]
    lines += [f"Bootstrap draws: {N_RESAMPLES} instead of 100.", ""]
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
    lines += [
        "## What a verdict costs",
        "",
        "100 bootstrap draws, 199 draws of the null, k = 2..8, data without segments, two threads.",
        "From 5,000 customers on everything runs on samples.",
        "",
        *cost_table(),
    ]
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
