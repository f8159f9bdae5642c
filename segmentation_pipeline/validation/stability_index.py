"""The population stability index of one feature, and what of it is chance.

Pure arithmetic on counts; which bins are counted belongs to `training_reference`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_FLOOR_QUANTILE = 0.95


@dataclass(frozen=True)
class StabilityIndex:
    """A PSI, and the one that samples of the same population exceed one time in twenty."""

    psi: float
    floor: float


def stability_index(reference: Sequence[int], tonight: Sequence[int]) -> StabilityIndex | None:
    """Compare counts per bin, (bins,) each; None where one side has no value.

    PSI = sum (p - q) ln(p / q) over the bins, with shares floored at half a customer. A bin that is
    empty on both sides says nothing, and isn't one. Without drift, PSI is distributed as
    (1/n1 + 1/n2) chi-square with bins - 1 degrees of freedom, of which the floor is the 95th
    percentile (Yurdakul and Naranjo 2020, "Statistical properties of the population stability
    index", Journal of Risk Model Validation 14).
    """
    from scipy.special import chdtri

    pairs = [pair for pair in zip(reference, tonight, strict=True) if any(pair)]
    n_reference, n_tonight = sum(reference), sum(tonight)
    if not n_reference or not n_tonight:
        return None
    psi = math.fsum(
        (q - p) * math.log(q / p)
        for p, q in ((_share(before, n_reference), _share(now, n_tonight)) for before, now in pairs)
    )
    freedom = len(pairs) - 1
    noise = 1 / n_reference + 1 / n_tonight
    floor = noise * float(chdtri(freedom, 1 - _FLOOR_QUANTILE)) if freedom else 0.0
    return StabilityIndex(psi, floor)


def _share(count: int, customers: int) -> float:
    return max(count, 0.5) / customers
