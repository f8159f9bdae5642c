"""Which features decide between a customer's segment and the runner-up.

A feature's contribution is what its value adds to the clearance of the one over the other: the
clearance as it is, less what it would be if the value were missing. So a value that is missing
decides nothing, whatever stands in for it; what speaks for the runner-up is negative. One
definition serves every family, since it only asks the model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.family import Assigner, Floats
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.segments.hysteresis import (
    Clearance,
    Labels,
    MixtureOdds,
    PrototypeMargin,
    hold_kind,
)

Numbers = NDArray[np.float64]

_DIGITS = 9


@dataclass(frozen=True)
class Contributions:
    """What each feature's value adds for n customers: `values` (features, n)."""

    features: Sequence[str]
    values: Numbers


class DecidingFeatures:
    """The features of a model, and what their values add.

    `missing` (d,) are the prepared columns of a customer of whom nothing is known.
    """

    def __init__(self, found: PublishedModel, missing: Numbers) -> None:
        feature_of = {row.column_name: row.feature for row in found.preparation.scalings}
        groups: dict[str, list[int]] = {}
        for place, column in enumerate(found.model.feature_names):
            groups.setdefault(feature_of[column], []).append(place)
        self._groups = groups
        self._missing = missing
        self._clearance = clearance_of(found)

    def contributions(
        self, columns: Sequence[Floats], own: Labels, runner_up: Labels
    ) -> Contributions:
        """Compute contributions for rows given as one array (n,) for each column.

        `own` and `runner_up` (n,) are labels of segments, none of which is noise.
        """
        as_it_is = self._clearance(columns, own, runner_up)
        found = []
        for places in self._groups.values():
            without = list(columns)
            for place in places:
                without[place] = np.full(len(own), self._missing[place])
            found.append(as_it_is - self._clearance(without, own, runner_up))
        # Last bits of distances are no contribution.
        values: Numbers = np.array(found, dtype=np.float64).round(_DIGITS)
        return Contributions(list(self._groups), values)


def clearance_of(
    found: PublishedModel,
) -> Callable[[Sequence[Floats], Labels, Labels], Numbers]:
    """Choose what a family's clearance is.

    Between prototypes it is the margin t = (d_other^2 - d_own^2) / d(own, other)^2, in a mixture
    the logarithm of the posterior odds, else (d_other - d_own) / max(d_own, d_other).
    """
    model = found.model
    assigner = assigner_of(model)
    match hold_kind(model.algorithm, model.metric):
        case "margin":
            margin: Clearance = PrototypeMargin(assigner, model.arrays["prototypes"], model.metric)
            return margin
        case "odds":
            return MixtureOdds(assigner, model.arrays).logarithms
        case _:
            return _relative_clearance(assigner)


def _relative_clearance(
    assigner: Assigner,
) -> Callable[[Sequence[Floats], Labels, Labels], Numbers]:
    def clearance(columns: Sequence[Floats], own: Labels, other: Labels) -> Numbers:
        to_own, to_other = assigner.distances(columns, own), assigner.distances(columns, other)
        farther = np.maximum(to_own, to_other)
        # On core points of both segments at once, nothing speaks for either.
        cleared: Numbers = (to_other - to_own) / np.where(farther > 0.0, farther, 1.0)
        return cleared

    return clearance
