"""How the autoencoder's network learns: scikit-learn's MLPRegressor, from rows to the same rows.

What belongs here: training, and the choice among several starts. What a network computes belongs to
`network`, the segments to `autoencoder`.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.network import Layer, Network
from segmentation_pipeline.clustering.workers import Workers

Doubles = NDArray[np.float64]

# A number of steps, not of passes through the rows, so that time doesn't grow with them. On 24
# resamples each of benchmarks/curved_manifold.py, with a shift of .35 and two levels of noise (950
# rows, .15 s a start), the better of two starts has the planted segments in all 48; with batches of
# 200 in 46, with 800 steps in 45: a network that goes on for long reconstructs better, by more
# crooked codes. L-BFGS ends in a poor minimum in 7 of 64 starts, where Adam does in 2.
_STEPS = 400
_BATCH_ROWS = 100
_LEARNING_RATE = 0.01
_HELD_OUT_SHARE = 0.2
# Against the largest variance of a direction: one in which codes hardly differ says nothing, and
# whitening must not blow it up.
_LEAST_VARIANCE = 0.01


class Trained(NamedTuple):
    """A network, and the share of the held-out rows' variance that it doesn't reconstruct."""

    network: Network
    reconstruction_error: float


def train_held_out(
    matrix: Doubles, *, latent: int, hidden: int, seed: int, starts: int, workers: int = 1
) -> Trained:
    """Train from several starts; the network that reconstructs held-out rows best, and how well.

    The last fifth of the rows is held out; `matrix` (n, d) has at least two of them, in random
    order. The result depends on the rows and the seed, and not on `workers`.
    """
    # Workers limit the threads of what is loaded when they are made.
    import sklearn.neural_network  # noqa: F401

    # Sums over rows run in another order where columns lie together.
    matrix = np.ascontiguousarray(matrix)
    kept = len(matrix) - math.ceil(_HELD_OUT_SHARE * len(matrix))
    rows, held_out = matrix[:kept], matrix[kept:]
    around_mean = held_out - rows.mean(axis=0)
    variance = max(float((around_mean * around_mean).sum()), float(np.finfo(np.float64).tiny))

    def run(start: int) -> Trained:
        network = _train(rows, latent, hidden, [seed, start])
        return Trained(network, _error(network, held_out) / variance)

    found = Workers(workers).map(run, range(starts))
    return min(found, key=lambda one: one.reconstruction_error)


def train_quickly(matrix: Doubles, *, latent: int, hidden: int, seed: int, starts: int) -> Network:
    """Train from several starts; the network that reconstructs the same rows (n, d) best.

    Run it inside `Workers`: the last bits of matrix products depend on their threads.
    """
    matrix = np.ascontiguousarray(matrix)
    networks = [_train(matrix, latent, hidden, [seed, start]) for start in range(starts)]
    return min(networks, key=lambda network: _error(network, matrix))


def _train(matrix: Doubles, latent: int, hidden: int, seed: Sequence[int]) -> Network:
    """Train one network on a matrix (n, d), from one random start.

    Layers of `hidden`, `latent` and `hidden` tanh units; Adam (Kingma & Ba 2015, arXiv:1412.6980)
    on the mean squared error, so that features count there as they count in the distance.
    """
    from sklearn.neural_network import MLPRegressor
    from sklearn.utils import check_random_state

    centre = matrix.mean(axis=0)
    centred = matrix - centre
    # One number for all columns: each by its own would undo the features' weights.
    scale = float(np.sqrt(np.mean(centred * centred))) or 1.0
    rows = centred / scale
    batch = min(_BATCH_ROWS, len(rows))
    regressor = MLPRegressor(
        hidden_layer_sizes=(hidden, latent, hidden),
        activation="tanh",
        learning_rate_init=_LEARNING_RATE,
        batch_size=batch,
        random_state=check_random_state(int(np.random.SeedSequence(seed).generate_state(1)[0])),
    )
    # Pass by pass, since `fit` warns that it ends by their number, and a warning can be silenced
    # for all threads only.
    target = rows[:, 0] if rows.shape[1] == 1 else rows
    for _ in range(math.ceil(_STEPS / math.ceil(len(rows) / batch))):
        regressor.partial_fit(rows, target)
    first, second, third, last = (
        Layer(weights, biases)
        for weights, biases in zip(regressor.coefs_, regressor.intercepts_, strict=True)
    )
    unscaled = first.weights / scale
    network = Network(
        encoder=(Layer(unscaled, first.biases - centre @ unscaled), second),
        decoder=(third, Layer(last.weights * scale, last.biases * scale + centre)),
        whitening=Layer(np.eye(latent), np.zeros(latent)),
    )
    return Network(network.encoder, network.decoder, _whitening(network.codes(list(matrix.T))))


def _error(network: Network, rows: Doubles) -> float:
    return float(network.squared_errors(list(rows.T)).sum())


def _whitening(codes: Doubles) -> Layer:
    """Centre codes (latent, n) and give every direction variance 1.

    Codes are known up to what the next layer undoes, an invertible matrix: without whitening it
    would decide which direction K-Means cuts.
    """
    centre = codes.mean(axis=1)
    centred = codes - centre[:, np.newaxis]
    variances, directions = np.linalg.eigh(centred @ centred.T / codes.shape[1])
    largest = float(variances[-1])
    if largest <= 0.0:
        return Layer(np.eye(len(centre)), -centre)
    spreads = np.sqrt(np.maximum(variances, _LEAST_VARIANCE * largest))
    weights = directions / spreads @ directions.T
    return Layer(weights, -(centre @ weights))
