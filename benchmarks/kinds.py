"""Labelled data of well-known kinds, by own generators, and two small sets of scikit-learn.

Each kind gives features (n, d), not scaled, true segments (n,), and where it is made of Gaussians
the segments that one gives who knows those: more than that is nobody's to find.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.shapes import moons, rings

Rng = np.random.Generator


class Kind(NamedTuple):
    """A labelled data set; `best` are the segments by the true densities, where they are known."""

    matrix: NDArray[np.float64]
    truth: NDArray[np.integer[Any]]
    best: NDArray[np.integer[Any]] | None = None


def s_set(spread: float) -> Callable[[Rng], Kind]:
    """15 Gaussians in the plane, 100 customers each, of some shape and any direction.

    After Franti & Virmajoki 2006 (doi:10.1016/j.patcog.2005.09.012), whose sets have 5,000 rows.
    `spread` is the mean standard deviation; the centres are at least 1 apart.
    """

    def draw(rng: Rng) -> Kind:
        means: list[NDArray[np.float64]] = []
        while len(means) < 15:
            place = rng.uniform(0.0, 5.0, 2)
            if all(np.linalg.norm(place - mean) >= 1.0 for mean in means):
                means.append(place)
        factors = [
            np.linalg.qr(rng.standard_normal((2, 2)))[0] * spread * rng.uniform(0.7, 1.3, 2)
            for _ in means
        ]
        return _gaussians(rng, np.array(means), np.array(factors), [100] * 15)

    return draw


def unbalanced(rng: Rng) -> Kind:
    """Three crowds of 560 near each other, and far off five groups of 64, ten times as wide.

    After "unbalance" of Rezaei & Franti 2016 (doi:10.1109/TKDE.2016.2551240): 2,000 and 100 there.
    """
    means = [(0, 0), (8, 6), (0, 12), (60, 0), (95, 0), (60, 30), (95, 30), (77, 15)]
    spreads = np.repeat([1.0, 3.0], [3, 5])
    factors = spreads[:, np.newaxis, np.newaxis] * np.eye(2)
    return _gaussians(rng, np.array(means, float), factors, [560] * 3 + [64] * 5)


def stretched(rng: Rng) -> Kind:
    """Three Gaussians of 400, stretched in one direction beyond the gaps between them."""
    means = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 6.0]])
    shear = np.array([[0.6, -0.6], [-0.4, 0.85]])
    return _gaussians(rng, means @ shear, np.array([shear.T] * 3), [400] * 3)


def unequally_wide(rng: Rng) -> Kind:
    """Three round Gaussians of 400 with standard deviations of 1, 2.5 and 0.5."""
    means = np.array([[-5.0, 0.0], [0.0, 5.0], [5.0, 0.0]])
    factors = np.array([1.0, 2.5, 0.5])[:, np.newaxis, np.newaxis] * np.eye(2)
    return _gaussians(rng, means, factors, [400] * 3)


def iris(rng: Rng) -> Kind:  # noqa: ARG001 -- it is what it is
    """Three species of iris, 50 flowers each, 4 measures (Fisher 1936)."""
    from sklearn.datasets import load_iris

    return Kind(*load_iris(return_X_y=True))


def wine(rng: Rng) -> Kind:  # noqa: ARG001 -- it is what it is
    """Three cultivars, 178 wines, 13 chemical measures (Forina et al. 1988)."""
    from sklearn.datasets import load_wine

    return Kind(*load_wine(return_X_y=True))


KINDS: dict[str, Callable[[Rng], Kind]] = {
    "15 Gaussians, apart": s_set(0.15),
    "15 Gaussians, touching": s_set(0.25),
    "15 Gaussians, overlapping": s_set(0.4),
    "unbalanced": unbalanced,
    "moons": lambda rng: Kind(*moons(rng, 1_000, 1)),
    "rings": lambda rng: Kind(*rings(rng, 1_000, 1)),
    "stretched": stretched,
    "unequally wide": unequally_wide,
    "iris": iris,
    "wine": wine,
}


def _gaussians(
    rng: Rng, means: NDArray[np.float64], factors: NDArray[np.float64], sizes: list[int]
) -> Kind:
    """Customers of Gaussians with means (k, d) and covariances F F' of factors (k, d, d)."""
    from scipy.stats import multivariate_normal

    truth = np.repeat(np.arange(len(sizes)), sizes)
    noise = rng.standard_normal((len(truth), means.shape[1]))
    matrix = means[truth] + np.einsum("nij,nj->ni", factors[truth], noise)
    densities = [
        np.log(size) + multivariate_normal(mean, factor @ factor.T).logpdf(matrix)
        for size, mean, factor in zip(sizes, means, factors, strict=True)
    ]
    return Kind(matrix, truth, np.argmax(densities, axis=0))
