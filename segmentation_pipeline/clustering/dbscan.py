"""DBSCAN: customers whose neighbourhoods are dense, and whoever is near them.

Ester, Kriegel, Sander & Xu 1996. The definition is scikit-learn's, but for a row that is within the
radius of two segments' core points (it goes to the nearer one, so that a new customer is assigned
by the same rule), and for segments that are too small (noise).
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.core_points import CorePoints, kept, similarity_of
from segmentation_pipeline.clustering.density import (
    CoreArrays,
    canonical_segments,
    connected,
    core_distances,
    default_neighbours,
    labels_of,
    same_segments,
    smallest_size,
)
from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.k_distance import (
    Radius,
    given_radius,
    radii_around_knee,
    radii_beyond,
)
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.specification.clustering import Metric

_MOST_CANDIDATES = 5


@dataclass(frozen=True)
class DBSCAN:
    """DBSCAN at the given radius, or at radii from around the knee of the k-distance curve.

    Fitted on the first `rows` rows of a matrix. `p` belongs to `minkowski`. `radius` is in units of
    the metric; `neighbours` counts oneself (None: `default_neighbours`). A segment has at least
    `smallest_share` of the rows, and `neighbours` of them. A fit has the arrays of `CorePoints` and
    the parameters `radius`, `neighbours`, `core_share` (of the rows with a dense neighbourhood;
    None where the radius was given or lies beyond the curve), `fitted_rows`, and `minkowski_p`
    where there is one.
    """

    metric: Metric = "euclidean"
    p: float | None = None
    rows: int = 4_000
    radius: float | None = None
    neighbours: int | None = None
    smallest_share: float = 0.01

    @property
    def algorithm(self) -> Literal["dbscan"]:
        """Its name in the YAML and in the tables."""
        return "dbscan"

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,  # noqa: ARG002 -- nothing is left to chance
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit at each radius, see `Family`; a fit has at least two segments.

        At the knee customers begin to be far from the others, but it doesn't know where segments
        join. So radii around it and beyond are tried, and `one_of_each_run` picks of them. Of 108
        planted sets on which nothing was chosen (moons, rings, blobs at three levels of noise; 500,
        1,000 and 2,000 customers) 95 had the planted partition among the candidates from around the
        knee alone (adjusted Rand index >= .9 with noise in the nearest segment, every Jaccard >=
        .75): 27, 32 and 36 of 36.
        """
        similarity = Similarity(self.metric, self.p)
        rows = matrix[: self.rows]
        neighbours = self.neighbours or default_neighbours(len(rows))
        if len(rows) < neighbours:
            return []
        began = time.perf_counter()
        dense = _Neighbourhoods(rows, neighbours, self.smallest_share, similarity)
        if self.radius is not None:
            radii = [given_radius(self.radius, similarity)]
        else:
            radii = radii_around_knee(dense.distances, similarity)
            radii += [beyond for last in radii[-1:] for beyond in radii_beyond(last, similarity)]
        shared = (time.perf_counter() - began) / max(1, len(radii))

        def fit_one(radius: Radius) -> tuple[Fit, Labels] | None:
            began = time.perf_counter()
            arrays = dense.segments(radius)
            if arrays is None or len(arrays["reaches"]) < 2:
                return None
            fit = Fit(
                algorithm=self.algorithm,
                metric=self.metric,
                segments=len(arrays["reaches"]),
                parameters={
                    "radius": radius.value,
                    "neighbours": neighbours,
                    "core_share": radius.core_share,
                    "fitted_rows": len(rows),
                    **kept(similarity),
                },
                arrays=arrays,
                figures={},
                seconds=shared + time.perf_counter() - began,
            )
            return fit, labels_of(arrays, rows, similarity)

        def tell(radius: Radius) -> None:
            if on_done is not None:
                on_done(f"radius {radius.value:.3g}")

        return one_of_each_run(Workers(workers).map(fit_one, radii, tell))

    def refits(self, fit: Fit) -> FitPredict:
        """Give the function that fits the same candidate on other rows, see `Family`.

        The radius stays, and neighbours shrink with the rows: what was dense still is. A radius
        from the curve of fewer rows, which lie farther apart, would smooth away narrow valleys: on
        two rings (noise .07) that every resample of 1,500 brought back, both halves found one.
        """
        similarity = similarity_of(self.metric, fit.parameters)
        value, neighbours, fitted_rows = (
            float(str(fit.parameters[name])) for name in ("radius", "neighbours", "fitted_rows")
        )
        radius = given_radius(value, similarity)

        def fit_predict(matrix: Matrix, seed: int, n_clusters: int) -> Labels:  # noqa: ARG001
            rows = matrix[: self.rows]
            scaled = max(2, round(neighbours * len(rows) / fitted_rows))
            dense = _Neighbourhoods(rows, scaled, self.smallest_share, similarity)
            return labels_of(dense.segments(radius), matrix, similarity)

        return fit_predict

    def assigner(
        self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, JSON]
    ) -> Assigner:
        """Make the assigner of a fit, or of a model that was read back."""
        return CorePoints(arrays, similarity_of(self.metric, parameters))


class _Neighbourhoods:
    """Rows and how far their neighbours are: what fits at all radii share."""

    def __init__(
        self, rows: Matrix, neighbours: int, smallest_share: float, similarity: Similarity
    ) -> None:
        self._rows = rows
        self._similarity = similarity
        self._coordinates = similarity.rows(rows)
        self._smallest = smallest_size(len(rows), smallest_share, neighbours)
        self.distances = core_distances(self._coordinates, neighbours, similarity)

    def segments(self, radius: Radius) -> CoreArrays | None:
        """Segments at a radius; None where there are none, or too few rows to be neighbours."""
        if not math.isfinite(radius.in_tree):
            return None
        is_core = self.distances <= radius.in_tree
        return canonical_segments(
            self._rows,
            self._rows[is_core],
            connected(self._coordinates[is_core], radius.in_tree, self._similarity),
            np.full(np.count_nonzero(is_core), radius.value),
            self._smallest,
            self._similarity,
        )


def one_of_each_run(found: Sequence[tuple[Fit, Labels] | None]) -> list[Fit]:
    """One fit of each run of neighbouring radii with the same segments, two thirds up the run.

    The largest radius leaves the fewest customers out, but is about to join segments: a resample
    needs some slack. A run of one radius has none, and counts only where there is no longer one. At
    most five fits, those of the longest runs, of equally long ones the smaller radii.
    """
    runs: list[list[tuple[Fit, Labels]]] = []
    last: tuple[Fit, Labels] | None = None
    for candidate in found:
        if candidate is not None:
            if last is not None and same_segments(last[1], candidate[1]):
                runs[-1].append(candidate)
            else:
                runs.append([candidate])
        last = candidate
    if any(len(run) > 1 for run in runs):
        runs = [run for run in runs if len(run) > 1]
    longest = sorted(range(len(runs)), key=lambda number: -len(runs[number]))[:_MOST_CANDIDATES]
    return [runs[number][2 * (len(runs[number]) - 1) // 3][0] for number in sorted(longest)]
