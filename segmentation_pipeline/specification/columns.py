"""What a column of a source is: its type, what it may hold, and what becomes of a missing value."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.answers import (
    ANSWER_TYPES,
    TEXT_PARTS,
    AnswerPart,
    AnswerSettings,
    folded,
)
from segmentation_pipeline.specification.closed import ClosedModel, Share
from segmentation_pipeline.specification.formats import ColumnPlace

ColumnType = Literal[
    "text",
    "category",
    "integer",
    "number",
    "date",
    "timestamp",
    "boolean",
    "choices",
    "free_text",
]
NUMERIC_TYPES: tuple[ColumnType, ...] = ("integer", "number")
SQL_TYPES: Mapping[ColumnType, str] = {
    "text": "VARCHAR",
    "category": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "choices": "VARCHAR",
    "free_text": "VARCHAR",
}
"""The DuckDB type of a column in the raw table of its source, and in `customers`."""
MISSING_CATEGORY = "missing"
"""The category that a missing value is, where `impute` says so and in profiles."""


class Imputation(ClosedModel):
    """What a missing value of a customer's column becomes."""

    method: Literal["median", "mode", "constant", "missing_category", "exclude_customer"]
    """`median` and `mode` are those of the night's customers; `missing_category` is the word
    "missing", as a category of its own; `exclude_customer` leaves the customer out."""
    value: str | float | bool | None = None
    """The constant, with `method: constant`."""

    @model_validator(mode="after")
    def _constant_has_value(self) -> Self:
        if (self.method == "constant") != (self.value is not None):
            raise ValueError("`value` goes with `method: constant`, and only with it")
        return self


class ColumnSpec(ColumnPlace, AnswerSettings):
    """One column of a source."""

    type: ColumnType
    """A `category` is text from a limited list; ids and other words are `text`. `choices` are
    several options in one answer, and become a column each. Of `free_text`, what people write
    themselves, only lengths and counts go further; the text is personal."""
    description: str = ""
    """What it says about a customer, for the data dictionary."""
    unit: str | None = None
    """The unit of a number, such as `EUR/month`."""
    formats: list[str] = []
    """strptime formats of a date or timestamp, tried in order; ISO 8601 where none is given."""
    null_words: list[str] = []
    """Words that mean "no value" in this column, besides those of the source."""
    aliases: dict[str, list[str]] = {}
    """A category's proper name -> the spellings that mean it. Case and outer blanks don't count."""
    categories: Annotated[list[str], Field(min_length=1)] | None = None
    """The allowed categories, after aliases. Others become missing, and are counted."""
    minimum: float | None = None
    """The smallest possible value of a number. Smaller ones become missing, and are counted."""
    maximum: float | None = None
    """The largest possible value of a number."""
    earliest: dt.date | None = None
    """The earliest possible date (dates after the night's date are never possible)."""
    maximum_rejected_share: Share = 0.05
    """The share of impossible or unreadable values above which the night stops."""
    maximum_null_share: Share = 0.5
    """The share of rows without a value above which the night stops."""
    personal: bool = False
    """A personal column never leaves the warehouse: not published, logged or reported."""
    sensitive: bool = False
    """A sensitive column can be neither a feature nor a condition."""
    impute: Imputation | None = None
    """What a missing value becomes in `customers`; left missing where nothing is said."""

    @model_validator(mode="after")
    def _settings_fit_type(self) -> Self:
        fits = {
            "formats": self.type in ("date", "timestamp") or not self.formats,
            "aliases": self.type in ("category", "choices") or not self.aliases,
            "categories": self.type == "category" or self.categories is None,
            "minimum": self.type in NUMERIC_TYPES or self.minimum is None,
            "maximum": self.type in NUMERIC_TYPES or self.maximum is None,
            "earliest": self.type in ("date", "timestamp") or self.earliest is None,
        }
        for setting, is_fit in fits.items():
            if not is_fit:
                raise ValueError(f"`{setting}` makes no sense for a column of type {self.type}")
        if self.impute is not None and self.impute.method == "median" and not self.is_numeric:
            raise ValueError("only a number has a median: use `mode` or `constant`")
        is_missing_category = self.impute is not None and self.impute.method == "missing_category"
        if is_missing_category and self.type != "category":
            raise ValueError("only a category can become the category `missing`")
        if self.is_answer and self.impute is not None and self.impute.method != "exclude_customer":
            raise ValueError(
                f"`impute` of {self.type} can only be `exclude_customer`: a feature's `missing` "
                "says what becomes of the columns that it is made into"
            )
        if self.type == "category":
            self._check_spellings()
        self.check_answers(self.type, self.aliases, (self.minimum, self.maximum))
        return self

    @model_validator(mode="before")
    @classmethod
    def _free_text_is_personal(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("type") != "free_text":
            return given
        if given.get("personal") is False:
            raise ValueError(
                "free text is personal: people write names into it. Leave `personal` out: its "
                "counts are not personal; for codes and other words there is the type `text`"
            )
        return {**given, "personal": True}

    def _check_spellings(self) -> None:
        """Refuse a spelling that means two categories; case and blanks don't tell them apart."""
        meanings = {folded(name): name for name in {*self.aliases, *(self.categories or ())}}
        for name, spellings in self.aliases.items():
            for spelling in spellings:
                if meanings.setdefault(folded(spelling), name) != name:
                    raise ValueError(
                        f"the spelling `{spelling}` means both `{meanings[folded(spelling)]}` and "
                        f"`{name}`"
                    )
        if self.categories is not None and not set(self.aliases) <= set(self.categories):
            unlisted = sorted(set(self.aliases) - set(self.categories))
            raise ValueError(f"`aliases` leads to names that `categories` doesn't list: {unlisted}")

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.type in NUMERIC_TYPES

    @property
    def is_answer(self) -> bool:
        """Whether other columns take its place in a cleaned row."""
        return self.type in ANSWER_TYPES

    @property
    def parts(self) -> Sequence[AnswerPart]:
        """What an answer becomes; nothing of another column, which stays what it is."""
        if self.type == "choices":
            return self.choice_parts()
        return TEXT_PARTS if self.type == "free_text" else ()

    def as_columns(self, name: str) -> dict[str, "ColumnSpec"]:
        """Declare what stands for it in a cleaned row: itself, or the columns of its parts."""
        if not self.is_answer:
            return {name: self}
        return {
            f"{name}__{part.name}": ColumnSpec(
                type=part.type,
                description=f"{self.description or name}: {part.description}",
                unit=part.unit,
                maximum_rejected_share=self.maximum_rejected_share,
                maximum_null_share=self.maximum_null_share,
                personal=self.personal and self.type != "free_text",
                sensitive=self.sensitive,
                impute=self.impute,
            )
            for part in self.parts
        }
