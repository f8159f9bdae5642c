"""How often intervals of a mean cover the truth where few customers make most of it.

Log-normal values, some of them zeros, as revenue is: Student's interval, Hall's transformation (as
published in `segment_kpis`) and the bootstrap-t, which needs all values. A few minutes.
"""

import argparse
import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from segmentation_pipeline.measurement.kpi_intervals import mean_interval

RESAMPLES = 999
SETTINGS = ((1.0, 0.7), (1.0, 0.0), (1.5, 0.7), (1.5, 0.0))
SIZES = (30, 100, 300)
SCALE = 2.0**30


def hall(values: NDArray[np.float64]) -> tuple[float, float]:
    """Compute the interval of kind heavy, from exact sums."""
    scaled = [int(value) for value in np.round(values * SCALE)]
    sums = [sum(value**power for value in scaled) for power in (1, 2, 3)]
    found = mean_interval(len(values), *sums, is_heavy=True)
    return (found.lower or 0.0) / SCALE, (found.upper or 0.0) / SCALE


def student(values: NDArray[np.float64]) -> tuple[float, float]:
    """Compute Student's interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


def bootstrap_t(values: NDArray[np.float64], generator: np.random.Generator) -> tuple[float, float]:
    """Compute the bootstrap-t interval."""
    size, error = len(values), stats.sem(values)
    drawn = values[generator.integers(0, size, (RESAMPLES, size))]
    errors = drawn.std(axis=1, ddof=1) / math.sqrt(size)
    varies = errors > 0
    t = (drawn.mean(axis=1)[varies] - values.mean()) / errors[varies]
    low, high = np.quantile(t, [0.025, 0.975])
    return float(values.mean() - high * error), float(values.mean() - low * error)


def main() -> None:
    """Print the coverage of each method, as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=2_000)
    draws = parser.parse_args().draws
    generator = np.random.default_rng(1)
    print("| sd of logs | zeros | customers | Student's t | Hall's | bootstrap-t |")
    print("|---|---|---|---|---|---|")
    for sigma, zeros in SETTINGS:
        truth = (1 - zeros) * math.exp(sigma**2 / 2)
        for size in SIZES:
            covered = np.zeros(3)
            for _ in range(draws):
                values = np.exp(sigma * generator.standard_normal(size))
                values[generator.random(size) < zeros] = 0
                if not values.any():
                    continue
                found = (student(values), hall(values), bootstrap_t(values, generator))
                covered += [low <= truth <= high for low, high in found]
            shares = " | ".join(f"{100 * share:.1f} %" for share in covered / draws)
            print(f"| {sigma} | {zeros:.0%} | {size} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
