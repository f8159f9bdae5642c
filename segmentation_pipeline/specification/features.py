"""What a feature is: where its value comes from, and how it enters the distance."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name
from segmentation_pipeline.specification.expressions import Expression

Criterion = Literal["demographics", "behaviour", "needs", "preferences"]
Scaling = Literal["standard", "min_max", "robust", "none"]
NUMBER_WORDS = ("high", "low")
"""What a number's `words` are for."""
NUMBER_TYPE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|DECIMAL\(.*\)|FLOAT|DOUBLE")
"""DuckDB types of numbers; as features, all of them are DOUBLE."""


class Aggregate(ClosedModel):
    """A number made of a customer's events, transactions or answers up to the night's date."""

    source: Name
    """The source whose rows are aggregated."""
    function: Literal[
        "count", "sum", "mean", "minimum", "maximum", "distinct", "recency_days", "rate", "share"
    ]
    """`rate` is rows per day of the window; `share` is the share of rows for which `where` holds;
    `recency_days` are the days from the newest row to the night's date. A customer without rows
    has count, sum, distinct and rate 0, and no value for the others."""
    column: Name | None = None
    """The column to sum, average, count distinct values of, ..."""
    where: Expression | None = None
    """Which rows count, as an SQL predicate over the source's columns."""
    window_days: Annotated[int, Field(ge=1, le=365_000)] | None = None
    """Only the last so many days up to and including the night's date; all of them if not given."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        needs_column = self.function in ("sum", "mean", "minimum", "maximum", "distinct")
        if needs_column != (self.column is not None):
            verb = "needs" if needs_column else "takes no"
            raise ValueError(f"`function: {self.function}` {verb} `column`")
        if self.function == "rate" and self.window_days is None:
            raise ValueError("`function: rate` needs `window_days`, the days it is a rate of")
        if self.function == "share" and self.where is None:
            raise ValueError("`function: share` needs `where`, what it is the share of")
        return self


class OrdinalEncoding(ClosedModel):
    """One number per category: its rank, or a given value."""

    kind: Literal["ordinal"]
    """Categories in an order."""
    order: list[str] | None = None
    """The categories from lowest to highest; their ranks 1, 2, 3, ... are the numbers."""
    values: dict[str, float] | None = None
    """Category -> number, such as Positive: 1, Willing: 0.5, Neutral: 0."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.order is None) == (self.values is None):
            raise ValueError("an ordinal encoding has either `order` or `values`")
        if self.order is not None and len(set(self.order)) < len(self.order):
            raise ValueError("a category stands in `order` twice")
        return self


class OneHotEncoding(ClosedModel):
    """One 0/1 column per category."""

    kind: Literal["one_hot"]
    """Categories without an order."""
    maximum_categories: Annotated[int, Field(ge=2)] = 20
    """The most frequent so many categories get a column, the others share one called "other"."""


class GivenEncoding(ClosedModel):
    """A given vector per category."""

    kind: Literal["given"]
    """Categories placed by an expert."""
    components: Annotated[list[Name], Field(min_length=1)]
    """The names of the vector's numbers, such as clinical, responsibility."""
    vectors: Annotated[dict[str, list[float]], Field(min_length=1)]
    """Category -> vector, such as Nurse: [0.1, 0.5]."""

    @model_validator(mode="after")
    def _equal_lengths(self) -> Self:
        if len(set(self.components)) < len(self.components):
            raise ValueError("a component stands in `components` twice")
        for category, vector in self.vectors.items():
            if len(vector) != len(self.components):
                raise ValueError(
                    f"the vector of `{category}` has {len(vector)} numbers, "
                    f"`components` names {len(self.components)}"
                )
        return self


class NeuralEncoding(ClosedModel):
    """A vector per category, learned from how it goes with the segmentation's other features."""

    kind: Literal["neural"]
    """Many categories, of which some are alike, such as roles or product codes."""
    dimensions: Annotated[int, Field(ge=1, le=16)] = 2
    """How many numbers a vector has."""
    rare_count: Annotated[int, Field(ge=1)] = 10
    """A category of fewer customers has the mean vector, as one that was never seen."""
    maximum_categories: Annotated[int, Field(ge=2, le=1_000)] = 200
    """Up to so many categories, without the rare ones, a small network learns the vectors; more
    get them from a truncated SVD of how often they meet levels of the other features."""


Encoding = Annotated[
    OrdinalEncoding | OneHotEncoding | GivenEncoding | NeuralEncoding, Field(discriminator="kind")
]


class Clip(ClosedModel):
    """Bounds beyond which a value counts as the bound, in fitting and scoring alike."""

    lower: float | None = None
    """In the feature's unit, after the transform."""
    upper: float | None = None
    """In the feature's unit, after the transform."""
    lower_quantile: Annotated[float, Field(ge=0, lt=0.5)] | None = None
    """A quantile of the customers it was fitted on, instead of a value."""
    upper_quantile: Annotated[float, Field(gt=0.5, le=1)] | None = None
    """A quantile of the customers it was fitted on, instead of a value."""

    @model_validator(mode="after")
    def _value_or_quantile(self) -> Self:
        for value, quantile, side in (
            (self.lower, self.lower_quantile, "lower"),
            (self.upper, self.upper_quantile, "upper"),
        ):
            if value is not None and quantile is not None:
                raise ValueError(f"`{side}` and `{side}_quantile` exclude each other")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError("`lower` must be below `upper`")
        return self


class MissingConstant(ClosedModel):
    """A constant for missing values."""

    constant: float
    """In the feature's unit, after the transform."""


class FeatureSpec(ClosedModel):
    """One feature: where its value comes from, and how it enters the distance.

    It is a column of `customers`, an expression over columns and features, or an aggregate of
    events; where none is named, the column of the feature's own name.
    """

    description: str = ""
    """What it tells, for people."""
    unit: str | None = None
    """Of a number, such as `mails/90 days`."""
    words: dict[str, str] = {}
    """What a segment that stands out by it is called: `high` and `low` of a number
    (`high: frequent visitors`), the category's name of a category (`Nurse: nurses`). Names of
    segments are made of these words; where there are none, of the feature's own name."""
    criterion: Criterion | None = None
    """Which of the segmentation's criteria it stands for."""
    column: Name | None = None
    """A column of `customers`."""
    expression: Expression | None = None
    """An SQL expression over columns of `customers`, other features' raw values and `as_of`.
    A division by zero gives no value, and is counted."""
    aggregate: Aggregate | None = None
    """A number made of events."""
    use: Literal["clustering", "profile", "input"] = "clustering"
    """`clustering`: it makes the segments. `profile`: it only describes them. `input`: other
    features' expressions use it."""
    transform: Literal["none", "log1p"] = "none"
    """`log1p` suits counts and money; a negative value then becomes missing, and is counted."""
    encoding: Encoding | None = None
    """How a category becomes numbers; `one_hot` where nothing is said."""
    scaling: Scaling | None = None
    """Overrides the segmentation's scaling."""
    clip: Clip | None = None
    """Winsorising; none where nothing is said."""
    missing: Literal["centre", "indicator"] | MissingConstant = "centre"
    """What a missing value becomes: the centre, the centre and one more 0/1 column, a constant."""
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Its share of the squared distance, next to the other features'. A block of columns (one-hot,
    vectors) shares the weight of its one feature."""
    block: Name | None = None
    """Features of the same block share the weight of one, as the columns of a one-hot encoding do,
    and stay or go together: the items of a questionnaire that ask for one thing, for instance."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [self.column, self.expression, self.aggregate]
        if sum(origin is not None for origin in origins) > 1:
            raise ValueError("a feature has one of `column`, `expression` and `aggregate`")
        if self.encoding is not None and (self.transform != "none" or self.clip is not None):
            raise ValueError("`transform` and `clip` are for numbers, `encoding` for categories")
        if self.encoding is not None and self.aggregate is not None:
            raise ValueError("an `aggregate` is a number, and `encoding` is for categories")
        if self.aggregate is not None and not set(self.words) <= set(NUMBER_WORDS):
            raise ValueError("`words` of a number are for `high` and `low`")
        return self

    @property
    def unfitted(self) -> frozenset[str]:
        """The settings that tell and don't fit.

        `block` is among them where there is none: a home that says nothing of it refits nothing.
        """
        told = {"description", "unit", "words", "criterion"}
        return frozenset(told if self.block is not None else {*told, "block"})


def feature_type(kind: str) -> str:
    """Tell the DuckDB type that a feature has whose value is of type `kind`."""
    if kind.startswith("ENUM"):
        return "VARCHAR"
    return "DOUBLE" if NUMBER_TYPE.fullmatch(kind) else kind


def type_fault(feature: FeatureSpec, kind: str) -> str | None:
    """Say why a feature can't be of a DuckDB type, after its name; None where it can."""
    is_category = kind == "VARCHAR"
    if feature.use != "input" and kind not in ("DOUBLE", "BOOLEAN", "VARCHAR"):
        return (
            f"is of type {kind}: a feature is a number, a category or a boolean; make it one by "
            "an expression, or set `use: input`"
        )
    if is_category and (feature.transform != "none" or feature.clip is not None):
        return "is a category: `transform` and `clip` are for numbers"
    if feature.encoding is not None and not is_category:
        return "is no category: `encoding` is for categories"
    return None
