"""Silhouettes of many partitions of the same rows, from distances that are computed once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.metrics import EUCLIDEAN, Similarity
from segmentation_pipeline.clustering.structure.raw_features import NOISE
from segmentation_pipeline.clustering.workers import Workers

# 512 rows against 5,000: 20 MB for each worker, instead of 200 MB for the whole matrix.
_BLOCK_ROWS = 512


def silhouette_widths(
    rows: NDArray[np.float64],
    labelings: Sequence[NDArray[np.int32]],
    *,
    similarity: Similarity = EUCLIDEAN,
    workers: int = 1,
) -> NDArray[np.float64]:
    """Silhouette of every row in every partition, (partitions, m) float64, between -1 and 1.

    s = (b - a) / max(a, b): a is the mean distance to the others of the own segment, b the least
    mean distance to another segment (Rousseeuw 1987), both in the metric of `similarity`. A row
    alone in its segment has 0, and so has every row where there is one segment. A row labelled
    noise (-1) belongs to none: its width is NaN, and no mean holds its distances. So a mean of
    widths is one over the rows that a partition dares to assign, and the noise share belongs beside
    it.

    `rows` are (m, d); each labeling is (m,) with labels from 0, or -1. Takes m^2 products, and
    memory for 512 x m distances a worker.
    """
    count = len(rows)
    # All partitions' member columns side by side: one product gives every sum of distances.
    members = [_members(labels) for labels in labelings]
    stacked = np.concatenate(members, axis=1)
    edges = np.cumsum([0, *(member.shape[1] for member in members)])
    widths = np.empty((len(labelings), count))
    centred = rows - rows.mean(axis=0)
    squares = np.einsum("ij,ij->i", centred, centred)

    def measure(start: int) -> None:
        block = slice(start, min(start + _BLOCK_ROWS, count))
        if similarity == EUCLIDEAN:
            distances = _euclidean(centred, squares, block)
        else:
            distances = similarity.pairwise(rows[block], rows)
        sums = distances @ stacked
        for index, member in enumerate(members):
            part = sums[:, edges[index] : edges[index + 1]]
            widths[index, block] = _widths(part, member[block], member.sum(axis=0))

    Workers(workers).map(measure, range(0, count, _BLOCK_ROWS))
    for labels, own in zip(labelings, widths, strict=True):
        own[labels == NOISE] = np.nan
    return widths


def _euclidean(
    centred: NDArray[np.float64], squares: NDArray[np.float64], block: slice
) -> NDArray[np.float64]:
    """Distances of a block of rows to all, by a product: a mean needs no exact last bits."""
    distances = centred[block] @ centred.T
    distances *= -2.0
    distances += squares
    distances += squares[block, np.newaxis]
    # Rounding leaves equal rows a little below or above 0.
    np.maximum(distances, 0.0, out=distances)
    np.sqrt(distances, out=distances)
    distances[np.arange(len(distances)), np.arange(block.start, block.stop)] = 0.0
    return distances


def _members(labels: NDArray[np.int32]) -> NDArray[np.float64]:
    is_member: NDArray[np.bool_] = labels[:, np.newaxis] == np.unique(labels[labels != NOISE])
    return is_member.astype(np.float64)


def _widths(
    sums: NDArray[np.float64], member: NDArray[np.float64], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    if len(sizes) < 2:
        return np.zeros(len(sums))
    own_size = member @ sizes
    within = (sums * member).sum(axis=1) / np.maximum(own_size - 1.0, 1.0)
    between = np.where(member > 0.0, np.inf, sums / sizes).min(axis=1)
    larger = np.maximum(within, between)
    is_defined = (own_size > 1.0) & (larger > 0.0)
    widths: NDArray[np.float64] = np.where(
        is_defined, (between - within) / np.where(is_defined, larger, 1.0), 0.0
    )
    return widths
