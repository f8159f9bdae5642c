"""From when to when a customer was in which segment, and why that changed.

What belongs here: `segment_history`, and what a night learns from it about the one before. Who is
in which segment tonight is decided by `hysteresis`; what a night changed is told by `movements`.

A spell is [valid_from, valid_to): from the night on which it is so to the night on which it is no
more. Tonight's memberships replace what the history says from this date to the next night that was
run, and nothing else: a date in the middle can be run again, later nights stay as they were until
they are run again too. Only spells of customers who changed are written.
"""

import datetime as dt

from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.segments.hysteresis import PENDING, PENDING_NIGHTS, PREVIOUS
from segmentation_pipeline.segments.identity import create_registry, noise_id
from segmentation_pipeline.segments.nights import (
    Night,
    create_nights,
    is_promotion,
    night_after,
    night_before,
)
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    quote,
    record_build,
    transaction,
)

ERASED = "erased"
_COLUMNS = "customer_id, segment_id, valid_from, valid_to, reason, end_reason"
_PENDING_NIGHTS_KEPT = 60
"""Of so many nights it is kept who was held: a date before them that is run again counts anew."""


def matrix_with_last_night_sql(
    connection: Connection, segmentation: str, matrix: Table, night: Night
) -> str:
    """Write the SELECT of the feature matrix, with what the night before knew of each customer.

    The columns `hysteresis.PREVIOUS`, `PENDING` and `PENDING_NIGHTS` hold labels of tonight's
    model. They are NULL for customers who were not there, and for everybody on the first night and
    after a promotion. It depends on nights before this one only, so that a date run again finds
    what it found. The segments of tonight's model must have their ids.
    """
    create_history(connection, segmentation)
    before = night_before(connection, segmentation, night.as_of)
    if before is None or is_promotion(before, night):
        nothing = ", ".join(
            f"CAST(NULL AS INTEGER) AS {quote(name)}"
            for name in (PREVIOUS, PENDING, PENDING_NIGHTS)
        )
        return f"SELECT *, {nothing} FROM {matrix.sql}"
    return f"""
        WITH labels AS (
            SELECT segment_id, raw_segment FROM core.segment_ids
            WHERE segmentation = {literal(segmentation)} AND model_version = {night.model_version}
            UNION ALL SELECT {literal(noise_id(segmentation))}, {NOISE}
        ), previous AS (
            SELECT customer_id, raw_segment
            FROM ({segments_on_sql(segmentation, before.as_of)}) JOIN labels USING (segment_id)
        ), pending AS (
            SELECT customer_id, raw_segment, nights
            FROM {_pending(segmentation).sql} p JOIN labels l ON p.raw_segment_id = l.segment_id
            WHERE as_of = {literal(before.as_of)}
        )
        SELECT
            m.*,
            previous.raw_segment AS {quote(PREVIOUS)},
            pending.raw_segment AS {quote(PENDING)},
            pending.nights AS {quote(PENDING_NIGHTS)}
        FROM {matrix.sql} m
        LEFT JOIN previous USING (customer_id)
        LEFT JOIN pending USING (customer_id)"""


def segments_on_sql(segmentation: str, date: dt.date) -> str:
    """Write the SELECT of `customer_id, segment_id` as they were on a date."""
    return (
        f"SELECT customer_id, segment_id FROM {_history(segmentation).sql}"
        f" WHERE {_holds_on_sql(date)}"
    )


def update_history(
    connection: Connection, segmentation: str, night: Night, build: Build, *, keeps_pending: bool
) -> None:
    """Bring `segment_history` up to tonight's `customer_segments`, in the caller's transaction.

    A spell begins because the customer `entered`, `moved`, or because the `model` changed (every
    change on a promotion's first night); it ends for the next one's reason, or because the customer
    `left`. `keeps_pending` says that the model holds by nights, so that who was held is noted.
    """
    before = night_before(connection, segmentation, night.as_of)
    after = night_after(connection, segmentation, night.as_of)
    _note_pending(connection, segmentation, night, before, is_kept=keeps_pending)
    _splice(connection, segmentation, before, night, after)
    record_build(connection, _history(segmentation), build)


def erase_from_history(
    connection: Connection, segmentation: str, erased: Table, as_of: dt.date
) -> int:
    """Take customers out of the history on their request; returns the spells that were theirs.

    Of a spell that is in force, one of nobody stays that ends on `as_of` (the first date without
    them), so that the night's counts tell erasing from leaving. `erased` has `customer_id`. Files
    still hold what DuckDB deleted until they are rewritten, which belongs to `publication`.
    """
    create_history(connection, segmentation)
    history = _history(segmentation).sql
    with transaction(connection):
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE gone AS FROM {history} SEMI JOIN {erased.sql}"
            " USING (customer_id)"
        )
        for table in (history, _pending(segmentation).sql):
            connection.execute(
                f"DELETE FROM {table} WHERE customer_id IN (SELECT customer_id FROM {erased.sql})"
            )
        connection.execute(
            f"INSERT INTO {history} SELECT 'erased-' || (row_number() OVER"
            " (ORDER BY segment_id, valid_from) + (SELECT coalesce(max(split_part(customer_id, '-',"
            f" 2)::BIGINT), 0) FROM {history} WHERE end_reason = {literal(ERASED)})),"
            " segment_id, valid_from,"
            f" {literal(as_of)}, reason, {literal(ERASED)} FROM gone"
            f" WHERE valid_from < {literal(as_of)} AND valid_to IS NULL"
        )
        (spells,) = connection.execute("SELECT count(*) FROM gone").fetchall()[0]
        connection.execute("DROP TABLE gone")
    return int(spells)


def keep_history_from(connection: Connection, segmentation: str, first: dt.date) -> int:
    """Delete the spells that ended before a date, and no part of any other; returns how many.

    Who is in which segment on `first` and later stays known.
    """
    create_history(connection, segmentation)
    query = f"DELETE FROM {_history(segmentation).sql} WHERE valid_to < {literal(first)}"
    return int(connection.execute(query).fetchall()[0][0])


def create_history(connection: Connection, segmentation: str) -> None:
    """Create the tables of a segmentation's history where there are none."""
    create_registry(connection)
    create_nights(connection)
    connection.execute(
        f"CREATE SCHEMA IF NOT EXISTS {quote(segmentation)};"
        f" CREATE TABLE IF NOT EXISTS {_history(segmentation).sql} (customer_id VARCHAR NOT NULL,"
        " segment_id VARCHAR NOT NULL, valid_from DATE NOT NULL, valid_to DATE,"
        " reason VARCHAR NOT NULL, end_reason VARCHAR);"
        f" CREATE TABLE IF NOT EXISTS {_pending(segmentation).sql} (as_of DATE NOT NULL,"
        " customer_id VARCHAR NOT NULL, raw_segment_id VARCHAR NOT NULL, nights INTEGER NOT NULL)"
    )


def _note_pending(
    connection: Connection, segmentation: str, night: Night, before: Night | None, *, is_kept: bool
) -> None:
    pending, as_of = _pending(segmentation).sql, literal(night.as_of)
    last = literal(before.as_of if before else None)
    connection.execute(
        f"DELETE FROM {pending} WHERE as_of = {as_of} OR as_of NOT IN"
        " (SELECT as_of FROM core.segment_nights WHERE segmentation = ? ORDER BY as_of DESC"
        f" LIMIT {_PENDING_NIGHTS_KEPT}) AND as_of <> {last}",
        [segmentation],
    )
    if is_kept:
        connection.execute(
            f"INSERT INTO {pending} SELECT {as_of}, c.customer_id, c.raw_segment_id,"
            f" 1 + coalesce(p.nights, 0) FROM {Table(segmentation, 'customer_segments').sql} c"
            f" LEFT JOIN {pending} p ON p.as_of = {last}"
            " AND p.customer_id = c.customer_id AND p.raw_segment_id = c.raw_segment_id"
            " WHERE c.segment_id <> c.raw_segment_id"
        )


def _splice(
    connection: Connection,
    segmentation: str,
    before: Night | None,
    night: Night,
    after: Night | None,
) -> None:
    """Replace [night, after) by tonight's memberships, for customers of whom it says otherwise."""
    history, date = _history(segmentation).sql, literal(night.as_of)
    reasons = _reasons_sql(before, night, after)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE changed AS SELECT customer_id, t.segment_id"
        f" FROM {Table(segmentation, 'customer_segments').sql} t"
        f" FULL JOIN (FROM {history} WHERE {_holds_on_sql(night.as_of)}) h USING (customer_id)"
        " WHERE t.segment_id IS DISTINCT FROM h.segment_id"
        # The same segment, but by another model than when this date was run before.
        f" OR h.valid_from = {date} AND h.reason NOT IN ('entered', {reasons['tonight']})"
    )
    until = "TRUE" if after is None else f"valid_from <= {literal(after.as_of)}"
    near = (
        f"(valid_to IS NULL OR valid_to >= {date}) AND {until}"
        f" AND end_reason IS DISTINCT FROM {literal(ERASED)}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE spells AS "
        + _spells_sql(f"{history} SEMI JOIN changed USING (customer_id) WHERE {near}", night, after)
    )
    connection.execute(
        f"DELETE FROM {history} WHERE {near} AND customer_id IN (SELECT customer_id FROM changed)"
    )
    connection.execute(
        f"INSERT INTO {history} SELECT {_COLUMNS} FROM ({_reasoned_sql('spells', reasons, night)})"
    )
    connection.execute("DROP TABLE changed; DROP TABLE spells")


def _spells_sql(near_sql: str, night: Night, after: Night | None) -> str:
    """Spells of changed customers around tonight, cut and joined; at most three of each.

    `part` is 1 for what was before tonight, 2 for tonight, 3 for what is from the next night on; a
    spell has the first and the last part that it is made of.
    """
    date = literal(night.as_of)
    later = literal(after.as_of if after else None)
    parts = f"""
        SELECT customer_id, segment_id, 1 AS part, valid_from, least(valid_to, {date}) AS valid_to,
            reason, end_reason
        FROM {near_sql} AND valid_from < {date}
        UNION ALL
        SELECT customer_id, segment_id, 2, {date}, {later}, NULL, NULL
        FROM changed WHERE segment_id IS NOT NULL"""
    if after is not None:
        parts += f"""
        UNION ALL
        SELECT customer_id, segment_id, 3, greatest(valid_from, {later}), valid_to,
            reason, end_reason
        FROM {near_sql} AND (valid_to IS NULL OR valid_to > {later})"""
    return f"""
        WITH parts AS ({parts}), marked AS (
            SELECT *, coalesce(
                lag(segment_id) OVER one = segment_id AND lag(valid_to) OVER one = valid_from, false
            ) AS goes_on
            FROM parts WINDOW one AS (PARTITION BY customer_id ORDER BY part)
        ), numbered AS (
            SELECT *, count(*) FILTER (NOT goes_on) OVER (PARTITION BY customer_id ORDER BY part)
                AS spell
            FROM marked
        )
        SELECT
            customer_id, segment_id,
            min(part) AS first_part, max(part) AS last_part,
            min(valid_from) AS valid_from, last(valid_to ORDER BY part) AS valid_to,
            first(reason ORDER BY part) AS old_reason, last(end_reason ORDER BY part) AS old_end
        FROM numbered GROUP BY customer_id, segment_id, spell"""


def _reasoned_sql(spells: str, reasons: dict[str, str], night: Night) -> str:
    """Say why each spell began and ended: by its neighbours, or as it was where they are far."""
    return f"""
        WITH begun AS (
            SELECT *, CASE
                WHEN first_part = 1 THEN old_reason
                WHEN lag(valid_to) OVER one IS DISTINCT FROM valid_from THEN 'entered'
                WHEN valid_from = {literal(night.as_of)} THEN {reasons["tonight"]}
                ELSE {reasons["next"]} END AS reason
            FROM {spells} WINDOW one AS (PARTITION BY customer_id ORDER BY first_part)
        )
        SELECT *, CASE
            WHEN last_part = 3 THEN old_end
            WHEN valid_to IS NULL THEN NULL
            WHEN lead(valid_from) OVER one = valid_to THEN lead(reason) OVER one
            ELSE 'left' END AS end_reason
        FROM begun WINDOW one AS (PARTITION BY customer_id ORDER BY first_part)"""


def _reasons_sql(before: Night | None, night: Night, after: Night | None) -> dict[str, str]:
    """Why whoever changes segment tonight, or on the next night, does so."""
    return {
        "tonight": literal("model" if is_promotion(before, night) else "moved"),
        "next": literal("model" if is_promotion(night, after) else "moved"),
    }


def _holds_on_sql(date: dt.date) -> str:
    return (
        f"valid_from <= {literal(date)} AND (valid_to IS NULL OR valid_to > {literal(date)})"
        f" AND end_reason IS DISTINCT FROM {literal(ERASED)}"
    )


def _history(segmentation: str) -> Table:
    return Table(segmentation, "segment_history")


def _pending(segmentation: str) -> Table:
    return Table(segmentation, "segment_pending")
