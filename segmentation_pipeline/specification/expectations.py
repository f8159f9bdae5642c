"""What a customer base expects of its data: by rows, across sources, and from load to load."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name, Share
from segmentation_pipeline.specification.expressions import Expression, qualified_columns

CUSTOMERS_ALIAS = "customers"
"""What a predicate over a source's rows calls the row of `customers` beside it."""
DeclaredSeverity = Literal["error", "warning"]
ChangeSeverity = Literal["error", "warning", "ignore"]


class RowExpectation(ClosedModel):
    """Something that must hold for each row, as an SQL predicate over its columns.

    In a source, `customers.<column>` is a column of the customer whose row it is; rows of nobody
    are then not looked at.
    """

    name: Name
    """Its name in reports and in the Dagster graph."""
    description: str = ""
    """What it means, for people."""
    predicate: Expression
    """True for a good row. A predicate that is NULL holds, as in an SQL CHECK."""
    quarantine: Literal["row", "none"] = "none"
    """Whether a row that breaks it is left out of what follows."""
    maximum_share: Share = 0.0
    """The share of rows that may break it; above, `severity` decides."""
    severity: DeclaredSeverity = "error"
    """`error` stops the night; `warning` is shown."""

    @field_validator("name")
    @classmethod
    def _is_told_from_derived_ones(cls, name: str) -> str:
        if "__" in name:
            raise ValueError("two underscores in a row are for the checks that follow from columns")
        return name

    @model_validator(mode="after")
    def _sets_aside_rows_of_one_source(self) -> Self:
        if self.looks_at_customers and self.quarantine == "row":
            raise ValueError(
                f"`quarantine: row` is for a predicate over one source: `{CUSTOMERS_ALIAS}` is "
                "made of the rows that were not set aside"
            )
        return self

    @property
    def looks_at_customers(self) -> bool:
        """Whether it compares rows of a source with `customers`."""
        return any(table == CUSTOMERS_ALIAS for table, _ in qualified_columns(self.predicate))


class Reference(ClosedModel):
    """That the ids of a source are known to another one."""

    source: Name
    """The source that should know them. Who was in an earlier snapshot of it counts as known."""
    at_least: Share = 1.0
    """The share of the different ids that must be known."""
    severity: DeclaredSeverity = "error"
    """`error` stops the night; `warning` is shown."""


class DistributionChange(ClosedModel):
    """How much a source's columns may differ from the last load that passed its checks.

    A change within what chance explains (twice the noise) is none, whatever is declared.
    """

    severity: ChangeSeverity = "warning"
    """`error` stops the night; `warning` is shown; `ignore` compares nothing."""
    columns: dict[Name, ChangeSeverity] = {}
    """Columns with a severity of their own."""
    maximum_missing_change: Share = 0.1
    """By how much the share of missing values may change, either way."""
    maximum_stability_index: Annotated[float, Field(gt=0)] = 0.25
    """The population stability index up to which a category's shares are the same."""
    maximum_quantile_shift: Share = 0.15
    """How far a number's quartiles may move, as a share of rows: 0.15 where what was the median is
    now exceeded by 35 % or 65 % of them."""

    def of(self, column: str) -> ChangeSeverity:
        """Say how bad a change of a column is."""
        return self.columns.get(column, self.severity)
