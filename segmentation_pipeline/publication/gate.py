"""Whether the very tables that are to be published, and those behind them, passed their checks.

A blocking check guards only its own run: whatever is launched alone later would publish all the
same. So publication reads the results itself, those of exactly the builds that it publishes.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping

from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.warehouse import Connection, Table, has_table, read_builds

VALIDATION_RESULTS = Table("core", "validation_results")
_NAMED_FAILURES = 5


def validation_faults(connection: Connection, tables: Iterable[Table], as_of: dt.date) -> list[str]:
    """Say what speaks against publishing tables: not made, not validated, or failed.

    A result counts for a build when it has the table, the date and the run of that build: results
    of the same date and another run are of rows that have been replaced since. So the run of a
    result is the one that made the table, not the one that looked at it. A failed warning does
    not count.
    """
    tables = list(tables)
    builds = read_builds(connection, tables)
    results = _results(connection, tables, as_of)
    faults = []
    for table in tables:
        build = builds.get(table)
        if build is None or build.as_of != as_of:
            faults.append(f"{table} was not made for {as_of}")
            continue
        found = results.get((str(table), build.run_id), [])
        failed = [expectation for expectation, holds in found if not holds]
        if not found:
            faults.append(f"{table} has not been validated since run {build.run_id} made it")
        elif failed:
            named = ", ".join(failed[:_NAMED_FAILURES])
            more = f" and {len(failed) - _NAMED_FAILURES} more" * (len(failed) > _NAMED_FAILURES)
            faults.append(f"{table} failed {named}{more}")
    return faults


def _results(
    connection: Connection, tables: Iterable[Table], as_of: dt.date
) -> Mapping[tuple[str, str], list[tuple[str, bool | None]]]:
    """Read which expectations hold for a date: table and run -> expectations in order."""
    results: dict[tuple[str, str], list[tuple[str, bool | None]]] = defaultdict(list)
    if has_table(connection, VALIDATION_RESULTS):
        for name, run_id, expectation, holds in connection.execute(
            "SELECT table_name, run_id, expectation, severity = 'warning' OR success"
            f" FROM {VALIDATION_RESULTS.sql}"
            " WHERE as_of = ? AND list_contains(?::VARCHAR[], table_name) ORDER BY ALL",
            [as_of, [str(table) for table in tables]],
        ).fetchall():
            results[name, run_id].append((str(expectation), holds))
    return results


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
