"""Rows of a file that are no customers: left over from a template, or one for each attribute."""

from typing import Annotated

from pydantic import Field

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression


class IgnoredRows(ClosedModel):
    """Rows that are no data, such as a template's example or a line of totals."""

    name: Name
    """What they are, in reports: `template`, `totals`."""
    reason: Annotated[str, Field(min_length=1)]
    """Why they are left aside, for people."""
    predicate: Expression
    """True for such a row: SQL over the declared columns, all of them text, as in a key's
    expression: `email = 'example@example.com'`. A predicate that is NULL or fails is not true."""
    maximum_rows: Annotated[int, Field(ge=1)] = 10
    """More of them in one file stop the night: a predicate that is too wide takes customers."""


class Trust(ClosedModel):
    """Which of several rows on the same attribute to believe, by what a column of them says."""

    column: Name
    """The column, such as the system that the row comes from."""
    order: Annotated[list[str], Field(min_length=1)]
    """Its values, the most trusted first. Others, and none, come after them."""


class LongTable(ClosedModel):
    """A file with a row for each attribute of a customer: they become one row per customer.

    Every declared column is an attribute, under its `header`, but those of the key, `latest_by`
    and `trust`. Where rows disagree, `trust` decides, then `latest_by`, then the value that sorts
    first (which is counted).
    """

    attribute: Annotated[str, Field(min_length=1)]
    """The header of the column that names the attribute."""
    value: Annotated[str, Field(min_length=1)]
    """The header of the column that has its value."""
    latest_by: Name | None = None
    """The column, a date or a timestamp, by which the latest row counts, also if it is empty."""
    trust: Trust | None = None
    """Which rows to believe first, whatever their dates."""

    @property
    def row_columns(self) -> list[str]:
        """The columns that are of the row, and no attributes, besides those of the key."""
        named = [self.latest_by, None if self.trust is None else self.trust.column]
        return [name for name in named if name is not None]
