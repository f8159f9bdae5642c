"""Learn from a sample of customers how features enter the distance.

Everything is computed by numpy in the order of the sample, never by a parallel aggregate, whose
last bits vary from run to run.
"""

import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.applying import transformed
from segmentation_pipeline.features.encoding import VALUE, encode_categories, look_up
from segmentation_pipeline.features.preparation import (
    IS_MISSING,
    EncodingRow,
    Preparation,
    ScalingRow,
    SelectionRow,
    gather_lookups,
)
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.features.scaling import FittedScaling, Numbers, fit_scaling
from segmentation_pipeline.specification.features import FeatureSpec, MissingConstant, Scaling
from segmentation_pipeline.specification.segmentation import SegmentationSpec

MOSTLY_MISSING_SHARE = 0.95
"""A feature that lacks more values than this is kept, and the fact is noted."""
_LONGEST_COLUMN_NAME = 60


@dataclass(frozen=True)
class _Block:
    """The columns of one feature before scaling, and what was seen in it."""

    feature: str
    columns: dict[str | None, Numbers]
    encodings: list[EncodingRow]
    missing_share: float
    distinct_values: int
    unseen_share: float | None


def fit_preparation(sample: FeatureSample, spec: SegmentationSpec) -> Preparation:
    """Fit encodings and scalings of the features that make segments.

    A column without a value, or with one value only, is dropped, and `selection` says so. The
    columns of a feature share its weight: each is multiplied by sqrt(weight / number of columns
    kept), so that under standard scaling a one-hot block has one feature's share of the mean
    squared distance. Equal samples give equal bits.

    Raises PreparationError where no column is left, or a feature looks like an identifier.
    """
    names: set[str] = {"customer_id"}
    encodings: list[EncodingRow] = []
    scalings: list[ScalingRow] = []
    selection: list[SelectionRow] = []
    for name, feature in spec.features.items():
        if feature.use != "clustering":
            continue
        block = _block(name, feature, sample.values[name])
        columns = {component: _column_name(name, component, names) for component in block.columns}
        fitted = {
            component: _fit_column(x, component, feature, spec.scaling)
            for component, x in block.columns.items()
        }
        encodings += block.encodings
        scalings += _scaling_rows(block, feature, columns, fitted)
        selection += _selection_rows(block, columns, fitted)
    if not scalings:
        reasons = "; ".join(f"`{row.feature}`: {row.reason}" for row in selection)
        raise PreparationError(f"no feature is left to make segments by: {reasons}")
    return Preparation(tuple(encodings), tuple(scalings), tuple(selection))


def _block(name: str, feature: FeatureSpec, values: NDArray[Any]) -> _Block:
    columns: dict[str | None, Numbers] = {}
    encodings: list[EncodingRow] = []
    unseen_share = None
    if values.dtype == object:
        encodings = encode_categories(name, feature.encoding, values)
        for lookup in gather_lookups(encodings).values():
            encoded, unseen_share = look_up(lookup, values)
            columns.update(encoded)
        distinct_values = len({value for value in values if value is not None})
    else:
        columns[None] = transformed(values, feature.transform)
        distinct_values = len(np.unique(values[~np.isnan(values)]))
    if not columns:
        columns[None] = np.full(len(values), np.nan)
    # A category without a vector lacks all of its components.
    missing = np.isnan(next(iter(columns.values())))
    if feature.missing == "indicator":
        columns[IS_MISSING] = missing.astype(np.float64)
    missing_share = float(missing.mean()) if len(missing) else 1.0
    return _Block(name, columns, encodings, missing_share, distinct_values, unseen_share)


def _fit_column(
    x: Numbers, component: str | None, feature: FeatureSpec, scaling: Scaling
) -> FittedScaling | str:
    scaling = feature.scaling or scaling
    if component == IS_MISSING:
        return fit_scaling(x, scaling, clip=None, constant=None)
    constant = feature.missing.constant if isinstance(feature.missing, MissingConstant) else None
    return fit_scaling(x, scaling, feature.clip, constant)


def _scaling_rows(
    block: _Block,
    feature: FeatureSpec,
    columns: dict[str | None, str],
    fitted: dict[str | None, FittedScaling | str],
) -> list[ScalingRow]:
    kept = {
        component: scaling
        for component, scaling in fitted.items()
        if isinstance(scaling, FittedScaling)
    }
    return [
        ScalingRow(
            column_name=columns[component],
            feature=block.feature,
            component=component,
            transform=feature.transform,
            centre=scaling.centre,
            spread=scaling.spread,
            lower=scaling.lower,
            upper=scaling.upper,
            fill=scaling.fill,
            weight=math.sqrt(feature.weight / len(kept)),
        )
        for component, scaling in kept.items()
    ]


def _selection_rows(
    block: _Block,
    columns: dict[str | None, str],
    fitted: dict[str | None, FittedScaling | str],
) -> list[SelectionRow]:
    rows = []
    for component, scaling in fitted.items():
        reason = scaling if isinstance(scaling, str) else scaling.note
        if reason is None and block.missing_share > MOSTLY_MISSING_SHARE:
            reason = f"more than {MOSTLY_MISSING_SHARE:.0%} of the customers have no value"
        rows.append(
            SelectionRow(
                feature=block.feature,
                column_name=columns[component],
                is_kept=isinstance(scaling, FittedScaling),
                reason=reason,
                missing_share=block.missing_share,
                distinct_values=block.distinct_values,
                unseen_share=block.unseen_share,
            )
        )
    return rows


def _column_name(feature: str, component: str | None, taken: set[str]) -> str:
    """Name a matrix column `feature` or `feature__component`, unlike all others (and note it).

    The name is lower-case, since DuckDB takes `A` and `a` for one column.
    """
    name = feature
    if component not in (None, VALUE):
        safe = re.sub(r"\W+", "_", str(component).lower()).strip("_")
        name = f"{feature}__{safe or 'category'}"[:_LONGEST_COLUMN_NAME]
    candidate, count = name, 1
    while candidate in taken:
        count += 1
        candidate = f"{name}_{count}"
    taken.add(candidate)
    return candidate
