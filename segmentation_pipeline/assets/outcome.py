"""How a run ended, read from Dagster's events: what failed, and what only warns."""

import re
from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.errors import PipelineError


def failures(events: Sequence[dg.DagsterEvent]) -> tuple[str, ...]:
    """Tell what went wrong, each once: failed checks by name, errors by what they say."""
    messages = _failed_checks(events, dg.AssetCheckSeverity.ERROR)
    failed = [event for event in events if event.is_step_failure]
    # Without a failed step, the run itself failed: it could not take the lock, for instance.
    failed = failed or [event for event in events if event.is_run_failure]
    for event in failed:
        error = getattr(event.event_specific_data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None and error.cls_name != "DagsterAssetCheckFailedError":
            where = f"{event.step_key.replace('__', '/')}: " if event.step_key else ""
            messages.append(where + _said(error.cls_name, error.message))
    return tuple(dict.fromkeys(messages))


def warnings(events: Sequence[dg.DagsterEvent]) -> tuple[str, ...]:
    """Tell which checks that stop nothing did not pass."""
    return tuple(dict.fromkeys(_failed_checks(events, dg.AssetCheckSeverity.WARN)))


def published(events: Sequence[dg.DagsterEvent]) -> bool | None:
    """Say whether the run published news; None if it did not publish at all."""
    for event in events:
        if event.is_step_materialization:
            materialization = event.step_materialization_data.materialization
            if materialization.asset_key == dg.AssetKey(["published"]):
                return bool(materialization.metadata["is_news"].value)
    return None


def _failed_checks(events: Sequence[dg.DagsterEvent], severity: dg.AssetCheckSeverity) -> list[str]:
    evaluations = (
        event.asset_check_evaluation_data
        for event in events
        if event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    return [
        f"check {one.asset_key.to_user_string()}: {one.check_name}: {one.description}"
        for one in evaluations
        if not one.passed and one.severity == severity and not _is_first_load(one)
    ]


def _is_first_load(evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a check only says that there is no earlier load: shown, but worth no alert."""
    outcome = evaluation.metadata.get("outcome")
    return outcome is not None and outcome.value == "not_compared"


def _said(class_name: str | None, message: str) -> str:
    """Leave out the class name in front of a message of ours, which stands for itself."""
    text = message.strip()
    if class_name not in _names_of(PipelineError):
        return text
    return re.sub(rf"^(segmentation_pipeline\.[\w.]+\.)?{class_name}: ", "", text)


def _names_of(error: type[Exception]) -> set[str]:
    """Name a class of errors and all that are made from it."""
    names = {error.__name__}
    for special in error.__subclasses__():
        names |= _names_of(special)
    return names
