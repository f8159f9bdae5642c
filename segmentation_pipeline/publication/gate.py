"""Whether the very tables that are to be published, and those behind them, passed their checks.

A blocking check guards only its own run: whatever is launched alone later would publish all the
same. So publication reads the results itself, those of exactly the builds that it publishes.
"""

import datetime as dt
from collections.abc import Iterable

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.warehouse import Connection, Table, has_table, read_build

VALIDATION_RESULTS = Table("core", "validation_results")
_NAMED_FAILURES = 5


def validation_faults(connection: Connection, tables: Iterable[Table], as_of: dt.date) -> list[str]:
    """Say what speaks against publishing tables: not made, not validated, or failed.

    A result counts for a build when it has the table, the date and the run of that build: results
    of the same date and another run are of rows that have been replaced since. So the run of a
    result is the one that made the table, not the one that looked at it. A failed warning does
    not count.
    """
    has_results = has_table(connection, VALIDATION_RESULTS)
    faults = []
    for table in tables:
        build = read_build(connection, table)
        if build is None or build.as_of != as_of:
            faults.append(f"{table} was not made for {as_of}")
            continue
        results = []
        if has_results:
            results = connection.execute(
                f"SELECT expectation, severity = 'warning' OR success FROM {VALIDATION_RESULTS.sql}"
                " WHERE table_name = ? AND as_of = ? AND run_id = ? ORDER BY expectation",
                [str(table), build.as_of, build.run_id],
            ).fetchall()
        failed = [str(expectation) for expectation, holds in results if not holds]
        if not results:
            faults.append(f"{table} has not been validated since run {build.run_id} made it")
        elif failed:
            named = ", ".join(failed[:_NAMED_FAILURES])
            more = f" and {len(failed) - _NAMED_FAILURES} more" * (len(failed) > _NAMED_FAILURES)
            faults.append(f"{table} failed {named}{more}")
    return faults


def require_validated(connection: Connection, tables: Iterable[Table], as_of: dt.date) -> None:
    """Refuse to publish for a date unless each table passed its checks as it now is."""
    tables = list(tables)
    if not tables:
        raise PublicationError("no table is said to be validated: that would prove nothing")
    faults = validation_faults(connection, tables, as_of)
    if faults:
        raise PublicationError(
            f"nothing is published for {as_of}: {'; '.join(faults)}. Mend it, materialise these "
            "tables with their checks, then publish again"
        )
