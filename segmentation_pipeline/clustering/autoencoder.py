"""Autoencoder + K-Means: a network compresses customers, K-Means groups what it makes of them.

Segments that lie along a curved manifold can't be told apart by centroids, but by those of its
coordinates, which an autoencoder finds (Hinton & Salakhutdinov 2006, doi:10.1126/science.1127647).
What belongs here: the family and its assigner. The network belongs to `network` and `training`.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigned, Fit, Floats
from segmentation_pipeline.clustering.kmeans import Partition, fit_partitions
from segmentation_pipeline.clustering.metrics import EUCLIDEAN, count_distinct
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.network import Network
from segmentation_pipeline.clustering.prototypes import nearest_prototypes
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.training import Trained, train_held_out, train_quickly

TRAINING_ROWS = 10_000
"""Rows that a network is trained on; it has a few thousand weights."""
FEWEST_ROWS = 20
"""Fewer rows make no network."""

# A single start may end in a poor minimum, and the error tells.
_NETWORK_STARTS = 4
_REFIT_STARTS = 2
# A night asks for the same hundred resamples once for each number of segments.
_MOST_REMEMBERED = 256


@dataclass(frozen=True)
class AutoencoderFamily:
    """One network, and K-Means on its latent vectors for each number of segments of `ks`.

    A fit has the arrays of `Network` and `prototypes` (k, latent). Its figures are `inertia`, the
    sum of squared latent distances to the own prototype, and `reconstruction_error`, the share of
    held-out rows' variance that the network doesn't reconstruct. Distances and margins are latent
    ones; `starts` are those of K-Means.
    """

    ks: Sequence[int]
    latent: int = 2
    hidden: int = 32
    starts: int = 10
    _remembered: dict[bytes, Matrix] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def algorithm(self) -> Literal["autoencoder"]:
        """Its name in the YAML and in the tables."""
        return "autoencoder"

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit every k for which there are as many distinct rows; `Family.fit` says more.

        The network is trained on the first 10,000 rows; with less than 20 there are no fits.
        """
        if len(matrix) < FEWEST_ROWS:
            return []
        began = time.perf_counter()
        trained = train_held_out(
            matrix[:TRAINING_ROWS],
            latent=self.latent,
            hidden=self.hidden,
            seed=seed,
            starts=_NETWORK_STARTS,
            workers=workers,
        )
        if on_done is not None:
            on_done("network")
        rows = _rows(trained.network, matrix)
        distinct = count_distinct(rows, max(self.ks), EUCLIDEAN)
        ks = [k for k in self.ks if k <= distinct]
        partitions = fit_partitions(
            rows, ks, seed=seed, n_init=self.starts, workers=workers, on_done=on_done
        )
        shared = time.perf_counter() - began - sum(one.seconds for one in partitions)
        each = max(0.0, shared) / max(1, len(partitions))
        return [self._fit(trained, partition, each) for partition in partitions]

    def refits(self, fit: Fit) -> FitPredict:  # noqa: ARG002 -- the settings are the family's
        """Give the function that trains a network from scratch, and groups by the quick K-Means.

        Codes that another start or sample would arrange otherwise are the family's own weakness:
        with the fit's network, or from its weights, refits would not show it. The network has two
        starts instead of four. The one of some rows and a seed is remembered, since it serves every
        number of segments.
        """
        import sklearn.neural_network  # noqa: F401 -- before Workers, see `FitPredict`

        def fit_predict(matrix: Matrix, seed: int, n_clusters: int) -> Labels:
            return kmeans_labels(self._latent_rows(matrix, seed), seed, n_clusters)

        return fit_predict

    def assigner(
        self,
        arrays: Mapping[str, NDArray[Any]],
        parameters: Mapping[str, JSON],  # noqa: ARG002 -- of other families
    ) -> "AutoencoderAssigner":
        """Make the assigner of a fit, or of a model that was read back."""
        return AutoencoderAssigner(Network.from_arrays(arrays), arrays["prototypes"])

    def _fit(self, trained: Trained, partition: Partition, seconds: float) -> Fit:
        segments = len(partition.centroids)
        return Fit(
            algorithm=self.algorithm,
            metric="euclidean",
            segments=segments,
            parameters={"segments": segments, "latent": self.latent, "hidden": self.hidden},
            arrays={**trained.network.arrays(), "prototypes": partition.centroids},
            figures={
                "inertia": partition.inertia,
                "reconstruction_error": trained.reconstruction_error,
            },
            seconds=seconds + partition.seconds,
        )

    def _latent_rows(self, matrix: Matrix, seed: int) -> Matrix:
        content = np.ascontiguousarray(matrix)
        key = hashlib.sha256(content.data).digest() + repr((content.shape, seed)).encode()
        found = self._remembered.get(key)
        if found is None:
            network = train_quickly(
                matrix[:TRAINING_ROWS],
                latent=self.latent,
                hidden=self.hidden,
                seed=seed,
                starts=_REFIT_STARTS,
            )
            found = _rows(network, matrix)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found


class AutoencoderAssigner:
    """Assigns rows to the nearest prototype of their latent vectors; nobody is noise.

    Values of a row depend on it alone, as `Assigner` demands.
    """

    def __init__(self, network: Network, prototypes: NDArray[np.float64]) -> None:
        self._network = network
        self._nearest = nearest_prototypes(prototypes, EUCLIDEAN)

    @property
    def segments(self) -> int:
        """The number of segments."""
        return self._nearest.segments

    def query(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows that are given as one array (n,) for each feature."""
        return self._nearest.query(list(self._network.latent_vectors(columns)))

    nearest = query

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Latent distance (n,) of rows to the prototypes of their labels."""
        return self._nearest.distances(list(self._network.latent_vectors(columns)), labels)

    def latent_vectors(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Latent vectors (n, latent) of rows that are given as one array (n,) for each feature."""
        return self._network.latent_vectors(columns).T

    def reconstruct(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """What the network makes of rows, (n, d), in the unit of the prepared features."""
        return self._network.reconstruct(columns).T

    def reconstruction_errors(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Distance (n,) of rows to their reconstruction, Euclidean, in prepared features."""
        return np.sqrt(self._network.squared_errors(columns))


def _rows(network: Network, matrix: Matrix) -> Matrix:
    return np.ascontiguousarray(network.latent_vectors(list(matrix.T)).T)
