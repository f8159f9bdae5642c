"""Segments that are held up by core points: the nearest one says whose segment a row is.

What belongs here: the arithmetic of assigning rows to dense places, for every family that finds
them. How they are found belongs to `density` and the families.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE, Assigned, Floats
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.structure.raw_features import Matrix
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Metric

# A block's coordinates and distances stay in the cache, and memory doesn't follow the rows.
_BLOCK_ROWS = 1 << 13
# A box this much farther than the second nearest segment is so beyond all rounding.
_CLEARLY = 1.0 + 1e-9


class _TwoNearest(NamedTuple):
    own: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    distance: NDArray[np.float64]
    other_distance: NDArray[np.float64]


class CorePoints:
    """Core points (m, d), the segment of each, and how far each segment reaches.

    `arrays` hold `core_points` (m, d), rows of the matrix, `core_labels` (m,), 0 to k - 1, and
    `reaches` (k,) in the units of the metric. A row belongs to the segment of the core point that
    is nearest (of equally near ones the lowest label), if that segment reaches so far; else it is
    noise. Its runner-up is the nearest other segment, the margin 1 - d_own / d_runner_up: 0 on the
    border between the two, 1 on a core point.

    Distances are those of k-d trees, one for each segment, which are asked for each row alone. For
    cosine they are chords between rows of length 1: they order rows alike.

    Raises ClusteringError for arrays that don't go together, or are not finite.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], similarity: Similarity) -> None:
        from scipy.spatial import cKDTree

        points, labels = arrays["core_points"], arrays["core_labels"]
        self._reaches = np.asarray(arrays["reaches"], dtype=np.float64)
        known = np.arange(len(self._reaches))
        if (
            points.ndim != 2
            or labels.shape != points.shape[:1]
            or not np.array_equal(np.unique(labels), known)
            or not len(known)
        ):
            raise ClusteringError(
                f"core points of the shape {points.shape}, labels of {labels.shape} and "
                f"{len(known)} reaches: each segment needs core points and a reach"
            )
        if not (np.isfinite(points).all() and np.isfinite(self._reaches).all()):
            raise ClusteringError("a core point is not finite: the model cannot assign anyone")
        self._similarity = similarity
        coordinates = similarity.rows(np.asarray(points, dtype=np.float64))
        members = [coordinates[labels == label] for label in known]
        # Half the time of the default from 10 features on; 6 us a row for 3,000 core points there.
        self._trees = [cKDTree(m, leafsize=64, balanced_tree=False) for m in members]
        self._boxes = [(member.min(axis=0), member.max(axis=0)) for member in members]

    @property
    def segments(self) -> int:
        """The number of segments."""
        return len(self._trees)

    def query(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows; whom no segment reaches is noise.

        A row that is not finite is noise at a distance of NaN; the caller decides.
        """
        found = self._two_nearest(columns)
        is_noise = ~(found.distance <= self._reaches[found.own])
        return Assigned(
            own=np.where(is_noise, np.int32(NOISE), found.own),
            # Of noise, the next best segment is the nearest one.
            runner_up=np.where(is_noise, found.own, found.runner_up),
            distance=found.distance,
            margin=np.where(is_noise, np.nan, _margin(found)),
        )

    def nearest(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows, however far they are."""
        found = self._two_nearest(columns)
        return Assigned(found.own, found.runner_up, found.distance, _margin(found))

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Distance (n,) to the nearest core point of the segment of each label."""
        found = np.empty(len(labels))
        for block in _blocks(len(labels)):
            points, is_finite = self._points([column[block] for column in columns])
            part = np.full(len(points), np.nan)
            for label, tree in enumerate(self._trees):
                chosen = is_finite & (labels[block] == label)
                part[chosen] = self._ask(tree, points[chosen])
            found[block] = part
        return from_tree(self._similarity, found)

    def _two_nearest(self, columns: Sequence[Floats]) -> _TwoNearest:
        rows = len(columns[0])
        own, runner_up = np.empty((2, rows), np.int32)
        first, second = np.empty((2, rows))
        for block in _blocks(rows):
            points, is_finite = self._points([column[block] for column in columns])
            found = self._search(points)
            own[block], runner_up[block] = found.own, found.runner_up
            first[block] = np.where(is_finite, found.distance, np.nan)
            second[block] = found.other_distance
        return _TwoNearest(
            own, runner_up, from_tree(self._similarity, first), from_tree(self._similarity, second)
        )

    def _search(self, points: Matrix) -> _TwoNearest:
        """The two nearest segments of each point, and their distances in the trees."""
        rows = len(points)
        own, runner_up = np.full((2, rows), -1, np.int32)
        first, second = np.full((2, rows), np.inf)
        for label, (tree, box) in enumerate(zip(self._trees, self._boxes, strict=True)):
            # A segment whose box is beyond the second nearest so far is none of the two.
            asked = np.flatnonzero(self._box_distance(points, *box) <= second * _CLEARLY)
            distance = np.full(rows, np.inf)
            distance[asked] = self._ask(tree, points[asked])
            is_first, is_second = distance < first, distance < second
            runner_up = np.where(is_first, own, np.where(is_second, np.int32(label), runner_up))
            second = np.where(is_first, first, np.where(is_second, distance, second))
            own = np.where(is_first, np.int32(label), own)
            first = np.where(is_first, distance, first)
        # Too far from everyone to be squared: an infinite distance, and any label.
        return _TwoNearest(np.maximum(own, 0), runner_up, first, second)

    def _points(self, columns: Sequence[Floats]) -> tuple[Matrix, NDArray[np.bool_]]:
        points = np.column_stack(self._similarity.coordinates(columns)).astype(np.float64)
        is_finite: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
        # A tree refuses the whole call for one value that is not finite.
        points[~is_finite] = 0.0
        return points, is_finite

    def _ask(self, tree: Any, points: Matrix) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = tree.query(points, p=self._similarity.exponent)[0]
        return distances

    def _box_distance(self, points: Matrix, low: Matrix, high: Matrix) -> NDArray[np.float64]:
        powers = np.empty(len(points))
        columns = list(points.T)
        # The place in the box that is nearest to each point.
        inside = (
            np.clip(column, *limits)
            for column, limits in zip(columns, zip(low, high, strict=True), strict=True)
        )
        self._similarity.sum_powers(columns, inside, powers)
        return in_tree(self._similarity, self._similarity.distance(powers))


def from_tree(similarity: Similarity, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of the metric, from those of a tree: of a chord c, 1 - cos is c^2 / 2."""
    return distances * distances / 2.0 if similarity.metric == "cosine" else distances


def in_tree(similarity: Similarity, distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances in a tree, of distances of the metric."""
    return np.sqrt(2.0 * distances) if similarity.metric == "cosine" else distances


def kept(similarity: Similarity) -> Mapping[str, JSON]:
    """Parameters that a model keeps of its metric, beside the name."""
    return {} if similarity.p is None else {"minkowski_p": similarity.p}


def similarity_of(metric: Metric, parameters: Mapping[str, JSON]) -> Similarity:
    """Similarity of a fit or a model, with the exponent it was fitted with."""
    p = parameters.get("minkowski_p")
    return Similarity(metric, p if isinstance(p, int | float) else None)


def _margin(found: _TwoNearest) -> NDArray[np.float64]:
    has_runner_up = np.isfinite(found.other_distance)
    # On core points of two segments at once, the row is on their border.
    is_between = found.other_distance == 0.0
    ratio = found.distance / np.where(has_runner_up & ~is_between, found.other_distance, np.nan)
    return np.where(is_between, 0.0, 1.0 - ratio)


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _BLOCK_ROWS) for start in range(0, rows, _BLOCK_ROWS)]
