"""How much of the distance between customers each feature carries."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import read_sample
from segmentation_pipeline.specification.clustering import Clustering, Metric
from segmentation_pipeline.warehouse import Connection, Table

Numbers = NDArray[np.float64]

SAMPLED_CUSTOMERS = 10_000
"""On so many customers tonight's shares are computed: a share of 5 % is known to a hundredth."""
DRAWN_PAIRS = 200_000
"""So many pairs of customers are drawn where there is no closed form; all, if there are fewer."""


def distance_shares(
    matrix: Numbers,
    features: Sequence[str],
    metric: Metric,
    *,
    minkowski_p: float | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """Share of each feature in the mean distance of two random customers; they sum to 1.

    `matrix` (n, d) is prepared and finite, `features` has the feature of each column. What is
    shared is a sum over the columns: the squared distance for `euclidean`, the distance for
    `manhattan`, its p-th power for `minkowski`, the squared chord between the rows at length 1 for
    `cosine`, which is twice the distance (where one of two has no direction, half of that is no
    feature's, and is left out).

    The mean over all pairs is 2 * variance of a column where differences are squared, and Gini's
    mean difference where they are absolute; else it is taken over pairs that `seed` draws.

    All shares are 0 where no two customers differ. n has to be at least 1.

    >>> distance_shares(np.array([[0.0, 0.0], [3.0, 1.0]]), ["age", "visits"], "euclidean")
    {'age': 0.9, 'visits': 0.1}
    """
    if metric == "cosine":
        by_column = _unit_rows(matrix).var(axis=0)
    else:
        exponent = minkowski_p or (1.0 if metric == "manhattan" else 2.0)
        by_column = _mean_powers(matrix, exponent, seed)
    total = math.fsum(by_column)
    carried = dict.fromkeys(features, 0.0)
    for feature, part in zip(features, by_column.tolist(), strict=True):
        carried[feature] += part
    return {feature: part / total if total > 0 else 0.0 for feature, part in carried.items()}


def sampled_distance_shares(
    connection: Connection, name: str, preparation: Preparation, spec: Clustering
) -> dict[str, float]:
    """Compute a segmentation's `distance_shares` on a sample of tonight's feature matrix.

    Nothing for a segmentation by rules, which has no distance.
    """
    if spec.rules is not None:
        return {}
    table, columns = Table(name, "feature_matrix"), preparation.column_names
    _, sample = read_sample(connection, table, columns, spec.seed, SAMPLED_CUSTOMERS)
    return distance_shares(
        sample.astype(np.float64),
        [row.feature for row in preparation.scalings],
        spec.metric,
        minkowski_p=spec.minkowski_p,
        seed=spec.seed,
    )


def _mean_powers(matrix: Numbers, exponent: float, seed: int) -> Numbers:
    """Mean of |x - y|^exponent of two customers by column, shape (d,), up to a common factor."""
    if exponent == 2.0 or len(matrix) == 1:
        return np.asarray(matrix.var(axis=0))
    if exponent == 1.0:
        count = len(matrix)
        # Sorted, the i-th value is subtracted from by the larger ones and subtracts the smaller.
        ranks = 2.0 * np.arange(count) - count + 1.0
        centred = np.sort(matrix - matrix.mean(axis=0), axis=0)
        return np.asarray((ranks[:, np.newaxis] * centred).sum(axis=0))
    one, other = _pairs(len(matrix), seed)
    return np.array([(np.abs(x[one] - x[other]) ** exponent).mean() for x in matrix.T])


def _pairs(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """All pairs of different rows where they are few, else `DRAWN_PAIRS` at random."""
    if count * (count - 1) // 2 <= DRAWN_PAIRS:
        return np.triu_indices(count, k=1)
    generator = np.random.default_rng(seed)
    one = generator.integers(count, size=DRAWN_PAIRS)
    other = (one + 1 + generator.integers(count - 1, size=DRAWN_PAIRS)) % count
    return one, other


def _unit_rows(matrix: Numbers) -> Numbers:
    """Rows at length 1; a row of zeros has no direction, and stays."""
    lengths = np.sqrt((matrix * matrix).sum(axis=1, keepdims=True))
    found: Numbers = np.divide(matrix, lengths, out=np.zeros_like(matrix), where=lengths > 0)
    return found
