"""What a source is: its files, its key, its columns, and what may be wrong with it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.specification.closed import ClosedModel, Name, Share
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.expectations import (
    DistributionChange,
    Reference,
    RowExpectation,
)
from segmentation_pipeline.specification.formats import FileSettings
from segmentation_pipeline.specification.keys import (
    KeyExpression,
    KeyForm,
    SourceKey,
    Visitors,
)
from segmentation_pipeline.specification.row_shapes import IgnoredRows, LongTable
from segmentation_pipeline.specification.source_checks import (
    VISITOR_KEY,
    check_exposures,
    check_identity,
    check_keys,
    check_row_shapes,
)

SourceKind = Literal["survey", "crm", "transactions", "web", "exposures", "identity"]
RESERVED_COLUMNS = ("customer_id", "as_of", "load_id", "source_row")


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


class SourceSpec(FileSettings):
    """One source: a survey, a CRM table, transactions, or web events."""

    kind: SourceKind
    """`crm`: a row per customer, each load a dated snapshot. `survey`: answers with a time.
    `transactions` and `web`: events with a time, which only aggregates use. `exposures`: what
    campaigns did, a row each time a `strategy` was `sent`, `delivered` or `bounced` (`status`).
    `identity`: which web visitor is which customer, a row each time one logged in, or a span."""
    description: str = ""
    """What it is, for people."""
    null_words: list[str] = ["", "NA", "N/A", "null", "NULL"]
    """Words that mean "no value" in every column. Outer blanks don't count."""
    key: SourceKey
    """What identifies the customer: a column, several (joined by `|`), a form of a column, an
    expression over the columns' texts, or `row_number: true`."""
    visitors: Visitors | None = None
    """Of kind identity: which visitor a row names."""
    identity: Name | None = None
    """Of events whose `key` is a web visitor's id: the source of kind identity that says whose they
    are. Events of visitors whom it doesn't name yet are kept, and join when it does."""
    long: LongTable | None = None
    """Where a CRM file has a row for each attribute of a customer."""
    ignore_rows: list[IgnoredRows] = []
    """Rows that are left aside before anything else is looked at, and counted by reason."""
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
    references: Reference | list[Reference] = []
    """Which other source must know its ids, or several; see also `maximum_orphan_share`."""
    distribution: DistributionChange = DistributionChange()
    """How much its columns may differ from the last load."""
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
    maximum_unmapped_share: Share = 1.0
    """With `identity`: the share of rows of visitors whom the map gives no customer (most visitors
    never log in) above which the night stops."""
    maximum_collision_share: Share | None = None
    """The share of a file's ids that may stand there written in several ways, which `key` makes one
    (`17` and `EMP-17`), before the night stops: they may be two customers. Where nothing is said,
    none may in a CRM table whose key is a form; of others it is counted and warned of."""
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
        check_keys(self)
        self._check_answers()
        self._check_time()
        check_exposures(self)
        check_identity(self)
        check_row_shapes(self)
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
        if isinstance(self.key, KeyForm):
            return [self.key.column]
        if isinstance(self.key, str):
            return [self.key]
        return self.key if isinstance(self.key, list) else []

    def _check_time(self) -> None:
        if self.time is None:
            if self.kind in ("transactions", "web", "exposures"):
                raise ValueError(f"a source of kind {self.kind} needs `time`")
            if self.freshness != Freshness():
                raise ValueError("`freshness` needs `time`, the column that says how old a row is")
            if self.keep != "latest":
                raise ValueError(
                    f"`keep: {self.keep}` needs `time`, the column that says when an answer was "
                    "given"
                )
            return
        column = self.columns.get(self.time)
        if column is None:
            raise ValueError(f"`time` names `{self.time}`, which `columns` doesn't list")
        if column.type not in ("date", "timestamp"):
            raise ValueError(f"`time` names `{self.time}`, which is neither date nor timestamp")

    def _check_answers(self) -> None:
        """Refuse a column that has the name of a part of an answer."""
        for name, column in self.columns.items():
            for part in column.as_columns(name) if column.is_answer else ():
                if part in self.columns:
                    raise ValueError(
                        f"`{part}` is made of `{name}`: give the column that is declared so "
                        "another name (`header` keeps the name of the file)"
                    )

    @property
    def referenced(self) -> list[Reference]:
        """What `references` declares, as a list."""
        return self.references if isinstance(self.references, list) else [self.references]

    @property
    def id_column(self) -> str:
        """The column of its raw table that says whose a row is: a customer's id, or a visitor's."""
        return "customer_id" if self.identity is None else VISITOR_KEY

    @property
    def id_columns(self) -> list[str]:
        """The columns of its raw table that hold ids: a customer's, a visitor's, or both."""
        return [self.id_column, *([VISITOR_KEY] if self.visitors is not None else [])]

    @property
    def makes_ids_one(self) -> bool:
        """Whether its key can make one id of what is written in several ways."""
        return isinstance(self.key, KeyForm | KeyExpression)

    @property
    def allowed_collisions(self) -> float:
        """The share of ids that may be written in several ways before the night stops."""
        if self.maximum_collision_share is not None:
            return self.maximum_collision_share
        return 0.0 if self.kind == "crm" and isinstance(self.key, KeyForm) else 1.0

    @property
    def is_attributes(self) -> bool:
        """Whether its columns describe customers; else it is a stream that only aggregates read."""
        return self.kind == "crm" or (self.kind == "survey" and self.keep != "all")

    @property
    def attribute_columns(self) -> dict[str, ColumnSpec]:
        """The columns that become columns of `customers`, answers in parts."""
        if not self.is_attributes:
            return {}
        keys = {*self.key_columns, self.time, *(self.long.row_columns if self.long else ())}
        return {name: column for name, column in self.columns.items() if name not in keys}

    @property
    def clean_columns(self) -> dict[str, ColumnSpec]:
        """The columns of a cleaned row: the declared ones, with their parts in place of answers."""
        return {
            part: declared
            for name, column in self.columns.items()
            for part, declared in column.as_columns(name).items()
        }
