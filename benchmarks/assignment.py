"""Streaming assignment beside scikit-learn, family by family: same rows, same model, one run.

    python -m benchmarks.assignment [--rows 1000000] [--threads 2]

Theirs gets its rows in the batches that ours gets, as the data would not fit otherwise, and gives
labels only. The figures are the best of interleaved rounds, since whatever else runs on the machine
only adds to a time; ratios are what counts. Memory is that of a process of its own, which makes the
batches one by one and keeps none (`assignment_stream`).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from benchmarks.assignment_stream import BATCH_ROWS, batches
from benchmarks.contenders import CONTENDERS, Contender, fitted
from segmentation_pipeline.clustering.assignment import assign_rows
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import outlier_distance
from segmentation_pipeline.clustering.model import SegmentModel, save_model

RESULT = Path(__file__).parent / "results" / "assignment.md"
FEATURES = 10
SEGMENTS = 8
TRAINING_ROWS = 4_000
ROUNDS = 5
MOST_SECONDS = 10.0
MEMORY_FACTOR = 4
T = TypeVar("T")


class FamilyFigures(NamedTuple):
    """What was measured of one family; memory in units of 10^6 bytes."""

    contender: Contender
    model: SegmentModel
    seconds: list[float]
    different: int
    peak_mb: list[float]


def random_centres(segments: int, features: int) -> np.ndarray:
    return 2.0 * np.random.default_rng(segments).standard_normal((segments, features))


def to_matrix(batch: pa.RecordBatch) -> np.ndarray:
    return np.column_stack([column.to_numpy() for column in batch.columns[1:]])


def best_seconds(
    ways: Sequence[Callable[[], list[T]]], rounds: int, most_seconds: float
) -> tuple[list[float], list[list[T]]]:
    """The least time of each way, of rounds in which each has its turn, and what it gave last.

    A way that has taken `most_seconds` has no further round.
    """
    times: list[list[float]] = [[] for _ in ways]
    results: list[list[T]] = [[] for _ in ways]
    for _ in range(rounds):
        for place, way in enumerate(ways):
            if sum(times[place]) < most_seconds:
                began = time.perf_counter()
                results[place] = way()
                times[place].append(time.perf_counter() - began)
    return [min(taken) for taken in times], results


def differing(ours: Sequence[pa.RecordBatch], theirs: Sequence[np.ndarray]) -> int:
    labels = np.concatenate([batch.column("raw_segment").to_numpy() for batch in ours])
    return int((labels != np.concatenate(theirs)).sum())


def by_family(contender: Contender, rows: int, threads: int, folder: Path) -> FamilyFigures:
    centres = random_centres(SEGMENTS, FEATURES)
    rng = np.random.default_rng(0)
    training = np.concatenate([to_matrix(part) for part in batches(centres, TRAINING_ROWS, rng)])
    model = fitted(contender, training.astype(np.float64), SEGMENTS)
    assigner, distance = assigner_of(model), outlier_distance(model)
    predict = contender.theirs(model, threads)
    held = list(batches(centres, rows, np.random.default_rng(1)))

    def ours(count: int) -> list[pa.RecordBatch]:
        return list(assign_rows(assigner, model.feature_names, distance, held, threads=count))

    seconds, (_, assigned, predicted) = best_seconds(
        [
            lambda: ours(1),
            lambda: ours(threads),
            lambda: [predict(to_matrix(batch)) for batch in held],
        ],
        ROUNDS,
        MOST_SECONDS,
    )
    place = folder / contender.name.replace(", ", "_")
    digest = save_model(model, place)
    np.save(place.with_suffix(".npy"), centres)
    peaks = [streaming_mb(place, digest, count, threads) for count in (rows, MEMORY_FACTOR * rows)]
    return FamilyFigures(contender, model, seconds, differing(assigned, predicted), peaks)


def streaming_mb(place: Path, digest: str, rows: int, threads: int) -> float:
    """Peak memory of a process that streams rows through the model of a folder."""
    module = [sys.executable, "-m", "benchmarks.assignment_stream"]
    finished = subprocess.run(
        [*module, str(place), digest, str(rows), str(threads)],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(finished.stdout)


def size_of(model: SegmentModel) -> str:
    points = model.arrays.get("core_points")
    segments = model.parameters["segments"]
    return f"{segments}" if points is None else f"{segments}; {len(points):,} core points"


def report(
    rows: int,
    threads: int,
    load: float,
    families: Sequence[FamilyFigures],
) -> str:
    text = f"""# Assignment beside scikit-learn

{rows:,} customers x {FEATURES} float32 features in Arrow batches of {BATCH_ROWS:,}; seconds, best
of up to {ROUNDS} interleaved rounds; {threads} threads where not said otherwise. Ours gives
segment, distance, runner-up, margin, probability, and flags for borderline customers and outliers;
scikit-learn's gives labels (and probabilities, of a mixture). `labels that differ` counts customers
whom it puts elsewhere. Other work on the machine while this ran: a load of {load:.1f} on
{os.cpu_count()} cores when it began; ratios are what counts.

`memory` is the peak of a process that does nothing but stream {rows:,} customers through a model
that it has loaded, and of one that streams {MEMORY_FACTOR} times as many; MB.

| family | segments | ours, 1 thread | ours | thousand customers/s | scikit-learn's \
| seconds | ours : theirs | labels that differ | memory | memory, x {MEMORY_FACTOR} |
|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|
"""
    for contender, model, (single, ours, theirs), different, peaks in families:
        text += (
            f"| {contender.name} | {size_of(model)} | {single:.2f} | {ours:.2f} "
            f"| {rows / ours / 1e3:,.0f} | {contender.their_name} | {theirs:.2f} "
            f"| {ours / theirs:.2f} | {different} | {peaks[0]:.0f} | {peaks[1]:.0f} |\n"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rows, threads = arguments.rows, arguments.threads
    load = os.getloadavg()[0]
    with threadpool_limits(threads), tempfile.TemporaryDirectory() as folder:
        families = [by_family(each, rows, threads, Path(folder)) for each in CONTENDERS]
    text = report(rows, threads, load, families)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
