"""What assigns customers in `assignment`: a model of each family, and scikit-learn's way with it.

Both have the same prototypes, components, network or core points; theirs takes rows (n, d) float32
and gives labels (n,), -1 for noise.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.families import families_of
from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.specification.clustering import Clustering

Matrix = NDArray[np.floating[Any]]
Predict = Callable[[Matrix], NDArray[np.integer[Any]]]


class Contender(NamedTuple):
    """A family with its settings, and what scikit-learn has for it."""

    settings: Mapping[str, Any]
    their_name: str
    theirs: Callable[[SegmentModel, int], Predict]

    @property
    def name(self) -> str:
        """What the table calls it."""
        metric = self.settings.get("metric", "euclidean")
        return f"{self.settings['algorithm']}, {metric}"


def fitted(contender: Contender, training: Matrix, segments: int) -> SegmentModel:
    """The family's model of training rows, by its fit that is nearest to a number of segments."""
    (family,) = families_of(Clustering.model_validate(contender.settings), [segments])
    fits = family.fit(training, seed=0, workers=2)
    fit = min(fits, key=lambda one: abs(one.segments - segments))
    assigner = family.assigner(fit.arrays, fit.parameters)
    names = [f"f{i}" for i in range(training.shape[1])]
    return make_model(fit, assigner, training, names, {}, workers=2)


def k_means(model: SegmentModel, threads: int = 1) -> Predict:  # noqa: ARG001 -- OpenMP knows
    return k_means_of(model.arrays["prototypes"]).predict


def k_means_of(prototypes: Matrix) -> Any:
    """scikit-learn's KMeans with these centres, float32 as the rows are."""
    from sklearn.cluster import KMeans

    centres = prototypes.astype(np.float32)
    found = KMeans(len(centres), init=centres, n_init=1, max_iter=1).fit(centres)
    found.cluster_centers_ = centres
    return found


def k_means_on_unit_rows(model: SegmentModel, threads: int) -> Predict:
    from sklearn.preprocessing import normalize

    predict = k_means(model, threads)
    return lambda rows: predict(normalize(rows))


def nearest_by_manhattan(model: SegmentModel, threads: int) -> Predict:  # noqa: ARG001
    from sklearn.metrics import pairwise_distances_argmin

    prototypes = model.arrays["prototypes"].astype(np.float32)
    return lambda rows: pairwise_distances_argmin(rows, prototypes, metric="manhattan")


def mixture(model: SegmentModel, threads: int) -> Predict:  # noqa: ARG001 -- BLAS knows
    from sklearn.mixture import GaussianMixture

    means = model.arrays["means"]
    some = np.concatenate([means, means + 1.0])
    found = GaussianMixture(len(means), reg_covar=1.0, max_iter=200).fit(some)
    found.weights_, found.means_ = model.arrays["weights"], means
    found.precisions_cholesky_ = model.arrays["precisions_cholesky"]
    return lambda rows: found.predict_proba(rows).argmax(axis=1)


def network(model: SegmentModel, threads: int) -> Predict:
    """MLPRegressor gives its output only: its hidden layers are computed as it does."""
    layers = [
        [model.arrays[f"{part}_{kind}"].astype(np.float32) for kind in ("weights", "biases")]
        for part in ("encoder_0", "encoder_1", "whitening")
    ]
    predict = k_means(model, threads)

    def labels(rows: Matrix) -> NDArray[np.integer[Any]]:
        for weights, biases in layers[:2]:
            rows = np.tanh(rows @ weights + biases)
        weights, biases = layers[2]
        return predict(rows @ weights + biases)

    return labels


def core_points(model: SegmentModel, threads: int) -> Predict:
    """Label of the nearest core point, where its segment reaches so far."""
    from sklearn.neighbors import NearestNeighbors

    points, owners, reaches = (
        model.arrays[name] for name in ("core_points", "core_labels", "reaches")
    )
    tree = NearestNeighbors(n_neighbors=1, algorithm="kd_tree", n_jobs=threads).fit(points)

    def labels(rows: Matrix) -> NDArray[np.integer[Any]]:
        distances, places = tree.kneighbors(rows)
        found = owners[places[:, 0]]
        return np.where(distances[:, 0] <= reaches[found], found, -1)

    return labels


CONTENDERS = [
    Contender({"algorithm": "k_means"}, "KMeans.predict", k_means),
    Contender(
        {"algorithm": "k_means", "metric": "cosine"},
        "normalize + KMeans.predict",
        k_means_on_unit_rows,
    ),
    Contender(
        {"algorithm": "k_medoids", "metric": "manhattan"},
        "pairwise_distances_argmin",
        nearest_by_manhattan,
    ),
    Contender(
        {"algorithm": "gaussian_mixture", "mixture": {"covariances": ["full"]}},
        "GaussianMixture.predict_proba",
        mixture,
    ),
    Contender({"algorithm": "autoencoder"}, "products of the layers + KMeans.predict", network),
    Contender({"algorithm": "hdbscan"}, "NearestNeighbors of core points", core_points),
    Contender({"algorithm": "dbscan"}, "NearestNeighbors of core points", core_points),
]
