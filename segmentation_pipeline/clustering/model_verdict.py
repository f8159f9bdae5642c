"""The verdict on a model that was fitted: its own labels, in its own preparation.

What belongs here: how engineered features become what the statistics of `structure` examine. What
they examine belongs there; where a verdict is kept belongs to `verdicts`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import Assigner
from segmentation_pipeline.clustering.stability import FitPredict, Stability
from segmentation_pipeline.clustering.structure.border import UNSEPARATED, Centre
from segmentation_pipeline.clustering.structure.examination import (
    SEGMENT_COUNTS,
    StructureSample,
    examine,
    structure_sample,
)
from segmentation_pipeline.clustering.structure.null_test import NullComparison
from segmentation_pipeline.clustering.structure.one_split import one_split
from segmentation_pipeline.clustering.structure.raw_features import (
    NOISE,
    Labels,
    Matrix,
    Prepare,
    RawFeature,
)
from segmentation_pipeline.clustering.structure.verdict import (
    Evidence,
    OtherSegments,
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


@dataclass(frozen=True, eq=False)
class Segments:
    """The segments that are judged: how customers of a sample get them, and how others would.

    `label` gives the labels of a sample's customers, -1 for noise; `refits` the function that finds
    the same segments anew on other rows, given the sample and its labels. `centre` is what the
    border test takes for a segment's centre.
    """

    count: int
    label: Callable[[StructureSample], Labels]
    refits: Callable[[StructureSample, Labels], FitPredict]
    centre: Centre = "mean"


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict, and the comparisons with the null by number of segments."""

    verdict: StructureVerdict
    nulls: Mapping[int, NullComparison]


def judge_segments(
    segments: Segments,
    features: Sequence[RawFeature],
    prepare: Prepare,
    *,
    seed: int,
    tried: Sequence[int],
    n_tried: int,
    others: Sequence[OtherSegments] = (),
    workers: int = 1,
) -> Judgement:
    """Judge segments, as the model in question assigns customers.

    Args:
        segments: at least one.
        features: raw features of customers, at least one; 5,000 are looked at.
        prepare: raw features -> the columns of the model.
        seed: of every random choice.
        tried: the numbers of segments that are compared with the null.
        n_tried: the candidates among which the search chose, which the border test allows for.
        others: what other families of algorithms found.
        workers: threads; they change nothing.

    """
    customers = len(features[0].values)
    compared = sorted({*SEGMENT_COUNTS} & {*tried} | {segments.count})

    def judged(_: None) -> Judgement:
        drawn = structure_sample(features, prepare, seed=seed, ks=compared, workers=workers)
        if drawn is None:
            alike = "All customers that were looked at are alike on these features."
            return Judgement(no_structure(alike, n_customers=customers), {})
        labels = segments.label(drawn).astype(np.intp)
        refits = segments.refits(drawn, labels)
        verdict = judge(
            _evidence(drawn, labels, segments, refits, workers),
            n_customers=len(drawn.rows),
            n_tried=n_tried,
            one_split=one_split(drawn.features, labels, seed=seed),
            others=others,
        )
        return Judgement(verdict, drawn.null.by_n_segments)

    # Inside a job, linear algebra runs on one thread, so that its bits don't depend on how many
    # there are, outside the statistics' own jobs too.
    (found,) = Workers(1).map(judged, [None])
    return found


def segments_of_model(assigner: Assigner, refits: FitPredict, centre: Centre) -> Segments:
    """Segments as a model assigns customers to them."""
    return Segments(
        count=assigner.segments,
        label=lambda drawn: assigner.query(list(drawn.matrix.T)).own.astype(np.intp),
        refits=lambda _, __: refits,
        centre=centre,
    )


def segments_given(labels: Labels) -> Segments:
    """Segments that nobody fitted, by the labels (n,) of the customers that features are given of.

    What isn't fitted doesn't vary with the customers either: on other rows it is read off the
    nearest customer of the sample.
    """
    return Segments(
        count=len(np.unique(labels[labels != NOISE])),
        label=lambda drawn: (
            np.unique(labels, return_inverse=True)[1][drawn.rows]
            - (1 if (labels == NOISE).any() else 0)
        ),
        refits=lambda drawn, found: nearest_labels(drawn.matrix, found),
    )


def nearest_labels(matrix: Matrix, labels: Labels) -> FitPredict:
    """Give the function that labels rows as the nearest of those (n, d) with labels (n,)."""
    from scipy.spatial import cKDTree

    tree = cKDTree(matrix)

    def fit_predict(rows: Matrix, seed: int, n_clusters: int) -> Labels:  # noqa: ARG001
        found: Labels = labels[tree.query(rows)[1]]
        return found

    return fit_predict


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


def _evidence(
    drawn: StructureSample, labels: Labels, segments: Segments, refits: FitPredict, workers: int
) -> Evidence:
    """Examine the model's partition; a segment of which nobody was drawn is not supported."""
    evidence = examine(drawn, labels, refits, centre=segments.centre, workers=workers)
    unseen = segments.count - evidence.n_segments
    if not unseen:
        return evidence
    stability = evidence.stability
    return replace(
        evidence,
        n_segments=segments.count,
        smallest_share=0.0,
        border=UNSEPARATED,
        stability=Stability((*stability.jaccards, *[0.0] * unseen), stability.scheme),
        null=drawn.null.by_n_segments.get(segments.count),
    )
