"""The verdict on a model that was fitted: its own labels, in its own preparation.

What belongs here: how engineered features become what the statistics of `structure` examine. What
they examine belongs there; where a verdict is kept belongs to `verdicts`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.nearest import NearestCentroids
from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import UNSEPARATED
from segmentation_pipeline.clustering.structure.examination import (
    SEGMENT_COUNTS,
    StructureSample,
    examine,
    structure_sample,
)
from segmentation_pipeline.clustering.structure.one_split import one_split
from segmentation_pipeline.clustering.structure.raw_features import (
    Labels,
    Matrix,
    Prepare,
    RawFeature,
)
from segmentation_pipeline.clustering.structure.small_kmeans import kmeans_labels
from segmentation_pipeline.clustering.structure.verdict import (
    Evidence,
    StructureVerdict,
    judge,
    no_structure,
)
from segmentation_pipeline.clustering.workers import Workers
from segmentation_pipeline.features.applying import Components, scale_components, transformed
from segmentation_pipeline.features.encoding import look_up
from segmentation_pipeline.features.preparation import Lookup, Preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.features import Encoding, OrdinalEncoding
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def judge_model(
    model: SegmentModel,
    preparation: Preparation,
    sample: FeatureSample,
    spec: SegmentationSpec,
    types: Mapping[str, str],
    *,
    tried: Sequence[int],
    workers: int = 1,
) -> StructureVerdict:
    """Judge the segments of a model, as it assigns customers.

    Args:
        model: centroids in the columns of `preparation`.
        preparation: what the model was fitted on.
        sample: engineered features of customers, at least one; 5,000 are looked at.
        spec: the segmentation, whose seed decides every random choice.
        types: feature -> DuckDB type of its column.
        tried: the numbers of segments among which the search chose, or the one that was fixed.
        workers: threads; they change nothing.

    """
    centroids = model.arrays["centroids"]
    if len(centroids) < 2:
        reason = str(model.parameters["reason"]).removeprefix("one segment: ")
        return no_structure(
            f"There is only one segment: {reason}.", n_customers=len(sample.customer_ids)
        )
    features = raw_features(preparation, sample, spec, types)
    prepare = prepare_with(preparation)
    seed = spec.clustering.seed
    compared = sorted({*SEGMENT_COUNTS} & {*tried} | {len(centroids)})

    def verdict(_: None) -> StructureVerdict:
        drawn = structure_sample(features, prepare, seed=seed, ks=compared, workers=workers)
        if drawn is None:
            return no_structure(
                "All customers that were looked at are alike on these features.",
                n_customers=len(sample.customer_ids),
            )
        labels = NearestCentroids(centroids).query(list(drawn.matrix.T)).own.astype(np.intp)
        return judge(
            _evidence(drawn, labels, len(centroids), workers),
            n_customers=len(drawn.rows),
            n_tried=len(tried),
            one_split=one_split(drawn.features, labels, seed=seed),
        )

    # Inside a job, linear algebra runs on one thread, so that its bits don't depend on how many
    # there are, outside the statistics' own jobs too.
    (found,) = Workers(1).map(verdict, [None])
    return found


def raw_features(
    preparation: Preparation,
    sample: FeatureSample,
    spec: SegmentationSpec,
    types: Mapping[str, str],
) -> list[RawFeature]:
    """Features that have a column in the matrix, as the statistics of structure take them.

    One-hot and given encodings are of categories, and a boolean is a category of two. An ordinal
    encoding becomes the numbers of its levels. Other features are `integer` where every value is
    whole, whatever their column's type. What counts as missing in the matrix is missing here.
    """
    lookups = preparation.lookups
    transforms = {row.feature: row.transform for row in preparation.scalings}
    features = []
    for name, transform in transforms.items():
        values = sample.values[name]
        if name in lookups:
            features.append(_category(name, values, lookups[name], spec.features[name].encoding))
        elif types[name] == "BOOLEAN":
            # Of objects: True and False are the names of its two categories.
            truths = np.array([None if x != x else bool(x) for x in values], dtype=object)
            features.append(RawFeature(name, truths, "categorical"))
        else:
            numbers = np.where(np.isnan(transformed(values, transform)), np.nan, values)
            present = numbers[~np.isnan(numbers)]
            is_whole = bool((present == np.rint(present)).all())
            features.append(RawFeature(name, numbers, "integer" if is_whole else "continuous"))
    return features


def prepare_with(preparation: Preparation) -> Prepare:
    """Raw features -> matrix, by the preparation as it was fitted.

    It isn't fitted anew on each set: a draw of the null has the values of the customers that it
    stands for, each feature's own, so that it would learn the same; and only so the model's
    centroids, its labels and what is compared with them are in one and the same unit. A fit on a
    thousand customers could drop a rare column, or take many categories for an identifier.
    """
    lookups = preparation.lookups
    transforms = {row.feature: row.transform for row in preparation.scalings}

    def components(feature: RawFeature) -> Components:
        lookup = lookups.get(feature.name)
        if lookup is not None and feature.kind == "ordinal":
            return {lookup.components[0]: feature.values}
        if lookup is not None:
            return look_up(lookup, feature.values)[0]
        numbers = feature.values.astype(np.float64)
        # Dithering spreads a count of 0 to both sides of 0, where there is no logarithm: it goes
        # on there as its own mirror image, so that 0 keeps its place in the mean.
        sizes = transformed(np.abs(numbers), transforms[feature.name])
        return {None: np.copysign(sizes, numbers)}

    def prepare(features: Sequence[RawFeature]) -> Matrix:
        return scale_components(
            preparation, {feature.name: components(feature) for feature in features}
        )

    return prepare


def _category(
    name: str, values: NDArray[np.object_], lookup: Lookup, encoding: Encoding | None
) -> RawFeature:
    if not isinstance(encoding, OrdinalEncoding):
        return RawFeature(name, values, "categorical")
    levels, _ = look_up(lookup, values)
    return RawFeature(name, levels[lookup.components[0]], "ordinal")


def _evidence(drawn: StructureSample, labels: Labels, n_segments: int, workers: int) -> Evidence:
    """Examine the model's partition; a segment of which nobody was drawn is not supported."""
    evidence = examine(drawn, labels, kmeans_labels, workers=workers)
    unseen = n_segments - evidence.n_segments
    if not unseen:
        return evidence
    stability = evidence.stability
    return replace(
        evidence,
        n_segments=n_segments,
        smallest_share=0.0,
        border=UNSEPARATED,
        stability=Stability((*stability.jaccards, *[0.0] * unseen), stability.scheme),
        null=drawn.null.by_n_segments.get(n_segments),
    )
