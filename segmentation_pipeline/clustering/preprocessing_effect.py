"""What preparation did: the same customers, segmented as declared and prepared otherwise.

It is a demonstration and decides nothing: features in their own units usually leave one of them to
make the segments alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.kmeans import fit_partitions
from segmentation_pipeline.clustering.metrics import count_distinct
from segmentation_pipeline.clustering.silhouette import silhouette_widths
from segmentation_pipeline.features.applying import apply_preparation
from segmentation_pipeline.features.distance_share import distance_shares
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.scaling import FittedScaling, fit_scaling
from segmentation_pipeline.specification.segmentation import SegmentationSpec

Matrix = NDArray[np.float64]
VariantName = Literal["as declared", "without scaling", "without transforms"]

MOST_CUSTOMERS = 5_000
_STARTS = 10

PREPROCESSING_SCHEMA = pa.schema(
    {
        "variant": pa.string(),
        "segments": pa.int32(),
        "sampled_customers": pa.int64(),
        "examined_date": pa.date32(),
        "silhouette": pa.float64(),
        "smallest_share": pa.float64(),
        "agreement": pa.float64(),
        "leading_feature": pa.string(),
        "leading_share": pa.float64(),
    }
)


@dataclass(frozen=True, eq=False)
class PreparedVariant:
    """K-Means of customers who were prepared in one way.

    `matrix` (n, d) are the customers so prepared, `labels` (n,) their segments, numbered like those
    segments as declared that they share most customers with. `agreement` is the adjusted Rand index
    with the latter.
    """

    name: VariantName
    matrix: Matrix
    labels: NDArray[np.int32]
    silhouette: float | None
    smallest_share: float
    agreement: float
    leading_feature: str
    leading_share: float


def compare_preprocessing(
    preparation: Preparation, sample: FeatureSample, spec: SegmentationSpec, segments: int
) -> list[PreparedVariant]:
    """Segment a sample as declared, without scaling and, where there are any, without transforms.

    K-Means with the same number of segments, whatever family was chosen, so that preparation is
    all that differs. It looks at the first 5,000 customers of `sample`, which has at least one.

    - `without scaling`: encoded, transformed, filled, clipped and weighted, but centre 0, spread 1;
    - `without transforms`: the logarithms undone after filling and clipping, then scaled anew.
    """
    from sklearn.metrics import adjusted_rand_score

    rows = slice(MOST_CUSTOMERS)
    looked_at = FeatureSample(
        sample.customer_ids[rows], {name: values[rows] for name, values in sample.values.items()}
    )
    unscaled = replace(
        preparation,
        scalings=tuple(replace(row, centre=0.0, spread=1.0) for row in preparation.scalings),
    )
    matrices: dict[VariantName, Matrix] = {
        "as declared": apply_preparation(preparation, looked_at),
        "without scaling": apply_preparation(unscaled, looked_at),
    }
    if any(row.transform != "none" for row in preparation.scalings):
        matrices["without transforms"] = _without_transforms(
            preparation, matrices["without scaling"], spec
        )
    features = [row.feature for row in preparation.scalings]
    variants: list[PreparedVariant] = []
    for name, matrix in matrices.items():
        labels = _partition(matrix, segments, spec.clustering.seed)
        declared = variants[0].labels if variants else labels
        shares = distance_shares(matrix, features, "euclidean")
        # Of equal shares the first in the file, whatever rounding left of their equality.
        leading = max(shares, key=lambda feature: round(shares[feature], 9))
        sizes = np.bincount(labels)
        variants.append(
            PreparedVariant(
                name=name,
                matrix=matrix,
                labels=_numbered_like(declared, labels),
                silhouette=float(silhouette_widths(matrix, [labels])[0].mean())
                if len(sizes) > 1
                else None,
                smallest_share=float(sizes.min() / len(labels)),
                agreement=float(adjusted_rand_score(declared, labels)),
                leading_feature=leading,
                leading_share=shares[leading],
            )
        )
    return variants


def preprocessing_rows(variants: Sequence[PreparedVariant]) -> list[dict[str, Any]]:
    """Make a row of `preprocessing_effect` of each variant."""
    return [
        {
            "variant": variant.name,
            "segments": len(np.unique(variant.labels)),
            "sampled_customers": len(variant.labels),
            "silhouette": variant.silhouette,
            "smallest_share": variant.smallest_share,
            "agreement": variant.agreement,
            "leading_feature": variant.leading_feature,
            "leading_share": variant.leading_share,
        }
        for variant in variants
    ]


def _without_transforms(
    preparation: Preparation, unscaled: Matrix, spec: SegmentationSpec
) -> Matrix:
    """Undo the logarithms of an unscaled matrix (n, d), and scale those columns as declared."""
    columns = []
    for row, column in zip(preparation.scalings, unscaled.T, strict=True):
        x = column / row.weight
        centre, spread = row.centre, row.spread
        if row.transform == "log1p" and row.component is None:
            x = np.expm1(x)
            fitted = fit_scaling(x, spec.features[row.feature].scaling or spec.scaling, None, None)
            # A column that doesn't vary in this sample stays as it is: it makes no distance.
            if isinstance(fitted, FittedScaling):
                centre, spread = fitted.centre, fitted.spread
        columns.append(row.weight * (x - centre) / spread)
    return np.column_stack(columns)


def _partition(matrix: Matrix, segments: int, seed: int) -> NDArray[np.int32]:
    """Labels from 0, shape (n,); fewer segments where there are fewer different customers."""
    possible = count_distinct(matrix, segments)
    if possible < 2:
        return np.zeros(len(matrix), dtype=np.int32)
    (partition,) = fit_partitions(matrix, [possible], seed=seed, n_init=_STARTS)
    _, labels = np.unique(partition.labels, return_inverse=True)
    return np.asarray(labels, dtype=np.int32)


def _numbered_like(declared: NDArray[np.int32], labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Renumber labels so that as many customers as possible keep the number they have as declared.

    Where there are more segments than as declared, those left over come after.
    """
    from scipy.optimize import linear_sum_assignment

    size = int(max(declared.max(), labels.max())) + 1
    shared = np.zeros((size, size), dtype=np.int64)
    np.add.at(shared, (labels, declared), 1)
    _, numbers = linear_sum_assignment(shared, maximize=True)
    return np.asarray(numbers[labels], dtype=np.int32)
