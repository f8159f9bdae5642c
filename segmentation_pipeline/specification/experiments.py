"""Strategies as experiments: who is held out, for how long, and whom nobody may contact.

What belongs here: what the YAML may say. Whether it fits the home's sources and playbooks belongs
to `experiment_checks`.
"""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression

OpenShare = Annotated[float, Field(gt=0, lt=1)]


class FrequencyCap(ClosedModel):
    """How often a customer may be contacted by all strategies together."""

    maximum_contacts: Annotated[int, Field(ge=1)]
    """Whoever was sent so many messages gets no further one."""
    days: Annotated[int, Field(ge=1)]
    """Counted over so many days up to the night's date, in the sources of kind `exposures`."""


class Experiments(ClosedModel):
    """What all strategies share that are run as experiments."""

    key: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] | None = None
    """A word that goes into every draw of who is held out; never change it. It is no secret: who
    knows it can compute who is held out."""
    key_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """Instead of `key`: the environment variable that holds it, where that must not be known."""
    global_hold_out: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of all customers that no strategy ever reaches."""
    permission: Expression
    """Who may be contacted, as an SQL predicate over the columns of `customers`; who withdrew is
    left out from that night on. NULL is no permission."""
    frequency_caps: list[FrequencyCap] = []
    """Whoever has reached one of them is left out until it no longer holds."""
    order: list[Name] = []
    """Which segmentation goes first where strategies of equal priority want the same customer;
    those not named come after, by name."""

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.key is None) == (self.key_variable is None):
            raise ValueError("say `key` (a word) or `key_variable` (where it stands), one of them")
        return self


class Experiment(ClosedModel):
    """How the effect of a strategy is found out. It counts as it was on the first night.

    A customer is drawn into an arm on the first night on which the strategy is theirs, and stays in
    it. To change an experiment that has begun, give the strategy another name.
    """

    hold_out: OpenShare
    """The share of its customers that it is kept from, to tell what happens without it."""
    days: Annotated[int, Field(ge=1, le=730)]
    """For how long a customer is in it: `goal_kpi` is counted over so many days after the night of
    the draw, and no other strategy reaches the customer until then."""
    enrolment_days: Annotated[int, Field(ge=1, le=730)] = 1
    """Customers of its first so many days count for the effect. It is read once, when the last of
    them has been in it for `days`; who comes later is in an arm too, but in no figure."""
    start: dt.date | None = None
    """Nobody is drawn before this date; the first night that knows of it where nothing is said."""
    by_segment: bool = False
    """Whether the effect is told for each segment too. Each one is a comparison more, which all
    others pay for."""
    look: Literal["end", "nightly"] = "end"
    """`nightly` tells a p each night that may be looked at each night (mSPRT), and needs larger
    effects; with `end` there is none before the end."""

    @model_validator(mode="after")
    def _looks_see_more_customers(self) -> Self:
        if self.look == "nightly" and self.enrolment_days == 1:
            raise ValueError(
                "`look: nightly` needs `enrolment_days` above 1: what is looked at each night are "
                "the customers whose `days` are over, and of one night's they all end at once"
            )
        return self
