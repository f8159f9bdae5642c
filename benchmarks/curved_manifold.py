"""Two planted segments that are strands of one curved manifold, side by side along a gradient.

Every customer has a place on a long gradient (a career, the time since joining). Each of 24 habits
is taken up at its own place on it and saturates. The segments differ in the order: one takes up a
habit earlier, the other later, in four runs of alternating direction. So at each place only the
few habits that are just being taken up tell the segments apart, and in which direction they do so
changes along the way. Differences of the gradient dominate every Euclidean distance, and two
centroids cut the strands across (adjusted Rand index 0). A network of two latent dimensions can
hold the gradient in one and the segment in the other.
"""

import numpy as np
from numpy.typing import NDArray

NOISE_LEVELS = (0.2, 0.3, 0.4)
"""Standard deviations of the noise of a habit, which goes from -1 to 1."""

_HABITS = 24
_STEEPNESS = 4.0
_RUNS = 4
_SHIFT = 0.4
_SPREAD = 0.15
_LARGER_SHARE = 0.6


def curved_manifold(
    n: int, noise: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw n customers; returns their standardised features (n, 24) and true segments (n,).

    `noise` is the standard deviation of what is added to each habit, which goes from -1 to 1.
    The segments, 0 and 1, have 60 % and 40 % of the customers.
    """
    rng = np.random.default_rng(seed)
    truth = (rng.uniform(size=n) > _LARGER_SHARE).astype(np.int64)
    place = rng.uniform(-1.0, 1.0, n)
    taste = 2.0 * truth - 1.0 + _SPREAD * rng.standard_normal(n)
    takes_up_at = np.linspace(-1.0, 1.0, _HABITS)
    run = np.arange(_HABITS) * _RUNS // _HABITS
    shift = np.where(run % 2 == 0, _SHIFT, -_SHIFT)
    lead = place[:, np.newaxis] - takes_up_at - shift * taste[:, np.newaxis]
    habits = np.tanh(_STEEPNESS * lead) + noise * rng.standard_normal((n, _HABITS))
    return (habits - habits.mean(axis=0)) / habits.std(axis=0), truth
