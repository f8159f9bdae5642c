"""The suites that follow from specification and contracts: types, keys, ranges, lists, freshness.

A suite of one declaration has the same names whatever the date and the data, since each name is a
check of the Dagster graph. Names made here hold a double underscore (`age__between`); declared
expectations keep theirs.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from segmentation_pipeline.contracts import Contract
from segmentation_pipeline.ingestion.answers_sql import has_unlisted_sql, numbered_options_sql
from segmentation_pipeline.specification.columns import MISSING_CATEGORY, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expectations import RowExpectation
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation.expectations import Expectation, Severity
from segmentation_pipeline.warehouse import literal, quote

_MAY_BE_EMPTY = frozenset(
    {
        "segment_profiles",
        "segment_traits",
        "segment_category_shares",
        "preprocessing_effect",
        "feature_drift",
        "challenger_nights",
        "segment_transitions",
        "segment_movements",
        "segment_strategies",
        "segment_kpis",
        "sensitive_shares",
        "strategy_audience",
        "strategy_assignments",
        "strategy_effects",
        "typing_accuracy",
        "typing_confusion",
    }
)
"""A segmentation may have no feature that is a number, or none that is a category; one segment;
nothing that sets it apart; no new model; nobody who moved; nobody but noise; no column that is
sensitive; no KPI; no strategy that is an experiment; nobody who is typed; nothing that drift can be
measured against; no challenger."""


def raw_source_suite(
    name: str, source: SourceSpec, as_of: dt.date, *, usual_rows: float | None = None
) -> list[Expectation]:
    """Say what a source's raw table must satisfy before anything is made of it.

    Unreadable values are NULL there; impossible ones still stand, and up to
    `maximum_rejected_share` of them hold, since preparation makes them missing. Rows of one CRM
    load that share a customer's id are told, not refused: preparation resolves them. `usual_rows`
    is the median of the nights before, None where there were none.
    """
    suite = [
        _row_floor(source.minimum_rows, f"`{name}` has at least `minimum_rows` rows"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=(*source.id_columns, *source.columns),
            description="the key and every declared column are there",
        ),
        *(
            _not_null(column, _share_left(source.maximum_rejected_share), "a row names whose it is")
            for column in source.id_columns
        ),
    ]
    if source.kind == "crm":
        suite.append(
            Expectation(
                "customer_id__unique",
                "unique",
                columns=("load_id", "customer_id"),
                severity="warning",
                description="a CRM load has one row per customer",
            )
        )
    for column, declared in source.columns.items():
        floor = _share_left(declared.maximum_null_share)
        suite.append(_not_null(column, floor, "no more than `maximum_null_share` are missing"))
        # Events after the night's date do not exist for it: they are not impossible. Nor is a day
        # ahead until which a row of an identity map holds.
        until = None if source.visitors is None else source.visitors.until
        latest = None if column in (source.time, until) else as_of
        possible = _possible(column, declared, latest, _share_left(declared.maximum_rejected_share))
        if source.time not in (None, column) and declared.type in ("date", "timestamp"):
            possible = [_up_to(as_of, str(source.time), one) for one in possible]
        suite += possible
        if declared.categories is not None:
            spellings = {*declared.categories, *chain.from_iterable(declared.aliases.values())}
            suite.append(
                Expectation(
                    f"{column}__in_spellings",
                    "in_spellings",
                    column,
                    parameters={"values": tuple(sorted(spellings))},
                    mostly=_share_left(declared.maximum_rejected_share),
                    description="the category or one of its aliases is listed",
                )
            )
        if declared.type == "choices":
            suite.append(_listed_options(column, declared))
    suite += _volume(name, source, usual_rows)
    own = [one for one in source.expectations if not one.looks_at_customers]
    return [*suite, *_freshness(source, as_of), *map(_declared, own)]


def customers_suite(spec: CustomersSpec, as_of: dt.date) -> list[Expectation]:
    """Say what `customers` must satisfy: what the sources promise, after cleaning, in full.

    Impossible values and unlisted categories are gone, imputed columns have no gaps, and a column
    that is left with gaps has no more of them, among the customers whom one of its sources knows,
    than were allowed to be missing or impossible there.
    """
    has_source = tuple(f"has_{source}" for source in spec.sources)
    suite = [
        _row_floor(spec.customers.minimum_customers, "at least `minimum_customers` customers"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=("customer_id", *spec.customer_columns(), *has_source),
            description="the key, every column of the sources and a mark per source are there",
        ),
        _not_null("customer_id", 1.0, "a customer has an id"),
        _unique(("customer_id",), "one row per customer"),
    ]
    sources_of = spec.columns_by_source()
    for column, declared in spec.customer_columns().items():
        suite.append(_gaps(column, declared, spec, sources_of[column]))
        imputed = _imputed(declared)
        number = None if isinstance(imputed, str) else imputed
        suite += _possible(column, declared, as_of, 1.0, number)
        if declared.categories is not None:
            also = (imputed,) if isinstance(imputed, str) else ()
            suite.append(
                Expectation(
                    f"{column}__in_set",
                    "in_set",
                    column,
                    parameters={"values": (*declared.categories, *also)},
                    description="the category is listed",
                )
            )
    return [*suite, *map(_declared, spec.customers.expectations)]


def feature_matrix_suite(columns: Sequence[str]) -> list[Expectation]:
    """Say what a feature matrix must satisfy: one row per customer, and numbers only.

    `columns` are its columns besides `customer_id`; they change nothing but what is looked at.
    """
    is_number = [f"coalesce(isfinite({quote(column)}), FALSE)" for column in columns]
    return [
        _row_floor(1, "the matrix has rows"),
        Expectation(
            "table__columns",
            "columns_equal",
            columns=("customer_id", *columns),
            description="the customer and the columns of the scaling, no others",
        ),
        _not_null("customer_id", 1.0, "a row names its customer"),
        _unique(("customer_id",), "one row per customer"),
        Expectation(
            "values__finite",
            "row_predicate",
            parameters={"predicate": "\nAND ".join(is_number) or "TRUE"},
            description="no value is missing, NaN or infinite",
        ),
    ]


def contract_suite(contract: Contract) -> list[Expectation]:
    """Say what a segmentation's work table must satisfy to be published under its contract."""
    minimum = 0 if contract.name in _MAY_BE_EMPTY else 1
    suite = [
        _row_floor(minimum, "the table has rows" if minimum else "the table may be empty"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=tuple(column.name for column in contract.work_columns),
            description="every column of the contract is there",
        ),
        *(
            _not_null(column.name, 1.0, "the contract promises a value")
            for column in contract.work_columns
            if not column.is_nullable
        ),
    ]
    may_lack = {column.name for column in contract.work_columns if column.is_nullable}
    # A key with a part that may be lacking is looked at by the audit before publication: here, a
    # row that lacks it has no key.
    if contract.work_key and may_lack.isdisjoint(contract.work_key):
        suite.append(_unique(contract.work_key, contract.grain))
    return suite


def _row_floor(minimum: int, description: str) -> Expectation:
    return Expectation(
        "table__row_count",
        "row_count_between",
        parameters={"minimum": minimum},
        description=description,
    )


def _volume(name: str, source: SourceSpec, usual_rows: float | None) -> Iterator[Expectation]:
    """Say how many rows there may be; streams and surveys grow, so that of those it is a floor."""
    change = source.maximum_volume_change
    if change is None or source.kind == "exposures":
        return
    # A floor of 0 would say that the table may be empty.
    bounds = {"minimum": max(1, math.ceil((usual_rows or 0) * (1 - change)))}
    if source.kind == "crm" and usual_rows is not None:
        bounds["maximum"] = math.floor(usual_rows * (1 + change))
    # Dagster's graph is made before a night looks how many rows are usual.
    usual = "" if usual_rows is None else f"{usual_rows:,.0f} rows are usual; "
    yield Expectation(
        "table__volume",
        "row_count_between",
        parameters=bounds,
        description=f"`{name}` was not cut short ({usual}see `maximum_volume_change`)",
    )


def _not_null(column: str, mostly: float, description: str) -> Expectation:
    return Expectation(
        f"{column}__not_null", "not_null", column, mostly=mostly, description=description
    )


def _unique(columns: tuple[str, ...], description: str) -> Expectation:
    return Expectation(
        f"{'__'.join(columns)}__unique", "unique", columns=columns, description=description
    )


def _listed_options(column: str, declared: ColumnSpec) -> Expectation:
    """Bound the answers with an option that is not listed; where those count as other, it warns."""
    has_unlisted = has_unlisted_sql(numbered_options_sql(column, declared))
    return Expectation(
        f"{column}__in_options",
        "row_predicate",
        parameters={"predicate": f"NOT {has_unlisted}"},
        mostly=_share_left(declared.maximum_rejected_share),
        severity="warning" if declared.unlisted == "other" else "error",
        description="every option of the answer, or one of its aliases, is listed",
    )


def _gaps(
    column: str, declared: ColumnSpec, spec: CustomersSpec, sources: Sequence[str]
) -> Expectation:
    if declared.impute is not None:
        return _not_null(column, 1.0, "no gap is left by the imputation")
    allowed = max(
        one.maximum_null_share + one.maximum_rejected_share
        for one in (spec.sources[source].clean_columns[column] for source in sources)
    )
    if allowed >= 1.0:
        return _not_null(column, 0.0, "may be missing everywhere")
    known = " OR ".join(quote(f"has_{source}") for source in sources)
    return Expectation(
        f"{column}__not_null",
        "row_predicate",
        parameters={"predicate": f"{quote(column)} IS NOT NULL", "where": known},
        mostly=_share_left(allowed),
        description="where a source knows the customer, no more is missing than it may lack",
    )


def _possible(
    column: str,
    declared: ColumnSpec,
    latest: dt.date | None,
    mostly: float,
    imputed: float | None = None,
) -> list[Expectation]:
    """Bound a number or a date, if anything bounds it; an imputed constant is always possible."""
    low: Any = declared.minimum
    high: Any = declared.maximum
    if declared.type == "date":
        low, high = declared.earliest, latest
    elif declared.type == "timestamp":
        low = declared.earliest and dt.datetime.combine(declared.earliest, dt.time.min)
        high = latest and dt.datetime.combine(latest, dt.time.max)
    elif imputed is not None:
        low = None if low is None else min(low, imputed)
        high = None if high is None else max(high, imputed)
    bounds = {
        name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None
    }
    if not bounds:
        return []
    return [
        Expectation(
            f"{column}__between",
            "between",
            column,
            parameters=bounds,
            mostly=mostly,
            description="the value is possible",
        )
    ]


def _up_to(as_of: dt.date, time: str, bounded: Expectation) -> Expectation:
    """Ask for a date within bounds of the rows dated up to the night only.

    A past night runs on files that hold later rows, whose dates are later as well.
    """
    column = quote(str(bounded.column))
    signs = {"minimum": ">=", "maximum": "<="}
    predicate = " AND ".join(
        f"{column} {signs[bound]} {literal(value)}" for bound, value in bounded.parameters.items()
    )
    where = f"{column} IS NOT NULL AND CAST({quote(time)} AS DATE) <= {literal(as_of)}"
    return Expectation(
        bounded.name,
        "row_predicate",
        parameters={"predicate": predicate, "where": where},
        mostly=bounded.mostly,
        description=bounded.description,
    )


def _freshness(source: SourceSpec, as_of: dt.date) -> list[Expectation]:
    days_by_severity: dict[Severity, int | None] = {
        "warning": source.freshness.warn_after_days,
        "error": source.freshness.stop_after_days,
    }
    return [
        Expectation(
            f"{source.time}__freshness_{severity}",
            "freshness",
            source.time,
            parameters={"as_of": as_of, "maximum_age_days": days},
            severity=severity,
            description=f"the newest row is at most {days} days old",
        )
        for severity, days in days_by_severity.items()
        if days is not None and source.time is not None
    ]


def _declared(one: RowExpectation) -> Expectation:
    return Expectation(
        one.name,
        "row_predicate",
        parameters={"predicate": one.predicate},
        mostly=_share_left(one.maximum_share),
        severity=one.severity,
        description=one.description,
    )


def _imputed(declared: ColumnSpec) -> str | float | bool | None:
    """What an imputation writes, where that is known before the night."""
    if declared.impute is None:
        return None
    return (
        MISSING_CATEGORY if declared.impute.method == "missing_category" else declared.impute.value
    )


def _share_left(share: float) -> float:
    # 1 - 0.7 is above 0.3 in binary, and would refuse the very share that is allowed.
    return round(1.0 - share, 12)
