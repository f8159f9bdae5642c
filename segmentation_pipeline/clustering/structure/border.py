"""Whether customers are rarer between neighbouring segments than in their centres.

A cut through a continuum runs through a crowd. Between real groups the border is emptier than
the emptier of the two centres. The test looks along the line between two centroids, at customers
that had no part in placing them.

It sees that line only. An evenly filled arc, cut in the middle, looks emptier there the further it
is bent: by nothing at half a circle, by up to .45 at two thirds, by .65 at most near 300 degrees.
Hence a depth that has to be reached besides a p; a continuum bent further, like a U with long
arms, is taken for two groups. `border_crowd` looks at the same customers' neighbours instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom

from segmentation_pipeline.clustering.stability import FitPredict, jaccard_matrix
from segmentation_pipeline.clustering.structure.raw_features import (
    NOISE,
    Labels,
    Matrix,
    Prepare,
    RawFeature,
    dithered,
)
from segmentation_pipeline.clustering.workers import Workers

N_SPLITS = 9
Centre = Literal["mean", "median"]
"""Where a segment's centre is: at the mean of its customers, or at the median of each feature.

The median is for a family that outliers mustn't pull: of five planted groups with heavy tails that
K-Medoids had found, the means lay so far out that nearly nobody was within .25 of them (depth .43;
.96 between medians), and two groups in one segment looked separated."""
ZONE = 0.25
"""Half the width of the border and of the centres, where 1 is from the border to a centre."""
SAME_SEGMENT = 0.5
SIGNIFICANCE = 0.01
CLEAR_DEPTH = 0.5
"""p alone separated 12 of 87 arcs, at depths below .45, and any dip at all once there are enough
customers. This depth separated none of them, and lost 1 of 100 planted sets, with sizes of 4,055
and 369. Two equal round groups reach it at 3.5 standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A random cut of the customers into halves, and their matrix with steps dithered away."""

    halves: tuple[NDArray[np.intp], NDArray[np.intp]]
    dithered: Matrix


@dataclass(frozen=True, slots=True)
class BorderTest:
    """Medians over the splits of the worst pair of neighbours.

    p is the chance of so empty a border if it were as full as the emptier centre. depth is the
    share by which it is emptier: 1 for a border without a customer, 0 for none or for segments
    that half the customers don't bring back, negative for a border that is fuller.
    """

    p: float
    depth: float

    def separates(self, n_tried: int) -> bool:
        """Whether the worst border is half empty, beyond chance after trying several k."""
        return self.p <= SIGNIFICANCE / n_tried and self.depth >= CLEAR_DEPTH


UNSEPARATED = BorderTest(p=1.0, depth=0.0)


def dithered_splits(
    features: Sequence[RawFeature], prepare: Prepare, *, seed: int
) -> tuple[Split, ...]:
    """Nine halvings of the customers, for the tests of all candidates."""
    splits = []
    for number in range(N_SPLITS):
        rng = np.random.default_rng([seed, number])
        matrix = prepare([dithered(feature, rng) for feature in features])
        first, second = np.array_split(rng.permutation(len(matrix)), 2)
        splits.append(Split((np.sort(first), np.sort(second)), matrix))
    return tuple(splits)


def border_test(
    matrix: Matrix,
    labels: Labels,
    splits: Sequence[Split],
    fit_predict: FitPredict,
    *,
    seed: int,
    centre: Centre = "mean",
    workers: int = 1,
) -> BorderTest:
    """Test the borders between all neighbouring segments of one partition.

    For each split: fit on one half, match its segments with the partition's (both segments of a
    pair at Jaccard >= .5, else p = 1), place the other half on the line between their centres
    (0 the border, +-1 the centres), swap the halves, pool the counts. With m customers within
    .25 of the border and q within .25 of the emptier centre, p = P(Binomial(m + q, 1/2) <= m)
    and depth = 1 - m / q. Neighbours are pairs whose midpoint has no nearer third centroid.
    Customers labelled noise place no centroid, but lie where they lie.

    Args:
        matrix: what is clustered, shape (n, d).
        labels: the partition that is judged, shape (n,).
        splits: from `dithered_splits`, of the same customers.
        fit_predict: refits the same algorithm on half of the customers; called from threads.
        seed: same seed, same result, whatever `workers` is.
        centre: what a segment's centre is.
        workers: threads.

    """
    segments, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    # m = 0 and q = size is the best that the smallest segment can reach.
    if len(segments) < 2 or binom.cdf(0, sizes.min(), 0.5) > SIGNIFICANCE:
        return UNSEPARATED
    pairs = neighbouring_pairs(centres_of(matrix, labels, segments, centre))

    def worst_border(number: int) -> tuple[float, float]:
        split = splits[number]
        counts = np.zeros((len(pairs), 3), dtype=np.intp)
        matched = np.ones(len(pairs), dtype=np.bool_)
        for fitted, scored in (split.halves, split.halves[::-1]):
            refit = fit_predict(matrix[fitted], seed + number, len(segments))
            found = np.unique(refit[refit != NOISE])
            partner = _partners(labels[fitted], refit, segments, found)
            matched &= (partner[pairs] >= 0).all(axis=1)
            counts[matched] += _zone_counts(
                split.dithered[scored],
                centres_of(matrix[fitted], refit, found, centre),
                partner[pairs[matched]],
            )
        return _worst_pair(counts, matched)

    p, depth = np.median(Workers(workers).map(worst_border, range(len(splits))), axis=0)
    return BorderTest(float(p), float(depth))


def neighbouring_pairs(centroids: Matrix) -> NDArray[np.intp]:
    """Pairs whose midpoint has no nearer third centroid, shape (pairs, 2).

    A third centroid is nearer exactly where it sees the pair at more than a right angle (Thales),
    so this is the Gabriel graph. Each segment has a neighbour: the nearest one.
    """
    k = len(centroids)
    products = centroids @ centroids.T
    pairs: list[tuple[int, int]] = []
    for a in range(k - 1):
        # (a - c) . (b - c) for each b > a and each c.
        angles = products[a, a + 1 :, None] - products[a] - products[a + 1 :] + products.diagonal()
        others = np.arange(a + 1, k)
        angles[:, a] = 0.0
        angles[np.arange(len(others)), others] = 0.0
        free = (angles >= -1e-12 * products.diagonal().max()).all(axis=1)
        pairs.extend((a, int(b)) for b in others[free])
    return np.array(pairs, dtype=np.intp).reshape(-1, 2)


def centres_of(matrix: Matrix, labels: Labels, segments: Labels, centre: Centre) -> Matrix:
    """Means or medians (k, d) of the customers of each segment."""
    if centre == "median":
        return np.array([np.median(matrix[labels == segment], axis=0) for segment in segments])
    member = (labels[:, None] == segments).astype(np.float64)
    centroids: Matrix = member.T @ matrix / np.maximum(member.sum(axis=0), 1.0)[:, None]
    return centroids


def _partners(labels: Labels, refit: Labels, segments: Labels, found: Labels) -> Labels:
    """For each segment the position in `found` of the refit's segment that it became, or -1."""
    similarity = jaccard_matrix(labels, refit, segments, found)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    same = similarity[rows, columns] >= SAME_SEGMENT
    partner = np.full(len(segments), -1, dtype=np.intp)
    partner[rows[same]] = columns[same]
    return partner


def zones_between(
    matrix: Matrix, centroids: Matrix, pairs: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]]:
    """Customers of each pair at its border, at its first and at its second centre.

    Rows of the matrix (n, d) within .25 of places 0, -1 and 1 on the line between two centroids.
    A customer lies between two centroids if no third is nearer than both.
    """
    squares = np.einsum("ij,ij->i", centroids, centroids)
    nearest = (squares - 2.0 * (matrix @ centroids.T)).argmin(axis=1)
    for a, b in pairs:
        between = np.flatnonzero((nearest == a) | (nearest == b))
        line = centroids[b] - centroids[a]
        middle = (centroids[a] + centroids[b]) / 2.0
        length = line @ line
        if length == 0.0:
            # Medians can coincide. Nothing lies between, so that everyone is at the border.
            yield between, between[:0], between[:0]
            continue
        t = (matrix[between] - middle) @ line / (length / 2.0)
        border, first, second = (between[np.abs(t - place) < ZONE] for place in (0.0, -1.0, 1.0))
        yield border, first, second


def _zone_counts(matrix: Matrix, centroids: Matrix, pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Customers at the border, at the first and at the second centre of each pair, (pairs, 3)."""
    counts = [[len(zone) for zone in zones] for zones in zones_between(matrix, centroids, pairs)]
    return np.array(counts, dtype=np.intp).reshape(-1, 3)


def _worst_pair(counts: NDArray[np.intp], matched: NDArray[np.bool_]) -> tuple[float, float]:
    """The p and the depth of the pair with the largest p."""
    border, centre = counts[:, 0], counts[:, 1:].min(axis=1)
    p = np.where(matched, binom.cdf(border, border + centre, 0.5), 1.0)
    depth = np.where(matched & (centre > 0), 1.0 - border / np.maximum(centre, 1), 0.0)
    worst = int(p.argmax())
    return float(p[worst]), float(depth[worst])
