"""Experiments played many times over, and how often the method is right about them."""

import resource
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from scipy import stats

from benchmarks.effect_sets import KINDS, Kind, experiment
from segmentation_pipeline.measurement.compared import Arm
from segmentation_pipeline.measurement.correction import holm
from segmentation_pipeline.measurement.effect_verdict import effect_verdict
from segmentation_pipeline.measurement.effects import Effect, estimate_effect
from segmentation_pipeline.measurement.power import (
    planned_standard_error,
    power,
    smallest_detectable,
)
from segmentation_pipeline.measurement.sample_ratio import sample_ratio_p
from segmentation_pipeline.measurement.sequential import sequential_p

SEEDS = 200
CUSTOMERS, FEW_CUSTOMERS, HOLD_OUT = 5000, 900, 0.3
HOLD_OUTS = (0.3, 0.2, 0.3, 0.3)
"""The experiments that the example's playbooks declare."""
CELLS = len(HOLD_OUTS)
LIFT = 1.08
NIGHTS = 60

Figures = dict[str, Any]


def estimated(kind: Kind, arms: tuple[Arm, Arm], seed: int, comparisons: int = CELLS) -> Effect:
    effect = estimate_effect(*arms, kind=kind.kpi, comparisons=comparisons, seed=seed)
    if effect is None:
        raise SystemExit(f"{kind.name}, seed {seed}: an arm has fewer than 200 customers")
    return effect


def said(arms: tuple[Arm, Arm], effect: Effect, hold_out: float) -> str:
    """The verdict as it would be published, if the other cells found nothing."""
    sizes = [arm.numerator.size for arm in arms]
    return effect_verdict(
        effect,
        unit=None,
        higher_is_better=True,
        n_treated=sizes[0],
        n_control=sizes[1],
        sample_ratio_p=sample_ratio_p(*sizes, hold_out),
        sent_share=1.0,
        corrected_p=min(1.0, effect.p_value * CELLS),
        is_final=True,
        end_date=date(2025, 6, 30),
    )


def planned(n: int, *, has_past: bool) -> Figures:
    """Power and smallest detectable effect, from 200,000 other customers of the same base."""
    kind = KINDS["mean"]
    pilot = experiment(kind, np.random.default_rng([SEEDS, 1]), 200_000, 0.5)[1]
    is_known = ~np.isnan(pilot.before)
    correlation = np.corrcoef(pilot.numerator[is_known], pilot.before[is_known])[0, 1]
    # Who has no past contributes nothing to what it explains.
    correlation *= np.sqrt(is_known.mean()) if has_past else 0.0
    error = planned_standard_error(
        float(pilot.numerator.std()),
        round(n * (1 - HOLD_OUT)),
        round(n * HOLD_OUT),
        history_correlation=float(correlation),
    )
    return {
        "standard_error": error,
        "power": power((LIFT - 1) * kind.mean, error, comparisons=CELLS),
        "smallest_detectable": smallest_detectable(error, comparisons=CELLS),
    }


def planted(n: int, *, has_past: bool) -> Figures:
    """+8 % visits in one of the cells, seed by seed."""
    kind = KINDS["mean"]
    truth = (LIFT - 1) * kind.mean
    found = covered = silent = 0
    detectable, sentences = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng([seed, n, 2])
        arms = experiment(kind, rng, n, HOLD_OUT, lift=LIFT, has_past=has_past)
        effect = estimated(kind, arms, seed)
        sentence = said(arms, effect, HOLD_OUT)
        found += sentence.startswith("more by")
        silent += sentence.startswith("no detectable effect; smallest detectable = ")
        covered += effect.lower <= truth <= effect.upper
        detectable.append(effect.smallest_detectable)
        sentences.append(sentence)
    return {
        "found": found,
        "silent": silent,
        "covered": covered,
        "smallest_detectable": float(np.median(detectable)),
        "extremes": [min(detectable), max(detectable)],
        "sentence": sentences[0],
    }


def simulated_smallest(n: int, *, has_past: bool) -> float:
    """The effect that 80 % of played experiments find at .05 / 4: by playing them."""
    kind = KINDS["mean"]
    start = planned(n, has_past=has_past)["smallest_detectable"] / kind.mean
    lifts = start * np.array([0.8, 0.9, 1.0, 1.1, 1.2])
    shares = []
    for number, lift in enumerate(lifts):
        wins = [
            estimated(
                kind,
                experiment(
                    kind,
                    np.random.default_rng([seed, number, 3]),
                    n,
                    HOLD_OUT,
                    lift=1 + lift,
                    has_past=has_past,
                ),
                seed,
            ).p_value
            <= 0.05 / CELLS
            for seed in range(1000)
        ]
        shares.append(np.mean(wins))
    return float(np.interp(0.8, shares, lifts)) * kind.mean


def usual_p(kind: Kind, arms: tuple[Arm, Arm]) -> float:
    """What is often done: clicks pooled over mails; Welch whatever the tails."""
    if kind.kpi == "ratio":
        clicks = np.array([arm.numerator.sum() for arm in arms])
        mails = np.array([arm.denominator.sum() for arm in arms])
        return float(stats.chi2_contingency([clicks, mails - clicks], correction=False).pvalue)
    return float(stats.ttest_ind(arms[0].numerator, arms[1].numerator, equal_var=False).pvalue)


def each_seed(play: Callable[[int], tuple[float, ...]], seeds: int = SEEDS) -> list[np.ndarray]:
    """Play seeds in as many processes as are configured; returns (seeds,) of each figure."""
    rows = Parallel()(delayed(play)(seed) for seed in range(seeds))
    return [np.array(figures) for figures in zip(*rows, strict=True)]


def nothing_planted(kind: Kind, hold_outs: tuple[float, ...], *, has_past: bool) -> Figures:
    """A/A: replays that hold any false win, corrected, and in the usual way."""

    def play(seed: int) -> tuple[float, ...]:
        corrected, uncorrected, covered = [], [], 0
        for cell, hold_out in enumerate(hold_outs):
            rng = np.random.default_rng([seed, cell, 4])
            arms = experiment(kind, rng, CUSTOMERS, hold_out, has_past=has_past)
            effect = estimated(kind, arms, seed)
            corrected.append(effect.p_value)
            uncorrected.append(usual_p(kind, arms))
            covered += effect.lower <= 0 <= effect.upper
        return holm(np.array(corrected)).min(), corrected[0], min(uncorrected), covered

    corrected, first, uncorrected, covered = each_seed(play)
    return {
        "wins": int((corrected <= 0.05).sum()),
        "covered": float(covered.mean()) / len(hold_outs),
        "first_cell": int((first <= 0.05).sum()),
        "usual": int((uncorrected <= 0.05).sum()),
    }


def coverage(kind: Kind, hold_out: float) -> Figures:
    """Whether a single cell's interval holds +8 %, in 1,000 experiments."""
    truth = (LIFT - 1) * kind.mean

    def play(seed: int) -> tuple[float, ...]:
        rng = np.random.default_rng([seed, round(100 * hold_out), 5])
        effect = estimated(kind, experiment(kind, rng, CUSTOMERS, hold_out, lift=LIFT), seed)
        return effect.lower, effect.upper

    lower, upper = each_seed(play, 1000)
    below, above = int((upper < truth).sum()), int((lower > truth).sum())
    return {"covered": (1000 - below - above) / 1000, "below": below, "above": above}


def arriving(kind: Kind, rng: np.random.Generator, lift: float) -> list[list[Arm]]:
    """60 nights, on each of which as many customers more have their window behind them."""
    arms = experiment(kind, rng, CUSTOMERS, HOLD_OUT, lift=lift)
    nights = np.linspace(0, 1, NIGHTS + 1)[1:]
    return [
        [
            Arm(*(None if part is None else part[: round(len(part) * share)] for part in parts))
            for parts in (
                (arm.numerator, arm.denominator, arm.before, arm.before_denominator) for arm in arms
            )
        ]
        for share in nights
    ]


def accruing(kind: Kind, rng: np.random.Generator, lift: float) -> list[list[Arm]]:
    """60 nights, on each of which the same customers have done a little more."""
    del kind  # visits alone can be cut into nights
    is_control = rng.random(CUSTOMERS) < HOLD_OUT
    lively = rng.gamma(3.0, 1 / 3, CUSTOMERS)
    before = rng.poisson(5.0 * lively).astype(float)
    rate = (5.0 / NIGHTS * lively * np.where(is_control, 1.0, lift))[:, None]
    visits = rng.poisson(rate, (CUSTOMERS, NIGHTS)).cumsum(axis=1).astype(float)
    return [
        [Arm(visits[rows, night], None, before[rows]) for rows in (~is_control, is_control)]
        for night in range(NIGHTS)
    ]


def nightly(
    kind: Kind,
    play: Callable[[Kind, np.random.Generator, float], list[list[Arm]]],
    *,
    lift: float,
) -> Figures:
    """Looking every night: by the p that is meant for one look, and by mSPRT."""
    plan = estimated(
        kind, experiment(kind, np.random.default_rng([SEEDS, 6]), CUSTOMERS, HOLD_OUT), 0, 1
    )
    tau = plan.smallest_detectable

    def look(seed: int) -> tuple[float, ...]:
        p, least, first = 1.0, 1.0, NIGHTS
        for night, arms in enumerate(play(kind, np.random.default_rng([seed, 7]), lift)):
            effect = estimate_effect(*arms, kind=kind.kpi, comparisons=1, seed=seed)
            if effect is None:
                continue
            p = sequential_p(effect, tau=tau, previous=p)
            least = min(least, effect.p_value)
            first = min(first, night + 1) if p <= 0.05 else first
        return least, p, first

    least, last, first = each_seed(look)
    return {
        "fixed": int((least <= 0.05).sum()),
        "sequential": int((last <= 0.05).sum()),
        "night": float(np.median(first)),
    }


def worst_speed() -> Figures:
    """Seconds and processor seconds of the slowest method, 50,000 and 2,000,000 per arm."""
    figures = {}
    for per_arm in (50_000, 2_000_000):
        arms = experiment(KINDS["heavy"], np.random.default_rng(8), 2 * per_arm, 0.5)
        start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        estimated(KINDS["heavy"], arms, 0)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures[f"{per_arm:,}"] = [time.process_time() - start, (peak - before) / 1024]
    return figures
