"""Apply a preparation in memory: what the generated SELECT does, for samples that are no table.

The statistics of structure prepare some hundred sets of customers that nobody is. What is scored
goes through the SELECT, and a test holds both together.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.features.encoding import look_up
from segmentation_pipeline.features.preparation import IS_MISSING, Preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.transform import bounds_in_reach

Numbers = NDArray[np.float64]

Components = Mapping[str | None, Numbers]
"""Component of a feature -> x, shape (n,), NaN where missing; the component of a number is None."""


def apply_preparation(preparation: Preparation, sample: FeatureSample) -> Numbers:
    """Make the matrix of a sample, shape (n, columns of the preparation), finite.

    It is what `feature_matrix_sql` selects as `preparation.column_names`, before the rounding to
    FLOAT; logarithms may differ in their last bit.
    """
    lookups = preparation.lookups
    transforms = {row.feature: row.transform for row in preparation.scalings}
    return scale_components(
        preparation,
        {
            feature: look_up(lookups[feature], sample.values[feature])[0]
            if feature in lookups
            else {None: transformed(sample.values[feature], transform)}
            for feature, transform in transforms.items()
        },
    )


def transformed(values: Numbers, transform: Literal["none", "log1p"]) -> Numbers:
    """Transform numbers as the generated SELECT does; a negative one has no logarithm."""
    if transform == "none":
        return values
    # DuckDB has no log1p: ln(1 + x) on both sides.
    logarithms: Numbers = np.log(1.0 + np.where(values >= 0, values, np.nan))
    return logarithms


def scale_components(preparation: Preparation, components: Mapping[str, Components]) -> Numbers:
    """Fill, clip, centre, scale and weight; feature -> components, as of `apply_preparation`."""
    columns = []
    for row in preparation.scalings:
        found = components[row.feature]
        if row.component == IS_MISSING:
            # A category without a vector lacks all of its components.
            x = np.isnan(next(iter(found.values()))).astype(np.float64)
        else:
            x = found[row.component]
            x = np.where(np.isnan(x), row.fill, x)
        lower, upper = bounds_in_reach(row)
        if lower is not None:
            x = np.maximum(x, lower)
        if upper is not None:
            x = np.minimum(x, upper)
        columns.append(row.weight * (x - row.centre) / row.spread)
    matrix: Numbers = np.column_stack(columns)
    return matrix
