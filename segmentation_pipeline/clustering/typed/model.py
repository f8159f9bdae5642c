"""What typing needs at night, and its way into the arrays and parameters of a segment model.

It is kept with the model whose segments it was learned from: under one digest, and replaced,
promoted and rolled back with it.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.model import JSON, SegmentModel
from segmentation_pipeline.clustering.network import Floats, Layer
from segmentation_pipeline.clustering.typed.judging import Assessment, Figures
from segmentation_pipeline.features.preparation import Preparation

LEAST_PROBABILITY = 0.6
"""Below this probability of the likeliest segment, a customer's segment is unknown."""

_PARAMETER = "typing"
_ARRAYS = ("typing_classes", "typing_weights", "typing_biases")
# So many probabilities at once: 32 MB.
_MOST_NUMBERS = 1 << 22

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TypingModel:
    """Multinomial logistic regression: P(class) is proportional to exp(bias + columns . weights).

    `classes` (k,) int32 are labels of the segment model, noise among them where it can be told;
    `weights` (d, k) are of the columns of `preparation`, `biases` (k,).
    """

    preparation: Preparation
    classes: NDArray[np.int32]
    weights: Numbers
    biases: Numbers

    def probabilities(self, columns: Sequence[Floats]) -> Numbers:
        """Compute the probability of each class, (n, k), of rows given as one array per column.

        Each value depends on its row alone, not on the other rows of the call.
        """
        layer, rows = Layer(self.weights, self.biases), len(columns[0])
        found = np.empty((rows, len(self.classes)))
        step = max(_MOST_NUMBERS // len(self.classes), 1)
        for start in range(0, rows, step):
            part = slice(start, start + step)
            powers = layer.sums([column[part] for column in columns])
            powers = np.exp(powers - powers.max(axis=0))
            total = np.zeros(powers.shape[1])
            for power in powers:
                total += power
            found[part] = (powers / total).T
        return found


@dataclass(frozen=True, eq=False)
class Typed:
    """What was learned and how well it does; `model` is None where typing was refused."""

    model: TypingModel | None
    assessment: Assessment


def with_typing(model: SegmentModel, typed: Typed | None) -> SegmentModel:
    """Put what was learned into a segment model, in the place of what it knew of typing before."""
    arrays = {name: array for name, array in model.arrays.items() if name not in _ARRAYS}
    parameters = {key: value for key, value in model.parameters.items() if key != _PARAMETER}
    if typed is not None:
        kept: dict[str, JSON] = {"assessment": json.loads(json.dumps(asdict(typed.assessment)))}
        if typed.model is not None:
            learned = typed.model
            arrays |= dict(
                zip(_ARRAYS, (learned.classes, learned.weights, learned.biases), strict=True)
            )
            kept["preparation"] = learned.preparation.to_json()
        parameters[_PARAMETER] = kept
    return replace(model, arrays=arrays, parameters=parameters)


def typing_of(model: SegmentModel) -> Typed | None:
    """Read what `with_typing` put there; None where the model knows nothing of typing."""
    kept = model.parameters.get(_PARAMETER)
    if not isinstance(kept, dict):
        return None
    told = dict(kept["assessment"])
    figures = {
        name: Figures(**told[name]) if told[name] is not None else None
        for name in ("plain", "weighted")
    }
    assessment = Assessment(**{**told, **figures})
    if "preparation" not in kept:
        return Typed(None, assessment)
    learned = TypingModel(
        Preparation.from_json(kept["preparation"]), *(model.arrays[name] for name in _ARRAYS)
    )
    return Typed(learned, assessment)
