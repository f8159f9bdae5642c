"""mSPRT: a p that may be read every night, and acted on as soon as it is small.

What belongs here: the mixture sequential probability ratio test (Johari, Koomen, Pekelis, Walsh
2022, "Always Valid Inference", Operations Research 70). A fixed-horizon p read on each of 60 nights
finds an effect in a third of all A/A tests.
"""

import math

from scipy import special

from segmentation_pipeline.measurement.effects import Effect

MIN_P = 1e-300
"""Stands for a p that is too small for a float."""


def sequential_p(effect: Effect, *, tau: float, previous: float = 1.0) -> float:
    """Give tonight's always valid p: the smaller of last night's and 1 / the mixture ratio.

    Args:
        effect: Of all customers measured until tonight.
        tau: The size of effect that is thought of, as a standard deviation in the unit of the KPI;
            fixed before the first look (the smallest detectable effect planned is a good choice).
        previous: Last night's p; 1 on the first.

    The ratio is that of a normal effect, variance `tau`^2, to none; its z is the one that belongs
    to the effect's p, so that a permutation's p counts where the normal approximation doesn't hold.

    """
    variance = effect.standard_error**2
    z = float(special.ndtri(max(effect.p_value, MIN_P) / 2))
    spread = variance + tau**2
    log_ratio = 0.5 * math.log(variance / spread) + z * z * tau**2 / (2 * spread)
    return min(previous, math.exp(-max(log_ratio, 0.0)))
