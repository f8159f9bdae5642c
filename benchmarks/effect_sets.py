"""Made-up experiments of each kind of KPI, with a past, and with an effect that is known.

Who is held out is drawn for each customer alone, as the keyed hash does, so arms vary in size.
A tenth of the customers have no past.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.measurement.compared import Arm
from segmentation_pipeline.specification.kpis import KpiKind

Floats = NDArray[np.float64]
Drawn = tuple[Floats, Floats | None]
"""Numerators and, of a ratio, denominators (n,)."""

VISITS = 5.0
SPREAD = 1.5
NO_PAST = 0.1


@dataclass(frozen=True)
class Kind:
    """A KPI: `draw(rng, n)` gives who customers are, as a function that plays a window of theirs.

    What a window gives is drawn from `rng` with every customer's liveliness times (n,) `lift`;
    `mean` is what it gives on average.
    """

    kpi: KpiKind
    name: str
    mean: float
    draw: Callable[[np.random.Generator, int], Callable[[Floats], Drawn]]


def _visits(rng: np.random.Generator, n: int) -> Callable[[Floats], Drawn]:
    lively = rng.gamma(3.0, 1 / 3, n)
    return lambda lift: (rng.poisson(VISITS * lively * lift).astype(float), None)


def _bought(rng: np.random.Generator, n: int) -> Callable[[Floats], Drawn]:
    rate = 0.9 * rng.beta(0.6, 2.1, n)
    return lambda lift: ((rng.random(n) < rate * lift).astype(float), None)


def _clicks(rng: np.random.Generator, n: int) -> Callable[[Floats], Drawn]:
    mails, interest = np.exp(rng.normal(2.5, 0.6, n)), 0.9 * rng.beta(1.0, 4.0, n)

    def window(lift: Floats) -> Drawn:
        sent = rng.poisson(mails)
        return rng.binomial(sent, interest * lift).astype(float), sent.astype(float)

    return window


def _revenue(rng: np.random.Generator, n: int) -> Callable[[Floats], Drawn]:
    level = rng.normal(0.0, SPREAD * 0.8, n)

    def window(lift: Floats) -> Drawn:
        spent = np.exp(4.0 + level + rng.normal(0.0, SPREAD * 0.6, n))
        return np.where(rng.random(n) < 0.3, spent, 0.0) * lift, None

    return window


KINDS = {
    "mean": Kind("mean", "visits in 30 days", VISITS, _visits),
    "binary": Kind("binary", "bought", 0.2, _bought),
    "ratio": Kind("ratio", "clicks per mail", 0.18, _clicks),
    "heavy": Kind("heavy", "revenue", 0.3 * float(np.exp(4.0 + SPREAD**2 / 2)), _revenue),
}


def experiment(
    kind: Kind,
    rng: np.random.Generator,
    n: int,
    hold_out: float,
    *,
    lift: float = 1.0,
    has_past: bool = True,
) -> tuple[Arm, Arm]:
    """Play one experiment with `n` customers; the treated are `lift` times as lively."""
    is_control = rng.random(n) < hold_out
    window = kind.draw(rng, n)
    past = window(np.ones(n))
    figures = window(np.where(is_control, 1.0, lift))
    is_new = rng.random(n) < NO_PAST
    before = [
        None if part is None or not has_past else np.where(is_new, np.nan, part) for part in past
    ]
    arms = [
        Arm(*(None if part is None else part[rows] for part in (*figures, *before)))
        for rows in (~is_control, is_control)
    ]
    return arms[0], arms[1]
