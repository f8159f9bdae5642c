"""The effect of a strategy: treated against held out, whoever was reached (intention to treat).

What belongs here: which method fits a KPI's kind, and the figures that come out of it. Each method
is a module of its own beside this one, as are Holm's correction, sample ratio, power, the p for
nightly looks and the verdict in words. Nothing here reads a warehouse.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from segmentation_pipeline.measurement.binary_effect import mid_p, newcombe, newcombe_p
from segmentation_pipeline.measurement.compared import Arm, Measured, measured_customers
from segmentation_pipeline.measurement.heavy_effect import permutation, winsorised
from segmentation_pipeline.measurement.history_adjustment import (
    residuals,
    without_history,
)
from segmentation_pipeline.measurement.mean_effect import Comparison, welch
from segmentation_pipeline.measurement.power import ALPHA, smallest_detectable
from segmentation_pipeline.measurement.ratio_effect import linearised, linearised_alike
from segmentation_pipeline.specification.kpis import KpiKind

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Method = Literal["Newcombe", "Welch", "delta method", "studentised permutation"]

MOST_SKEWNESS = 3.0
"""Skewness of the values beyond which their mean is not normal enough for Welch's test."""
LEAST_SURPRISES = 30
"""Size times variance of a rate in each arm from which its noise can be told: about the customers
who do what few do, or what their past doesn't foretell."""


@dataclass(frozen=True)
class Effect:
    """What the treated have that those held out don't, in the unit of the KPI.

    Where the history is used, means are those of arms with the same history, so that they differ by
    the effect.
    """

    method: Method
    treated_mean: float
    control_mean: float
    effect: float
    relative_effect: float | None
    """Of the control's mean; None where that is not above 0."""
    lower: float
    """Of the 95 % interval, not corrected for the number of comparisons."""
    upper: float
    p_value: float
    """Two-sided, to be read once, at the end; not corrected."""
    standard_error: float
    smallest_detectable: float
    """The effect that would be found with a chance of 80 %, at 5 % / number of comparisons."""
    uses_history: bool
    winsorised_effect: float | None
    """Of heavy values, with the lowest and highest percent drawn in: a second figure, no test."""
    attrition_p: float
    """The chance of so different shares of customers without a value."""


def estimate_effect(
    treated: Arm, control: Arm, *, kind: KpiKind, comparisons: int, seed: int
) -> Effect | None:
    """Compare the arms by the method that the KPI's kind asks for.

    `binary`: Newcombe. `mean`: Welch, unless the skewness of all customers' values exceeds 3.
    `ratio`: delta method by customer, with the same exception. `heavy`: studentised permutation.
    The past (CUPED) is used where 200 customers have one.

    Args:
        treated: Everybody assigned to treatment.
        control: Everybody held out.
        kind: As the KPI declares it.
        comparisons: Cells declared beforehand, among which p values will be corrected.
        seed: Of permutations.

    Returns:
        The effect, or None where nothing can be said: fewer than 200 customers with a value in an
        arm, everybody has the same value, or an arm's denominators are all 0.

    Raises:
        MeasurementError: figures that the kind cannot have, or arms of differing lengths.

    """
    measured = measured_customers(treated, control, kind)
    is_treated, denominator = measured.is_treated, measured.denominator
    if not measured.has_enough:
        return None
    if kind == "binary":
        return _binary(measured, comparisons) if _varies(measured.numerator) else None
    values = alike = measured.numerator
    if denominator is not None:
        if any(denominator[arm].sum() == 0 for arm in (is_treated, ~is_treated)):
            return None
        values = linearised(measured.numerator, denominator, is_treated)
        alike = linearised_alike(measured.numerator, denominator, is_treated)
    if not any(_varies(values[arm]) for arm in (is_treated, ~is_treated)):
        return None
    measured = _with_telling_history(measured, values)
    # Skewness of all customers, whatever their arm: the choice then tells nothing about the arms,
    # and a permutation test that follows from it stays exact.
    skewness = max(
        abs(skewness_of(residuals(alike, columns))) for columns in (None, measured.columns)
    )
    if kind == "heavy" or skewness > MOST_SKEWNESS:
        return _heavy(alike, values, measured, comparisons, seed)
    method: Method = "delta method" if kind == "ratio" else "Welch"
    adjusted = _adjusted(values, measured)
    comparison = welch(adjusted, is_treated, alpha=ALPHA)
    return _effect(
        method,
        measured,
        float(adjusted[~measured.is_treated].mean()),
        comparison,
        smallest_detectable(comparison.standard_error, comparisons=comparisons),
    )


def _binary(measured: Measured, comparisons: int) -> Effect:
    is_treated, values = measured.is_treated, measured.numerator
    arms = (values[is_treated], values[~is_treated])
    counts = [(int(arm.sum()), arm.size) for arm in arms]
    rates, sizes = [float(arm.mean()) for arm in arms], [float(arm.size) for arm in arms]
    of_all = float(values.mean())
    error = (of_all * (1 - of_all) * sum(1 / n for n in sizes)) ** 0.5
    adjusted = _adjusted(values, measured)
    noises = [float(adjusted[rows].var()) for rows in (is_treated, ~is_treated)]
    enough = all(n * noise >= LEAST_SURPRISES for n, noise in zip(sizes, noises, strict=True))
    if enough and measured.columns is not None:
        # An arm whose noise the past halves says as much as one with twice the customers.
        sizes = [
            n * rate * (1 - rate) / noise
            for n, rate, noise in zip(sizes, rates, noises, strict=True)
        ]
        rates = [
            min(max(float(adjusted[rows].mean()), 0.0), 1.0) for rows in (is_treated, ~is_treated)
        ]
        error = sum(noise / arm.size for noise, arm in zip(noises, arms, strict=True)) ** 0.5
    pairs = (rates[0], sizes[0], rates[1], sizes[1])
    p_value = newcombe_p(*pairs)
    if not enough:
        p_value = max(p_value, mid_p(*counts[0], *counts[1]))
    lower, upper = newcombe(*pairs, z=-float(special.ndtri(ALPHA / 2)))
    return _effect(
        "Newcombe",
        measured,
        rates[1],
        Comparison(rates[0] - rates[1], lower, upper, p_value, error),
        smallest_detectable(error, comparisons=comparisons),
        uses_history=enough and measured.columns is not None,
    )


def _heavy(
    alike: Floats, values: Floats, measured: Measured, comparisons: int, seed: int
) -> Effect:
    comparison = permutation(
        alike,
        measured.is_treated,
        measured.columns,
        alpha=ALPHA,
        comparisons=comparisons,
        seed=seed,
    )
    second = None
    if measured.denominator is None:
        drawn_in = _adjusted(winsorised(values), measured)
        second = float(drawn_in[measured.is_treated].mean() - drawn_in[~measured.is_treated].mean())
    return _effect(
        "studentised permutation",
        measured,
        float(_adjusted(values, measured)[~measured.is_treated].mean()),
        comparison,
        smallest_detectable(comparison.standard_error, comparisons=comparisons),
        winsorised_effect=second,
    )


def _effect(
    method: Method,
    measured: Measured,
    control_mean: float,
    comparison: Comparison,
    detectable: float,
    *,
    uses_history: bool | None = None,
    winsorised_effect: float | None = None,
) -> Effect:
    effect = comparison.effect
    return Effect(
        method=method,
        treated_mean=control_mean + effect,
        control_mean=control_mean,
        effect=effect,
        relative_effect=effect / control_mean if control_mean > 0 else None,
        lower=comparison.lower,
        upper=comparison.upper,
        p_value=comparison.p_value,
        standard_error=comparison.standard_error,
        smallest_detectable=detectable,
        uses_history=measured.columns is not None if uses_history is None else uses_history,
        winsorised_effect=winsorised_effect,
        attrition_p=measured.attrition_p,
    )


def _adjusted(values: Floats, measured: Measured) -> Floats:
    if measured.columns is None:
        return values
    return without_history(values, measured.columns, measured.is_treated)


def skewness_of(values: Floats) -> float:
    """Give the skewness (third standardised moment) of values (n,) of mean 0 that vary."""
    squares = values * values
    return float((squares * values).mean() / squares.mean() ** 1.5)


def _with_telling_history(measured: Measured, values: Floats) -> Measured:
    """Drop a past that foretells everything: what is left would be rounding, and its p with it."""
    left = residuals(values, measured.columns)
    if float(left.var()) > 1e-9 * float(values.var()):
        return measured
    return replace(measured, columns=None)


def _varies(values: Floats) -> bool:
    return bool(values.min() < values.max())
