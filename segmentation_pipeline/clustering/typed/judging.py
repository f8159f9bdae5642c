"""How well typing does, on customers whose segment is known and was kept aside."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Indices = NDArray[np.intp]

LEAST_KAPPA = 0.4
"""Below this weighted kappa (Cohen 1960), typing is refused."""
LEAST_RECALL = 0.5
"""Below this recall of any segment, weighted or not, it is, too."""
LARGEST_ERROR = 0.05
"""Above this standard error of the weighted kappa it is, too: it could be off by more than .1."""
BINS = 10
"""Of equal width, in which confidence is held against what came true."""

_RESAMPLES = 200


@dataclass(frozen=True)
class Figures:
    """How well typing does, on average over weighted customers; None where not defined.

    - effective_customers: as many equal ones would give as sure a mean, (sum w)^2 / sum w^2;
    - accuracy, balanced_accuracy (mean recall), lowest_recall, kappa: of the likeliest segment,
      whatever its probability; kappa_standard_error by bootstrap;
    - calibration_error: mean |confidence - share that came true| over ten bins of confidence, by
      their customers (Naeini et al. 2015); `bins` are rows of (lower bound, share of customers,
      confidence, share that came true);
    - unknown_share: those whose likeliest segment is not likely enough; known_accuracy: of others.
    """

    effective_customers: float
    accuracy: float
    balanced_accuracy: float
    lowest_recall: float
    kappa: float | None
    kappa_standard_error: float | None
    calibration_error: float
    bins: Sequence[Sequence[float]]
    unknown_share: float
    known_accuracy: float | None


@dataclass(frozen=True)
class Assessment:
    """What is known of a typing model: why it is refused, or nothing against it.

    `plain` are figures of the customers kept aside; `weighted` the same, each counted for those
    like it who lack the source. `classes` are labels; `confusion` and `weighted_confusion` have a
    row per true class, and a column per class that was found likeliest: customers, and shares of
    the weight.
    """

    refusals: Sequence[str]
    learned_customers: int
    held_out_customers: int
    silent_customers: int
    answering: str
    plain: Figures | None
    weighted: Figures | None
    classes: Sequence[int]
    confusion: Sequence[Sequence[int]]
    weighted_confusion: Sequence[Sequence[float]]


def measure(
    truth: Indices, probabilities: Numbers, weights: Numbers, *, least: float, seed: int
) -> Figures:
    """Measure typing on customers of known class: `truth` (n,), `probabilities` (n, k).

    `weights` (n,) are not negative. Below `least` the likeliest class is not told. Every class has
    weight.
    """
    found = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    came_true = (found == truth).astype(np.float64)
    classes = probabilities.shape[1]
    total = float(weights.sum())
    sizes = np.bincount(truth, weights, classes)
    recalls = np.bincount(truth, weights * came_true, classes) / sizes
    bins, error = _calibration(confidence, came_true, weights)
    known = confidence >= least
    known_weight = float(weights[known].sum())
    return Figures(
        effective_customers=total**2 / float((weights**2).sum()),
        accuracy=float((weights * came_true).sum()) / total,
        balanced_accuracy=float(recalls.mean()),
        lowest_recall=float(recalls.min()),
        kappa=kappa(truth, found, weights, classes),
        kappa_standard_error=_kappa_error(truth, found, weights, classes, seed),
        calibration_error=error,
        bins=bins,
        unknown_share=1.0 - known_weight / total,
        known_accuracy=float((weights * came_true)[known].sum()) / known_weight
        if known_weight > 0
        else None,
    )


def kappa(truth: Indices, found: Indices, weights: Numbers, classes: int) -> float | None:
    """Compute Cohen's kappa of weighted rows: agreement beyond what their shares give by chance.

    None where one class is all that there is.
    """
    total = float(weights.sum())
    agreement = float(weights[truth == found].sum()) / total
    true_shares = np.bincount(truth, weights, classes) / total
    found_shares = np.bincount(found, weights, classes) / total
    chance = float((true_shares * found_shares).sum())
    return (agreement - chance) / (1.0 - chance) if chance < 1.0 else None


def confusion(truth: Indices, found: Indices, weights: Numbers, classes: int) -> Numbers:
    """Sum the weights of each pair of true and found class, (k, k)."""
    cells = np.bincount(truth * classes + found, weights, classes * classes).astype(np.float64)
    return cells.reshape(classes, classes)


def reasons_to_refuse(plain: Figures, weighted: Figures) -> list[str]:
    """Say what speaks against typing, with the figures; nothing where it may be used."""
    reasons = []
    if weighted.kappa is None or weighted.kappa < LEAST_KAPPA:
        told = "undefined" if weighted.kappa is None else f"{weighted.kappa:.2f}"
        reasons.append(f"the weighted kappa is {told}, below {LEAST_KAPPA}")
    lowest = min(plain.lowest_recall, weighted.lowest_recall)
    if lowest < LEAST_RECALL:
        reasons.append(
            f"of one segment only {lowest:.0%} of the customers are recognised, below "
            f"{LEAST_RECALL:.0%}"
        )
    error = weighted.kappa_standard_error
    if error is not None and error > LARGEST_ERROR:
        reasons.append(
            f"the weighted kappa is known to {error:.2f} only (standard error, above "
            f"{LARGEST_ERROR}): too few customers were kept aside"
        )
    return reasons


def _kappa_error(
    truth: Indices, found: Indices, weights: Numbers, classes: int, seed: int
) -> float | None:
    rng = np.random.default_rng([seed, len(truth)])
    drawn = []
    for _ in range(_RESAMPLES):
        rows = rng.integers(0, len(truth), len(truth))
        if weights[rows].sum() > 0:
            one = kappa(truth[rows], found[rows], weights[rows], classes)
            drawn += [] if one is None else [one]
    return float(np.std(drawn, ddof=1)) if len(drawn) > 1 else None


def _calibration(
    confidence: Numbers, came_true: Numbers, weights: Numbers
) -> tuple[list[list[float]], float]:
    places = np.minimum((confidence * BINS).astype(np.intp), BINS - 1)
    shares = np.bincount(places, weights, BINS) / float(weights.sum())
    held = np.bincount(places, weights, BINS)
    rows, error = [], 0.0
    for place in np.flatnonzero(held > 0).tolist():
        inside = places == place
        mean = float((weights * confidence)[inside].sum()) / float(held[place])
        rate = float((weights * came_true)[inside].sum()) / float(held[place])
        rows.append([place / BINS, float(shares[place]), mean, rate])
        error += float(shares[place]) * abs(mean - rate)
    return rows, error
