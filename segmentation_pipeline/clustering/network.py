"""The autoencoder's network as plain arrays: rows to latent vectors and back, bit by bit the same.

What belongs here: the forward pass, and the network's way to named arrays and back. How it is
trained belongs to `training`, what is done with latent vectors to `autoencoder`.

A matrix product rounds differently from batch to batch. So every unit adds up its inputs in their
order, in float64, one vectorised operation at a time, and a value depends on its row alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import ClusteringError

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

# A layer's sums and products of a block, 256 kB each, stay in the L2 cache.
_BLOCK_SUMS = 1 << 15


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of units: weights (inputs, units) and biases (units,)."""

    weights: Doubles
    biases: Doubles

    def sums(self, inputs: Sequence[Floats] | Doubles) -> Doubles:
        """Weighted sums of inputs, one array (n,) each, for every unit: (units, n)."""
        total = np.repeat(self.biases[:, np.newaxis], len(inputs[0]), axis=1)
        product = np.empty_like(total)
        for values, weights in zip(inputs, self.weights, strict=True):
            np.multiply(weights[:, np.newaxis], values, out=product)
            np.add(total, product, out=total)
        return total

    def activations(self, inputs: Sequence[Floats] | Doubles) -> Doubles:
        """Hyperbolic tangents of the sums, (units, n)."""
        total = self.sums(inputs)
        return np.tanh(total, out=total)


@dataclass(frozen=True, eq=False)
class Network:
    """Encoder and decoder, two layers each; the units of all but the decoder's last one are tanh.

    What the encoder gives are codes, between -1 and 1. `whitening` makes latent vectors of them,
    which have mean 0 and variance 1 in every direction.
    """

    encoder: tuple[Layer, Layer]
    decoder: tuple[Layer, Layer]
    whitening: Layer

    @property
    def latent(self) -> int:
        """The number of latent dimensions."""
        return len(self.whitening.biases)

    def codes(self, columns: Sequence[Floats]) -> Doubles:
        """Codes of n rows, which are given as one array (n,) for each feature: (latent, n)."""
        found = np.empty((self.latent, len(columns[0])))
        for block in self._blocks(len(columns[0])):
            found[:, block] = self._encode([column[block] for column in columns])
        return found

    def latent_vectors(self, columns: Sequence[Floats]) -> Doubles:
        """Latent vectors of n rows, given as one array (n,) for each feature: (latent, n)."""
        return self.whitening.sums(self.codes(columns))

    def reconstruct(self, columns: Sequence[Floats]) -> Doubles:
        """What the decoder makes of n rows' codes, (d, n), in the unit of the features."""
        hidden, outputs = self.decoder
        found = np.empty((len(outputs.biases), len(columns[0])))
        for block in self._blocks(len(columns[0])):
            codes = self._encode([column[block] for column in columns])
            found[:, block] = outputs.sums(hidden.activations(codes))
        return found

    def squared_errors(self, columns: Sequence[Floats]) -> Doubles:
        """Squared distance (n,) of each row to its reconstruction."""
        total = np.zeros(len(columns[0]))
        for column, reconstructed in zip(columns, self.reconstruct(columns), strict=True):
            difference = column - reconstructed
            total += difference * difference
        return total

    def arrays(self) -> dict[str, Doubles]:
        """Name the arrays, as a model keeps them; `from_arrays` reads them."""
        return {
            f"{part}_{kind}": values
            for part, layer in zip(_PARTS, self._layers(), strict=True)
            for kind, values in (("weights", layer.weights), ("biases", layer.biases))
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Network":
        """Read what `arrays` named; ClusteringError where a part is missing or doesn't fit."""
        missing = [name for part in _PARTS for name in _names(part) if name not in arrays]
        if missing:
            raise ClusteringError(
                f"the model has no array {', '.join(missing)}: it is no autoencoder, or was "
                "damaged; refit the segmentation"
            )
        layers = [Layer(*(arrays[name] for name in _names(part))) for part in _PARTS]
        network = cls((layers[0], layers[1]), (layers[2], layers[3]), layers[4])
        network._check()
        return network

    def _blocks(self, rows: int) -> list[slice]:
        size = max(1, _BLOCK_SUMS // len(self.encoder[0].biases))
        return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]

    def _layers(self) -> list[Layer]:
        return [*self.encoder, *self.decoder, self.whitening]

    def _encode(self, columns: Sequence[Floats]) -> Doubles:
        hidden, codes = self.encoder
        return codes.activations(hidden.activations(columns))

    def _check(self) -> None:
        """Raise ClusteringError unless the layers follow upon each other, and all is finite."""
        *layers, whitening = self._layers()
        shapes = [layer.weights.shape for layer in layers]
        follow = all(one[-1] == other[0] for one, other in pairwise(shapes))
        fit = all(layer.weights.shape[-1:] == layer.biases.shape for layer in self._layers())
        square = (shapes[1][-1], shapes[2][0]) == whitening.weights.shape
        if not (follow and fit and square and shapes[0][0] == shapes[-1][-1]):
            raise ClusteringError(
                f"the network's layers have the shapes {shapes} and don't follow upon each other: "
                "the model was damaged; refit the segmentation"
            )
        if not all(np.isfinite(values).all() for values in self.arrays().values()):
            raise ClusteringError("a weight is not finite: the model cannot assign anyone")


_PARTS = ("encoder_0", "encoder_1", "decoder_0", "decoder_1", "whitening")


def _names(part: str) -> tuple[str, str]:
    return f"{part}_weights", f"{part}_biases"
