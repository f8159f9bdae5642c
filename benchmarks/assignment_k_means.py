"""Streaming assignment to the nearest of k centres beside scikit-learn: same rows, one run.

    python -m benchmarks.assignment_k_means [--rows 1000000] [--threads 2]

Two yardsticks. `predict` gives labels only. To know also the distance, the runner-up and the
margin, scikit-learn's user takes `transform` (all k distances) and sorts out the two smallest;
that is the same answer as ours. Both get their rows in the batches that ours gets, as the data
would not fit otherwise. The figures are the best of interleaved rounds, since whatever else
runs on the machine only adds to a time; ratios are what counts.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from benchmarks.assignment import best_seconds, differing, random_centres, to_matrix
from benchmarks.assignment_stream import BATCH_ROWS, batches
from benchmarks.contenders import k_means_of
from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.metrics import EUCLIDEAN
from segmentation_pipeline.clustering.prototypes import nearest_prototypes

RESULT = Path(__file__).parent / "results" / "assignment_k_means.md"
FEATURES = 18
OUTLIER_DISTANCE = 6.0
ROUNDS = 5
MOST_SECONDS = 10.0


def two_nearest(distances: np.ndarray) -> np.ndarray:
    nearest = np.argpartition(distances, 1, axis=1)[:, :2]
    return np.take_along_axis(distances, nearest, axis=1)


def compare(k: int, rows: int, threads: int) -> tuple[int, list[float], int]:
    centres = random_centres(k, FEATURES)
    held = list(batches(centres, rows, np.random.default_rng(1)))
    assigner, reference = nearest_prototypes(centres, EUCLIDEAN), k_means_of(centres)
    names = held[0].schema.names[1:]

    def ours(count: int) -> list[pa.RecordBatch]:
        return list(assign_rows(assigner, names, OUTLIER_DISTANCE, held, threads=count))

    seconds, (_, assigned, predicted, _) = best_seconds(
        [
            lambda: ours(1),
            lambda: ours(threads),
            lambda: [reference.predict(to_matrix(batch)) for batch in held],
            lambda: [two_nearest(reference.transform(to_matrix(batch))) for batch in held],
        ],
        ROUNDS,
        MOST_SECONDS,
    )
    return k, seconds, differing(assigned, predicted)


def table(rows: int, threads: int, measured: list[tuple[int, list[float], int]]) -> str:
    text = f"""# K-Means assignment beside scikit-learn, by the number of segments

{rows:,} customers x {FEATURES} float32 features in Arrow batches of {BATCH_ROWS:,}; seconds, best
of up to {ROUNDS} interleaved rounds; {threads} threads where not said otherwise. `predict` gives
labels only; `transform` and its two smallest give what ours gives: segment, distance, runner-up
and margin. `labels that differ` counts customers whom float32 `predict` puts elsewhere; ours are
exact.

| k | ours, 1 thread | ours | million customers/s | predict | transform + 2 smallest \
| ours : predict | ours : same answer | labels that differ |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""
    for k, (single, ours, predict, transform), different in measured:
        text += (
            f"| {k:,} | {single:.3f} | {ours:.3f} | {rows / ours / 1e6:.1f} | {predict:.3f} "
            f"| {transform:.3f} | {ours / predict:.2f} | {ours / transform:.2f} | {different} |\n"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    with threadpool_limits(arguments.threads):
        measured = [compare(k, arguments.rows, arguments.threads) for k in (8, 64, 1300)]
    text = table(arguments.rows, arguments.threads, measured)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
