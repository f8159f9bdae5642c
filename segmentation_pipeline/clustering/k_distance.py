"""The k-distance curve: how far customers are from their neighbours, and where it bends.

The curve has the distance of each customer to the neighbour of a number, in ascending order; Ester
et al. 1996 read DBSCAN's radius off its first valley.
"""

import math
from typing import NamedTuple

import numpy as np

from segmentation_pipeline.clustering.core_points import from_tree, in_tree
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.structure.raw_features import Matrix

_SPARSE_FACTORS = tuple(2.0 ** (step / 3) for step in range(6, -7, -1))
_LARGEST_SPARSE_SHARE = 0.6
_FACTORS_BEYOND = tuple(2.0 ** (step / 6) for step in range(1, 10))
# An evenly dense set has its knee at the end of the curve.
_SMALLEST_SPARSE_SHARE = 0.0025
# A radius is a distance that occurs: rounding must not lose the pairs that are just so far apart.
_ROUNDING = 1.0 + 1e-9


class Radius(NamedTuple):
    """A radius in units of the metric, and as a tree measures it.

    `core_share` is the share of rows with a dense neighbourhood that it was read off the curve at,
    None where it was given or lies beyond the curve.
    """

    value: float
    in_tree: float
    core_share: float | None


def given_radius(value: float, similarity: Similarity) -> Radius:
    """Radius that is known, in units of the metric."""
    return Radius(value, float(in_tree(similarity, np.array([value]))[0]), None)


def radius_at(distances: Matrix, core_share: float, similarity: Similarity) -> Radius:
    """Radius within which a share of the rows has its neighbours, by their distances in a tree."""
    position = max(0, math.ceil(core_share * len(distances)) - 1)
    found = np.sort(distances)[position : position + 1] * _ROUNDING
    return Radius(float(from_tree(similarity, found)[0]), float(found[0]), core_share)


def knee_share(distances: Matrix) -> float:
    """Share of the rows up to the knee of the k-distance curve, the knee included.

    The knee is the point farthest from the chord between the ends of the curve (Satopaa et al.
    2011, "Finding a kneedle in a haystack", doi:10.1109/ICDCSW.2011.20), of the logarithms of the
    distances: of plain ones, 1 % of remote customers push it up to themselves. Rows that coincide
    with their neighbours have no logarithm; they come before it.
    """
    ordered = np.sort(distances)
    logs = np.log(ordered[ordered > 0.0])
    coinciding = len(ordered) - len(logs)
    if len(logs) < 2 or logs[0] == logs[-1]:
        return 1.0
    along = np.arange(len(logs)) / (len(logs) - 1)
    up = (logs - logs[0]) / (logs[-1] - logs[0])
    return (coinciding + int(np.argmax(along - up)) + 1) / len(ordered)


def radii_around_knee(distances: Matrix, similarity: Similarity) -> list[Radius]:
    """Thirteen radii at most, ascending: beyond them are 4 to 1/4 times as many rows as the knee's.

    Radii of 0, which find identical customers only, and repeated ones are left out.
    """
    sparse = max(1.0 - knee_share(distances), _SMALLEST_SPARSE_SHARE)
    shares = [min(factor * sparse, _LARGEST_SPARSE_SHARE) for factor in _SPARSE_FACTORS]
    radii = [radius_at(distances, 1.0 - share, similarity) for share in shares]
    return list({radius.in_tree: radius for radius in radii if radius.in_tree > 0.0}.values())


def radii_beyond(radius: Radius, similarity: Similarity) -> list[Radius]:
    """Nine multiples of a radius off the curve, ascending, up to 2.8 times it as a tree measures.

    Segments with a wide empty space between them, such as thin rings, are whole only where hardly
    anyone is sparse any more: there the curve has nothing left to tell.
    """
    in_tree = radius.in_tree * np.array(_FACTORS_BEYOND)
    values = from_tree(similarity, in_tree)
    return [
        Radius(float(value), float(distance), None)
        for value, distance in zip(values, in_tree, strict=True)
    ]
