"""What people ask of the nights to come: another model.

What belongs here: `core.refit_requests`. A request stays open until a night that decided to refit
because of it has given its customers their segments, so that a night that was killed loses none.
"""

import datetime as dt

from segmentation_pipeline.segments.nights import create_nights
from segmentation_pipeline.warehouse import Connection, transaction

_REQUESTS_SQL = """
CREATE TABLE IF NOT EXISTS core.refit_requests (
    segmentation VARCHAR NOT NULL,
    number INTEGER NOT NULL,
    reason VARCHAR NOT NULL,
    not_before DATE,
    PRIMARY KEY (segmentation, number)
)
"""


def request_refit(
    connection: Connection, segmentation: str, reason: str, not_before: dt.date | None
) -> int:
    """Ask for another model from a night on (None: from any); returns the request's number.

    The same words asked for again, for the same night, are the same request.
    """
    create_requests(connection)
    with transaction(connection):
        same = connection.execute(
            "SELECT number FROM core.refit_requests WHERE segmentation = ? AND reason = ?"
            " AND not_before IS NOT DISTINCT FROM ?",
            [segmentation, reason, not_before],
        ).fetchall()
        if same:
            return int(same[0][0])
        (number,) = connection.execute(
            "SELECT 1 + coalesce(max(number), 0) FROM core.refit_requests WHERE segmentation = ?",
            [segmentation],
        ).fetchall()[0]
        connection.execute(
            "INSERT INTO core.refit_requests VALUES (?, ?, ?, ?)",
            [segmentation, number, reason, not_before],
        )
    return int(number)


def ask_for_refit(connection: Connection, segmentation: str, reason: str) -> dt.date | None:
    """Ask for another model from the newest night on, should that be run again, or the next one.

    Returns the date of the newest night; None where there was none yet, whose first one fits a
    model anyway: then nothing is asked for.
    """
    create_nights(connection)
    (newest,) = connection.execute(
        "SELECT max(as_of) FROM core.segment_nights WHERE segmentation = ?", [segmentation]
    ).fetchall()[0]
    if not isinstance(newest, dt.date):
        return None
    request_refit(connection, segmentation, reason, newest)
    return newest


def requests_until(
    connection: Connection, segmentation: str, as_of: dt.date
) -> list[tuple[int, str]]:
    """List the (number, reason) of what was asked for a night or an earlier one, acted upon or not.

    The oldest is first.
    """
    create_requests(connection)
    return connection.execute(
        "SELECT number, reason FROM core.refit_requests WHERE segmentation = ?"
        " AND (not_before IS NULL OR not_before <= ?) ORDER BY number",
        [segmentation, as_of],
    ).fetchall()


def create_requests(connection: Connection) -> None:
    """Create the table of requests where there is none."""
    connection.execute(_REQUESTS_SQL)
