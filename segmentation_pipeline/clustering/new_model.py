"""A new model of a segmentation: searched for or given by rules, judged, ready to be registered.

What belongs here: how search, model and verdict follow from one sample of customers. Reading the
sample and registering the model belongs to `assets`; whether a new model is due does, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.candidates import Candidate, Limits
from segmentation_pipeline.clustering.evidence import EVIDENCE_ROWS, centre_of, gather_evidence
from segmentation_pipeline.clustering.families import (
    assigner_of,
    families_of,
    family_of,
    fit_of,
    segments_of,
    similarity_of,
)
from segmentation_pipeline.clustering.family import Family
from segmentation_pipeline.clustering.fitted_model import make_model
from segmentation_pipeline.clustering.found import Fidelity, Found, SearchSample
from segmentation_pipeline.clustering.model import JSON, SegmentModel, replace_parameters
from segmentation_pipeline.clustering.model_verdict import (
    Judgement,
    judge_segments,
    nearest_labels,
    prepare_with,
    raw_features,
    segments_given,
    segments_of_model,
)
from segmentation_pipeline.clustering.scoring import score_partitions
from segmentation_pipeline.clustering.search import Progress, search, share
from segmentation_pipeline.clustering.stability import FitPredict
from segmentation_pipeline.clustering.structure.raw_features import (
    NOISE,
    Labels,
    Matrix,
    RawFeature,
    take_rows,
)
from segmentation_pipeline.clustering.structure.verdict import StructureVerdict, no_structure
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import FeatureSample
from segmentation_pipeline.specification.customers import Limits as CustomerLimits
from segmentation_pipeline.specification.segmentation import SegmentationSpec


@dataclass(frozen=True, eq=False)
class Training:
    """What a model is made from: customers in the order of a hash of their ids.

    `matrix` (n, d) and `unclipped` (n, d), the same before clip bounds (None without any), are the
    columns of `preparation`; `sample` are engineered features of the first customers, at most 5,000
    of them, and `types` the DuckDB types of those.
    """

    preparation: Preparation
    matrix: Matrix
    unclipped: Matrix | None
    sample: FeatureSample
    types: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class NewModel:
    """A model, the candidates that it was chosen among and why, and what may be claimed of it.

    `centres` (k, d) are the segments' centres in the columns of the matrix: prototypes where the
    model has them, else means of the training rows.
    """

    model: SegmentModel
    centres: Matrix
    candidates: tuple[Candidate, ...]
    judgement: Judgement
    reason: str


def tries(spec: SegmentationSpec) -> range:
    """Tell the numbers of segments to try: a range, or the one that is fixed."""
    clustering = spec.clustering
    if clustering.segments is not None:
        return range(clustering.segments, clustering.segments + 1)
    return range(clustering.minimum_segments, clustering.maximum_segments + 1)


def find(
    spec: SegmentationSpec,
    training: Training,
    limits: CustomerLimits,
    *,
    fidelity: Fidelity,
    progress: Progress,
    families: Sequence[Family] = (),
) -> Found:
    """Search the families of a segmentation for a model; or others, that are given instead.

    `fidelity` tells how well a short rule places customers; `progress` gets a phrase at each step.

    Raises ClusteringError where no candidate keeps to the limits.
    """
    clustering = spec.clustering
    features = raw_features(training.preparation, training.sample, spec, training.types)
    return search(
        training.matrix,
        lambda ks: families or families_of(clustering, ks),
        _compared(training, features),
        _limits(spec, limits),
        similarity=similarity_of(clustering),
        seed=clustering.seed,
        handicap=clustering.handicap,
        fidelity=fidelity,
        workers=limits.threads or 2,
        progress=progress,
    )


def judged_model(
    spec: SegmentationSpec,
    training: Training,
    found: Found,
    limits: CustomerLimits,
    *,
    progress: Progress,
) -> NewModel:
    """Make the model of what a search chose, and judge it."""
    workers = limits.threads or 2
    features = raw_features(training.preparation, training.sample, spec, training.types)
    model = make_model(
        found.fit,
        found.family.assigner(found.fit.arrays, found.fit.parameters),
        training.matrix,
        training.preparation.column_names,
        _parameters(spec, training.preparation, found.chosen),
        unclipped=training.unclipped,
        workers=workers,
    )
    progress("structure verdict")
    judgement = _judged(
        spec, training, features, found.family.refits(found.fit), model, found, workers
    )
    assigned = found.family.assigner(model.arrays, model.parameters).query(list(training.matrix.T))
    centres = _centres(model, training.matrix, assigned.own)
    return NewModel(model, centres, found.candidates, judgement, found.chosen.reason)


def judge_kept(
    spec: SegmentationSpec, training: Training, model: SegmentModel, workers: int
) -> StructureVerdict:
    """Judge a model that is in force, on customers of another night; `matrix` isn't needed."""
    features = raw_features(training.preparation, training.sample, spec, training.types)
    fit = fit_of(model)
    refits = family_of(spec.clustering, model).refits(fit)
    return _judged(spec, training, features, refits, model, None, workers).verdict


def given_model(
    spec: SegmentationSpec,
    training: Training,
    model: SegmentModel,
    labels: Labels,
    limits: CustomerLimits,
    *,
    fidelity: Fidelity,
) -> NewModel:
    """Measure and judge a model of rules, which give the customers of the sample `labels` (n,).

    Rules are published as they are, however small their segments.
    """
    workers, seed = limits.threads or 2, spec.clustering.seed
    features = raw_features(training.preparation, training.sample, spec, training.types)
    compared = _compared(training, features)
    similarity = similarity_of(spec.clustering)
    rows = training.matrix[: len(labels)]
    (scores,) = score_partitions(
        rows,
        [labels.astype(np.int32)],
        similarity,
        seed=seed,
        silhouette_rows=spec.clustering.silhouette_customers,
        workers=workers,
    )
    shared = share(rows, compared, similarity, seed)
    few = labels[: len(shared.matrix)]
    evidence = gather_evidence(
        shared, "rules", {}, few, nearest_labels(shared.matrix, few), workers=workers
    )
    reason = "chosen: the specification gives the rules"
    candidate = Candidate(
        algorithm="rules",
        parameters=f"segments={segments_of(model)}",
        metric=spec.clustering.metric,
        segments=segments_of(model),
        fit=None,
        scores=scores,
        evidence=replace(evidence, reason=""),
        rule_fidelity=fidelity(compared.features, few),
        seconds=0.0,
        is_chosen=True,
        reason=reason,
    )
    kept = replace_parameters(model, _parameters(spec, training.preparation, candidate))
    judgement = judge_segments(
        segments_given(labels),
        features,
        prepare_with(training.preparation),
        seed=seed,
        tried=[],
        n_tried=1,
        workers=workers,
    )
    centres = _centres(model, rows, labels.astype(np.int32))
    return NewModel(kept, centres, (candidate,), judgement, reason)


def _centres(model: SegmentModel, matrix: Matrix, labels: NDArray[np.int32]) -> Matrix:
    prototypes = model.arrays.get("prototypes")
    if prototypes is not None and prototypes.shape[1] == matrix.shape[1]:
        return prototypes
    sums = np.zeros((segments_of(model), matrix.shape[1]))
    held = labels != NOISE
    np.add.at(sums, labels[held], matrix[held])
    sizes = np.bincount(labels[held], minlength=len(sums))
    centres: Matrix = sums / np.maximum(sizes, 1)[:, np.newaxis]
    return centres


def _compared(training: Training, features: Sequence[RawFeature]) -> SearchSample:
    """Take the customers on whom candidates are compared, as raw features."""
    few = np.arange(min(EVIDENCE_ROWS, len(training.sample.customer_ids)))
    return SearchSample(take_rows(features, few), prepare_with(training.preparation))


def _limits(spec: SegmentationSpec, limits: CustomerLimits) -> Limits:
    clustering = spec.clustering
    return Limits(
        ks=tries(spec),
        is_fixed=clustering.segments is not None,
        minimum_share=clustering.smallest_share,
        privacy_floor=limits.smallest_group,
        silhouette_customers=clustering.silhouette_customers,
        time_budget_seconds=clustering.time_budget_seconds,
    )


def _parameters(
    spec: SegmentationSpec, preparation: Preparation, chosen: Candidate
) -> dict[str, JSON]:
    """Say how a model was made: what a reader of its manifest, and the nights to come, need."""
    return {
        "seed": spec.clustering.seed,
        "starts": spec.clustering.starts,
        "silhouette": chosen.scores.silhouette if chosen.scores is not None else None,
        "reason": chosen.reason,
        "minkowski_p": spec.clustering.minkowski_p,
        "preparation": preparation.to_json(),
    }


def _judged(
    spec: SegmentationSpec,
    training: Training,
    features: Sequence[RawFeature],
    refits: FitPredict,
    model: SegmentModel,
    found: Found | None,
    workers: int,
) -> Judgement:
    if segments_of(model) < 2:
        reason = str(model.parameters["reason"]).removeprefix("one segment: ")
        customers = len(training.sample.customer_ids)
        sentence = f"There is only one segment: {reason}."
        return Judgement(no_structure(sentence, n_customers=customers), {})
    family = [one for one in found.candidates if one.algorithm == model.algorithm] if found else []
    return judge_segments(
        segments_of_model(assigner_of(model), refits, centre_of(model.algorithm)),
        features,
        prepare_with(training.preparation),
        seed=spec.clustering.seed,
        tried=tries(spec),
        n_tried=len(family) or len(tries(spec)),
        others=found.others if found else (),
        workers=workers,
    )
