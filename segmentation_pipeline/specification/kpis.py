"""What a KPI is: a figure of each customer in a window, and what it becomes for a group of them."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression
from segmentation_pipeline.specification.features import Aggregate

KpiKind = Literal["binary", "mean", "ratio", "heavy"]
KpiPart = Literal["numerator", "denominator"]
TotalFunction = Literal["count", "sum", "distinct"]
EVERYBODY = "everybody"
"""What stands in the place of a segment in the row of all customers; no segment has such an id."""
_TOTALS: tuple[TotalFunction, ...] = ("count", "sum", "distinct")


class KpiTotal(ClosedModel):
    """A customer's total in the KPI's window: one of the two parts of a ratio."""

    source: Name
    """The source whose rows are summed up."""
    function: TotalFunction
    """`count` of the rows, `sum` of a column, `distinct` values of a column."""
    column: Name | None = None
    """The column to sum, or to count distinct values of."""
    where: Expression | None = None
    """Which rows count, as an SQL predicate over the source's columns."""


class Kpi(ClosedModel):
    """A figure by which segments and strategies are judged, night by night.

    It is an aggregate of each customer's rows in a window, an expression over the columns of
    `customers`, or of kind `ratio`, one total of the customers' rows divided by another.
    """

    description: Annotated[str, Field(min_length=1)]
    """What it tells, for people."""
    unit: str | None = None
    """Of its value, such as `EUR/30 days`."""
    kind: KpiKind
    """`binary`: the share of customers for whom it is above 0 (or true). `mean`: the mean of the
    customers. `heavy`: the mean of a figure that few customers make most of, such as money.
    `ratio`: the sum of `numerator` divided by the sum of `denominator`, such as clicks per mail."""
    higher_is_better: bool = True
    """Whether a rise is good news."""
    source: Name | None = None
    """The survey, transactions or web events whose rows are aggregated."""
    function: (
        Literal[
            "count",
            "sum",
            "mean",
            "minimum",
            "maximum",
            "distinct",
            "recency_days",
            "rate",
            "share",
        ]
        | None
    ) = None
    """As of a feature's `aggregate`; of kind binary `count`, `sum` or `distinct`."""
    column: Name | None = None
    """The column to sum, average, count distinct values of, ..."""
    where: Expression | None = None
    """Which rows count, as an SQL predicate over the source's columns."""
    expression: Expression | None = None
    """An SQL expression over the columns of `customers` and `as_of`, as they are on the date."""
    numerator: KpiTotal | None = None
    """Of a ratio: the total that is divided."""
    denominator: KpiTotal | None = None
    """Of a ratio: the total that it is divided by."""
    returning: bool = False
    """Of kind binary: count only customers for whom it held in the window just before too, so that
    it is the share of them that came back."""
    window_days: Annotated[int, Field(ge=1, le=3650)]
    """It looks at the last so many days up to and including the date, and compares them with as
    many days before. An expression is compared with its value so many days before."""

    @model_validator(mode="after")
    def _has_one_origin(self) -> Self:
        if self.kind == "ratio":
            if self.numerator is None or self.denominator is None:
                raise ValueError("`kind: ratio` needs `numerator` and `denominator`")
            if self.source is not None or self.expression is not None:
                raise ValueError("a ratio's `source` stands in its `numerator` and `denominator`")
        elif self.numerator is not None or self.denominator is not None:
            raise ValueError("`numerator` and `denominator` are for `kind: ratio`")
        elif (self.source is None) == (self.expression is None):
            raise ValueError("a KPI has either `source`, with `function`, or `expression`")
        if self.source is None:
            for setting in ("function", "column", "where"):
                if getattr(self, setting) is not None:
                    raise ValueError(f"`{setting}` needs `source`")
        elif self.function is None:
            raise ValueError("`source` needs `function`: what to do with its rows")
        return self

    @model_validator(mode="after")
    def _kind_fits(self) -> Self:
        if self.returning and (self.kind != "binary" or self.source is None):
            raise ValueError("`returning` is for `kind: binary` with a `source`")
        if self.kind == "binary" and self.source is not None and self.function not in _TOTALS:
            raise ValueError(
                f"`kind: binary` asks whether a total is above 0: `function` is one of "
                f"{', '.join(_TOTALS)}"
            )
        try:
            _ = self.aggregates
        except ValidationError as error:
            raise ValueError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
        return self

    @property
    def aggregates(self) -> Mapping[KpiPart, Aggregate]:
        """The aggregates of a customer's rows that it is made of; none of an expression."""
        if self.numerator is not None and self.denominator is not None:
            return {
                "numerator": self._total(self.numerator),
                "denominator": self._total(self.denominator),
            }
        if self.source is None or self.function is None:
            return {}
        aggregate = Aggregate(
            source=self.source,
            function=self.function,
            column=self.column,
            where=self.where,
            window_days=self.window_days,
        )
        return {"numerator": aggregate}

    def _total(self, part: KpiTotal) -> Aggregate:
        return Aggregate(
            source=part.source,
            function=part.function,
            column=part.column,
            where=part.where,
            window_days=self.window_days,
        )
