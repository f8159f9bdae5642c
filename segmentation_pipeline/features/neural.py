"""A vector per category, learned from how the category goes with the other features.

Entity embedding (Guo & Berkhahn 2016, arXiv:1604.06737): a small network tells the other features
from the category alone, through a bottleneck of a few units; what these say of a category is its
vector. Where there are too many categories for a network, vectors are the coordinates of a
correspondence analysis (Greenacre 1984): the truncated SVD of how far co-occurrences of categories
with levels of the other features are from chance.

What belongs here: how vectors are learned. How the other features are prepared belongs to
`fitting`, what an encoding is to `encoding`.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.features.encoding import encoding_rows, refuse_identifier
from segmentation_pipeline.features.preparation import EncodingRow
from segmentation_pipeline.specification.features import NeuralEncoding

Numbers = NDArray[np.float64]
Codes = NDArray[np.intp]

_HIDDEN_UNITS = 16
_STARTS = 2
# Means of few customers are noisy, and a network that fits them well tells roles apart by noise. Of
# 283 customers with 15 roles of 3 kinds (ten draws), the share of roles to which all of their kind
# are nearer than any other is .98 with this penalty, and .87 without it and with twice the steps.
_PENALTY = 0.3
_STEPS = 300
_LEARNING_RATE = 0.01
_LEVELS = 10


class OtherColumn(NamedTuple):
    """A column of the matrix, of another feature: values (n,), and the weight that is in them.

    The weight is the square root of the column's share of the squared distance.
    """

    values: Numbers
    weight: float


def encode_neurally(
    feature: str,
    encoding: NeuralEncoding,
    values: NDArray[Any],
    others: Iterable[OtherColumn],
    seed: int,
) -> list[EncodingRow]:
    """Make a vector per frequent category, and the `other` rows with their mean for all others.

    Vectors are centred on the customers that have them, so that the mean is 0, and turned to their
    principal axes, the widest first; each axis points to where its farthest category is. The same
    values and seed give the same bits, whatever the number of threads.

    Args:
        feature: its name.
        encoding: its settings.
        values: categories (n,) of the customers it is fitted on, None where missing.
        others: the columns of all other features, (n,) each.
        seed: of every random choice.

    Raises:
        PreparationError: for what looks like an identifier.

    """
    import sklearn.neural_network  # noqa: F401 -- before threads of what is loaded are limited
    from threadpoolctl import threadpool_limits

    counts = Counter(value for value in values if value is not None)
    refuse_identifier(feature, counts)
    # Ties by name: the order of rows must not decide.
    frequent = [
        category
        for category in sorted(sorted(counts), key=lambda one: -counts[one])
        if counts[category] >= encoding.rare_count
    ]
    sizes = np.array([counts[category] for category in frequent], dtype=np.float64)
    code = {category: index for index, category in enumerate(frequent)}
    codes = np.fromiter((code.get(value, -1) for value in values), dtype=np.intp, count=len(values))
    vectors = np.zeros((len(frequent), encoding.dimensions))
    # With one category, or none, there is nothing to tell apart.
    if len(frequent) > 1:
        is_svd = len(frequent) > encoding.maximum_categories
        learn = _co_occurrence_vectors if is_svd else _network_vectors
        # The last bits of matrix products depend on their threads.
        with threadpool_limits(limits=1):
            vectors = _turned(learn(codes, sizes, others, encoding.dimensions, seed), sizes)
    components = [f"neural_{number}" for number in range(1, encoding.dimensions + 1)]
    by_category = dict(zip(frequent, vectors.tolist(), strict=True))
    return encoding_rows(feature, components, by_category, [0.0] * encoding.dimensions)


def _network_vectors(
    codes: Codes, sizes: Numbers, others: Iterable[OtherColumn], dimensions: int, seed: int
) -> Numbers:
    """Outputs (categories, dimensions) of the bottleneck of the network with the least error.

    All that a network can tell from a category is the mean of its customers: fitting the means,
    each with the weight of its customers, is fitting the customers, whatever their number.
    """
    from sklearn.neural_network import MLPRegressor
    from sklearn.utils import check_random_state

    is_known = codes >= 0
    means = np.column_stack(
        [
            np.bincount(codes[is_known], column.values[is_known], len(sizes)) / sizes
            for column in others
        ]
    )
    means -= sizes @ means / sizes.sum()
    weights = sizes / sizes.mean()
    spread = float(np.sqrt(np.average((means * means).mean(axis=1), weights=sizes)))
    if spread == 0.0:
        return np.zeros((len(sizes), dimensions))
    inputs, targets = np.eye(len(sizes)), means / spread
    if targets.shape[1] == 1:
        targets = targets[:, 0]

    def start(number: int) -> tuple[float, Numbers]:
        state = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        regressor = MLPRegressor(
            hidden_layer_sizes=(dimensions, _HIDDEN_UNITS),
            activation="tanh",
            alpha=_PENALTY,
            learning_rate_init=_LEARNING_RATE,
            batch_size=len(inputs),
            shuffle=False,
            random_state=check_random_state(state),
        )
        for _ in range(_STEPS):
            regressor.partial_fit(inputs, targets, sample_weight=weights)
        difference = (regressor.predict(inputs) - targets).reshape(len(inputs), -1)
        error = float(weights @ (difference * difference).sum(axis=1))
        return error, np.tanh(regressor.coefs_[0] + regressor.intercepts_[0])

    return min((start(number) for number in range(_STARTS)), key=lambda found: found[0])[1]


def _co_occurrence_vectors(
    codes: Codes, sizes: Numbers, others: Iterable[OtherColumn], dimensions: int, seed: int
) -> Numbers:
    """Principal coordinates (categories, dimensions) of a correspondence analysis.

    Each column is cut into at most ten levels. Its share of the inertia is at most its share of the
    squared distance: a table of L levels has at most L - 1.
    """
    from sklearn.decomposition import TruncatedSVD

    is_known = codes >= 0
    known = codes[is_known]
    tables = []
    for column in others:
        levels, count = _levels(column.values[is_known])
        if count < 2:
            continue
        table = np.bincount(known * count + levels, minlength=len(sizes) * count)
        table = table.reshape(len(sizes), count)
        expected = np.outer(sizes, table.sum(axis=0)) / len(known)
        residuals = (table - expected) / np.sqrt(expected)
        tables.append(residuals * (column.weight / np.sqrt((count - 1.0) * len(known))))
    found = np.zeros((len(sizes), dimensions))
    if not tables:
        return found
    stacked = np.hstack(tables)
    rank = min(dimensions, *stacked.shape)
    svd = TruncatedSVD(rank, random_state=seed)
    found[:, :rank] = svd.fit_transform(stacked) / np.sqrt(sizes / len(known))[:, np.newaxis]
    return found


def _levels(values: Numbers) -> tuple[Codes, int]:
    """Cut values (n,) into at most ten levels of much the same size: their numbers, and how many.

    Equal values are in one level; up to ten different ones have a level each.
    """
    distinct, numbers = np.unique(values, return_inverse=True)
    if len(distinct) <= _LEVELS:
        return numbers, len(distinct)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _LEVELS + 1)[1:-1]))
    used, levels = np.unique(np.searchsorted(edges, values, side="right"), return_inverse=True)
    return levels, len(used)


def _turned(vectors: Numbers, sizes: Numbers) -> Numbers:
    """Centre vectors, turn them to their principal axes, and choose the axes' signs."""
    centred = vectors - sizes @ vectors / sizes.sum()
    _, axes = np.linalg.eigh((centred * sizes[:, np.newaxis]).T @ centred)
    turned = centred @ axes[:, ::-1]
    farthest = np.abs(turned).argmax(axis=0)
    signs = np.where(turned[farthest, np.arange(turned.shape[1])] < 0, -1.0, 1.0)
    signed: Numbers = turned * signs
    return signed
