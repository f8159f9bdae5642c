"""Whether customers at the borders of a partition live less crowded than those in its centres.

What belongs here: the border seen by its customers' own neighbours. The border test counts
customers along a straight line between two centroids, so that a strand that bends looks emptier
where it is cut (`structure.border` says by how much): the line leaves the strand, and the customers
stay in it. How far away their neighbours are tells nothing of lines. Where a gap or the flanks of
two groups meet they are farther; where a strand is cut they are as near as in the middle of either
piece.
"""

import numpy as np

from segmentation_pipeline.clustering.structure.border import (
    Centre,
    centres_of,
    neighbouring_pairs,
    zones_between,
)
from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix
from segmentation_pipeline.clustering.validity import Neighbourhoods

DEEPEST_BEND = 0.65
"""By how much an evenly filled arc that is cut can look emptier there, as `border` says."""


def crowded_border_p(
    matrix: Matrix, around: Neighbourhoods, labels: Labels, centre: Centre = "mean"
) -> float:
    """Chance of neighbours so far away at the most crowded border, if it were as a centre is.

    For each pair of neighbouring segments, the distance to the tenth neighbour of the customers
    within .25 of the border against that of those within .25 of either centre (places as in
    `border_test`), by a one-sided rank sum test (Mann & Whitney 1947); the larger p of the two
    centres, and the largest of all pairs. A border that is emptier than any bend makes it, with
    less than .35 of the customers of the emptier centre, is left out: who stands there is few, and
    no crowd. 0 where all are. 1 where nobody is at a centre, but somebody at its border, and where
    there are fewer than two segments.

    Ranks make it independent of the number of features, in which distances concentrate. K-Means' 15
    segments of 15 Gaussians that touch (`benchmarks.kinds`) had at most .01 in 22 of 30 sets. Where
    nothing divides customers it is .05 for each border, in theory. But neighbours share neighbours,
    and strands are cut where they are a little thinner: of 60 curved ones (of
    `benchmarks.curved_manifold`, cut into 5) 6 had at most .05 and one .01, and of 150 arcs of two
    thirds of a circle that were cut once 12 % had .05.

    Args:
        matrix: what was clustered, shape (n, d).
        around: neighbours of the same customers.
        labels: the partition, shape (n,).
        centre: what a segment's centre is, as in `border_test`.

    """
    from scipy.stats import mannwhitneyu

    segments = np.unique(labels[labels != NOISE])
    if len(segments) < 2:
        return 1.0
    centroids = centres_of(matrix, labels, segments, centre)
    most = 0.0
    for border, *centres in zones_between(matrix, centroids, neighbouring_pairs(centroids)):
        emptier = min(map(len, centres))
        if len(border) <= (1.0 - DEEPEST_BEND) * emptier:
            continue
        if not emptier:
            return 1.0
        for zone in centres:
            test = mannwhitneyu(around.reach[border], around.reach[zone], alternative="greater")
            most = max(most, float(test.pvalue))
    return most
