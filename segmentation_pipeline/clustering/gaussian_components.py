"""Gaussian components: how probable each is for a row, and new rows drawn from them.

What belongs here: the density of a mixture, as arithmetic that has one result for each row. How
one is fitted belongs to `mixture`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigned, Floats
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.errors import ClusteringError

# The columns of a block stay in the cache; far fewer rows would cost more in calls than in sums.
_BLOCK_VALUES = 1 << 16
_FEWEST_BLOCK_ROWS = 1 << 10


class GaussianComponents:
    """Components of a Gaussian mixture: a row belongs to the one that is most probable for it.

    `arrays` hold `weights` (k,), `means` (k, d) and `precisions_cholesky` (k, d, d), upper
    triangular: U with (x - m)' U U' (x - m) = Mahalanobis distance squared, whatever the shape of
    the covariance. The density of a component is log w + log |U| - (d log 2 pi + distance^2) / 2.

    `probability` is the posterior of the own component, the distance is Mahalanobis's to it, the
    margin the posterior of the own less that of the runner-up: 0 on the border between the two.
    Of equally probable components the lowest label counts. Nobody is noise.

    Sums run over features and components in their order, in float64; entries of U that are 0 are
    left out. A row that is not finite gets a distance that isn't, either; the caller decides.

    Raises ClusteringError for arrays that don't go together, or give no density.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._weights, self._means, self._factors = (
            np.asarray(arrays[name], dtype=np.float64)
            for name in ("weights", "means", "precisions_cholesky")
        )
        shape = self._means.shape
        if (
            len(shape) != 2
            or 0 in shape
            or self._weights.shape != shape[:1]
            or self._factors.shape != (*shape, shape[-1])
        ):
            raise ClusteringError(
                f"{self._weights.shape} weights, means of the shape {shape} and precisions of "
                f"{self._factors.shape} are no mixture: they have to be (k,), (k, d) and (k, d, d)"
            )
        diagonals = np.einsum("kii->ki", self._factors)
        is_density = (
            np.isfinite(self._means).all()
            and np.isfinite(self._factors).all()
            and np.isfinite(self._weights).all()
            and (self._weights > 0.0).all()
            and (diagonals > 0.0).all()
            and not np.tril(self._factors, -1).any()
        )
        if not is_density:
            raise ClusteringError(
                "the components are no densities: weights and diagonals of the precisions' "
                "factors have to be positive, all numbers finite, and nothing below a diagonal"
            )
        logs = np.log(self._weights) + np.log(diagonals).sum(axis=1)
        self._constants: list[float] = (logs - shape[1] * math.log(2.0 * math.pi) / 2.0).tolist()

    @property
    def segments(self) -> int:
        """The number of components."""
        return len(self._means)

    def query(self, columns: Sequence[Floats]) -> Assigned:
        """Assign rows to their most probable component."""
        rows = len(columns[0])
        own, runner_up = np.empty((2, rows), np.int32)
        distance, probability, margin = np.empty((3, rows))
        for block in self._blocks(rows):
            squared, densities = self._densities([column[block] for column in columns])
            own[block], runner_up[block] = _two_largest(densities)
            with np.errstate(invalid="ignore"):
                each = np.exp(densities - densities.max(axis=0))
                total = _sum_in_order(each)
                here = np.arange(each.shape[1])
                probability[block] = each[own[block], here] / total
                margin[block] = probability[block] - each[runner_up[block], here] / total
                distance[block] = np.sqrt(squared[own[block], here])
        if self.segments == 1:
            margin = np.full(rows, np.nan)
        return Assigned(own, runner_up, distance, margin, probability)

    nearest = query

    def distances(
        self, columns: Sequence[Floats], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Mahalanobis distance (n,) of rows to the components of their labels."""
        found = np.empty(len(labels))
        for block in self._blocks(len(labels)):
            part, chosen = [column[block] for column in columns], labels[block]
            for label in np.unique(chosen):
                members = np.flatnonzero(chosen == label)
                squared = self._squared([column[members] for column in part], int(label))
                found[block.start + members] = np.sqrt(squared)
        return found

    def log_likelihoods(self, columns: Sequence[Floats]) -> NDArray[np.float64]:
        """Logarithm of the mixture's density (n,) at each row."""
        found = np.empty(len(columns[0]))
        for block in self._blocks(len(found)):
            _, densities = self._densities([column[block] for column in columns])
            largest = densities.max(axis=0)
            with np.errstate(invalid="ignore"):
                found[block] = largest + np.log(_sum_in_order(np.exp(densities - largest)))
        return found

    def draw(self, rows: int, seed: int) -> tuple[Matrix, Labels]:
        """New rows (n, d) from the mixture, and the component (n,) that each was drawn from."""
        from scipy.linalg import solve_triangular

        rng = np.random.default_rng(seed)
        labels = rng.choice(self.segments, rows, p=self._weights / self._weights.sum())
        points = rng.standard_normal((rows, self._means.shape[1]))
        for label in range(self.segments):
            # The covariance is U'^-1 U^-1: U'^-1 z has it, where z has the identity.
            chosen = labels == label
            spread = solve_triangular(self._factors[label], points[chosen].T, trans="T").T
            points[chosen] = self._means[label] + spread
        return points, labels.astype(np.intp)

    def _densities(self, columns: Sequence[Floats]) -> tuple[Matrix, Matrix]:
        """Squared distance to each component (k, n), and the logarithm of its part (k, n)."""
        squared = np.empty((self.segments, len(columns[0])))
        for label in range(self.segments):
            squared[label] = self._squared(columns, label)
        return squared, np.array(self._constants)[:, np.newaxis] - squared / 2.0

    def _squared(self, columns: Sequence[Floats], label: int) -> NDArray[np.float64]:
        total, projected, product = np.zeros((3, len(columns[0])))
        with np.errstate(over="ignore", invalid="ignore"):
            centred = [
                np.subtract(column, mean, dtype=np.float64)
                for column, mean in zip(columns, self._means[label].tolist(), strict=True)
            ]
            for feature, factors in enumerate(self._factors[label].T.tolist()):
                np.multiply(centred[feature], factors[feature], out=projected)
                for deviation, factor in zip(centred[:feature], factors, strict=False):
                    if factor != 0.0:
                        np.multiply(deviation, factor, out=product)
                        np.add(projected, product, out=projected)
                np.multiply(projected, projected, out=projected)
                np.add(total, projected, out=total)
        return total

    def _blocks(self, rows: int) -> Iterator[slice]:
        step = max(_FEWEST_BLOCK_ROWS, _BLOCK_VALUES // self._means.shape[1])
        return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def sample(arrays: Mapping[str, NDArray[Any]], rows: int, seed: int) -> tuple[Matrix, Labels]:
    """New rows (n, d) from a fit or model of a mixture, and the segment (n,) of each."""
    return GaussianComponents(arrays).draw(rows, seed)


def _two_largest(densities: Matrix) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Components (n,) of the largest and second largest of each column, ties to the lowest."""
    rows = densities.shape[1]
    own, runner_up = np.zeros(rows, np.int32), np.full(rows, -1, np.int32)
    first, second = densities[0].copy(), np.full(rows, -np.inf)
    for label in range(1, len(densities)):
        density = densities[label]
        is_first, is_second = density > first, (density > second) | (runner_up < 0)
        runner_up = np.where(is_first, own, np.where(is_second, np.int32(label), runner_up))
        second = np.where(is_first, first, np.where(is_second, density, second))
        own = np.where(is_first, np.int32(label), own)
        first = np.where(is_first, density, first)
    return own, runner_up


def _sum_in_order(parts: Matrix) -> NDArray[np.float64]:
    """Sum (n,) over the first axis, one part after the other."""
    total: NDArray[np.float64] = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total
