"""How a source says whose row it is: by columns, a form, an expression, a row's number, a visitor.

What belongs here: the declarations. What they mean in SQL belongs to `ingestion.keys_sql`, and
whose a visitor's events are to `preparation.visitors`.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression
from segmentation_pipeline.warehouse import DatabaseError, open_in_memory


def _pattern_with_one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
        with open_in_memory(memory_limit="256MB", threads=1) as connection:
            connection.execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
    except (re.error, DatabaseError):
        raise ValueError("not a regular expression as RE2 has them") from None
    if groups != 1:
        raise ValueError(
            f"it has {groups} groups, and exactly one must hold the id: `(?:EMP-)?([0-9]+)` has "
            "one, since `(?:` begins none"
        )
    return pattern


KeyPattern = Annotated[str, AfterValidator(_pattern_with_one_group)]
"""A regular expression (RE2) with one group."""


class KeyExpression(ClosedModel):
    """A customer's id as an SQL expression over the source's columns (all of them text there)."""

    expression: Expression
    """For instance `upper(trim(staff_id))`."""


class RowNumberKey(ClosedModel):
    """A customer's id made of the row's number, for a source without a key."""

    row_number: Literal[True]
    """Only for a source that is one file."""


class KeyForm(ClosedModel):
    """A customer's id from one column, brought into one way of writing it.

    Applied in this order: `pattern`, `zeros`, `width`, `case`, `prefix`.
    """

    column: Name
    """The column that has the id, of type text."""
    pattern: KeyPattern | None = None
    """What the whole text looks like, whatever the case of its letters; its one group is kept, as
    `(?:EMP[- ]?)?([0-9]+)(?:\\.0)?` keeps the number. A text that doesn't fit is no id."""
    zeros: Literal["keep", "strip"] = "keep"
    """Whether zeros in front go: `00017` becomes `17`."""
    width: Annotated[int, Field(ge=1, le=64)] | None = None
    """Fill up with zeros in front to so many characters: `17` becomes `00017`."""
    case: Literal["keep", "upper", "lower"] = "keep"
    """What becomes of letters."""
    prefix: str = ""
    """What to write in front, such as `EMP-`."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.model_fields_set <= {"column"}:
            raise ValueError(
                "it changes nothing: say `pattern`, `zeros`, `width`, `case` or `prefix`, or write "
                f"`{self.column}` alone"
            )
        return self


VisitorKey = Name | KeyForm | KeyExpression
SourceKey = Name | list[Name] | KeyForm | KeyExpression | RowNumberKey


class Visitors(ClosedModel):
    """Which visitor a row of an identity map names, and for how long they are the customer.

    From when is what the source's `time` says; without a `time`, from always.
    """

    key: VisitorKey
    """What identifies the visitor: a column, a form of one, or an expression, as the streams of
    events write it after their own `key`."""
    until: Name | None = None
    """The column that says until when: a date, that day included, or a time, itself not. A row
    without it holds until the visitor's next row begins."""
    days_before_first: Annotated[int, Field(ge=0)] | None = None
    """How many days before a visitor's first row their events may lie to be of its customer; all
    of them where nothing is said, 0 for none."""
    maximum_customers: Annotated[int, Field(ge=1)] = 10
    """A visitor with more customers than this is a machine that everybody uses: nobody's."""
