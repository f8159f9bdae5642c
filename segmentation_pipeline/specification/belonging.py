"""Who belongs: what becomes of customers whom a source, such as the survey, knows nothing of."""

from typing import Annotated

from pydantic import Field

from segmentation_pipeline.specification.closed import ClosedModel, Name


class Typing(ClosedModel):
    """Customers without a source are not grouped by guesses at its columns, but typed.

    A model learns from those who have the source how the segment shows in everything else, and a
    part of them is kept aside to tell how well it does. Where it does badly it is not used, and
    these customers are `unknown`.
    """

    sources: Annotated[list[Name], Field(min_length=1)]
    """The sources, such as the survey, without which a customer is typed."""
    features: Annotated[list[Name], Field(min_length=1)] | None = None
    """What the segment is learned from; where nothing is said, every feature with `use: clustering`
    or `use: profile` that reads none of these sources."""
    in_profiles: bool = False
    """Whether profiles, rules and personas describe typed customers too."""
