"""Gaussian mixtures: overlapping segments of any elliptical shape, with probabilities.

The fits are scikit-learn's (EM from starts by k-means++ or K-Means). What is ours: starts on fewer
rows, an order of the components that doesn't depend on the start, and where BIC may be compared.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.gaussian_components import GaussianComponents
from segmentation_pipeline.clustering.metrics import count_distinct
from segmentation_pipeline.clustering.model import JSON
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import Labels, Matrix
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.specification.clustering import Covariance

# A start on 2,000 rows ends within a few iterations of the optimum of 25,000, for a tenth of them.
_START_ROWS = 2_000
_START_ROWS_PER_SEGMENT = 200
_REFIT_STARTS = 3
# Mean log-likelihood of a row, between iterations: where a start, a refit and a fit end.
_START_TOLERANCE = 1e-2
_REFIT_TOLERANCE = 1e-3
_TOLERANCE = 1e-4
# Never met: EM took at most 116 on rows without components; scikit-learn warns at the limit.
_MOST_ITERATIONS = 2_000

_FEW_VALUES = 10
# Of a correlation matrix: the columns' float32 rounding alone leaves 1e-14.
_LEAST_EIGENVALUE = 1e-10

_SCIKIT_LEARN_NAMES: Mapping[Covariance, Literal["full", "tied", "diag", "spherical"]] = {
    "full": "full",
    "tied": "tied",
    "diagonal": "diag",
    "spherical": "spherical",
}


@dataclass(frozen=True)
class GaussianMixtures:
    """A mixture for each number of components of `ks` and each shape of `covariances`.

    Fitted on the first `rows` rows of a matrix, the best of `starts` each; `regularisation` is
    added to every variance. Where a column has fewer than 10 values, only the first of
    `covariances` is fitted, since likelihoods and BIC then compare how closely each shape wraps the
    few values (`comparable_covariances`).

    A fit has the arrays of `GaussianComponents`, the parameters `segments` and `covariance`, and
    `covariance_reason` where shapes were left out. Its figures are `log_likelihood`, the mean of
    the rows, and `bic`, which is missing where columns depend on each other linearly: there the
    regularisation alone gives the density its height.
    """

    ks: Sequence[int]
    covariances: Sequence[Covariance] = ("full", "diagonal")
    regularisation: float = 0.01
    starts: int = 10
    rows: int = 25_000

    @property
    def algorithm(self) -> Literal["gaussian_mixture"]:
        """Its name in the YAML and in the tables."""
        return "gaussian_mixture"

    def fit(
        self,
        matrix: Matrix,
        *,
        seed: int,
        workers: int = 1,
        on_done: Callable[[str], None] | None = None,
    ) -> list[Fit]:
        """Fit every shape with every number of components, in this order; see `Family`.

        A candidate with a component that is the most probable one of no row is left out.
        """
        import sklearn.mixture  # noqa: F401 -- before `Workers` looks for libraries with threads

        rows = matrix[: self.rows]
        distinct = count_distinct(rows, max(self.ks))
        covariances, reason = comparable_covariances(rows, self.covariances)
        pool = Workers(workers)
        (is_independent,) = pool.map(are_independent, [rows])

        def fit_one(job: tuple[Covariance, int]) -> Fit | None:
            covariance, k = job
            began = time.perf_counter()
            fitted = self._fitted(rows, k, covariance, seed, self.starts, _TOLERANCE)
            arrays = in_order_of_size(fitted, rows)
            if arrays is None:
                return None
            likelihood = float(GaussianComponents(arrays).log_likelihoods(list(rows.T)).mean())
            figures = {"log_likelihood": likelihood}
            if is_independent:
                figures["bic"] = bic(likelihood, len(rows), rows.shape[1], k, covariance)
            return Fit(
                algorithm=self.algorithm,
                metric="euclidean",
                segments=k,
                parameters={
                    "segments": k,
                    "covariance": covariance,
                    **({"covariance_reason": reason} if reason else {}),
                },
                arrays=arrays,
                figures=figures,
                seconds=time.perf_counter() - began,
            )

        def tell(job: tuple[Covariance, int]) -> None:
            if on_done is not None:
                on_done(f"{job[1]} components, {job[0]}: best of {self.starts} starts")

        jobs = [(covariance, k) for covariance in covariances for k in self.ks if k <= distinct]
        return [fit for fit in pool.map(fit_one, jobs, tell) if fit is not None]

    def refits(self, fit: Fit) -> FitPredict:
        """Give the function that fits the same number of the same shape, from three starts."""
        import sklearn.mixture  # noqa: F401 -- before `Workers` looks for libraries with threads

        covariance = next(
            name for name in _SCIKIT_LEARN_NAMES if name == fit.parameters["covariance"]
        )

        def fit_predict(matrix: Matrix, seed: int, n_clusters: int) -> Labels:  # noqa: ARG001
            k = count_distinct(matrix, fit.segments)
            if k == 1:
                return np.zeros(len(matrix), dtype=np.intp)
            arrays = self._fitted(matrix, k, covariance, seed, _REFIT_STARTS, _REFIT_TOLERANCE)
            return GaussianComponents(arrays).query(list(matrix.T)).own.astype(np.intp)

        return fit_predict

    def assigner(
        self,
        arrays: Mapping[str, NDArray[Any]],
        parameters: Mapping[str, JSON],  # noqa: ARG002 -- of other families
    ) -> Assigner:
        """Make the assigner of a fit, or of a model that was read back."""
        return GaussianComponents(arrays)

    def _fitted(
        self, rows: Matrix, k: int, covariance: Covariance, seed: int, starts: int, tolerance: float
    ) -> Mapping[str, NDArray[Any]]:
        """The best of some starts on the first rows, run to its end on all."""
        from sklearn.mixture import GaussianMixture

        shape = _SCIKIT_LEARN_NAMES[covariance]
        settings = {
            "n_components": k,
            "covariance_type": shape,
            "reg_covar": self.regularisation,
            "max_iter": _MOST_ITERATIONS,
        }
        first = rows[: max(_START_ROWS, _START_ROWS_PER_SEGMENT * k)]
        if count_distinct(first, k) < k:
            first = rows
        states = np.random.SeedSequence([seed, k]).generate_state(starts).tolist()
        # At k-means++ the shared covariance is that of all rows, and components never part.
        how = "kmeans" if covariance == "tied" else "k-means++"
        tried = [
            GaussianMixture(
                **settings, tol=_START_TOLERANCE, init_params=how, random_state=state
            ).fit(first)
            for state in states
        ]
        best = max(tried, key=lambda fitted: fitted.lower_bound_)
        fitted = GaussianMixture(
            **settings,
            tol=tolerance,
            weights_init=best.weights_ / best.weights_.sum(),
            means_init=best.means_,
            precisions_init=best.precisions_,
        ).fit(rows)
        return {
            "weights": fitted.weights_,
            "means": fitted.means_,
            "precisions_cholesky": full_factors(
                fitted.precisions_cholesky_, covariance, k, rows.shape[1]
            ),
        }


def in_order_of_size(
    arrays: Mapping[str, NDArray[Any]], rows: Matrix
) -> Mapping[str, NDArray[Any]] | None:
    """Components by the rows that they own, most first, then by means; None if one owns none."""
    # By coordinates first, so that a row between two goes to the same one whatever order the fit
    # had left them in.
    means = arrays["means"]
    sorted_arrays = _taken(arrays, np.lexsort(means.T[::-1]))
    own = GaussianComponents(sorted_arrays).query(list(rows.T)).own
    sizes = np.bincount(own, minlength=len(means))
    if not sizes.all():
        return None
    return _taken(sorted_arrays, np.argsort(-sizes, kind="stable"))


def full_factors(
    factors: NDArray[np.float64], covariance: Covariance, k: int, features: int
) -> NDArray[np.float64]:
    """Factors of the precisions as (k, d, d), from scikit-learn's for a shape of covariance."""
    if covariance == "full":
        return factors
    if covariance == "tied":
        return np.broadcast_to(factors, (k, features, features)).copy()
    if covariance == "diagonal":
        return factors[:, :, np.newaxis] * np.eye(features)
    return factors[:, np.newaxis, np.newaxis] * np.eye(features)


def bic(mean_log_likelihood: float, rows: int, features: int, k: int, shape: Covariance) -> float:
    """Bayesian information criterion, lower is better: p log n - 2 log L (Schwarz 1978)."""
    variances = {
        "full": k * features * (features + 1) // 2,
        "tied": features * (features + 1) // 2,
        "diagonal": k * features,
        "spherical": k,
    }[shape]
    parameters = variances + k * features + k - 1
    return parameters * math.log(rows) - 2.0 * rows * mean_log_likelihood


def comparable_covariances(
    rows: Matrix, covariances: Sequence[Covariance]
) -> tuple[Sequence[Covariance], str]:
    """Shapes whose likelihoods may be compared on these rows, and why others may not.

    On a column of few values a component can shrink around one of them, as far as the
    regularisation lets it, and one shape can do so where another can't: the comparison is then
    about the steps of the column. The first shape stays.
    """
    if len(covariances) == 1:
        return covariances, ""
    few = sum(len(np.unique(column)) < _FEW_VALUES for column in rows.T)
    if not few:
        return covariances, ""
    left_out = " and ".join(covariances[1:])
    return covariances[:1], (
        f"{few} of {rows.shape[1]} columns have fewer than {_FEW_VALUES} values, on which shapes "
        f"can't be compared: {left_out} left out"
    )


def are_independent(rows: Matrix) -> bool:
    """Whether no column is a sum of multiples of others and a constant, as one of a one-hot is."""
    centred = rows - rows.mean(axis=0)
    spread = np.sqrt((centred * centred).mean(axis=0))
    # Rounding of the mean leaves a constant column something.
    if (spread <= 1e-12 * np.abs(rows).max(axis=0)).any():
        return False
    standard = centred / spread
    correlations = standard.T @ standard / len(rows)
    return bool(np.linalg.eigvalsh(correlations)[0] > _LEAST_EIGENVALUE)


def _taken(
    arrays: Mapping[str, NDArray[Any]], order: NDArray[np.intp]
) -> Mapping[str, NDArray[Any]]:
    return {name: array[order] for name, array in arrays.items()}
