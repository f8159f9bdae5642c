"""A source's new rows, compared with those of its last load that passed its checks."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.validation.changes import column_changes, not_compared, severity_of
from segmentation_pipeline.validation.expectations import (
    Expectation,
    ExpectationResult,
    Severity,
)
from segmentation_pipeline.validation.judgement import DidNotRun, judge
from segmentation_pipeline.validation.kept_profiles import (
    KeptProfile,
    keep_profile,
    last_accepted,
)
from segmentation_pipeline.validation.profiles import (
    ColumnProfile,
    Profile,
    make_profile,
    profiled_columns,
)
from segmentation_pipeline.validation.results import blocking_failures
from segmentation_pipeline.warehouse import Connection, DatabaseError, literal, quote

DISTRIBUTION = "table__distribution"
_EXPLAINED = 3
"""So many changes are told in the one sentence about all columns."""


def distribution_expectation(name: str, source: SourceSpec) -> Expectation | None:
    """Describe the one expectation that tells of all columns; None where none is compared."""
    columns = profiled_columns(source)
    if not columns:
        return None
    stops = any(source.distribution.of(column) == "error" for column in columns)
    return Expectation(
        DISTRIBUTION,
        "distribution",
        parameters={"source": name},
        severity=severity_of("error" if stops else "warning"),
        description=f"the new rows of `{name}` look like those of the load before",
    )


def compare_with_last_load(
    connection: Connection,
    name: str,
    source: SourceSpec,
    as_of: dt.date,
    snapshot: int | None,
    results: Sequence[ExpectationResult],
) -> list[ExpectationResult]:
    """Compare a source's new rows column by column, and keep what they look like for later nights.

    New are the rows, dated up to `as_of`, of loads that the last accepted night did not have; of a
    CRM table those of its `snapshot` in force. `results` are those of the source's suite: where one
    of them, or of these, stops the night, later nights are not compared with it. The first result
    is that of `distribution_expectation`. Nothing where no column is compared.
    """
    overall = distribution_expectation(name, source)
    if overall is None:
        return []
    try:
        last = last_accepted(connection, name, as_of)
        loads = _loads(connection, name, source, as_of, snapshot)
        if not loads:
            return [_empty(overall, source)]
        new = {one: rows for one, rows in loads.items() if last is None or one not in last.loads}
        if last is not None and not new:
            told = [_summary(overall, 0, f"no row is new since the load of {last.as_of}", ())]
            profile: Mapping[str, ColumnProfile] | KeptProfile = last
        else:
            made = _profile(connection, name, source, as_of, new, last)
            told = _compared(source, overall, made, last)
            profile = made.columns
    except DatabaseError as error:
        return [judge(overall, DidNotRun(type(error).__name__))]
    is_accepted = not blocking_failures([*results, *told])
    keep_profile(connection, name, as_of, loads, profile, is_accepted=is_accepted)
    return told


def _loads(
    connection: Connection, name: str, source: SourceSpec, as_of: dt.date, snapshot: int | None
) -> dict[int, int]:
    """Count the rows of each load that a night looks at: dated up to it, or of the snapshot."""
    found = connection.execute(
        f"SELECT load_id, count(*) FROM {raw_table(name).sql}"
        f" WHERE {_looked_at_sql(source, as_of, snapshot)} GROUP BY load_id"
    ).fetchall()
    return {int(load_id): int(rows) for load_id, rows in found}


def _profile(
    connection: Connection,
    name: str,
    source: SourceSpec,
    as_of: dt.date,
    new: Mapping[int, int],
    last: KeptProfile | None,
) -> Profile:
    among = ", ".join(literal(load_id) for load_id in sorted(new))
    looked_at = _looked_at_sql(source, as_of, None)
    return make_profile(
        connection,
        f"SELECT * FROM {raw_table(name).sql} WHERE load_id IN ({among}) AND {looked_at}",
        sum(new.values()),
        profiled_columns(source),
        source.id_column,
        {} if last is None else last.columns,
    )


def _looked_at_sql(source: SourceSpec, as_of: dt.date, snapshot: int | None) -> str:
    if snapshot is not None:
        return f"load_id = {literal(snapshot)}"
    if source.kind == "crm" or source.time is None:
        return "TRUE"
    return f"{quote(source.time)} < {literal(as_of + dt.timedelta(days=1))}"


def _compared(
    source: SourceSpec, overall: Expectation, made: Profile, last: KeptProfile | None
) -> list[ExpectationResult]:
    if last is None:
        return [not_compared(overall, made.rows, "it is the first load that is looked at")]
    changes = [
        change
        for name, look in profiled_columns(source).items()
        for change in column_changes(
            name,
            source,
            look,
            made.columns[name],
            last.columns.get(name),
            made.ranks_before.get(name, ()),
            last.as_of,
        )
    ]
    told = f"{made.rows:,} new rows were compared with the load of {last.as_of}"
    return [_summary(overall, made.rows, told, changes), *changes]


def _summary(
    overall: Expectation, rows: int, told: str, changes: Sequence[ExpectationResult]
) -> ExpectationResult:
    """Tell of all columns at once, as severely as the worst of those that changed."""
    changed = [one for one in changes if not one.success and one.is_compared]
    if not changed:
        return ExpectationResult(overall, True, rows, 0, 0.0, None, f"{told}: nothing has changed")
    severity: Severity = "error" if blocking_failures(changed) else "warning"
    columns = dict.fromkeys(str(one.expectation.column) for one in changed)
    explained = "; ".join(
        f"{one.expectation.column}: {one.message}" for one in changed[:_EXPLAINED]
    )
    message = f"{told}: changed are {', '.join(columns)}. {explained}"
    judged = replace(overall, severity=severity)
    return ExpectationResult(judged, False, rows, 0, 1.0, None, message)


def _empty(overall: Expectation, source: SourceSpec) -> ExpectationResult:
    may_be_empty = source.minimum_rows == 0
    return ExpectationResult(
        overall, may_be_empty, 0, 0, float(not may_be_empty), None, "there is no row to compare"
    )
