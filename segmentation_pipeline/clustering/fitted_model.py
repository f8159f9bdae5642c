"""From a fit to the model that scores every night.

What belongs here: what a model keeps beside the fit, whatever its family: how far its training rows
are from their segments. What a model is, and its way to a folder, belongs to `model`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.assignment import (
    OUTLIER_PERCENTILE,
    distance_slices,
    nearest_segments,
    query_slices,
)
from segmentation_pipeline.clustering.family import Assigner, Fit
from segmentation_pipeline.clustering.model import JSON, SegmentModel
from segmentation_pipeline.clustering.workers import Workers

# The median is what a later night's median distance is held against (drift).
_REFERENCE_PERCENTILES = (50.0, OUTLIER_PERCENTILE)


def make_model(
    fit: Fit,
    assigner: Assigner,
    matrix: NDArray[np.float64],
    feature_names: Sequence[str],
    parameters: Mapping[str, JSON],
    *,
    unclipped: NDArray[np.float64] | None = None,
    workers: int = 1,
) -> SegmentModel:
    """Make the model that nightly scoring uses from a fit and its assigner.

    It keeps the fit's arrays and `distance_percentiles` of the training rows `matrix` (n, d); its
    parameters are `parameters` and the fit's own, with the number of `segments` among them.
    `unclipped` (n, d) are the same rows before their clip bounds.
    """
    return SegmentModel(
        algorithm=fit.algorithm,
        metric=fit.metric,
        feature_names=tuple(feature_names),
        arrays={
            **fit.arrays,
            "distance_percentiles": distance_percentiles(
                assigner, matrix, unclipped=unclipped, workers=workers
            ),
        },
        parameters={**parameters, **fit.parameters, "segments": fit.segments},
    )


def distance_percentiles(
    assigner: Assigner,
    matrix: NDArray[np.float64],
    *,
    unclipped: NDArray[np.float64] | None = None,
    workers: int = 1,
) -> NDArray[np.float64]:
    """Rows of (percentile, distance), (2, 2): the median, and beyond what one is an outlier.

    The distance is the one to the own segment, of noise to the nearest. It is taken over the
    training rows `matrix` (n, d), or over `unclipped` (n, d), the same rows before their clip
    bounds: the outlier flag compares unclipped distances with unclipped ones.
    """
    pool = Workers(workers)
    found = query_slices(assigner.query, list(matrix.T), pool)
    distances = found.distance
    if unclipped is not None:
        labels = nearest_segments(found)
        distances = distance_slices(assigner, list(unclipped.T), labels, pool)
    # "higher" gives a distance that occurs, so that few customers don't make the farthest of them
    # an outlier by interpolation.
    values = np.percentile(distances, _REFERENCE_PERCENTILES, method="higher")
    return np.column_stack((_REFERENCE_PERCENTILES, values))


def outlier_distance(model: SegmentModel) -> float:
    """Distance beyond which a customer of the model is an outlier."""
    reference = dict(model.arrays["distance_percentiles"].tolist())
    return float(reference[OUTLIER_PERCENTILE])
