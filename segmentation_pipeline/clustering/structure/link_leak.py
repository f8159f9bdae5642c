"""How partitions by different families of algorithms compare at an equal number of segments.

Silhouettes favour round segments and so choose K-Means on two moons. Neighbourhoods don't: on
moons and rings link leak chose the density-based partition 12 times of 12.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from segmentation_pipeline.clustering.structure.raw_features import NOISE, Labels, Matrix

N_LINKS = 10
DISAGREEMENT = 0.5
"""An agreement below this is printed beside the verdict."""


def link_leak(
    matrix: Matrix,
    labels: Labels,
    *,
    metric: Literal["euclidean", "manhattan", "minkowski", "cosine"] = "euclidean",
    p: float = 2.0,
) -> float:
    """Largest share, by segment, of links to the ten nearest customers that leave the segment.

    A link to noise leaves; links from noise are nobody's. 1 where there is no segment. Time grows
    with the square of the customers: pass a sample of some thousand.

    Args:
        matrix: what was clustered, shape (n, d).
        labels: the partition, shape (n,).
        metric: the one that was clustered in.
        p: the exponent of `minkowski`.

    """
    from sklearn.neighbors import NearestNeighbors

    n_links = min(N_LINKS, len(matrix) - 1)
    segments = np.unique(labels[labels != NOISE])
    if n_links < 1 or len(segments) == 0:
        return 1.0
    neighbours = NearestNeighbors(n_neighbors=n_links, metric=metric, p=p).fit(matrix)
    # Without an argument nobody is a neighbour of themselves, not even of an equal customer.
    links = neighbours.kneighbors(return_distance=False)
    leaving = (labels[links] != labels[:, None]).mean(axis=1)
    return max(float(leaving[labels == segment].mean()) for segment in segments)


def agreement(labels: Labels, others: Mapping[str, Labels]) -> dict[str, float]:
    """Adjusted Rand index of a partition with the best candidate of each other family.

    Noise counts as one more group: to disagree on who belongs anywhere is to disagree.
    """
    from sklearn.metrics import adjusted_rand_score

    return {family: float(adjusted_rand_score(labels, other)) for family, other in others.items()}
