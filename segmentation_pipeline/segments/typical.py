"""The typical customer of a segment: its medoid, told so coarsely that it is nobody.

The medoid is a real customer: the one whose distances to the others of the segment add up to the
least. What is shown of it are categories and rounded numbers, and only so many of them, and so
coarsely, that at least as many customers as the privacy floor share all of what is shown. So no
combination of attributes leads to a person.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.segments.wording import is_rate, unit_words
from segmentation_pipeline.specification.features import FeatureSpec

MOST_ATTRIBUTES = 5
_WIDTHS = (0.25, 0.5, 1.0, 2.0)
"""What numbers are rounded to, finest first, in standard deviations of the segment."""
_PERCENT = 0.01

Column = NDArray[Any]
"""Shape (n,): numbers as float64 with NaN, categories as objects with None, where missing."""
Mask = NDArray[np.bool_]


def medoid(matrix: NDArray[np.floating[Any]], similarity: Similarity) -> int:
    """Find the row whose distances to all rows add up to the least; the first of equals.

    `matrix` is (n, d), prepared features of one segment. Takes n^2 distances.
    """
    return int(similarity.pairwise(matrix, matrix).sum(axis=1).round(9).argmin())


def typical_attributes(
    columns: Mapping[str, Column], at: int, features: Mapping[str, FeatureSpec], floor: int
) -> dict[str, str]:
    """Tell attributes of one customer that at least `floor` customers of the segment share.

    Attributes are added in order, five at most, each if the crowd stays large enough. The
    coarseness, equal for all numbers, is the one at which the most telling ones can be told: the
    first if at all possible, then the second, and so on; of equals the finest.

    Args:
        columns: feature -> values of the segment's customers, most telling feature first.
        at: the row of the customer.
        features: their specification.
        floor: how many customers have to share all that is told.

    Returns:
        Feature -> category, or a rounded number with its unit.

    """
    tried = [_told(columns, at, features, floor, width) for width in _WIDTHS]
    return max(tried, key=lambda told: [name in told for name in columns])


def _told(
    columns: Mapping[str, Column],
    at: int,
    features: Mapping[str, FeatureSpec],
    floor: int,
    width: float,
) -> dict[str, str]:
    told: dict[str, str] = {}
    crowd: Mask = np.ones(len(next(iter(columns.values()), [])), dtype=bool)
    for name, values in columns.items():
        if len(told) == MOST_ATTRIBUTES:
            break
        found = (
            _category(values, at)
            if values.dtype == object
            else _rounded(values, at, width, name, features[name])
        )
        if found is not None and int((crowd & found[0]).sum()) >= floor:
            crowd &= found[0]
            told[name] = found[1]
    return told


def _category(values: Column, at: int) -> tuple[Mask, str] | None:
    if values[at] is None:
        return None
    return np.asarray(values == values[at], dtype=bool), str(values[at])


def _rounded(
    values: Column, at: int, width: float, name: str, feature: FeatureSpec
) -> tuple[Mask, str] | None:
    """Round a number to about `width` deviations, and find who has the same rounded."""
    known = values[~np.isnan(values)]
    if math.isnan(values[at]):
        return None
    is_whole = bool((known == np.floor(known)).all())
    step = max(_nice(width * float(known.std())), 1.0 if is_whole else 0.0)
    if step == 0.0:
        # Everybody has the same fraction: no rounding is coarser than it.
        return None
    steps = np.floor(values / step + 0.5)
    mask: Mask = steps == steps[at]
    told = float(steps[at]) * step
    if is_rate(name, feature):
        digits = 0 if step >= 2 * _PERCENT else 2
        return mask, f"about {told:.{digits}%}" if told else f"under {step / 2:.{digits}%}"
    is_exact = is_whole and step == 1.0
    digits = max(0, -math.floor(math.log10(step)))
    if not told and not is_exact and bool((known >= 0).all()):
        figure = f"under {step / 2:,.{digits + (step / 2 % 1 > 0)}f}"
    else:
        figure = f"{'' if is_exact else 'about '}{told:,.{digits}f}"
    return mask, f"{figure} {unit_words(feature, is_one=figure == '1')}".rstrip()


def _nice(width: float) -> float:
    """The largest of 1, 2, 5, 10, 20, ... and their like below 1 that is at most `width`.

    >>> _nice(0.03), _nice(1.0), _nice(7.2), _nice(0.0)
    (0.02, 1.0, 5.0, 0.0)
    """
    if width <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(width))
    factor = next(factor for factor in (10, 5, 2, 1) if factor * power <= width * (1 + 1e-9))
    return float(f"{factor * power:.6g}")
