"""What a family of algorithms is: how it fits customers, and how a fit assigns them.

What belongs here: the shape that every family has. The families themselves are a module each; which
of them a segmentation tries belongs to `families`, which of their fits is taken to `choice`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import NOISE as NOISE
from segmentation_pipeline.specification.clustering import Algorithm, Metric

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Assigned:
    """For n rows: the segment of each, the next best, and how clearly it is so.

    `own` (n,) int32 is `NOISE` where no segment holds the row; `runner_up` (n,) int32 is the next
    best segment (of noise: the nearest one), -1 where there is none. `distance` (n,) float64 is the
    one to the own segment (of noise: to the nearest). `margin` (n,) float64 is 0 on the border to
    the runner-up and 1 where the row is as typical as can be; NaN for noise, and where there is no
    runner-up. `probability` (n,) float64 is that of the own segment, None where the family has
    none.
    """

    own: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    distance: NDArray[np.float64]
    margin: NDArray[np.float64]
    probability: NDArray[np.float64] | None = None


class Assigner(Protocol):
    """Assigns rows to the segments of one fit.

    Each value depends on its row alone: not on the other rows of the call, their order or number,
    nor on threads. So sums run over the features in their order, in float64, one vectorised
    operation at a time; a matrix product rounds differently from batch to batch.
    """

    @property
    def segments(self) -> int:
        """The number of segments; labels are 0 to this, noise not counted."""
        ...

    def query(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows that are given as one array (n,) for each feature, float32 or float64."""
        ...

    def nearest(self, columns: Sequence[Floats]) -> Assigned:
        """Assign as `query`, but noise to the segment nearest to it."""
        ...

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Distance (n,) of rows to the segments of their labels, none of which is noise."""
        ...


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit of a family: all that its assigner needs, and what was noted on the way.

    `parameters` tell it from the family's other fits (`{"segments": 3}`, `{"radius": 0.7}`).
    `arrays` are plain numbers. Segments are numbered by size, largest first, then by coordinates,
    so that neither the start nor the rows' order shows. `figures` are the family's own: `inertia`,
    `bic`, `log_likelihood`, `reconstruction_error`. `seconds` is the time it took.
    """

    algorithm: Algorithm
    metric: Metric
    segments: int
    parameters: Mapping[str, JSON]
    arrays: Mapping[str, NDArray[Any]]
    figures: Mapping[str, float]
    seconds: float


class Family(Protocol):
    """A family of algorithms with its settings, which its constructor takes."""

    @property
    def algorithm(self) -> Algorithm:
        """Its name in the YAML and in the tables."""
        ...

    def fit(
        self,
        matrix: NDArray[np.float64],
        *,
        seed: int,
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit every candidate of the family on a matrix (n, d), finite, rows in hash order.

        Where the family has a budget of rows, it takes the first ones: the order is random. The
        result depends on the rows and the seed, and not on `workers`. A candidate that can't be
        fitted (more segments than distinct rows, a radius that finds nothing) is left out.
        `on_done` gets a phrase after each fit.
        """
        ...

    def refits(self, fit: Fit) -> FitPredict:
        """Give the function that fits the same candidate on other rows, from scratch."""
        ...

    def assigner(
        self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, JSON]
    ) -> Assigner:
        """Make the assigner of a fit, or of a model that was read back."""
        ...
