"""Whose a web visitor's events are, and from when to when: `core.visitor_spans`.

An identity map tells on a row that a visitor is a customer from a time on, until another time or
until the visitor's next row begins. Rows later than the night don't exist for it. Of that, spans
are made which don't overlap, so that an event falls into one at most:

- where one customer's rows hold, the visitor's events are that customer's;
- where those of several hold at once, they are nobody's, which is counted;
- before the visitor's first row they are of who it names, as far back as the map allows;
- elsewhere, and of visitors whom no row names, they wait for a night on which one does.

Spans are made anew each night from what is loaded: so a log-in that is loaded late gives the events
before it, which were loaded long ago, their customer, and a date that is run again has the map as
of that date. They are joined by visitor and time wherever events are read; an event is in its raw
table once, and counts once.
"""

from collections.abc import Sequence

from segmentation_pipeline.preparation.discretion import without_values
from segmentation_pipeline.preparation.rows import SourceRows, existing_rows_sql
from segmentation_pipeline.preparation.spans import VISITOR_SPANS, begins_sql, ends_sql
from segmentation_pipeline.specification.keys import Visitors
from segmentation_pipeline.warehouse import Build, Connection, literal, write_table

_ALWAYS, _FOREVER = "TIMESTAMP '-infinity'", "TIMESTAMP 'infinity'"


def write_visitor_spans(
    connection: Connection, sources: Sequence[SourceRows], build: Build
) -> None:
    """Replace `core.visitor_spans`, where there is an identity map among the sources."""
    maps = [(rows, rows.source.visitors) for rows in sources if rows.source.visitors is not None]
    if not maps:
        return
    queries = [visitor_spans_sql(rows, visitors) for rows, visitors in maps if visitors is not None]
    with without_values("finding out whose visitors' events are"):
        write_table(connection, VISITOR_SPANS, " UNION ALL ".join(queries), build)


def visitor_spans_sql(rows: SourceRows, visitors: Visitors) -> str:
    """Write the query of an identity map's spans: at most one of a visitor holds at a time.

    Windows and sums only: a visitor with a million log-ins costs a sort, no comparison of each with
    each.
    """
    reach = "begins"
    if visitors.days_before_first is None:
        reach = _ALWAYS
    elif visitors.days_before_first:
        days = visitors.days_before_first
        reach = f"CASE WHEN isfinite(begins) THEN begins - INTERVAL {days} DAY ELSE begins END"
    return f"""(
        WITH told AS (
            SELECT DISTINCT
                visitor_key, customer_id,
                {begins_sql(rows.source) or _ALWAYS} AS begins,
                {ends_sql(rows.source) or "CAST(NULL AS TIMESTAMP)"} AS ends
            FROM ({existing_rows_sql(rows)})
        ),
        everybodys AS (
            SELECT visitor_key FROM told GROUP BY visitor_key
            HAVING count(DISTINCT customer_id) > {visitors.maximum_customers}
        ),
        beginnings AS (
            SELECT
                visitor_key, begins,
                lead(begins, 1, {_FOREVER}) OVER later AS next_begins,
                row_number() OVER later = 1 AS is_first
            FROM (SELECT DISTINCT visitor_key, begins FROM told)
            WINDOW later AS (PARTITION BY visitor_key ORDER BY begins)
        ),
        dated AS (
            SELECT
                visitor_key, customer_id,
                CASE WHEN is_first THEN {reach} ELSE begins END AS begins,
                coalesce(ends, next_begins) AS ends
            FROM told JOIN beginnings USING (visitor_key, begins)
            ANTI JOIN everybodys USING (visitor_key)
        ),
        marked AS (
            SELECT *, coalesce(begins > max(ends) OVER before, true) AS begins_anew
            FROM dated
            WINDOW before AS (
                PARTITION BY visitor_key, customer_id ORDER BY begins, ends
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ),
        numbered AS (
            SELECT *, sum(CAST(begins_anew AS INTEGER)) OVER (
                PARTITION BY visitor_key, customer_id ORDER BY begins, ends
                ROWS UNBOUNDED PRECEDING
            ) AS stay
            FROM marked
        ),
        stays AS (
            SELECT
                visitor_key, customer_id, min(begins) AS begins, max(ends) AS ends,
                row_number() OVER (
                    PARTITION BY visitor_key ORDER BY customer_id, min(begins)
                ) AS number
            FROM numbered GROUP BY visitor_key, customer_id, stay
        ),
        edges AS (
            SELECT visitor_key, begins AS moment, 1 AS change, number FROM stays
            UNION ALL
            SELECT visitor_key, ends, -1, -number FROM stays WHERE ends < {_FOREVER}
        ),
        changes AS (
            SELECT visitor_key, moment, sum(change) AS change, sum(number) AS number
            FROM edges GROUP BY visitor_key, moment
        ),
        spans AS (
            SELECT
                visitor_key, moment AS begins_at,
                lead(moment, 1, {_FOREVER}) OVER until_here AS ends_at,
                sum(change) OVER until_here AS customers,
                sum(number) OVER until_here AS number
            FROM changes
            WINDOW until_here AS (
                PARTITION BY visitor_key ORDER BY moment ROWS UNBOUNDED PRECEDING
            )
        )
        SELECT
            {literal(rows.name)} AS source, spans.visitor_key, begins_at, ends_at,
            stays.customer_id, customers > 1 AS is_ambiguous
        FROM spans LEFT JOIN stays
            ON spans.visitor_key = stays.visitor_key AND customers = 1
            AND spans.number = stays.number
        WHERE customers > 0
        UNION ALL
        SELECT {literal(rows.name)}, visitor_key, {_ALWAYS}, {_FOREVER}, NULL, true
        FROM everybodys
    )"""
