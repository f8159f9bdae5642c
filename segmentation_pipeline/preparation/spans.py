"""From when to when a row of an identity map holds, and how events are read beside its spans.

How the spans are made is in `visitors`.
"""

from segmentation_pipeline.specification.source_checks import VISITOR_KEY
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Table, literal, quote

VISITOR_SPANS = Table("core", "visitor_spans")
"""Whose a visitor's events are from when to when: nobody's where `is_ambiguous`."""
IS_AMBIGUOUS = "is ambiguous"
"""Column of events: they are of a visitor who is several customers then."""


def begins_sql(source: SourceSpec) -> str | None:
    """Write from when a row holds, that moment included; None where the map doesn't say."""
    return None if source.time is None else f"CAST({quote(source.time)} AS TIMESTAMP)"


def ends_sql(source: SourceSpec) -> str | None:
    """Write until when a row holds, that moment not; None where the map doesn't say."""
    until = None if source.visitors is None else source.visitors.until
    if until is None:
        return None
    day = " + INTERVAL 1 DAY" if source.columns[until].type == "date" else ""
    return f"CAST({quote(until)} AS TIMESTAMP){day}"


def with_customers_sql(source: SourceSpec, events: str) -> str:
    """Write the query of a visitor's events with their customer, NULL where there is none.

    The visitor's id stays among its columns, since predicates may name it; IS_AMBIGUOUS is one.
    `events` is the table of them.
    """
    time = f"CAST(events.{quote(source.time or '')} AS TIMESTAMP)"
    return (
        "SELECT events.*, spans.customer_id,"
        f" coalesce(spans.is_ambiguous, false) AS {quote(IS_AMBIGUOUS)}"
        f" FROM {events} AS events LEFT JOIN (SELECT * FROM {VISITOR_SPANS.sql}"
        f" WHERE source = {literal(source.identity)}) AS spans"
        f" ON events.{VISITOR_KEY} = spans.{VISITOR_KEY}"
        f" AND {time} >= spans.begins_at AND {time} < spans.ends_at"
    )
