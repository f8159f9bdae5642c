"""Customers without segments: features with their own values and their own correlations only.

One latent Gaussian per raw feature orders that feature's own values (a NORTA model: Cario &
Nelson 1997). Each feature keeps its values exactly and each pair its Spearman correlation.
Groups, which need features to combine in more than pairs of trends, do not survive that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, solve_triangular
from scipy.stats import rankdata

from segmentation_pipeline.clustering.structure.raw_features import Matrix, RawFeature

CALIBRATION_ROWS = 4000
MAX_ITERATIONS = 30
TOLERANCE = 0.005


@dataclass(frozen=True, slots=True, eq=False)
class _Margin:
    """What one latent Gaussian orders: a feature's values, or who lacks a value.

    `order` lists the customers with a value from the lowest to the highest. `scores` are their
    midranks in that order, standardised over all customers with the missing ones at the mean.
    `absence` is the position of the margin that says who lacks a value, where anybody does.
    """

    order: NDArray[np.intp]
    scores: Matrix
    absence: int | None

    def deal(self, position: int, latents: Matrix, copies: int = 1) -> NDArray[np.intp]:
        """Rows of `latents` that get this margin's values (each `copies` times), lowest first."""
        size = copies * len(self.order)
        if self.absence is None:
            rows = np.arange(size)
        else:
            rows = latents[:, self.absence].argsort()[:size]
        dealt: NDArray[np.intp] = rows[latents[rows, position].argsort()]
        return dealt


@dataclass(frozen=True, slots=True, eq=False)
class NullModel:
    """A fitted null: `draw` makes as many customers as it was fitted on.

    `spearman_gap` is the largest difference that remains between the null's Spearman correlations
    and the data's. Ties and collinear features can put a correlation out of a Gaussian's reach.
    """

    features: tuple[RawFeature, ...]
    margins: tuple[_Margin, ...]
    mixing: Matrix
    spearman_gap: float

    def draw(self, rng: np.random.Generator) -> list[RawFeature]:
        """New customers: each feature's values dealt out anew by the latent Gaussians."""
        n = len(self.features[0].values)
        latents = rng.standard_normal((n, len(self.margins))) @ self.mixing
        first = len(self.margins) - len(self.features)
        drawn = []
        for position, feature in enumerate(self.features, start=first):
            margin = self.margins[position]
            nothing = None if feature.kind == "categorical" else np.nan
            values = np.full(n, nothing, dtype=feature.values.dtype)
            values[margin.deal(position, latents)] = feature.values[margin.order]
            drawn.append(replace(feature, values=values))
        return drawn


def fit_null(features: Sequence[RawFeature], *, seed: int) -> NullModel:
    """Fit the null to raw features of the same customers.

    The latent correlations are moved by what the null's Spearman correlations still lack, until
    they equal the data's within 0.005 or 30 rounds have not brought them there.
    """
    n = len(features[0].values)
    margins = _margins(features)
    target = _spearman(margins, [margin.order for margin in margins], n)
    copies = -(-CALIBRATION_ROWS // n)
    normals = _white_normals(copies * n, len(margins), seed)

    latent = 2.0 * np.sin(np.pi / 6.0 * target)  # Exact where both margins are continuous.
    best_gap, best_mixing = np.inf, np.eye(len(margins))
    for _ in range(MAX_ITERATIONS):
        latent, mixing = _nearest_correlation(latent)
        latents = normals @ mixing
        rows = [margin.deal(i, latents, copies) for i, margin in enumerate(margins)]
        lacking = target - _spearman(margins, rows, copies * n)
        gap = float(np.abs(lacking).max())
        if gap < best_gap:
            best_gap, best_mixing = gap, mixing
        if gap < TOLERANCE:
            break
        latent = latent + lacking
    return NullModel(tuple(features), margins, best_mixing, best_gap)


def _margins(features: Sequence[RawFeature]) -> tuple[_Margin, ...]:
    """Margins of who lacks a value, one per distinct pattern, then one per feature.

    Customers who never answered a survey lack all of its features together. The null keeps that:
    else absence, which many a preparation turns into features, would look like a segment.
    """
    absences: dict[bytes, int] = {}
    margins: list[_Margin] = []
    for feature in features:
        missing = feature.missing()
        if missing.any() and not missing.all() and missing.tobytes() not in absences:
            absences[missing.tobytes()] = len(margins)
            margins.append(_margin(missing.astype(np.float64), absence=None))
    positions = _category_positions(features)
    for index, feature in enumerate(features):
        absence = absences.get(feature.missing().tobytes())
        margins.append(_margin(positions.get(index, feature.values), absence=absence))
    return tuple(margins)


def _margin(values: Matrix, *, absence: int | None) -> _Margin:
    order = values.argsort(kind="stable")[: np.count_nonzero(~np.isnan(values))]
    return _Margin(order, _standard_scores(values)[order], absence)


def _standard_scores(values: Matrix) -> Matrix:
    """Midranks with mean 0 and variance 1, shape (n,); 0 where missing or without variance."""
    scores = np.zeros(len(values))
    present = ~np.isnan(values)
    if present.any():
        ranks = rankdata(values[present])
        scores[present] = ranks - ranks.mean()
    spread = scores.std()
    return scores / spread if spread > 0.0 else scores


def _category_positions(features: Sequence[RawFeature]) -> dict[int, Matrix]:
    """Where each categorical feature's customers stand: position -> shape (n,), NaN if missing.

    Categories are ordered by the mean of the first principal component of all other features,
    numbers as midranks and categories as in factorial analysis of mixed data: an indicator over
    the root of its share, so that a feature doesn't count more for having many categories.
    """
    blocks: list[Matrix] = []
    codes: dict[int, NDArray[np.intp]] = {}
    for index, feature in enumerate(features):
        if feature.kind == "categorical":
            codes[index], categories = feature.category_codes()
            member = (codes[index][:, None] == np.arange(len(categories))).astype(np.float64)
            blocks.append((member - member.mean(axis=0)) / np.sqrt(member.mean(axis=0)))
        else:
            blocks.append(_standard_scores(feature.values)[:, None])

    positions: dict[int, Matrix] = {}
    for index, code in codes.items():
        component = _first_component(blocks[:index] + blocks[index + 1 :], len(code))
        present = code >= 0
        sums = np.bincount(code[present], weights=component[present])
        means = sums / np.bincount(code[present])
        # Ranked, so that equal means (no other features at all) leave the categories in order.
        rank = means.argsort(kind="stable").argsort().astype(np.float64)
        positions[index] = np.full(len(code), np.nan)
        positions[index][present] = rank[code[present]]
    return positions


def _first_component(blocks: Sequence[Matrix], n: int) -> Matrix:
    """Scores on the first principal component, shape (n,)."""
    if not blocks:
        return np.zeros(n)
    columns = np.hstack(blocks)
    # The eigenvector of the smaller of the two products of columns with themselves.
    wide = columns.shape[1] > n
    product = columns @ columns.T if wide else columns.T @ columns
    last = len(product) - 1
    vector: Matrix = eigh(product, subset_by_index=[last, last])[1][:, 0]
    return vector if wide else columns @ vector


def _spearman(margins: Sequence[_Margin], rows: Sequence[NDArray[np.intp]], n: int) -> Matrix:
    """Spearman correlations when `rows[j]` of n customers hold margin j's values, lowest first."""
    scores = np.zeros((n, len(margins)))
    for column, (margin, taken) in enumerate(zip(margins, rows, strict=True)):
        copies = len(taken) // max(len(margin.order), 1)
        scores[taken, column] = np.repeat(margin.scores, copies)
    correlations = scores.T @ scores / n
    np.fill_diagonal(correlations, 1.0)
    return correlations


def _white_normals(n: int, columns: int, seed: int) -> Matrix:
    """Normal draws whose sample covariance is the identity: calibration without its own noise."""
    normals = np.random.default_rng(seed).standard_normal((n, columns))
    normals -= normals.mean(axis=0)
    root = np.linalg.cholesky(normals.T @ normals / n)
    white: Matrix = solve_triangular(root, normals.T, lower=True).T
    return white


def _nearest_correlation(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """A correlation matrix with no negative eigenvalue near a symmetric one, and its root."""
    np.fill_diagonal(matrix, 1.0)
    values, vectors = np.linalg.eigh(matrix)
    root = vectors * np.sqrt(values.clip(min=0.0))
    root /= np.sqrt(np.einsum("ij,ij->i", root, root))[:, None]
    return root @ root.T, root.T
