from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from segmentation_pipeline.measurement.effects import Effect
from segmentation_pipeline.measurement.sequential import sequential_p

EFFECT = Effect(
    method="Welch",
    treated_mean=1.2,
    control_mean=1.0,
    effect=0.2,
    relative_effect=0.2,
    lower=0.1,
    upper=0.3,
    p_value=2 * float(stats.norm.sf(4.0)),
    standard_error=0.05,
    smallest_detectable=0.14,
    uses_history=False,
    winsorised_effect=None,
    attrition_p=1.0,
)


def test_it_is_one_over_the_likelihood_of_the_mixture():
    """The effect is N(0, V + tau^2) under the mixture and N(0, V) under none."""
    ratio = stats.norm.pdf(0.2, 0, np.hypot(0.05, 0.1)) / stats.norm.pdf(0.2, 0, 0.05)

    assert sequential_p(EFFECT, tau=0.1) == pytest.approx(1 / ratio)


def test_it_never_rises_and_never_exceeds_one():
    nothing = replace(EFFECT, effect=0.0, p_value=1.0)

    assert sequential_p(nothing, tau=0.1) == 1.0
    assert sequential_p(nothing, tau=0.1, previous=0.03) == 0.03


def test_a_p_of_zero_is_no_error():
    assert 0 <= sequential_p(replace(EFFECT, p_value=0.0), tau=0.1) < 1e-100


def test_sixty_looks_at_nothing_win_rarely_and_an_effect_is_seen():
    rng = np.random.default_rng(12)
    nights, per_night = 60, 50
    noise = rng.standard_normal((400, 2, nights * per_night))
    sums = noise.cumsum(axis=2)[:, :, per_night - 1 :: per_night]
    sizes = per_night * np.arange(1, nights + 1)
    errors = np.sqrt(2 / sizes)

    def wins(shift):
        differences = (sums[:, 0] - sums[:, 1]) / sizes + shift
        fixed = sequential = 0
        for row in differences:
            p_values = 2 * stats.norm.sf(np.abs(row) / errors)
            fixed += p_values.min() <= 0.05
            p = 1.0
            for p_value, error in zip(p_values, errors, strict=True):
                effect = replace(EFFECT, p_value=float(p_value), standard_error=float(error))
                p = sequential_p(effect, tau=0.1, previous=p)
            sequential += p <= 0.05
        return fixed, sequential

    fixed, sequential = wins(0.0)
    assert fixed > 80  # of 400; looking each night at a p for one look
    assert sequential <= 20  # 5 % of 400
    assert wins(0.15)[1] >= 380
