"""Which families a segmentation tries, and whose model a model is.

What belongs here: settings of the YAML -> families with their settings, a model -> its assigner.
The families are a module each.
"""

from collections.abc import Callable, Sequence

from segmentation_pipeline.clustering.autoencoder import AutoencoderFamily
from segmentation_pipeline.clustering.dbscan import DBSCAN
from segmentation_pipeline.clustering.family import Assigner, Family, Fit
from segmentation_pipeline.clustering.hdbscan import HDBSCAN
from segmentation_pipeline.clustering.k_means_family import KMeansFamily
from segmentation_pipeline.clustering.k_medoids import KMedoids
from segmentation_pipeline.clustering.metrics import Similarity
from segmentation_pipeline.clustering.mixture import GaussianMixtures
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.specification.clustering import METRICS, Algorithm, Clustering


def families_of(spec: Clustering, ks: Sequence[int]) -> list[Family]:
    """Make the families that a segmentation tries, for these numbers of segments."""
    return [_MAKERS[algorithm](spec, ks) for algorithm in spec.algorithms]


def similarity_of(spec: Clustering) -> Similarity:
    """Make the metric of a segmentation."""
    return Similarity(spec.metric, spec.minkowski_p)


def family_of(spec: Clustering, model: SegmentModel) -> Family:
    """Make the family of a model that was fitted under a segmentation's settings.

    Raises ClusteringError for a model of rules, which no family fits.
    """
    maker = next((m for name, m in _MAKERS.items() if name == model.algorithm), None)
    if maker is None:
        raise _no_family(model)
    return maker(spec, [segments_of(model)])


def fit_of(model: SegmentModel) -> Fit:
    """See a model as the fit that it was made from, as far as refits need it."""
    algorithm: Algorithm = next(name for name in _MAKERS if name == model.algorithm)
    return Fit(
        algorithm=algorithm,
        metric=next(name for name in METRICS[algorithm] if name == model.metric),
        segments=segments_of(model),
        parameters=model.parameters,
        arrays=model.arrays,
        figures={},
        seconds=0.0,
    )


def assigner_of(model: SegmentModel) -> Assigner:
    """Make the assigner of a model: it needs the metric, and no other setting of its time.

    Raises ClusteringError for a model of rules, which has no distances.
    """
    if model.algorithm not in _MAKERS:
        raise _no_family(model)
    settings: dict[str, str] = {"algorithm": model.algorithm, "metric": model.metric}
    if model.metric == "minkowski":
        settings["minkowski_p"] = str(model.parameters["minkowski_p"])
    family = family_of(Clustering.model_validate(settings), model)
    return family.assigner(model.arrays, model.parameters)


def segments_of(model: SegmentModel) -> int:
    """Tell the number of a model's segments, noise not counted."""
    return int(str(model.parameters["segments"]))


def _no_family(model: SegmentModel) -> ClusteringError:
    return ClusteringError(
        f"a model of {model.algorithm} has no distances and no assigner: its predicates are SQL. "
        "Assign customers with `assigning.assigned_customers`, which has DuckDB apply them, or fit "
        f"another algorithm ({', '.join(_MAKERS)})"
    )


def _k_means(spec: Clustering, ks: Sequence[int]) -> Family:
    return KMeansFamily(
        ks, starts=spec.starts, metric="cosine" if spec.metric == "cosine" else "euclidean"
    )


def _k_medoids(spec: Clustering, ks: Sequence[int]) -> Family:
    return KMedoids(
        ks,
        starts=spec.starts,
        metric=spec.metric,
        p=spec.minkowski_p,
        rows=spec.pairwise_customers,
    )


def _dbscan(spec: Clustering, ks: Sequence[int]) -> Family:  # noqa: ARG001 -- it finds its own
    return DBSCAN(
        metric=spec.metric,
        p=spec.minkowski_p,
        rows=spec.pairwise_customers,
        radius=spec.density.radius,
        neighbours=spec.density.neighbours,
        smallest_share=spec.smallest_share or 0.01,
    )


def _hdbscan(spec: Clustering, ks: Sequence[int]) -> Family:  # noqa: ARG001 -- it finds its own
    return HDBSCAN(
        metric=spec.metric,
        p=spec.minkowski_p,
        rows=spec.pairwise_customers,
        neighbours=spec.density.neighbours,
        smallest_share=spec.smallest_share or 0.01,
    )


def _gaussian_mixture(spec: Clustering, ks: Sequence[int]) -> Family:
    return GaussianMixtures(
        ks,
        covariances=tuple(spec.mixture.covariances),
        regularisation=spec.mixture.regularisation,
        starts=spec.starts,
    )


def _autoencoder(spec: Clustering, ks: Sequence[int]) -> Family:
    return AutoencoderFamily(
        ks,
        latent=spec.autoencoder.latent,
        hidden=spec.autoencoder.hidden,
        starts=spec.starts,
    )


_MAKERS: dict[Algorithm, Callable[[Clustering, Sequence[int]], Family]] = {
    "k_means": _k_means,
    "k_medoids": _k_medoids,
    "gaussian_mixture": _gaussian_mixture,
    "autoencoder": _autoencoder,
    "hdbscan": _hdbscan,
    "dbscan": _dbscan,
}
