"""Data sets for the calibration of the structure verdict: without segments, and with planted ones.

A generator takes a random generator, the number of customers and the number of features. It gives
raw features; those of planted segments give the customers' true labels too.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.clustering.structure.raw_features import Matrix, RawFeature

Rng = np.random.Generator


def normal(rng: Rng, n: int, d: int) -> Matrix:
    return rng.standard_normal((n, d))


def correlated_normal(rng: Rng, n: int, d: int) -> Matrix:
    """A few common factors of random strength, each feature with variance 1."""
    loadings = rng.standard_normal((d, max(1, d // 3))) * rng.uniform(0.3, 1.5)
    root = np.hstack([loadings, np.eye(d)])
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    return rng.standard_normal((n, root.shape[1])) @ root.T


def uniform(rng: Rng, n: int, d: int) -> Matrix:
    return rng.uniform(size=(n, d))


def multivariate_t(rng: Rng, n: int, d: int) -> Matrix:
    freedom = rng.uniform(3.0, 6.0)
    return correlated_normal(rng, n, d) / np.sqrt(rng.chisquare(freedom, (n, 1)) / freedom)


def scale_mixture(rng: Rng, n: int, d: int) -> Matrix:
    """One centre, two spreads."""
    wide = rng.uniform(size=(n, 1)) < rng.uniform(0.1, 0.4)
    return correlated_normal(rng, n, d) * np.where(wide, rng.uniform(2.0, 4.0), 1.0)


def curved(rng: Rng, n: int, d: int) -> Matrix:
    """A bent sheet: half of the features are squares of the others, with noise."""
    flat = correlated_normal(rng, n, d)
    bent = flat[:, : d // 2] ** 2 * rng.uniform(0.5, 1.0)
    return np.hstack([flat[:, : d - d // 2], bent + 0.4 * rng.standard_normal(bent.shape)])


def arc(rng: Rng, n: int, d: int) -> Matrix:
    """A line along two thirds of a circle, evenly filled, in two features; the rest is noise."""
    angle = rng.uniform(0.0, rng.uniform(0.8, 1.35) * np.pi, n)
    line = np.column_stack([np.cos(angle), np.sin(angle)]) + 0.15 * rng.standard_normal((n, 2))
    return np.hstack([line, 0.5 * rng.standard_normal((n, d - 2))])


def lognormal(rng: Rng, n: int, d: int) -> Matrix:
    return np.exp(rng.uniform(0.4, 1.0) * correlated_normal(rng, n, d))


def zero_inflated_counts(rng: Rng, n: int, d: int) -> Matrix:
    latent = correlated_normal(rng, n, d)
    counts = rng.poisson(np.exp(rng.uniform(0.0, 2.0, d) + 0.7 * latent))
    return np.where(rng.uniform(size=(n, d)) < rng.uniform(0.1, 0.7, d), 0, counts)


def levels(rng: Rng, latent: Matrix, most: int) -> Matrix:
    """Cut each column into 2..most levels of random shares."""
    codes = np.empty(latent.shape)
    for column in range(latent.shape[1]):
        shares = rng.dirichlet(np.full(rng.integers(2, most + 1), 4.0))
        cuts = np.quantile(latent[:, column], np.cumsum(shares)[:-1])
        codes[:, column] = np.searchsorted(cuts, latent[:, column])
    return codes


def as_features(matrix: Matrix, kinds: Iterable[str]) -> list[RawFeature]:
    features = []
    for number, (column, kind) in enumerate(zip(matrix.T, kinds, strict=True)):
        values = np.array([f"c{v:.0f}" for v in column], dtype=object)
        features.append(RawFeature(f"f{number}", values if kind == "categorical" else column, kind))
    return features


def of_kind(kind: str, make: Callable[[Rng, int, int], Matrix]):
    return lambda rng, n, d: as_features(make(rng, n, d), [kind] * d)


def mixed(rng: Rng, n: int, d: int) -> list[RawFeature]:
    kinds = [("continuous", "integer", "ordinal", "categorical")[i % 4] for i in range(d)]
    matrix = correlated_normal(rng, n, d)
    for column, kind in enumerate(kinds):
        if kind == "integer":
            matrix[:, column] = rng.poisson(np.exp(1.0 + 0.7 * matrix[:, column]))
        elif kind in {"ordinal", "categorical"}:
            matrix[:, [column]] = levels(rng, matrix[:, [column]], 5)
    return as_features(matrix, kinds)


WITHOUT = {
    "uniform": of_kind("continuous", uniform),
    "Gaussian": of_kind("continuous", normal),
    "correlated": of_kind("continuous", correlated_normal),
    "multivariate t": of_kind("continuous", multivariate_t),
    "curved": of_kind("continuous", curved),
    "arc": of_kind("continuous", arc),
    "scale mixture": of_kind("continuous", scale_mixture),
    "zero-inflated counts": of_kind("integer", zero_inflated_counts),
    "log-normal": of_kind("continuous", lognormal),
    "ordinal": of_kind("ordinal", lambda rng, n, d: levels(rng, correlated_normal(rng, n, d), 7)),
    "one-hot only": of_kind(
        "categorical", lambda rng, n, d: levels(rng, correlated_normal(rng, n, d), 6)
    ),
    "mixed": mixed,
}


@dataclass(frozen=True)
class Plan:
    """Who is in which segment, and where the centroids are in units of a segment's spread."""

    labels: np.ndarray
    centroids: Matrix


def plan(rng: Rng, n: int, d: int, *, even: bool) -> Plan:
    k = int(rng.integers(2, 7))
    spare = rng.dirichlet(np.full(k, 20.0 if even else 1.0)) * (n - 100 * k)
    sizes = 100 + spare.astype(int)
    sizes[0] += n - sizes.sum()
    centroids = rng.standard_normal((k, d))
    gaps = np.linalg.norm(centroids[:, None] - centroids, axis=2)[np.triu_indices(k, 1)]
    return Plan(
        rng.permutation(np.repeat(np.arange(k), sizes)),
        centroids * rng.uniform(5.5, 8.0) / gaps.min(),
    )


def round_segments(rng: Rng, n: int, d: int, *, even: bool = True):
    planned = plan(rng, n, d, even=even)
    matrix = planned.centroids[planned.labels] + normal(rng, n, d)
    return as_features(matrix, ["continuous"] * d), planned.labels


def unbalanced(rng: Rng, n: int, d: int):
    return round_segments(rng, n, d, even=False)


def correlated_segments(rng: Rng, n: int, d: int):
    """Features correlate within segments; variances within stay 1."""
    planned = plan(rng, n, d, even=True)
    matrix = planned.centroids[planned.labels] + correlated_normal(rng, n, d)
    return as_features(matrix, ["continuous"] * d), planned.labels


def heavy_tails(rng: Rng, n: int, d: int):
    """Within a segment a multivariate t with 6 degrees of freedom, scaled to variance 1."""
    planned = plan(rng, n, d, even=True)
    noise = normal(rng, n, d) / np.sqrt(rng.chisquare(6.0, (n, 1)) / 4.0)
    return as_features(
        planned.centroids[planned.labels] + noise, ["continuous"] * d
    ), planned.labels


def irrelevant_features(rng: Rng, n: int, d: int):
    """A third of the features (at least one) don't differ between segments."""
    relevant = d - max(1, d // 3)
    planned = plan(rng, n, relevant, even=True)
    matrix = np.hstack(
        [planned.centroids[planned.labels] + normal(rng, n, relevant), normal(rng, n, d - relevant)]
    )
    return as_features(matrix, ["continuous"] * d), planned.labels


def mixed_segments(rng: Rng, n: int, d: int):
    """Rounded, cut into five levels or two categories: what a survey makes of such segments."""
    planned = plan(rng, n, d, even=True)
    matrix = planned.centroids[planned.labels] + normal(rng, n, d)
    kinds = [
        ("continuous", "integer", "continuous", "ordinal", "categorical")[i % 5] for i in range(d)
    ]
    for column, kind in enumerate(kinds):
        if kind == "integer":
            matrix[:, column] = np.round(2.0 * matrix[:, column])
        elif kind in {"ordinal", "categorical"}:
            matrix[:, [column]] = levels(rng, matrix[:, [column]], 5 if kind == "ordinal" else 2)
    return as_features(matrix, kinds), planned.labels


PLANTED = {
    "round": round_segments,
    "unbalanced": unbalanced,
    "correlated within": correlated_segments,
    "heavy tails": heavy_tails,
    "irrelevant features": irrelevant_features,
    "mixed kinds": mixed_segments,
}
