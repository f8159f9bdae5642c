"""`segmentation promote` and `segmentation reject`: what becomes of a challenger."""

from segmentation_pipeline.commands.model_decision import (
    ByOption,
    FromOption,
    ModelOption,
    ReasonOption,
    SegmentationArgument,
    decide,
)
from segmentation_pipeline.commands.terminal import CURRENT, HomeOption, errors_to_exit_status


def promote(
    segmentation: SegmentationArgument,
    reason: ReasonOption,
    home: HomeOption = CURRENT,
    model: ModelOption = None,
    by: ByOption = None,
    first: FromOption = None,
) -> None:
    """Put a challenger in force, whatever its gates say; the next night publishes its segments."""
    with errors_to_exit_status():
        from segmentation_pipeline.segments import model_decisions

        decide(home, segmentation, model, by, reason, first, model_decisions.promote)


def reject(
    segmentation: SegmentationArgument,
    reason: ReasonOption,
    home: HomeOption = CURRENT,
    model: ModelOption = None,
    by: ByOption = None,
) -> None:
    """End a challenger; the next refit that is due fits another one."""
    with errors_to_exit_status():
        from segmentation_pipeline.segments import model_decisions

        decide(home, segmentation, model, by, reason, None, model_decisions.reject)
