"""A playbook: what to do with a segment, and by what a segment must stand out for that."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.experiments import Experiment

Measure = Literal[
    "customers", "share", "mean", "median", "standardised_difference", "lift", "trait_rank",
    "value", "change",
]  # fmt: skip
NO_STRATEGY = "none"
"""What stands in the place of a strategy where none applies; no strategy can be called so."""

_OF_SEGMENT: tuple[Measure, ...] = ("customers", "share")
_OF_NUMBER: tuple[Measure, ...] = ("mean", "median", "standardised_difference", "trait_rank")
_OF_CATEGORY: tuple[Measure, ...] = ("share", "lift", "trait_rank")
_OF_KPI: tuple[Measure, ...] = ("value", "change")


class Condition(ClosedModel):
    """A figure of a segment, as it is published, and the bounds that it must lie within."""

    feature: Name | None = None
    """The feature that is looked at; none where the condition is about the segment's size or about
    a KPI."""
    category: str | None = None
    """Of a category, such as `email`: the one that is looked at; `missing` is no value."""
    kpi: Name | None = None
    """The KPI of `customers.yaml` that is looked at, as it is on the night's date."""
    measure: Measure
    """Of the segment: `customers`, `share`. Of a number: `mean`, `median` (in its unit),
    `standardised_difference` (from everybody else; 0.2 is small, 0.8 large, negative is below). Of
    a category: `share` of the segment, `lift` (2 is twice as frequent as among all). Of both:
    `trait_rank`, the place among the segment's traits, 1 for the strongest. Of a KPI: `value` (in
    its unit; 0.4 is 40 %) and `change`, by how much it rose since the window before (in the same
    unit; -0.05 is five percentage points less)."""
    at_least: float | None = None
    """The smallest figure for which it holds."""
    at_most: float | None = None
    """The largest figure for which it holds."""

    @model_validator(mode="after")
    def _measure_fits(self) -> Self:
        if self.category is not None and self.feature is None:
            raise ValueError("`category` needs `feature`, whose category it is")
        if self.kpi is not None and self.feature is not None:
            raise ValueError("a condition is about a `feature` or about a `kpi`: write two")
        allowed = _OF_SEGMENT
        about = "the segment's size"
        if self.kpi is not None:
            allowed, about = _OF_KPI, "a KPI"
        elif self.feature is not None:
            allowed = _OF_NUMBER if self.category is None else _OF_CATEGORY
            about = "a number" if self.category is None else "a category"
        if self.measure not in allowed:
            hint = ""
            if self.measure in _OF_KPI:
                hint = "; say of which `kpi`"
            elif self.kpi is not None:
                pass
            elif self.feature is None:
                hint = "; say of which `feature`"
            elif self.category is None and self.measure in _OF_CATEGORY:
                hint = "; say of which `category`"
            raise ValueError(
                f"`measure: {self.measure}` is no measure of {about}, which has "
                f"{', '.join(allowed)}{hint}"
            )
        return self

    @model_validator(mode="after")
    def _bounds_are_possible(self) -> Self:
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if not bounds:
            raise ValueError("a condition has `at_least`, `at_most` or both")
        if bounds != sorted(bounds):
            raise ValueError("`at_least` is above `at_most`: no segment can fulfil both")
        if self.measure == "share" and not all(0 <= bound <= 1 for bound in bounds):
            raise ValueError("a share is between 0 and 1: write 0.4 for 40 %")
        if self.measure == "trait_rank" and bounds[0] < 1:
            raise ValueError("the strongest trait has rank 1: a smaller one is none's")
        if self.measure in ("customers", "lift") and bounds[0] < 0:
            raise ValueError(f"`{self.measure}` is never below 0")
        return self


class Strategy(ClosedModel):
    """What to do with the segments for which all of its conditions hold."""

    when: Annotated[list[Condition], Field(min_length=1)]
    """What must hold for a segment, all of it. For an "or", write two strategies."""
    message: Annotated[str, Field(min_length=1)]
    """What they are told, in a sentence."""
    channel: Annotated[str, Field(min_length=1)]
    """How they are reached, such as `email`."""
    offer: Annotated[str, Field(min_length=1)] | None = None
    """What they are offered, if anything."""
    goal_kpi: Annotated[str, Field(min_length=1)]
    """By which figure its success is told: the name of one of the `kpis` of `customers.yaml`."""
    priority: Annotated[int, Field(ge=1)]
    """Its place where several apply to a segment: 1 is the first; of equals, the one that stands
    first in the file."""
    experiment: Experiment | None = None
    """How its effect is found out: then customers are assigned to it, and it has a list of them."""
