"""A challenger's night: the way from a decision to refit to a registered model, and its shadow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.assets.new_champion import keep_new_fit, training_of
from segmentation_pipeline.clustering.challenger import find_challenger
from segmentation_pipeline.clustering.champion import Champion, require_champion
from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.kept_fits import Challenge
from segmentation_pipeline.clustering.model_events import (
    Wanted,
    events_before,
    read_events,
    settle,
)
from segmentation_pipeline.clustering.new_model import Training, judge_kept, judged_model
from segmentation_pipeline.clustering.registry import (
    ModelRecord,
    Registration,
    load_champion,
    register_challenger,
)
from segmentation_pipeline.clustering.structure.raw_features import Labels, RawFeature
from segmentation_pipeline.clustering.typed.learning import learn_typing
from segmentation_pipeline.errors import ClusteringError, PreparationError
from segmentation_pipeline.features import Preparation, fit_on_sample, read_sample
from segmentation_pipeline.features.participation import (
    fitting_features,
    fitting_matrix,
    grouped_features,
)
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.measurement.refit_decision import Decision, decided
from segmentation_pipeline.measurement.training_reference import learn_reference
from segmentation_pipeline.segments.challenge import (
    Standing,
    find_rivals,
    standing_of,
    wanted_of,
)
from segmentation_pipeline.segments.shadow import forget_others, shadow_night
from segmentation_pipeline.segments.short_rule import short_rule_fidelity
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    drop_relation,
    write_view,
)

Progress = Callable[[str], None]


@dataclass(frozen=True)
class ChallengerNight:
    """What a night did about a challenger: where it stands, None where there is none, and why."""

    standing: Standing | None
    sentence: str
    is_failed: bool = False


def run_challenge(
    connection: Connection, home: Home, name: str, build: Build, progress: Progress
) -> ChallengerNight:
    """Fit a challenger where the night decided so, let one score in the shadow, judge its gates.

    Tonight's customers have their segments by then, and nothing here changes them. A date run again
    decides again: what it decided otherwise before is withdrawn.
    """
    decision = decided(connection, name, build.as_of)
    champion = require_champion(connection, home, name, build.as_of)
    events = events_before(read_events(connection, name), build.as_of)
    is_asked = any(cause.startswith("asked:") for cause in decision.causes)
    is_refit = decision.decision == "refit" and _is_refittable(
        champion, decision, build, is_asked=is_asked
    )
    rivals = find_rivals(
        connection,
        home,
        name,
        events,
        build.as_of,
        is_refit=is_refit,
        is_asked=is_refit and is_asked,
    )
    wanted, challenger = list(rivals.ended), rivals.going_on
    told = ChallengerNight(None, "there is no challenger")
    if champion.model.algorithm == "rules":
        told = ChallengerNight(None, "rules are given: there is nothing to fit")
    if challenger is None and is_refit:
        try:
            challenger, begun = _fit_challenger(
                connection, home, name, champion, decision, build, progress
            )
        except (ClusteringError, PreparationError) as error:
            # The model in force goes on; the next night tries again, and the check warns.
            sentence = f"a refit was due ({decision.reason}), and no model could be fitted: {error}"
            told = ChallengerNight(None, sentence, is_failed=True)
        else:
            wanted.append(begun)
    if challenger is not None and challenger.model_version == champion.record.model_version:
        told = ChallengerNight(None, "tonight's customers give the model in force once more")
        challenger, wanted = None, list(rivals.ended)
    version = None if challenger is None else challenger.model_version
    forget_others(connection, name, version, build.as_of)
    if challenger is not None:
        progress(f"challenger {version}: scores in the shadow")
        try:
            rival = Champion(challenger, load_champion(home.models, challenger))
            shadow_night(connection, home, name, champion, rival, build)
        except (ClusteringError, PreparationError) as error:
            # Nobody's segments depend on it: the night goes on, and the check warns.
            sentence = f"challenger {version} can't score tonight's customers: {error}"
            told = ChallengerNight(None, sentence, is_failed=True)
        else:
            standing = standing_of(connection, home, name, challenger, events, build.as_of)
            wanted += wanted_of(standing, events, build.as_of)
            told = ChallengerNight(standing, standing.sentence)
    settle(connection, name, wanted, build)
    return told


def _is_refittable(champion: Champion, decision: Decision, build: Build, *, is_asked: bool) -> bool:
    """Whether a refit can give another model than the one in force.

    Rules are given, and the cuts of a grid are kept on purpose. A changed specification has its new
    model already. On the champion's own customers only a person may ask for another one.
    """
    if champion.model.algorithm == "rules" or "specification" in decision.causes:
        return False
    return is_asked or champion.record.as_of < build.as_of


def _fit_challenger(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    decision: Decision,
    build: Build,
    progress: Progress,
) -> tuple[ModelRecord, Wanted]:
    spec, limits = home.segmentations[name], home.customers.limits
    preparation = fit_on_sample(connection, name, spec, limits)
    matrix, everybody = _matrices(connection, home, name, preparation, build)
    training = training_of(connection, home, name, preparation, matrix)

    def fidelity(features: Sequence[RawFeature], labels: Labels) -> float:
        return short_rule_fidelity(features, labels, seed=spec.clustering.seed)

    labels = _labels_of(connection, home, name, champion, training)
    found, start = find_challenger(
        spec, training, champion.model, labels, limits, fidelity=fidelity, progress=progress
    )
    made = judged_model(spec, training, found, limits, progress=progress)
    progress("verdict on the model in force, on the same customers")
    challenge = Challenge(
        start.kind,
        start.reason,
        champion.record.model_version,
        _verdict_tonight(connection, home, name, champion),
    )
    typed = learn_typing(connection, home, name, made.model, everybody)
    record = register_challenger(
        connection,
        home.models,
        learn_reference(connection, home, name, typed, build),
        Registration(
            segmentation=name,
            specification_digest=fitting_digest(spec),
            preparation_digest=preparation.digest,
            reason=made.reason,
        ),
        build,
        keep=lambda new: keep_new_fit(connection, new, made, build, challenge),
    )
    for table in (matrix, everybody):
        drop_relation(connection, table)
    reason = f"{decision.reason}; {start.kind} start: {start.reason}"
    return record, Wanted(record.model_version, "challenger", build.as_of, reason)


def _matrices(
    connection: Connection, home: Home, name: str, preparation: Preparation, build: Build
) -> tuple[Table, Table]:
    """Prepare the customers that a challenger is fitted on, and all who are grouped, as views."""
    spec = home.segmentations[name]
    matrix, everybody = Table(name, "challenger_fitting"), Table(name, "challenger_matrix")
    for table, features in (
        (matrix, fitting_features(name, spec)),
        (everybody, grouped_features(name, spec)),
    ):
        query = feature_matrix_sql(preparation, features.sql)
        write_view(connection, table, query, build, count_rows(connection, features))
    return matrix, everybody


def _labels_of(
    connection: Connection, home: Home, name: str, champion: Champion, training: Training
) -> Labels:
    """Say in which segment in force each row of a challenger's training is; -1 for none.

    Both matrices are of the same customers, so that their samples have the same order.
    """
    spec, limits = home.segmentations[name], home.customers.limits
    _, rows = read_sample(
        connection,
        fitting_matrix(name, spec),
        champion.model.feature_names,
        seed=spec.clustering.seed,
        limit=limits.sample_customers,
    )
    if len(rows) != len(training.matrix):
        raise ClusteringError(
            f"{name}: {len(rows)} customers are prepared for the model in force, "
            f"{len(training.matrix)} for its challenger: materialise feature_matrix again"
        )
    return assigner_of(champion.model).query(list(rows.T)).own.astype(np.intp)


def _verdict_tonight(connection: Connection, home: Home, name: str, champion: Champion) -> str:
    preparation = Preparation.from_json(champion.preparation)
    training = training_of(connection, home, name, preparation)
    spec, threads = home.segmentations[name], home.customers.limits.threads or 2
    return judge_kept(spec, training, champion.model, threads).word
