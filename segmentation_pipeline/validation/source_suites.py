"""The suite that follows from a source's declaration: keys, gaps, ranges, lists, volume, freshness.

A suite of one declaration has the same names whatever the date and the data, since each name is a
check of the Dagster graph.
"""

import datetime as dt
import math
from collections.abc import Iterator
from itertools import chain

from segmentation_pipeline.ingestion.answers_sql import has_unlisted_sql, numbered_options_sql
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation.derived import (
    declared_expectation,
    not_null,
    possible,
    row_floor,
    share_left,
)
from segmentation_pipeline.validation.expectations import Expectation, Severity
from segmentation_pipeline.warehouse import literal, quote


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
        row_floor(source.minimum_rows, f"`{name}` has at least `minimum_rows` rows"),
        Expectation(
            "table__columns",
            "columns_exist",
            columns=(*source.id_columns, *source.columns),
            description="the key and every declared column are there",
        ),
        *(
            not_null(column, share_left(source.maximum_rejected_share), "a row names whose it is")
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
        floor = share_left(declared.maximum_null_share)
        suite.append(not_null(column, floor, "no more than `maximum_null_share` are missing"))
        # Events after the night's date do not exist for it: they are not impossible. Nor is a day
        # ahead until which a row of an identity map holds.
        until = None if source.visitors is None else source.visitors.until
        latest = None if column in (source.time, until) else as_of
        bounds = possible(column, declared, latest, share_left(declared.maximum_rejected_share))
        if source.time not in (None, column) and declared.type in ("date", "timestamp"):
            bounds = [_up_to(as_of, str(source.time), one) for one in bounds]
        suite += bounds
        if declared.categories is not None:
            spellings = {*declared.categories, *chain.from_iterable(declared.aliases.values())}
            suite.append(
                Expectation(
                    f"{column}__in_spellings",
                    "in_spellings",
                    column,
                    parameters={"values": tuple(sorted(spellings))},
                    mostly=share_left(declared.maximum_rejected_share),
                    description="the category or one of its aliases is listed",
                )
            )
        if declared.type == "choices":
            suite.append(_listed_options(column, declared))
    suite += _volume(name, source, usual_rows)
    own = [one for one in source.expectations if not one.looks_at_customers]
    return [*suite, *_freshness(source, as_of), *map(declared_expectation, own)]


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


def _listed_options(column: str, declared: ColumnSpec) -> Expectation:
    """Bound the answers with an option that is not listed; where those count as other, it warns."""
    has_unlisted = has_unlisted_sql(numbered_options_sql(column, declared))
    return Expectation(
        f"{column}__in_options",
        "row_predicate",
        parameters={"predicate": f"NOT {has_unlisted}"},
        mostly=share_left(declared.maximum_rejected_share),
        severity="warning" if declared.unlisted == "other" else "error",
        description="every option of the answer, or one of its aliases, is listed",
    )


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
