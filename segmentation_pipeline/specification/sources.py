"""What a source is: its files, its key, its columns, and what may be wrong with it."""

import datetime as dt
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name, Share
from segmentation_pipeline.specification.expressions import Expression
from segmentation_pipeline.specification.formats import ColumnPlace, FileSettings

SourceKind = Literal["survey", "crm", "transactions", "web", "exposures"]
ColumnType = Literal["text", "category", "integer", "number", "date", "timestamp", "boolean"]
EXPOSURE_STATUSES = ("sent", "delivered", "bounced")
"""What a source of kind `exposures` can tell of a message."""
NUMERIC_TYPES: tuple[ColumnType, ...] = ("integer", "number")
MISSING_CATEGORY = "missing"
"""The category that a missing value is, where `impute` says so and in profiles."""
RESERVED_COLUMNS = ("customer_id", "as_of", "load_id", "source_row")


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


class ColumnSpec(ColumnPlace):
    """One column of a source."""

    type: ColumnType
    """`text` is free text; a `category` is text from a limited list; ids are `text`."""
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
            "aliases": self.type == "category" or not self.aliases,
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
        self._check_spellings()
        return self

    def _check_spellings(self) -> None:
        """Refuse a spelling that means two categories; case and blanks don't tell them apart."""
        meanings = {_folded(name): name for name in {*self.aliases, *(self.categories or ())}}
        for name, spellings in self.aliases.items():
            for spelling in spellings:
                if meanings.setdefault(_folded(spelling), name) != name:
                    raise ValueError(
                        f"the spelling `{spelling}` means both `{meanings[_folded(spelling)]}` and "
                        f"`{name}`"
                    )
        if self.categories is not None and not set(self.aliases) <= set(self.categories):
            unlisted = sorted(set(self.aliases) - set(self.categories))
            raise ValueError(f"`aliases` leads to names that `categories` doesn't list: {unlisted}")

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers."""
        return self.type in NUMERIC_TYPES


def _folded(spelling: str) -> str:
    return " ".join(spelling.split()).lower()


class KeyExpression(ClosedModel):
    """A customer's id as an SQL expression over the source's columns (all of them text there)."""

    expression: Expression
    """For instance `upper(trim(staff_id))`."""


class RowNumberKey(ClosedModel):
    """A customer's id made of the row's number, for a source without a key."""

    row_number: Literal[True]
    """Only for a source that is one file."""


class FileDate(ClosedModel):
    """The date of a snapshot, read from its file's name."""

    file_name: str
    """strptime format of the whole file name, such as `crm_%Y-%m-%d.csv`."""


class Freshness(ClosedModel):
    """How old the newest event of a source may be, in days before the night's date."""

    warn_after_days: Annotated[int, Field(ge=0)] | None = None
    """Older than this is a warning."""
    stop_after_days: Annotated[int, Field(ge=0)] | None = None
    """Older than this stops the night."""


class RowExpectation(ClosedModel):
    """Something that must hold for each row, as an SQL predicate over its columns."""

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
    severity: Literal["error", "warning"] = "error"
    """`error` stops the night; `warning` is shown."""


class SourceSpec(FileSettings):
    """One source: a survey, a CRM table, transactions, or web events."""

    kind: SourceKind
    """`crm`: a row per customer, each load a dated snapshot. `survey`: answers with a time.
    `transactions` and `web`: events with a time, which only aggregates use. `exposures`: what
    campaigns did, a row each time a `strategy` was `sent`, `delivered` or `bounced` (`status`)."""
    description: str = ""
    """What it is, for people."""
    null_words: list[str] = ["", "NA", "N/A", "null", "NULL"]
    """Words that mean "no value" in every column. Outer blanks don't count."""
    key: Name | list[Name] | KeyExpression | RowNumberKey
    """What identifies the customer: a column, several (joined by `|`), an expression over the
    columns' texts, or `row_number: true`."""
    time: Name | None = None
    """The column that says when an answer was given or an event happened."""
    keep: Literal["latest", "first", "all"] = "latest"
    """Which of a customer's survey answers counts; with `all` only aggregates use them."""
    snapshot_date: FileDate | None = None
    """Where a CRM snapshot's date stands; else it is the date of the night that loaded it."""
    approximate_dates: bool = False
    """Whether a night before the oldest CRM snapshot may use the oldest one."""
    duplicates: Literal["remove", "keep"] = "remove"
    """Whether events or answers that repeat another row in every declared column count once. So
    declare the columns that tell rows apart (a line's number, a product), or say `keep`."""
    columns: Annotated[dict[Name, ColumnSpec], Field(min_length=1)]
    """The columns to read. Columns of the file that are not listed are ignored, with a warning."""
    expectations: list[RowExpectation] = []
    """What must hold for its rows, besides what follows from types, ranges and lists."""
    minimum_rows: Annotated[int, Field(ge=0)] = 1
    """Fewer rows than this stop the night. Of `exposures` it may be 0: before the first campaign
    there is no file, or one without rows."""
    maximum_volume_change: Share | None = 0.2
    """By how large a share the rows may differ from the median of the last seven nights before the
    night stops: of a CRM table's snapshot either way, of streams and surveys, which grow, downwards
    only. If so many customers did leave, raise it for a night; null never stops."""
    maximum_rejected_share: Share = 0.001
    """The share of rows that cannot be read at all above which the night stops."""
    maximum_orphan_share: Share = 0.05
    """The share of rows whose customer is unknown above which the night stops."""
    freshness: Freshness = Freshness()
    """How old its newest row may be."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        for name, column in self.columns.items():
            self.check_place(name, column)
            if name in RESERVED_COLUMNS:
                raise ValueError(
                    f"a column can't be called `{name}`: the pipeline uses that name. Give it "
                    f"another one, with `header: {name}`"
                )
        for name in self.key_columns:
            if name not in self.columns:
                raise ValueError(f"`key` names `{name}`, which `columns` doesn't list")
        if isinstance(self.key, RowNumberKey) and any(sign in self.path for sign in "*?["):
            raise ValueError("a row number identifies a customer only within one file, not a glob")
        if self.format == "database" and isinstance(self.key, RowNumberKey):
            raise ValueError("rows of a database have no number: name the columns of its key")
        self._check_time()
        self._check_exposures()
        if self.kind != "crm" and (self.snapshot_date is not None or self.approximate_dates):
            raise ValueError("`snapshot_date` and `approximate_dates` are for kind crm")
        if self.kind != "survey" and self.keep != "latest":
            raise ValueError("`keep` is for kind survey")
        if self.is_attributes and self.duplicates == "keep":
            raise ValueError("`duplicates: keep` is for events and answers, not a row per customer")
        return self

    @property
    def key_columns(self) -> list[str]:
        """The columns that are the key, or parts of it; none of an expression."""
        if isinstance(self.key, str):
            return [self.key]
        return self.key if isinstance(self.key, list) else []

    def _check_time(self) -> None:
        if self.time is None:
            if self.kind in ("transactions", "web", "exposures"):
                raise ValueError(f"a source of kind {self.kind} needs `time`")
            if self.freshness != Freshness():
                raise ValueError("`freshness` needs `time`, the column that says how old a row is")
            return
        column = self.columns.get(self.time)
        if column is None:
            raise ValueError(f"`time` names `{self.time}`, which `columns` doesn't list")
        if column.type not in ("date", "timestamp"):
            raise ValueError(f"`time` names `{self.time}`, which is neither date nor timestamp")

    def _check_exposures(self) -> None:
        if self.kind != "exposures":
            if self.minimum_rows == 0:
                raise ValueError("`minimum_rows: 0` is for kind exposures: no other may be empty")
            return
        strategy, status = self.columns.get("strategy"), self.columns.get("status")
        if strategy is None or strategy.type not in ("text", "category"):
            raise ValueError(
                "exposures need a column `strategy`, text or category, that names the strategy as "
                "the playbook does (`header` says what the file calls it)"
            )
        if status is None or status.categories is None:
            raise ValueError(
                "exposures need a category `status` with `categories: [sent, delivered, bounced]`; "
                "`aliases` leads other words to them"
            )
        if "sent" not in status.categories or not {*status.categories} <= {*EXPOSURE_STATUSES}:
            raise ValueError(
                "the categories of `status` are `sent` and, where they are known, `delivered` and "
                f"`bounced`; got {', '.join(status.categories)}"
            )

    @property
    def is_attributes(self) -> bool:
        """Whether its columns describe customers; else it is a stream that only aggregates read."""
        return self.kind == "crm" or (self.kind == "survey" and self.keep != "all")

    @property
    def attribute_columns(self) -> dict[str, ColumnSpec]:
        """The columns that become columns of `customers`."""
        if not self.is_attributes:
            return {}
        keys = {*self.key_columns, self.time}
        return {name: column for name, column in self.columns.items() if name not in keys}
