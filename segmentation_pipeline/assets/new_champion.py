"""From the warehouse to a registered model: the way of a night that has to fit one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.found import NoCandidateError
from segmentation_pipeline.clustering.kept_fits import Challenge, keep_fit, write_fit
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.new_model import (
    NewModel,
    Training,
    find,
    given_model,
    judge_kept,
    judged_model,
)
from segmentation_pipeline.clustering.preprocessing_effect import (
    MOST_CUSTOMERS,
    PreparedVariant,
    compare_preprocessing,
)
from segmentation_pipeline.clustering.registry import (
    ModelRecord,
    Registration,
    champion,
    load_champion,
    register_champion,
)
from segmentation_pipeline.clustering.rules import rule_labels, rules_model
from segmentation_pipeline.clustering.structure.examination import SAMPLE_ROWS
from segmentation_pipeline.clustering.structure.raw_features import Labels, RawFeature
from segmentation_pipeline.clustering.tables import candidate_rows, centre_rows
from segmentation_pipeline.clustering.typed.learning import learn_typing
from segmentation_pipeline.clustering.verdicts import is_judged, keep_verdict
from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features import (
    Preparation,
    keep_preparation,
    kept_preparation,
    make_feature_matrix,
    read_feature_sample,
    read_sample,
)
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.features.participation import (
    fitting_features,
    fitting_matrix,
    grouped_features,
    make_fitting_matrix,
)
from segmentation_pipeline.measurement.training_reference import learn_reference
from segmentation_pipeline.segments.short_rule import short_rule_fidelity
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    read_batches,
)


def fit_champion(
    connection: Connection,
    home: Home,
    name: str,
    build: Build,
    progress: Callable[[str], None],
) -> tuple[ModelRecord, str]:
    """Make a new model and put it in force; returns its record, and where it comes from."""
    spec, limits = home.segmentations[name], home.customers.limits
    training = training_of(connection, home, name, kept_preparation(connection, name))

    def fidelity(features: Sequence[RawFeature], labels: Labels) -> float:
        return short_rule_fidelity(features, labels, seed=spec.clustering.seed)

    old = _model_that_may_go_on(connection, home, name, build)
    if spec.clustering.rules is None:
        try:
            found = find(spec, training, limits, fidelity=fidelity, progress=progress)
        except NoCandidateError as error:
            if old is None:
                raise
            rows = candidate_rows(error.candidates, {})
            return _go_on(connection, home, name, build, old, rows, "no new candidate may be taken")
        made = judged_model(spec, training, found, limits, progress=progress)
    else:
        model = rules_model(spec.clustering.rules, training.sample)
        table = fitting_features(name, spec)
        labels = rule_labels(connection, model, table, seed=spec.clustering.seed, limit=SAMPLE_ROWS)
        made = given_model(spec, training, model, labels.astype(np.intp), limits, fidelity=fidelity)
    lack = _lack(made)
    if old is not None and lack is not None:
        why = f"of the new candidates the best {lack}"
        rows = candidate_rows(made.candidates, made.judgement.nulls)
        return _go_on(connection, home, name, build, old, rows, why)
    record = register_champion(
        connection,
        home.models,
        _with_all_it_learns(connection, home, name, made.model, build),
        Registration(
            segmentation=name,
            specification_digest=fitting_digest(spec),
            preparation_digest=training.preparation.digest,
            reason=made.reason,
        ),
        build,
        keep=lambda new: keep_new_fit(connection, new, made, build),
    )
    write_fit(connection, record, build)
    return record, "fitted on this night's customers"


def _lack(made: NewModel) -> str | None:
    """Say what a new model lacks to be more than a cut through a continuum; None if nothing."""
    verdict = made.judgement.verdict
    if verdict.word not in ("supported", "weak"):
        return f"is {verdict.word}"
    if verdict.evidence is not None and not verdict.evidence.stability.stable:
        return f"doesn't come back (lowest Jaccard {verdict.evidence.stability.worst:.2f})"
    return None


def _model_that_may_go_on(
    connection: Connection, home: Home, name: str, build: Build
) -> Champion | None:
    """Find the model before, where the YAML prefers it to a cut through a continuum."""
    if home.segmentations[name].clustering.if_continuum != "keep_model":
        return None
    record = champion(connection, name, build.as_of)
    if record is None:
        return None
    old = Champion(record, load_champion(home.models, record))
    types = column_types(connection, Table(name, "engineered_features"))
    try:
        check_features(Preparation.from_json(old.preparation), name, types)
    except PreparationError:
        return None  # Its features are gone: there is nothing to go on with.
    return old


def _go_on(
    connection: Connection,
    home: Home,
    name: str,
    build: Build,
    old: Champion,
    candidates: Sequence[dict[str, Any]],
    why: str,
) -> tuple[ModelRecord, str]:
    """Put the model before in force under the changed YAML, with the features that it knows.

    `candidates` are rows of `model_candidates`, none of which is taken, for the reason `why`.
    """
    reason = (
        f"model version {old.record.model_version} goes on: {why}, and `if_continuum` is keep_model"
    )
    spec, limits = home.segmentations[name], home.customers.limits
    preparation = Preparation.from_json(old.preparation)
    keep_preparation(connection, name, preparation, build)
    grouped = grouped_features(name, spec)
    make_feature_matrix(connection, name, preparation, limits, build, features=grouped)
    make_fitting_matrix(connection, name, spec, build)
    rows = [
        {**row, "is_chosen": False, "reason": f"lost: {reason}"} if row["is_chosen"] else row
        for row in candidates
    ]
    # The centres that are there are those of the night before, whose model goes on.
    centres = read_batches(connection, f"FROM {Table(name, 'segment_model').sql}").read_all()
    record = register_champion(
        connection,
        home.models,
        _with_all_it_learns(connection, home, name, old.model, build),
        Registration(
            segmentation=name,
            specification_digest=fitting_digest(spec),
            preparation_digest=old.record.preparation_digest,
            reason=reason,
        ),
        build,
        keep=lambda new: keep_fit(connection, new, rows, centres.to_pylist()),
    )
    write_fit(connection, record, build)
    return record, reason


def _with_all_it_learns(
    connection: Connection, home: Home, name: str, model: SegmentModel, build: Build
) -> SegmentModel:
    """Add what a new model learns from tonight's customers beside its segments."""
    typed = learn_typing(connection, home, name, model)
    return learn_reference(connection, home, name, typed, build)


def judge_champion(
    connection: Connection, home: Home, name: str, champion: Champion, build: Build
) -> None:
    """Judge a model in force whose own night ended before it could."""
    preparation = Preparation.from_json(champion.preparation)
    training = training_of(connection, home, name, preparation)
    spec = home.segmentations[name]
    verdict = judge_kept(spec, training, champion.model, home.customers.limits.threads or 2)
    keep_verdict(connection, champion.record, verdict, build)


def prepare_otherwise(
    connection: Connection, home: Home, name: str, champion: Champion
) -> list[PreparedVariant]:
    """Group tonight's customers as declared and without scaling; nothing for one segment."""
    spec, preparation = home.segmentations[name], Preparation.from_json(champion.preparation)
    if champion.record.k < 2:
        return []
    sample = read_feature_sample(
        connection,
        fitting_features(name, spec),
        list(dict.fromkeys(row.feature for row in preparation.scalings)),
        seed=spec.clustering.seed,
        limit=MOST_CUSTOMERS,
    )
    return compare_preprocessing(preparation, sample, spec, champion.record.k)


def training_of(
    connection: Connection,
    home: Home,
    name: str,
    preparation: Preparation,
    matrix: Table | None = None,
) -> Training:
    """Read tonight's customers that a model is made from; `matrix` is prepared by `preparation`.

    That is the segmentation's own matrix where it is None.
    """
    spec, limits = home.segmentations[name], home.customers.limits
    seed = spec.clustering.seed
    prepared = matrix or fitting_matrix(name, spec)

    def read(columns: Sequence[str]) -> NDArray[np.float64]:
        _, sample = read_sample(
            connection, prepared, columns, seed=seed, limit=limits.sample_customers
        )
        return sample.astype(np.float64)

    engineered = fitting_features(name, spec)
    types = column_types(connection, engineered)
    features = list(dict.fromkeys(row.feature for row in preparation.scalings))
    columns, unclipped = preparation.column_names, preparation.unclipped_names
    return Training(
        preparation=preparation,
        matrix=read(columns),
        unclipped=read(unclipped) if unclipped != columns else None,
        sample=read_feature_sample(connection, engineered, features, seed=seed, limit=SAMPLE_ROWS),
        types=types,
    )


def keep_new_fit(
    connection: Connection,
    record: ModelRecord,
    made: NewModel,
    build: Build,
    challenge: Challenge | None = None,
) -> None:
    """Keep a new model's verdict, candidates and centres, for the nights that show them."""
    if not is_judged(connection, record):
        keep_verdict(connection, record, made.judgement.verdict, build)
    columns = Preparation.from_json(str(made.model.parameters["preparation"])).column_names
    candidates = candidate_rows(made.candidates, made.judgement.nulls)
    keep_fit(connection, record, candidates, centre_rows(made.centres, columns), challenge)
