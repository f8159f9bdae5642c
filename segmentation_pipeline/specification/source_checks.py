"""Whether the parts of a source's declaration fit together, kind by kind.

Each check raises ValueError, which the reading of the file turns into an error with its line.
"""

from typing import TYPE_CHECKING

from segmentation_pipeline.specification.keys import (
    KeyExpression,
    KeyForm,
    RowNumberKey,
    SourceKey,
    VisitorKey,
)
from segmentation_pipeline.specification.row_shapes import LongTable

if TYPE_CHECKING:
    from segmentation_pipeline.specification.sources import SourceSpec

VISITOR_KEY = "visitor_key"
"""The column of a raw table that holds a visitor's id: in identity maps besides `customer_id`, in
events with `identity` instead of it."""
EXPOSURE_STATUSES = ("sent", "delivered", "bounced")
"""What a source of kind `exposures` can tell of a message."""


def check_exposures(source: "SourceSpec") -> None:
    """Refuse exposures that don't say which strategy sent what; others may not be empty."""
    if source.kind != "exposures":
        if source.minimum_rows == 0:
            raise ValueError("`minimum_rows: 0` is for kind exposures: no other may be empty")
        return
    strategy, status = source.columns.get("strategy"), source.columns.get("status")
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


def check_keys(source: "SourceSpec") -> None:
    """Refuse a key of columns that are not declared, or that its format cannot have."""
    for name in source.key_columns:
        if name not in source.columns:
            raise ValueError(f"`key` names `{name}`, which `columns` doesn't list")
        if source.columns[name].is_answer:
            raise ValueError(f"`key` names `{name}`, which is {source.columns[name].type}, no id")
    _check_form(source, "key", source.key)
    if isinstance(source.key, RowNumberKey) and any(sign in source.path for sign in "*?["):
        raise ValueError("a row number identifies a customer only within one file, not a glob")
    if source.format == "database" and isinstance(source.key, RowNumberKey):
        raise ValueError("rows of a database have no number: name the columns of its key")
    has_form = isinstance(source.key, KeyForm | KeyExpression)
    if source.maximum_collision_share is not None and not has_form:
        raise ValueError(
            "`maximum_collision_share` is for a `key` that makes several spellings one: a form of "
            "a column, or an expression"
        )


def check_identity(source: "SourceSpec") -> None:
    """Refuse an identity map without visitors, and visitors where there is no map."""
    if (source.kind == "identity") != (source.visitors is not None):
        raise ValueError(
            "`visitors` says which visitor a row of kind identity names: it goes with that kind, "
            "and only with it"
        )
    if source.visitors is not None:
        _check_visitors(source)
    if source.identity is None:
        if source.maximum_unmapped_share != 1.0:
            raise ValueError("`maximum_unmapped_share` goes with `identity`")
    elif source.kind not in ("web", "transactions", "exposures"):
        raise ValueError(
            "`identity` is for events (kind web, transactions or exposures), whose key is a "
            "visitor's id"
        )
    elif isinstance(source.key, RowNumberKey | list):
        raise ValueError("with `identity`, `key` is the visitor's id: a column, form or expression")
    if VISITOR_KEY in source.columns and (source.visitors or source.identity):
        raise ValueError(
            f"a column can't be called `{VISITOR_KEY}` here: the pipeline uses that name. Give it "
            f"another one, with `header: {VISITOR_KEY}`"
        )


def check_row_shapes(source: "SourceSpec") -> None:
    """Refuse a long table that lacks its columns, and reasons to ignore rows that share a name."""
    repeated = _repeated([rule.name for rule in source.ignore_rows])
    if repeated is not None:
        raise ValueError(f"two of `ignore_rows` are called `{repeated}`: they are counted by name")
    if source.long is not None:
        _check_long(source, source.long)


def _check_long(source: "SourceSpec", long: LongTable) -> None:
    if source.kind != "crm" or source.time is not None or isinstance(source.key, RowNumberKey):
        raise ValueError(
            "`long` is for kind crm with a key that its rows share, and without `time`: "
            "`latest_by` says when a row was written"
        )
    if source.format == "fixed_width" or not source.has_header:
        raise ValueError("`long` finds its columns by their headers: a file without them has none")
    for name in long.row_columns:
        if name not in source.columns:
            raise ValueError(f"`long` names `{name}`, which `columns` doesn't list")
    if long.latest_by and source.columns[long.latest_by].type not in ("date", "timestamp"):
        raise ValueError(f"`latest_by` names `{long.latest_by}`: neither date nor timestamp")
    attributes = source.attribute_columns
    if not attributes:
        raise ValueError("a long table needs attributes: declare them in `columns`")
    for name, column in attributes.items():
        if column.is_answer:
            raise ValueError(f"column `{name}`: an attribute of a long table is no {column.type}")
    repeated = _repeated([column.header or name for name, column in attributes.items()])
    if repeated is not None:
        raise ValueError(f"two of `columns` are the attribute `{repeated}`")


def _repeated(names: list[str]) -> str | None:
    return next((name for name in names if names.count(name) > 1), None)


def _check_visitors(source: "SourceSpec") -> None:
    visitors = source.visitors
    if visitors is None:
        return
    if isinstance(source.key, RowNumberKey):
        # Of ValueError alone pydantic makes an error of the file.
        raise ValueError(  # noqa: TRY004
            "the `key` of an identity map is the customer's id, not a row's number"
        )
    _check_form(source, "visitors.key", visitors.key)
    if isinstance(visitors.key, str) and visitors.key not in source.columns:
        raise ValueError(f"`visitors.key` names `{visitors.key}`, which `columns` doesn't list")
    if visitors.until is None:
        return
    until = source.columns.get(visitors.until)
    if until is None:
        raise ValueError(f"`visitors.until` names `{visitors.until}`, which `columns` doesn't list")
    if until.type not in ("date", "timestamp"):
        raise ValueError(f"`visitors.until`: `{visitors.until}` is neither date nor timestamp")


def _check_form(source: "SourceSpec", setting: str, key: SourceKey | VisitorKey) -> None:
    if not isinstance(key, KeyForm):
        return
    column = source.columns.get(key.column)
    if column is None:
        raise ValueError(f"`{setting}` names `{key.column}`, which `columns` doesn't list")
    if column.type != "text":
        raise ValueError(f"`{setting}` is a form of `{key.column}`: declare that as text")
