"""Expectations and their results, described without Great Expectations.

| kind | columns | parameters | evaluated rows | holds when |
|---|---|---|---|---|
| `row_count_between` | | `minimum`, `maximum` | all | the table has so many rows |
| `columns_exist` | `columns` | | none | the table has these columns, and perhaps others |
| `columns_equal` | `columns` | | none | the table has these columns and no others |
| `freshness` | `column` | `as_of`, `maximum_age_days` | dated up to `as_of` | newest not older |
| `not_null` | `column` | | all | the value is there |
| `in_set` | `column` | `values` | not NULL | the value is one of these |
| `in_spellings` | `column` | `values` | not NULL | so is the text, but for case and blanks |
| `between` | `column` | `minimum`, `maximum` | not NULL | within the bounds; NaN is above all |
| `matches` | `column` | `pattern` | not NULL | the whole text matches (RE2) |
| `unique` | `column` or `columns` | | no key part NULL | no other row has this key |
| `referential` | `column` or `columns` | `table`, `other_columns` | no key part NULL | is there |
| `row_predicate` | | `predicate`, `where` (optional) | `where` is true | the SQL is not false |
| `references` | | `source`, `other` | different ids | the other source knows the id |
| `beside_customer` | | `source`, `predicate` | rows with a customer | the SQL is not false |
| `distribution` | | `source` | rows since the last load | no column has changed (see `changes`) |
| `missing_change` | `column` | `maximum` | the same | so has the share of missing values |
| `shares_change` | `column` | `maximum` | the same, not NULL | so have the categories' shares |
| `quantile_change` | `column` | `maximum` | the same, not NULL | so have the quartiles |

A predicate that is NULL is not false, and holds, as in an SQL CHECK.

Of the first four and of changes no single row is at fault: the table holds or not, and its result
has no unexpected rows. Of the others, `mostly` is the share of the evaluated rows that must hold.

What looks at more than the table itself (from `references` on) is counted elsewhere, and judged
here: `validate_table` refuses it.
"""

import datetime as dt
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.warehouse import Table

Kind = Literal[
    "row_count_between",
    "columns_exist",
    "columns_equal",
    "freshness",
    "not_null",
    "in_set",
    "in_spellings",
    "between",
    "matches",
    "unique",
    "referential",
    "row_predicate",
    "references",
    "beside_customer",
    "distribution",
    "missing_change",
    "shares_change",
    "quantile_change",
]
Severity = Literal["error", "warning"]

Outcome = Literal["held", "failed", "not_run", "not_compared"]
"""`not_run`: it raised, or lacks what it looks at. `not_compared`: there is nothing before yet."""

CHANGES: frozenset[Kind] = frozenset(
    {"distribution", "missing_change", "shares_change", "quantile_change"}
)
COUNTED_ELSEWHERE: frozenset[Kind] = CHANGES | {"references", "beside_customer"}
TABLE_LEVEL: frozenset[Kind] = CHANGES | {
    "row_count_between",
    "columns_exist",
    "columns_equal",
    "freshness",
}

_NAME = re.compile(r"[a-z0-9_]+")
_PARAMETER_TYPES: dict[str, tuple[type, ...]] = {
    "minimum": (int, float, dt.date),
    "maximum": (int, float, dt.date),
    "as_of": (dt.date,),
    "maximum_age_days": (int,),
    "values": (tuple,),
    "pattern": (str,),
    "table": (Table,),
    "other_columns": (tuple,),
    "predicate": (str,),
    "where": (str,),
    "source": (str,),
    "other": (str,),
}


@dataclass(frozen=True)
class _Shape:
    """What a kind takes: `columns` names the accepted fields, `any_of` wants one at least."""

    columns: frozenset[str]
    required: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


_ONE = frozenset({"column"})
_MANY = frozenset({"columns"})
_BOUNDS = frozenset({"minimum", "maximum"})
_SHAPES: dict[Kind, _Shape] = {
    "row_count_between": _Shape(frozenset(), any_of=_BOUNDS),
    "columns_exist": _Shape(_MANY),
    "columns_equal": _Shape(_MANY),
    "freshness": _Shape(_ONE, required=frozenset({"as_of", "maximum_age_days"})),
    "not_null": _Shape(_ONE),
    "in_set": _Shape(_ONE, required=frozenset({"values"})),
    "in_spellings": _Shape(_ONE, required=frozenset({"values"})),
    "between": _Shape(_ONE, any_of=_BOUNDS),
    "matches": _Shape(_ONE, required=frozenset({"pattern"})),
    "unique": _Shape(_ONE | _MANY),
    "referential": _Shape(_ONE | _MANY, required=frozenset({"table", "other_columns"})),
    "row_predicate": _Shape(
        frozenset(), required=frozenset({"predicate"}), optional=frozenset({"where"})
    ),
    "references": _Shape(frozenset(), required=frozenset({"source", "other"})),
    "beside_customer": _Shape(frozenset(), required=frozenset({"source", "predicate"})),
    "distribution": _Shape(frozenset(), required=frozenset({"source"})),
    "missing_change": _Shape(_ONE, required=frozenset({"maximum"})),
    "shares_change": _Shape(_ONE, required=frozenset({"maximum"})),
    "quantile_change": _Shape(_ONE, required=frozenset({"maximum"})),
}


@dataclass(frozen=True)
class Expectation:
    """One thing that a table must satisfy; a row of `validation_results`.

    Args:
        name: unique within the table's suite; lower-case letters, digits and underscores.
        kind: see the table of this module.
        column: the column of the kinds that look at one.
        columns: the columns of the kinds that look at several.
        parameters: see the table of this module; bounds are numbers or dates, `values` and
            `other_columns` are tuples, `table` is a `warehouse.Table`.
        mostly: the share (0 to 1) of evaluated rows that must hold.
        severity: `error` stops what comes after, `warning` is told.
        description: what it means, for people.

    Raises:
        SpecificationError: the kind is unknown, or its columns or parameters do not fit it.

    """

    name: str
    kind: Kind
    column: str | None = None
    columns: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    mostly: float = 1.0
    severity: Severity = "error"
    description: str = ""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise self._fault("its name may hold lower-case letters, digits and underscores only")
        _require_one_of("kind", self.kind, get_args(Kind), self)
        _require_one_of("severity", self.severity, get_args(Severity), self)
        if not 0.0 <= self.mostly <= 1.0:
            raise self._fault(f"`mostly` is a share from 0 to 1, not {self.mostly}")
        if self.kind in TABLE_LEVEL and self.mostly != 1.0:
            raise self._fault(f"`{self.kind}` is about the whole table and takes no `mostly`")
        self._require_columns(_SHAPES[self.kind])
        self._require_parameters(_SHAPES[self.kind])

    @property
    def named_columns(self) -> tuple[str, ...]:
        """The columns it looks at, in order."""
        return self.columns if self.column is None else (self.column,)

    def _require_columns(self, shape: _Shape) -> None:
        given = {
            name for name, value in (("column", self.column), ("columns", self.columns)) if value
        }
        if shape.columns and len(given) != 1:
            raise self._fault(f"`{self.kind}` wants {' or '.join(sorted(shape.columns))}")
        if not given <= shape.columns:
            raise self._fault(f"`{self.kind}` does not take `{given.pop()}`")

    def _require_parameters(self, shape: _Shape) -> None:
        known, given = shape.required | shape.any_of | shape.optional, set(self.parameters)
        for name in sorted(given - known):
            _require_one_of("parameter", name, sorted(known), self)
        missing = shape.required - given
        if shape.any_of and not given & shape.any_of:
            missing = shape.any_of
        if missing:
            raise self._fault(f"`{self.kind}` wants the parameter {' or '.join(sorted(missing))}")
        for name, value in self.parameters.items():
            types = _PARAMETER_TYPES[name]
            if not isinstance(value, types):
                allowed = " or ".join(one.__name__ for one in types)
                raise self._fault(f"`{name}` is {allowed}, not {type(value).__name__}")
        self._require_meaning()

    def _require_meaning(self) -> None:
        parameters = self.parameters
        if "values" in parameters and not parameters["values"]:
            raise self._fault("`values` is empty")
        if {"minimum", "maximum"} <= set(parameters):
            low, high = parameters["minimum"], parameters["maximum"]
            if isinstance(low, dt.date) != isinstance(high, dt.date) or low > high:
                raise self._fault("`minimum` must be below `maximum`, and both numbers or dates")
        if len(parameters.get("other_columns", self.named_columns)) != len(self.named_columns):
            raise self._fault("`other_columns` must be as many as its own columns")
        for name in {"predicate", "where"} & set(parameters):
            try:
                referenced_columns(parameters[name])
            except ValueError as error:
                raise self._fault(f"`{name}` is {error}") from None

    def _fault(self, why: str) -> SpecificationError:
        return SpecificationError(f"expectation {self.name!r}: {why}")


@dataclass(frozen=True)
class ExpectationResult:
    """What became of an expectation: counts, never values.

    Args:
        expectation: what was expected.
        success: whether it holds; never true of an expectation that did not run.
        evaluated_rows: how many rows it applies to (see the table of this module).
        unexpected_rows: how many of them do not hold.
        unexpected_share: their share (0 to 1); where no row was evaluated, or the expectation is
            about the table, 0 if it holds and 1 if it fails.
        exception: the class of the exception, if it could not run.
        message: the same in a sentence; names columns and counts.
        is_compared: whether what it compares with was there; without it, it does not hold.

    """

    expectation: Expectation
    success: bool
    evaluated_rows: int
    unexpected_rows: int
    unexpected_share: float
    exception: str | None
    message: str
    is_compared: bool = True

    @property
    def outcome(self) -> Outcome:
        """Say in a word what became of it."""
        if self.exception is not None:
            return "not_run"
        if not self.is_compared:
            return "not_compared"
        return "held" if self.success else "failed"


def _require_one_of(what: str, given: str, allowed: Any, expectation: Expectation) -> None:
    if given in allowed:
        return
    nearest = difflib.get_close_matches(given, allowed, n=1, cutoff=0.0)
    raise SpecificationError(
        f"expectation {expectation.name!r}: unknown {what} {given!r}; "
        + (f"did you mean {nearest[0]!r}? " if nearest else "")
        + f"Allowed: {', '.join(allowed) or 'none'}"
    )
