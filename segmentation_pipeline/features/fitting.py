"""Learn from a sample of customers how features enter the distance.

Everything is computed by numpy in the order of the sample, never by a parallel aggregate, whose
last bits vary from run to run.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.applying import scale_components, transformed
from segmentation_pipeline.features.encoding import VALUE, encode_categories, look_up
from segmentation_pipeline.features.neural import OtherColumn, encode_neurally
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
from segmentation_pipeline.specification.features import (
    FeatureSpec,
    MissingConstant,
    NeuralEncoding,
    Scaling,
)
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

    A column without a value, or with one value only, is dropped, and `selection` says so; but where
    customers are alike in all of them, those with a value stay, so that all are one segment. The
    columns of a feature share its weight: each is multiplied by sqrt(weight / number of columns
    kept), so that under standard scaling a one-hot block has one feature's share of the mean
    squared distance; so has a `block` of features. Equal samples give equal bits.

    Raises PreparationError where no column is left (no value at all, or a single customer), or a
    feature looks like an identifier.
    """
    found = _fitted(sample, spec, keeps_one_value=False)
    if not found.scalings and len(sample.customer_ids) > 1:
        found = _fitted(sample, spec, keeps_one_value=True)
    if not found.scalings:
        reasons = "; ".join(f"`{row.feature}`: {row.reason}" for row in found.selection)
        raise PreparationError(f"no feature is left to make segments by: {reasons}")
    return found


def _fitted(sample: FeatureSample, spec: SegmentationSpec, *, keeps_one_value: bool) -> Preparation:
    names: set[str] = {"customer_id"}
    encodings: list[EncodingRow] = []
    scalings: list[ScalingRow] = []
    selection: list[SelectionRow] = []
    for name, feature in spec.features.items():
        if feature.use != "clustering":
            continue
        block = _block(name, feature, sample, spec)
        columns = {component: _column_name(name, component, names) for component in block.columns}
        fitted = _fit_columns(block, feature, spec.scaling, keeps_one_value=keeps_one_value)
        encodings += block.encodings
        scalings += _scaling_rows(block, feature, columns, fitted)
        selection += _selection_rows(block, columns, fitted)
    scalings = _with_shared_weights(scalings, spec)
    return Preparation(tuple(encodings), tuple(scalings), tuple(selection))


def _block(
    name: str, feature: FeatureSpec, sample: FeatureSample, spec: SegmentationSpec
) -> _Block:
    values = sample.values[name]
    columns: dict[str | None, Numbers] = {}
    encodings: list[EncodingRow] = []
    unseen_share = None
    if values.dtype == object:
        if isinstance(feature.encoding, NeuralEncoding):
            others, seed = _other_columns(name, sample, spec), spec.clustering.seed
            encodings = encode_neurally(name, feature.encoding, values, others, seed)
        else:
            encodings = encode_categories(name, feature.encoding, values)
        for lookup in gather_lookups(encodings).values():
            encoded, unseen_share = look_up(lookup, values)
            columns.update(encoded)
        distinct_values = len({value for value in values if value is not None})
    elif feature.encoding is not None:
        raise PreparationError(
            f"feature `{name}` has an `encoding`, but its values are numbers, not texts: leave it "
            "out, or cast the `expression` to VARCHAR"
        )
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


def _other_columns(
    name: str, sample: FeatureSample, spec: SegmentationSpec
) -> Iterator[OtherColumn]:
    """Prepare the other features that make segments; one with a neural encoding as one-hot.

    One column after the other, since all at once are a second matrix of the sample.
    """
    blocks = Counter(one.block for one in spec.features.values() if one.use == "clustering")
    for other, feature in spec.features.items():
        if feature.use != "clustering" or other == name:
            continue
        if isinstance(feature.encoding, NeuralEncoding):
            feature = feature.model_copy(update={"encoding": None})
        if feature.block is not None:
            shared = feature.weight / blocks[feature.block]
            feature = feature.model_copy(update={"weight": shared})
        block = _block(other, feature, sample, spec)
        columns = dict.fromkeys(block.columns, other)
        for row in _scaling_rows(
            block, feature, columns, _fit_columns(block, feature, spec.scaling)
        ):
            matrix = scale_components(Preparation((), (row,), ()), {other: block.columns})
            yield OtherColumn(matrix[:, 0], row.weight)


def _fit_columns(
    block: _Block, feature: FeatureSpec, scaling: Scaling, *, keeps_one_value: bool = False
) -> dict[str | None, FittedScaling | str]:
    fitted = {
        component: _fit_column(x, component, feature, scaling, keeps_one_value=keeps_one_value)
        for component, x in block.columns.items()
    }
    return _with_one_spread(fitted) if isinstance(feature.encoding, NeuralEncoding) else fitted


def _with_one_spread(
    fitted: Mapping[str | None, FittedScaling | str],
) -> dict[str | None, FittedScaling | str]:
    """Give the components of learned vectors one spread, the root mean square of theirs.

    Vectors are alike by their distance, and an axis along which they hardly differ is to stay one.
    """
    spreads = [
        scaling.spread
        for component, scaling in fitted.items()
        if component != IS_MISSING and isinstance(scaling, FittedScaling)
    ]
    if not spreads:
        return dict(fitted)
    one_spread = math.sqrt(math.fsum(spread * spread for spread in spreads) / len(spreads))
    return {
        component: replace(scaling, spread=one_spread)
        if component != IS_MISSING and isinstance(scaling, FittedScaling)
        else scaling
        for component, scaling in fitted.items()
    }


def _fit_column(
    x: Numbers,
    component: str | None,
    feature: FeatureSpec,
    scaling: Scaling,
    *,
    keeps_one_value: bool,
) -> FittedScaling | str:
    scaling = feature.scaling or scaling
    if component == IS_MISSING:
        return fit_scaling(x, scaling, clip=None, constant=None)
    constant = feature.missing.constant if isinstance(feature.missing, MissingConstant) else None
    return fit_scaling(x, scaling, feature.clip, constant, keeps_one_value=keeps_one_value)


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


def _with_shared_weights(scalings: list[ScalingRow], spec: SegmentationSpec) -> list[ScalingRow]:
    """Let the columns of a block of features share the weight of one."""
    blocks = {name: feature.block for name, feature in spec.features.items()}
    columns = Counter(blocks[row.feature] for row in scalings)
    return [
        row
        if (block := blocks[row.feature]) is None
        else replace(row, weight=math.sqrt(spec.features[row.feature].weight / columns[block]))
        for row in scalings
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
