"""`segment_kpis`: how each segment does, and everybody, on every date that was run.

Tonight's figures are added to those of earlier nights. Where rows arrived late, the dates that they
belong to are measured again, of the customers who were in the segments on those dates; the dates
that they don't reach stay as they are.

A KPI that is an expression over `customers` is of the night alone, since nobody knows what the
columns said before: earlier dates keep their figures, and its change is against the row of its
`window_days` before.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from segmentation_pipeline.errors import MeasurementError
from segmentation_pipeline.kept import first_kept
from segmentation_pipeline.measurement.customer_kpis import (
    KpiWindow,
    denominator_column,
    kpi_values_sql,
    numerator_column,
    values_of_parts_sql,
)
from segmentation_pipeline.measurement.kpi_inputs import (
    KpiInput,
    create_inputs,
    decide,
    known_inputs,
    kpi_inputs,
    kpi_inputs_by_date,
    kpi_sources,
    source_days,
)
from segmentation_pipeline.measurement.kpi_parts import kept_parts
from segmentation_pipeline.measurement.kpi_rows import FIGURES_SCHEMA, kpi_rows
from segmentation_pipeline.measurement.kpi_sums import KpiColumns, sums_by_segment
from segmentation_pipeline.measurement.kpi_table import kpi_figures, segment_kpis_sql
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.segments.history import segments_on_sql
from segmentation_pipeline.segments.nights import create_nights
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.retention import CUT_AT_KPI_DATES, CUT_AT_SPELLS
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    DatabaseError,
    Table,
    literal,
    quote,
    transaction,
    write_table,
)

_KPIS_AT_ONCE = 12
"""So many are held for each customer at a time; more share a look at the events, and need room."""
_NUMBERS = frozenset(
    {
        "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT",
        "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL",
    }
)  # fmt: skip
_VALUES = '"kpi values"'
_COLUMN_TYPES = {
    pa.string(): "VARCHAR", pa.date32(): "DATE", pa.int64(): "BIGINT", pa.float64(): "DOUBLE",
    pa.bool_(): "BOOLEAN",
}  # fmt: skip


@dataclass(frozen=True)
class KpisMade:
    """What a night measured: rows of the table, and the earlier dates that were measured again."""

    rows: int
    corrected: tuple[dt.date, ...]


def make_segment_kpis(
    connection: Connection, segmentation: str, customers: CustomersSpec, build: Build
) -> KpisMade:
    """Measure tonight's KPIs and those of dates whose rows have changed; write `segment_kpis`.

    The segmentation's history must have been brought up to the night. Raises MeasurementError where
    a KPI can't be evaluated.
    """
    create_inputs(connection, segmentation)
    create_nights(connection)
    _create_figures(connection, segmentation)
    _check_expressions(connection, customers.kpis, build.as_of)
    days = source_days(connection, customers, build)
    # Of earlier dates nobody knows any more who was in which segment: they stay as they are.
    first = first_kept(connection, CUT_AT_KPI_DATES, CUT_AT_SPELLS)
    nights = [date for date in _nights(connection, segmentation) if date >= first]
    inputs = {
        (name, date): found
        for name, kpi in customers.kpis.items()
        for date, found in kpi_inputs_by_date(kpi, customers, days, nights).items()
    }
    known = known_inputs(connection, segmentation)
    outdated = [at for at in known if at not in inputs and at[1] >= first]
    due: dict[dt.date, list[str]] = {}
    for (name, date), found in inputs.items():
        has_rows = bool(kpi_sources(customers.kpis[name]))
        decision = decide(known.get((name, date)), found, has_rows=has_rows)
        if date == build.as_of or (date < build.as_of and decision == "measure"):
            due.setdefault(date, []).append(name)
        elif decision == "drop" and (name, date) in known:
            outdated.append((name, date))
    with transaction(connection):
        _delete(connection, segmentation, outdated)
    for date, names in sorted(due.items()):
        of_date = {name: inputs[name, date] for name in names}
        _measure(connection, segmentation, customers, date, of_date, build)
    query = segment_kpis_sql(segmentation, customers.kpis)
    rows = write_table(connection, Table(segmentation, "segment_kpis"), query, build)
    return KpisMade(rows, tuple(sorted(due.keys() - {build.as_of})))


def _check_expressions(connection: Connection, kpis: Mapping[str, Kpi], as_of: dt.date) -> None:
    """Refuse an expression that is neither a number nor true or false; nothing is computed."""
    for name, kpi in kpis.items():
        if kpi.expression is None:
            continue
        try:
            described = connection.execute(
                f"DESCRIBE SELECT ({kpi.expression}\n) AS value"
                f" FROM (SELECT *, {literal(as_of)} AS as_of FROM {CUSTOMERS.sql}) AS customers"
            ).fetchall()
        except DatabaseError as error:
            # No customer was read yet, so the message holds names and the file's own words only.
            reason = str(error).splitlines()[0]
            raise MeasurementError(
                f"the expression of KPI `{name}` can't be evaluated: {reason}"
            ) from None
        kind = str(described[0][1])
        if kind.partition("(")[0] not in _NUMBERS:
            raise MeasurementError(
                f"the expression of KPI `{name}` is of type {kind}, and a KPI is made of numbers or"
                " of what is true or false: compare it with something, or cast it"
            )


def _measure(
    connection: Connection,
    segmentation: str,
    customers: CustomersSpec,
    date: dt.date,
    inputs: Mapping[str, KpiInput],
    build: Build,
) -> None:
    """Measure KPIs of a date, and put them in the place of what was known of it."""
    rows: list[dict[str, Any]] = []
    for names in _batches(inputs):
        windows: dict[str, KpiWindow] = {}
        columns: dict[str, KpiColumns] = {}
        for name in names:
            kpi = customers.kpis[name]
            now = KpiWindow(kpi, date - dt.timedelta(days=kpi.window_days - 1), date)
            windows[name] = now
            if inputs[name].has_before:
                windows[_before(name)] = now.before
            columns[name] = _columns(name, kpi, has_before=inputs[name].has_before)
        people = segments_on_sql(segmentation, date)
        try:
            if date == build.as_of:
                parts = kept_parts(connection, customers, windows, build)
                values = values_of_parts_sql(windows, people, parts)
            else:
                values = kpi_values_sql(customers, windows, people)
            connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {_VALUES} AS SELECT segment_id, "
                f"{', '.join(quote(one) for named in columns.values() for one in named.all)}"
                f" FROM ({values})"
            )
        except DatabaseError as error:
            # The message may quote a customer's value: only its kind is passed on.
            raise MeasurementError(
                f"the KPIs {', '.join(names)} of {date} can't be evaluated"
                f" ({type(error).__name__}): see their `where` and `expression` in customers.yaml;"
                " a cast that may fail is written TRY_CAST"
            ) from None
        for name, groups in sums_by_segment(connection, _VALUES, columns).items():
            told = kpi_rows(customers.kpis[name].kind, groups, customers.limits.smallest_group)
            rows += [{"kpi": name, "kpi_date": date, **row} for row in told]
    connection.execute(f"DROP TABLE IF EXISTS {_VALUES}")
    found = pa.Table.from_pylist(rows, schema=FIGURES_SCHEMA)
    connection.register("measured_kpis", found)
    try:
        with transaction(connection):
            _delete(connection, segmentation, [(name, date) for name in inputs])
            connection.execute(
                f"INSERT INTO {kpi_figures(segmentation).sql} BY NAME FROM measured_kpis"
            )
            connection.executemany(
                f"INSERT INTO {kpi_inputs(segmentation).sql} VALUES (?, ?, ?, ?, ?)",
                [
                    [name, date, one.definition, one.rows, one.begins]
                    for name, one in inputs.items()
                ],
            )
    finally:
        connection.unregister("measured_kpis")


def _batches(names: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    left = iter(names)
    while batch := list(islice(left, _KPIS_AT_ONCE)):
        yield batch


def _before(name: str) -> str:
    """Name the same KPI in the window before; a blank can be in no KPI's name."""
    return f"{name} before"


def _columns(name: str, kpi: Kpi, *, has_before: bool) -> KpiColumns:
    is_ratio = kpi.kind == "ratio"
    before = _before(name) if has_before else None
    return KpiColumns(
        numerator_column(name),
        denominator_column(name) if is_ratio else None,
        numerator_column(before) if before else None,
        denominator_column(before) if before and is_ratio else None,
    )


def _nights(connection: Connection, segmentation: str) -> list[dt.date]:
    rows = connection.execute(
        "SELECT as_of FROM core.segment_nights WHERE segmentation = ? ORDER BY as_of",
        [segmentation],
    ).fetchall()
    return [row[0] for row in rows]


def _delete(
    connection: Connection, segmentation: str, outdated: Sequence[tuple[str, dt.date]]
) -> None:
    for table in (kpi_figures(segmentation), kpi_inputs(segmentation)):
        for name, date in outdated:
            connection.execute(
                f"DELETE FROM {table.sql} WHERE kpi = ? AND kpi_date = ?", [name, date]
            )


def _create_figures(connection: Connection, segmentation: str) -> None:
    columns = ", ".join(
        f"{quote(field.name)} {_COLUMN_TYPES[field.type]}" for field in FIGURES_SCHEMA
    )
    connection.execute(f"CREATE TABLE IF NOT EXISTS {kpi_figures(segmentation).sql} ({columns})")
