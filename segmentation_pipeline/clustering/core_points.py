"""Segments that are held up by core points: the nearest one says whose segment a row is.

What belongs here: the arithmetic of assigning rows to dense places, for every family that finds
them. How they are found belongs to the families.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE, Assigned, Floats
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import Metric

# A block's coordinates and distances stay in the cache, and memory doesn't follow the rows.
_BLOCK_ROWS = 1 << 13
# A box is farther than the second nearest segment beyond all rounding of either distance.
_CLEARLY = 1.0 + 1e-9


@dataclass(frozen=True)
class TreeMetric:
    """A metric as k-d trees measure it: a p-norm, for cosine on rows of length 1.

    Of rows a and b of length 1, the chord |a - b| is sqrt(2 (1 - cos)), so that both order
    neighbours alike. A row of zeros has no direction and stays where it is: half from every other,
    and 0 from its like.
    """

    metric: Metric
    minkowski_p: float | None = None

    @property
    def exponent(self) -> float:
        """The p of the norm that a tree is asked for."""
        if self.metric == "minkowski":
            if self.minkowski_p is None:
                raise ClusteringError("the metric minkowski needs its exponent, `minkowski_p`")
            return self.minkowski_p
        return 1.0 if self.metric == "manhattan" else 2.0

    def points(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Rows (n, d) as a tree takes them, from one array (n,) for each feature."""
        points = np.empty((len(columns[0]), len(columns)))
        for feature, column in enumerate(columns):
            points[:, feature] = column
        if self.metric == "cosine":
            squared = np.zeros(len(points))
            for column in points.T:
                squared += column * column
            points /= np.sqrt(np.where(squared > 0.0, squared, 1.0))[:, np.newaxis]
        return points

    def distance(self, in_tree: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distances of the metric, from those of a tree."""
        return in_tree * in_tree / 2.0 if self.metric == "cosine" else in_tree

    def in_tree(self, distance: float) -> float:
        """Distance in a tree, of a distance of the metric."""
        return float(np.sqrt(2.0 * distance)) if self.metric == "cosine" else distance


class _TwoNearest(NamedTuple):
    own: NDArray[np.int32]
    runner_up: NDArray[np.int32]
    distance: NDArray[np.float64]
    margin: NDArray[np.float64]


class CorePoints:
    """Core points (m, d), the segment of each, and how far each segment reaches.

    `arrays` hold `core_points` (m, d) as `TreeMetric.points` gives them, `core_labels` (m,) 0 to
    k - 1 and `reaches` (k,) in the units of the metric. A row belongs to the segment of the core
    point that is nearest (of equally near ones the lowest label), if that segment reaches so far;
    else it is noise. Its runner-up is the nearest other segment, the margin 1 - d_own /
    d_runner_up: 0 on the border between the two, 1 on a core point.

    Raises ClusteringError for arrays that don't go together, or are not finite.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], metric: TreeMetric) -> None:
        from scipy.spatial import cKDTree

        points = np.asarray(arrays["core_points"], dtype=np.float64)
        labels = np.asarray(arrays["core_labels"], dtype=np.int32)
        self._reaches = np.asarray(arrays["reaches"], dtype=np.float64)
        expected = np.arange(len(self._reaches))
        if (
            points.ndim != 2
            or 0 in points.shape
            or labels.shape != points.shape[:1]
            or not np.array_equal(np.unique(labels), expected)
        ):
            raise ClusteringError(
                f"core points have the shape {points.shape}, their labels {labels.shape}, and "
                f"there are {len(self._reaches)} reaches: each segment needs core points and a "
                "reach"
            )
        if not (np.isfinite(points).all() and np.isfinite(self._reaches).all()):
            raise ClusteringError("a core point is not finite: the model cannot assign anyone")
        self._metric = metric
        members = [points[labels == label] for label in expected]
        self._trees = [cKDTree(member) for member in members]
        self._boxes = [(member.min(axis=0), member.max(axis=0)) for member in members]

    @property
    def segments(self) -> int:
        """The number of segments."""
        return len(self._trees)

    def query(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows; beyond every reach they are noise.

        A row with a NaN or infinite value is noise at a distance of NaN; the caller decides.
        """
        found = self._two_nearest(columns)
        is_noise = ~(found.distance <= self._reaches[found.own])
        return Assigned(
            own=np.where(is_noise, np.int32(NOISE), found.own),
            # Of noise, the next best segment is the nearest one.
            runner_up=np.where(is_noise, found.own, found.runner_up),
            distance=found.distance,
            margin=np.where(is_noise, np.nan, found.margin),
        )

    def nearest(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows, however far they are."""
        return Assigned(*self._two_nearest(columns))

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
        return self._metric.distance(found)

    def _two_nearest(self, columns: Sequence[Floats]) -> _TwoNearest:
        rows = len(columns[0])
        own, runner_up = np.zeros(rows, np.int32), np.full(rows, -1, np.int32)
        first, second = np.full(rows, np.nan), np.full(rows, np.nan)
        for block in _blocks(rows):
            points, is_finite = self._points([column[block] for column in columns])
            own[block], runner_up[block], first[block], second[block] = self._search(points)
            first[block][~is_finite] = np.nan
        distance, other = self._metric.distance(first), self._metric.distance(second)
        if self.segments == 1:
            margin = np.full(rows, np.nan)
        else:
            margin = 1.0 - distance / np.where(other > 0.0, other, 1.0)
        return _TwoNearest(own, runner_up, distance, margin)

    def _points(
        self, columns: Sequence[Floats]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        with np.errstate(over="ignore", invalid="ignore"):
            points = self._metric.points(columns)
        is_finite = np.isfinite(points).all(axis=1)
        # Trees refuse the whole call for one value that is not finite.
        points[~is_finite] = 0.0
        return points, is_finite

    def _search(
        self, points: NDArray[np.float64]
    ) -> tuple[
        NDArray[np.int32], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]
    ]:
        """The two nearest segments of each point, and their distances in the trees."""
        rows = len(points)
        own, runner_up = np.zeros(rows, np.int32), np.full(rows, -1, np.int32)
        first, second = np.full(rows, np.inf), np.full(rows, np.inf)
        for label, (tree, box) in enumerate(zip(self._trees, self._boxes, strict=True)):
            # A segment whose box is beyond the second nearest so far can't be among the two.
            asked = np.flatnonzero(self._box_distance(points, box) <= second * _CLEARLY)
            distance = np.full(rows, np.inf)
            distance[asked] = self._ask(tree, points[asked])
            is_first, is_second = distance < first, distance < second
            runner_up = np.where(is_first, own, np.where(is_second, np.int32(label), runner_up))
            second = np.where(is_first, first, np.where(is_second, distance, second))
            own = np.where(is_first, np.int32(label), own)
            first = np.where(is_first, distance, first)
        return own, runner_up, first, second

    def _ask(self, tree: Any, points: NDArray[np.float64]) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = tree.query(points, p=self._metric.exponent)[0]
        return distances

    def _box_distance(
        self,
        points: NDArray[np.float64],
        box: tuple[NDArray[np.float64], NDArray[np.float64]],
    ) -> NDArray[np.float64]:
        p = self._metric.exponent
        total = np.zeros(len(points))
        for column, low, high in zip(points.T, *box, strict=True):
            outside = np.maximum(np.maximum(low - column, column - high), 0.0)
            total += outside if p == 1.0 else outside * outside if p == 2.0 else outside**p
        return total if p == 1.0 else np.sqrt(total) if p == 2.0 else total ** (1.0 / p)


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _BLOCK_ROWS) for start in range(0, rows, _BLOCK_ROWS)]
