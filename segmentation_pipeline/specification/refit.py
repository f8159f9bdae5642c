"""When a model that is in force is no longer good enough, and when refitting wouldn't help."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Share

_Positive = Annotated[float, Field(gt=0)]


class Refit(ClosedModel):
    """Thresholds of drift, and what asks for a new model.

    Drift is measured each night against the customers that the model was fitted on. A refit fits a
    challenger; it promotes nothing.
    """

    psi_warning: _Positive = 0.1
    """A feature's population stability index (PSI) above it is a warning..."""
    floor_warning: Annotated[float, Field(ge=1)] = 2.0
    """... if it is also above so many times the PSI that chance alone exceeds on one night in
    twenty."""
    psi_alarm: _Positive = 0.25
    """A PSI above it is an alarm, and asks for a refit..."""
    floor_alarm: Annotated[float, Field(ge=1)] = 3.0
    """... if it is also above so many times what chance alone exceeds."""
    warned_share: Annotated[float, Field(gt=0, le=1)] = 0.2
    """So large a share of the features with a warning or an alarm asks for a refit."""
    distance_rise: _Positive = 0.15
    """A median distance to the own segment that grew by more than this share asks for a refit."""
    churn_multiple: Annotated[float, Field(ge=1)] = 3.0
    """More than so many times the usual share of customers who moved asks for a refit..."""
    churn_share: Share = 0.01
    """... if it is also more than this share of the customers."""
    churn_nights: Annotated[int, Field(ge=1)] = 30
    """The usual share is the median of at most so many nights before."""
    churn_after_nights: Annotated[int, Field(ge=1)] = 14
    """The share is judged once the model has had so many nights."""
    age_days: Annotated[int, Field(ge=1)] | None = 90
    """A model that was fitted longer ago asks for a refit; null: never for its age."""
    rest_days: Annotated[int, Field(ge=0)] = 14
    """After a refit, what is measured asks for no other one for so many days: a challenger needs
    nights to show what it is worth. A changed file and a person don't wait."""
    missing_rise: Share = 0.2
    """A feature whose missing share grew by more than this is an alarm that no refit mends: what
    fills it is broken."""
    new_category_share: Share = 0.05
    """More values than this in categories that were new or rare when the model was fitted are an
    alarm that no refit mends: somebody has to say what they mean."""
    shadow_nights: Annotated[int, Field(ge=1, le=60)] = 3
    """For so many nights a challenger scores beside the model in force, which nobody sees; then the
    gates decide."""
    largest_migration: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """A challenger that would put more customers than this into another segment waits for a
    person."""

    @model_validator(mode="after")
    def _alarms_are_above_warnings(self) -> Self:
        for measure in ("psi", "floor"):
            warning, alarm = getattr(self, f"{measure}_warning"), getattr(self, f"{measure}_alarm")
            if warning > alarm:
                raise ValueError(f"`{measure}_warning` is above `{measure}_alarm`")
        if self.churn_after_nights > self.churn_nights:
            raise ValueError(
                "`churn_after_nights` is above `churn_nights`: a median is of no more nights"
            )
        return self
