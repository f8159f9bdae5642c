"""Data sets with planted segments of five shapes, and sets without any.

Each takes a random generator, the number of customers and a level of noise, 0 to 2; gives features
(n, d), not scaled, and true segments (n,). Where a shape has no fixed number of segments or
features, the generator draws them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Matrix = NDArray[np.float64]
Truth = NDArray[np.integer[Any]]


def round_clusters(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """3 to 6 round Gaussians in 2 to 5 features, 8, 6.5 or 5.5 standard deviations apart."""
    segments, d = int(rng.integers(3, 7)), int(rng.integers(2, 6))
    truth = rng.integers(0, segments, n)
    apart = (8.0, 6.5, 5.5)[level]
    return centres(rng, segments, d, apart)[truth] + rng.standard_normal((n, d)), truth


def moons(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """Two interleaved half circles."""
    truth = rng.integers(0, 2, n)
    angle = rng.uniform(0.0, np.pi, n)
    upper = np.column_stack([np.cos(angle), np.sin(angle)])
    lower = np.column_stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)])
    noise = (0.05, 0.075, 0.1)[level]
    matrix = np.where(truth[:, None] == 0, upper, lower)
    return matrix + noise * rng.standard_normal((n, 2)), truth


def rings(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """A circle in another of twice its radius."""
    truth = rng.integers(0, 2, n)
    angle = rng.uniform(0.0, 2.0 * np.pi, n)
    radius = np.where(truth == 0, 0.5, 1.0) + (0.03, 0.05, 0.07)[level] * rng.standard_normal(n)
    return radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)]), truth


def ellipses(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """2 to 4 Gaussians in 2 or 3 features, 3 to 10 times longer than wide, in any direction.

    They overlap: who knows their parameters takes .3-.8 %, .8-1.5 % or 1.5-2.5 % of the customers
    for another segment's.
    """
    from scipy.stats import multivariate_normal

    least, most = ((0.003, 0.008), (0.008, 0.015), (0.015, 0.025))[level]
    d, segments = int(rng.integers(2, 4)), int(rng.integers(2, 5))
    truth = rng.integers(0, segments, n)
    while True:
        means = rng.uniform(-1.0, 1.0, (segments, d)) * rng.uniform(2.0, 8.0)
        matrix, densities = np.empty((n, d)), np.empty((n, segments))
        gaussians = []
        for segment in range(segments):
            axes = np.linalg.qr(rng.standard_normal((d, d)))[0]
            lengths = np.concatenate([[rng.uniform(3.0, 5.0)], rng.uniform(0.5, 1.0, d - 1)])
            gaussians.append(multivariate_normal(means[segment], axes * lengths**2 @ axes.T))
            chosen = truth == segment
            matrix[chosen] = gaussians[-1].rvs(int(chosen.sum()), random_state=rng)
        for segment, gaussian in enumerate(gaussians):
            densities[:, segment] = gaussian.logpdf(matrix)
        if least <= np.mean(densities.argmax(axis=1) != truth) <= most:
            return matrix, truth


def heavy_tails(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """3 to 5 multivariate t with 1.25 degrees of freedom; 32, 28 or 24 scales apart.

    They spoil means and not medians: drawn again until somebody is so far out that a centroid for
    them alone saves twice the squares that one for the nearest two clusters costs, and nobody so
    far that a medoid for them alone saves more than a quarter of the distances that it costs.
    Without that K-Means finds the planted clusters in one draw of four, and is right to win.
    """
    segments, d = int(rng.integers(3, 6)), int(rng.integers(2, 4))
    truth = rng.integers(0, segments, n)
    apart = (32.0, 28.0, 24.0)[level]
    placed = centres(rng, segments, d, apart, most=2.0)
    each = n / segments
    while True:
        spread = np.sqrt(rng.chisquare(1.25, (n, 1)) / 1.25)
        tails = rng.standard_normal((n, d)) / spread
        # Of two clusters of m each, a apart: around one place m a^2 / 2 more squares than around
        # two, and m a more distances.
        farthest = np.linalg.norm(tails, axis=1).max()
        if np.sqrt(each) * apart <= farthest <= each * apart / 4.0:
            return placed[truth] + tails, truth


def one_gaussian(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """One correlated Gaussian in 2, 5 or 10 features."""
    d = (2, 5, 10)[level]
    return rng.standard_normal((n, d)) @ rng.standard_normal((d, d)), np.zeros(n, np.intp)


def uniform(rng: Rng, n: int, level: int) -> tuple[Matrix, Truth]:
    """An evenly filled box in 2, 5 or 10 features."""
    return rng.uniform(size=(n, (2, 5, 10)[level])), np.zeros(n, np.intp)


def centres(rng: Rng, segments: int, d: int, apart: float, *, most: float = 4.0) -> Matrix:
    """Random centres, of which the nearest two are `apart`, and none `most` times that."""
    upper = np.triu_indices(segments, 1)
    while True:
        drawn = rng.standard_normal((segments, d))
        gaps = np.linalg.norm(drawn[:, None] - drawn, axis=2)[upper]
        if gaps.max() < most * gaps.min():
            return drawn * apart / gaps.min()


@dataclass(frozen=True)
class Shape:
    """A generator, and the family that ought to be chosen.

    `in_one_unit` says that all features are scaled by one number, and not each by its own.
    """

    draw: Callable[[Rng, int, int], tuple[Matrix, Truth]]
    right: str
    in_one_unit: bool = False


def scaled(matrix: Matrix, *, in_one_unit: bool) -> Matrix:
    """Centre features, and give them variance 1: each, or all together."""
    centred: Matrix = matrix - matrix.mean(axis=0)
    centred /= centred.std() if in_one_unit else centred.std(axis=0)
    return centred


SHAPES = {
    "round": Shape(round_clusters, "k_means", in_one_unit=True),
    "moons": Shape(moons, "dbscan"),
    "rings": Shape(rings, "dbscan"),
    "ellipses": Shape(ellipses, "gaussian_mixture"),
    "heavy tails": Shape(heavy_tails, "k_medoids"),
    "one Gaussian": Shape(one_gaussian, "k_means"),
    "uniform": Shape(uniform, "k_means"),
    # Each feature scaled by its own deviation, which is large where the centres lie far apart along
    # it: the groups become ellipses, all in the same direction.
    "flattened": Shape(round_clusters, "k_means"),
}
