"""How much a segment's differences vary from sample to sample: a bootstrap within each segment.

Each resample draws, from every segment, as many customers as its sample has, with replacement
(Efron & Tibshirani 1993, two-sample bootstrap). Segments keep their sizes in it, so that "everybody
else" is made of the segments as large as they are, however few of a large one are looked at.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 200
_INTERVAL = 0.95

Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SegmentSample:
    """Some customers of a segment, in a fixed order."""

    segment_id: str
    size: int
    """How many customers the segment has."""
    values: Doubles
    """Shape (n, columns); NaN where a customer has no value."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """A segment in every resample."""

    segment_id: str
    differences: Doubles
    """Standardised mean differences, inside against outside, shape (resamples, columns). 0 where a
    side has no value; infinite where neither side varies and they differ."""
    lifts: Doubles
    """Mean inside / mean of everybody, same shape; of 0/1 columns: share over share."""


def resample(
    samples: Sequence[SegmentSample], *, seed: int, resamples: int = RESAMPLES
) -> Iterator[Resampled]:
    """Resample all segments together, and compare each with the others, one after the other.

    Memory is that of one segment's draws and two arrays (resamples, 3 columns). Equal samples and
    seeds give equal results up to the last bits of a matrix product.
    """
    stacked = np.concatenate([sample.values for sample in samples])
    count = np.maximum(np.sum(~np.isnan(stacked), axis=0), 1)
    centre = np.nansum(stacked, axis=0) / count
    spread = np.sqrt(np.nansum((stacked - centre) ** 2, axis=0) / count)
    # Sums of squares lose nothing where the values are centred.
    spread[spread == 0.0] = 1.0
    total = np.zeros((resamples, 3, stacked.shape[1]))
    for index, sample in enumerate(samples):
        total += _sums(sample, centre, spread, (seed, index), resamples)
    everybody = centre + spread * _divide(total[:, 1], total[:, 0])
    for index, sample in enumerate(samples):
        inside = _sums(sample, centre, spread, (seed, index), resamples)
        mean = centre + spread * _divide(inside[:, 1], inside[:, 0])
        yield Resampled(
            sample.segment_id, _differences(inside, total - inside), _divide(mean, everybody)
        )


def interval(values: Doubles) -> tuple[Doubles, Doubles]:
    """Give the percentile interval of 95 % of each column: two order statistics, never between."""
    ordered = np.sort(values, axis=0)
    cut = int(len(ordered) * (1 - _INTERVAL) / 2)
    return ordered[cut], ordered[-1 - cut]


def _sums(
    sample: SegmentSample, centre: Doubles, spread: Doubles, seed: tuple[int, int], resamples: int
) -> Doubles:
    """Customers, sum and sum of squares in each resample, in the segment's size: (B, 3, columns).

    The draws are made anew from the segment's own seed rather than kept: they are large.
    """
    generator = np.random.default_rng(seed)
    n = len(sample.values)
    drawn = generator.integers(0, n, size=(resamples, n))
    drawn += np.arange(resamples)[:, np.newaxis] * n
    weights = np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n)
    is_there = ~np.isnan(sample.values)
    scaled = np.where(is_there, (sample.values - centre) / spread, 0.0)
    columns = np.concatenate([is_there, scaled, scaled**2], axis=1)
    sums: Doubles = weights.astype(np.float64) @ columns * (sample.size / n)
    return sums.reshape(resamples, 3, -1)


def _differences(inside: Doubles, outside: Doubles) -> Doubles:
    """(Mean in - mean out) / pooled standard deviation (Cohen 1988), as in `profiles`."""
    means, variances = [], []
    for sums in (inside, outside):
        mean = _divide(sums[:, 1], sums[:, 0])
        means.append(mean)
        variances.append(np.maximum(_divide(sums[:, 2], sums[:, 0]) - mean**2, 0.0))
    customers = inside[:, 0] + outside[:, 0]
    pooled = _divide(inside[:, 0] * variances[0] + outside[:, 0] * variances[1], customers)
    difference = means[0] - means[1]
    # What is left below is rounding: the columns have variance 1.
    difference[np.abs(difference) < 1e-9] = 0.0
    pooled[pooled < 1e-12] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        found = difference / np.sqrt(pooled)
    is_told = (inside[:, 0] > 0) & (outside[:, 0] > 0) & (difference != 0.0)
    return np.where(is_told, found, 0.0)


def _divide(numerator: Doubles, denominator: Doubles) -> Doubles:
    """Divide, with 0 where there is nothing to divide by."""
    out = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.divide(numerator, denominator, out=out, where=denominator != 0.0)
