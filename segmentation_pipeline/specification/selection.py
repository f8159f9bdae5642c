"""Which of the declared features tell too little, or what others tell already."""

from typing import Annotated

from pydantic import Field

from segmentation_pipeline.specification.closed import ClosedModel, Share


class Selection(ClosedModel):
    """What keeps a feature out of the distance although it is declared to make segments.

    A feature goes or stays as a whole, with all columns that it has in the distance.
    """

    maximum_same_share: Annotated[float, Field(ge=0.5, le=1)] = 0.99
    """A feature that is one and the same for a larger share of the customers is dropped; a missing
    value that the centre fills counts as the centre. 1 drops constants only."""
    maximum_missing_share: Share = 0.95
    """A feature that lacks a larger share of its values is dropped, unless its `missing` says what
    the lack means (`indicator`, a constant). 1 drops none of them."""
    maximum_correlation: Annotated[float, Field(gt=0, le=1)] = 0.98
    """Of two features whose ranks correlate by more, either way, one is dropped: the one with more
    missing values, then the one with the smaller weight, then the later one in the file. 1 drops
    exact copies only."""
