"""The evidence for each candidate, on samples whose size does not grow with the customers.

Bounded samples keep the cost at seconds. They also keep the tests' meaning: with enough customers
any dip between two segments becomes significant, however shallow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.clustering.stability import (
    BOOTSTRAP_UP_TO,
    N_RESAMPLES,
    FitPredict,
    cluster_stability,
)
from segmentation_pipeline.clustering.structure.border import (
    Centre,
    Split,
    border_test,
    dithered_splits,
)
from segmentation_pipeline.clustering.structure.null_test import NullTest, null_test
from segmentation_pipeline.clustering.structure.one_split import one_split
from segmentation_pipeline.clustering.structure.raw_features import (
    NOISE,
    Labels,
    Matrix,
    Prepare,
    RawFeature,
    take_rows,
)
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.structure.verdict import (
    Evidence,
    StructureVerdict,
    choose_segment_count,
    judge,
    no_structure,
)
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.errors import ClusteringError

SAMPLE_ROWS = 5000
STABILITY_ROWS = 2000
NULL_ROWS = 1000
SEGMENT_COUNTS = range(2, 9)


@dataclass(frozen=True, slots=True, eq=False)
class StructureSample:
    """What the examinations of all candidates share: computed once.

    `rows` are positions of at most 5,000 customers, in random order, among those given; the
    partitions that are examined hold the labels of exactly these.
    """

    rows: NDArray[np.intp]
    features: tuple[RawFeature, ...]
    matrix: Matrix
    splits: tuple[Split, ...]
    null: NullTest
    seed: int


def structure_sample(
    features: Sequence[RawFeature],
    prepare: Prepare,
    *,
    seed: int,
    ks: Sequence[int] = SEGMENT_COUNTS,
    workers: int = 1,
) -> StructureSample | None:
    """Sample customers, halve them for the border test and compare them with the null.

    None where all customers are alike. A number of segments above 50, or not smaller than the
    number of customers, is left out of the comparison.

    Raises:
        ClusteringError: if there is no feature, if features differ in length, or if what was
            prepared has other rows or is not finite.

    """
    lengths = {len(feature.values) for feature in features}
    if len(lengths) != 1 or lengths == {0}:
        raise ClusteringError(
            "structure needs features of the same customers, at least one of each: "
            f"found {len(features)} features with {sorted(lengths)} customers"
        )
    rows = np.random.default_rng(seed).permutation(lengths.pop())[:SAMPLE_ROWS]
    sample = take_rows(features, rows)
    matrix = prepare(sample)
    if matrix.ndim != 2 or len(matrix) != len(rows) or not np.isfinite(matrix).all():
        raise ClusteringError(
            f"the preparation made shape {matrix.shape} of {len(rows)} customers, or values that "
            "are missing or infinite: structure needs a finite row for each"
        )
    if (matrix == matrix[0]).all():
        return None
    return StructureSample(
        rows=rows,
        features=tuple(sample),
        matrix=matrix,
        splits=dithered_splits(sample, prepare, seed=seed),
        null=null_test(
            take_rows(sample, np.arange(len(rows))[:NULL_ROWS]),
            prepare,
            seed=seed,
            ks=[k for k in ks if 2 <= k <= min(BOOTSTRAP_UP_TO, len(rows) - 1)],
            workers=workers,
        ),
        seed=seed,
    )


def examine(
    sample: StructureSample,
    labels: Labels,
    fit_predict: FitPredict,
    *,
    n_resamples: int = N_RESAMPLES,
    centre: Centre = "mean",
    workers: int = 1,
) -> Evidence:
    """The evidence for one partition of the sample.

    Args:
        sample: from `structure_sample`.
        labels: segments of the sample's customers, -1 for noise, shape (len(sample.rows),).
        fit_predict: refits the algorithm that made them. It sees from 600 to 2,500 of the rows:
            where a parameter depends on the number of customers, it must follow.
        n_resamples: bootstrap draws of the stability.
        centre: what a segment's centre is in the border test.
        workers: threads.

    """
    segments, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    n_segments = len(segments)
    border = border_test(
        sample.matrix,
        labels,
        sample.splits,
        fit_predict,
        seed=sample.seed,
        centre=centre,
        workers=workers,
    )
    few = slice(STABILITY_ROWS if n_segments <= BOOTSTRAP_UP_TO else None)
    stability = cluster_stability(
        sample.matrix[few],
        labels[few],
        fit_predict,
        seed=sample.seed,
        n_resamples=n_resamples,
        workers=workers,
    )
    return Evidence(
        n_segments=n_segments,
        smallest_share=float(sizes.min(initial=len(labels))) / len(labels),
        silhouette=_silhouette(sample.matrix[few], labels[few], workers),
        border=border,
        stability=stability,
        null=sample.null.by_n_segments.get(n_segments),
    )


def structure_verdict(
    features: Sequence[RawFeature],
    prepare: Prepare,
    *,
    seed: int,
    n_segments: int | None = None,
    ks: Sequence[int] = SEGMENT_COUNTS,
    smallest_share: float = 0.02,
    workers: int = 1,
) -> StructureVerdict:
    """The verdict on K-Means segments, of a given number or of the number that the rule chooses.

    Args:
        features: raw features of the same customers.
        prepare: raw features -> the matrix that is clustered.
        seed: same seed, same verdict, whatever `workers` is.
        n_segments: a number of segments that was fixed before; None to choose one of `ks`.
        ks: numbers of segments to choose from.
        smallest_share: share of the customers below which a segment is too small to be chosen.
        workers: threads.

    Raises:
        ClusteringError: as `structure_sample`.

    """
    tried = list(ks) if n_segments is None else [n_segments]
    sample = structure_sample(features, prepare, seed=seed, ks=tried, workers=workers)
    if sample is None:
        return no_structure(
            "All customers are alike on these features.", n_customers=len(features[0].values)
        )
    partitions = kmeans_candidates(sample, tried, workers=workers)
    candidates = [
        examine(sample, labels, kmeans_labels, workers=workers) for labels in partitions.values()
    ]
    chosen = choose_segment_count(candidates, smallest_share=smallest_share)
    evidence = next(c for c in candidates if c.n_segments == chosen.n_segments)
    return judge(
        evidence,
        n_customers=len(sample.rows),
        n_tried=len(candidates),
        one_split=one_split(sample.features, partitions[chosen.n_segments], seed=seed),
    )


def kmeans_candidates(
    sample: StructureSample, ks: Sequence[int], *, workers: int = 1
) -> dict[int, Labels]:
    """K-Means partitions of the sample by number of segments, as far as customers differ."""

    def labels_of(k: int) -> Labels:
        return kmeans_labels(sample.matrix, sample.seed, k)

    partitions = Workers(workers).map(labels_of, ks)
    return {int(labels.max()) + 1: labels for labels in partitions}


def _silhouette(matrix: Matrix, labels: Labels, workers: int) -> float:
    inside = labels != NOISE
    if not inside.any():
        return 0.0
    widths = silhouette_widths(matrix[inside], [labels[inside].astype(np.int32)], workers=workers)
    return float(widths.mean())
