"""What dense means: how many neighbours, within which radius, and which dense places connect.

What belongs here: the notions that DBSCAN and HDBSCAN share (Ester, Kriegel, Sander & Xu 1996, "A
density-based algorithm for discovering clusters"; Campello, Moulavi & Sander 2013). Which of their
partitions become candidates belongs to the families, assigning rows to `core_points`.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.core_points import CorePoints
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.stability import best_jaccards
from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix

_FEWEST_NEIGHBOURS = 4
_SAME_SEGMENT = 0.5
# Distances that are held at once: 8 MB.
_BLOCK_PAIRS = 1 << 20

CoreArrays = Mapping[str, NDArray[Any]]


def default_neighbours(rows: int) -> int:
    """How many of n customers make a neighbourhood dense, oneself included: sqrt(n) / 2.

    The usual 4, or twice the number of columns (Sander et al. 1998), don't grow with n, and chance
    chains of dense customers join what is apart. The rule was chosen on 108 planted sets like those
    of `DBSCAN.fit`, all with two columns: 4 left 59 with their partition among the candidates, 8
    left 87, sqrt(n) / 3 92, sqrt(n) / 2 96 and sqrt(n) 68. On 108 others 8 left 92, sqrt(n) / 3 and
    sqrt(n) / 2 left 95 each: the factor is a matter of taste between these two, the growth is not
    (at 500 customers 8 did best, at 1,000 worst).
    """
    return max(_FEWEST_NEIGHBOURS, round(math.sqrt(rows) / 2))


def core_distances(coordinates: Matrix, neighbours: int, similarity: Similarity) -> Matrix:
    """Distance in a tree (n,) to the neighbour of that number, oneself being the first.

    Infinite where there are fewer rows; empty where there is none.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(coordinates)
    distances: Matrix = tree.query(coordinates, k=[neighbours], p=similarity.exponent)[0][:, 0]
    return distances


def connected(coordinates: Matrix, radius: float, similarity: Similarity) -> Labels:
    """Number (n,) of the component of each row, where rows within the radius are connected.

    Breadth first: each row is compared once with those that nothing has reached yet, a block of
    distances at a time. Lists of neighbours would take n^2 memory at a radius that connects all.
    """
    components = np.full(len(coordinates), -1, dtype=np.intp)
    waiting = np.arange(len(coordinates))
    number = 0
    while len(waiting):
        front, waiting = waiting[:1], waiting[1:]
        while len(front):
            components[front] = number
            is_near = _is_near(coordinates[waiting], coordinates[front], radius, similarity)
            front, waiting = waiting[is_near], waiting[~is_near]
        number += 1
    return components


def _is_near(
    rows: Matrix, others: Matrix, radius: float, similarity: Similarity
) -> NDArray[np.bool_]:
    """Whether each row (n,) is within the radius of any of the others."""
    from scipy.spatial.distance import cdist

    found = np.zeros(len(rows), dtype=np.bool_)
    block_rows = max(1, _BLOCK_PAIRS // max(1, len(rows)))
    for start in range(0, len(others), block_rows):
        block = others[start : start + block_rows]
        found |= (cdist(block, rows, "minkowski", p=similarity.exponent) <= radius).any(axis=0)
    return found


def smallest_size(rows: int, share: float, neighbours: int) -> int:
    """Least rows of a segment: the share of them, and never fewer than make a place dense."""
    return max(neighbours, math.ceil(share * rows))


def canonical_segments(
    rows: Matrix,
    core_rows: Matrix,
    core_labels: Labels,
    core_reaches: Matrix,
    smallest: int,
    similarity: Similarity,
) -> CoreArrays | None:
    """Arrays of `CorePoints` for segments by size, largest first, then by coordinates.

    `core_rows` (m, d) are core points with any numbers as `core_labels` (m,), `core_reaches` (m,)
    how far each one's segment reaches at least, in units of the metric; the largest counts.
    A segment to which fewer than `smallest` of the rows belong is dissolved: specks of noise are
    dense by chance, and whoever is near them is noise, too. None where all are.
    """
    order = np.lexsort(core_rows.T[::-1])
    core_rows, core_labels, core_reaches = core_rows[order], core_labels[order], core_reaches[order]
    columns = list(rows.T)

    def arrays_of(numbered: NDArray[np.intp]) -> CoreArrays:
        """Arrays of the segments of these numbers, in their order."""
        is_kept = np.isin(core_labels, numbered)
        positions = np.argsort(numbered)
        labels = positions[np.searchsorted(numbered[positions], core_labels[is_kept])]
        reaches = np.zeros(len(numbered))
        np.maximum.at(reaches, labels, core_reaches[is_kept])
        by_segment = np.argsort(labels, kind="stable")
        return {
            "core_points": core_rows[is_kept][by_segment],
            "core_labels": labels[by_segment].astype(np.int32),
            "reaches": reaches,
        }

    def sizes_of(numbered: NDArray[np.intp]) -> NDArray[np.intp]:
        own = CorePoints(arrays_of(numbered), similarity).query(columns).own
        return np.bincount(own[own != NOISE], minlength=len(numbered))

    numbers, firsts = np.unique(core_labels, return_index=True)
    numbers = numbers[np.argsort(firsts)]
    if not len(numbers):
        return None
    numbers = numbers[sizes_of(numbers) >= smallest]
    if not len(numbers):
        return None
    return arrays_of(numbers[np.argsort(-sizes_of(numbers), kind="stable")])


def labels_of(arrays: CoreArrays | None, matrix: Matrix, similarity: Similarity) -> Labels:
    """Segments (n,) of the rows of a matrix; all noise where there are no segments."""
    if arrays is None:
        return np.full(len(matrix), NOISE, dtype=np.intp)
    return CorePoints(arrays, similarity).query(list(matrix.T)).own.astype(np.intp)


def same_segments(labels: Labels, others: Labels) -> bool:
    """Whether two partitions have as many segments, each with a Jaccard of .5 with another's."""
    segments, other_segments = (np.unique(part[part != NOISE]) for part in (labels, others))
    return len(segments) == len(other_segments) and bool(
        best_jaccards(labels, others, segments).min(initial=1.0) >= _SAME_SEGMENT
    )
