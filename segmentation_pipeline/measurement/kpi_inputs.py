"""Which dates' KPIs are due: those whose rows are not the ones that were summed up before.

What belongs here: a fingerprint of what each KPI of each date is made of. An event that is loaded
late has an earlier date, so it changes the fingerprints of the dates within the KPI's reach, and of
no other; loading the same rows again, in other files or another order, changes none. So nothing
must be remembered of what was loaded when, and a night that was killed is made up for by the next.

Files that are old go one day, and their rows with them. That corrects nothing: a date keeps its
figures where the rows in its reach begin later than when it was measured.
"""

import datetime as dt
import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.preparation.spans import with_customers_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    literal,
    quote,
    read_build,
    record_build,
    transaction,
)

_SAID_FOR_PEOPLE = {"description", "unit", "higher_is_better"}
_OF_SOURCES = {"kind", "key", "time", "keep", "duplicates", "columns", "expectations"}
_NOT_OF_COLUMNS = {
    "description", "unit", "personal", "sensitive", "maximum_rejected_share", "maximum_null_share",
}  # fmt: skip


@dataclass(frozen=True)
class SourceDays:
    """How many rows a source has of each date, in order, and a fingerprint of those up to it."""

    dates: Sequence[dt.date]
    rows_until: Sequence[int]
    fingerprint_until: Sequence[int]

    def between(self, first: dt.date, last: dt.date) -> tuple[int, int]:
        """Count and fingerprint the rows of a window of dates."""
        begin, end = bisect_left(self.dates, first), bisect_right(self.dates, last)
        return (
            self.rows_until[end] - self.rows_until[begin],
            self.fingerprint_until[end] - self.fingerprint_until[begin],
        )

    @property
    def begins(self) -> dt.date:
        """The first date with rows; a date that never comes where there are none."""
        return self.dates[0] if self.dates else dt.date.max


@dataclass(frozen=True)
class KpiInput:
    """What a KPI of a date is made of: its definition and its rows, as digests.

    The rows are those from `first` on, `value_first` is the first date of those that make the value
    itself, and in one of the sources there are none before `begins`.
    """

    definition: str
    rows: str
    first: dt.date
    value_first: dt.date
    begins: dt.date

    @property
    def has_value(self) -> bool:
        """Whether the rows go back to the beginning of the value's window."""
        return self.begins <= self.value_first

    @property
    def has_before(self) -> bool:
        """Whether they go back to the beginning of the window before it."""
        return self.begins <= self.first


@dataclass(frozen=True)
class KnownInput:
    """What the figures of a date were made of."""

    definition: str
    rows: str
    begins: dt.date


Decision = Literal["keep", "measure", "drop"]


def decide(known: KnownInput | None, found: KpiInput, *, has_rows: bool) -> Decision:
    """Decide about the figures of an earlier date; `has_rows` is not so of an expression."""
    if known is not None and known.definition == found.definition:
        has_lost = found.begins > max(found.first, known.begins)
        is_changed = has_rows and known.rows != found.rows and not has_lost
        return "measure" if is_changed else "keep"
    return "measure" if has_rows and found.has_value else "drop"


def source_days(
    connection: Connection, customers: CustomersSpec, build: Build
) -> dict[str, SourceDays]:
    """Look at the loaded rows of each source that KPIs are made of, date by date.

    The sum of the rows' hashes doesn't depend on their order, and tells a row that stands twice.
    What one segmentation of a night has looked at, the others don't look at again.
    """
    found = {}
    for name in sorted({one for kpi in customers.kpis.values() for one in kpi_sources(kpi)}):
        table = Table("core", f"load_days_{name}")
        if read_build(connection, table) != build:
            _look_at_loads(connection, name, customers.sources[name], table, build)
        rows = connection.execute(
            f"SELECT date, sum(rows), sum(fingerprint) FROM {table.sql} GROUP BY date ORDER BY date"
        ).fetchall()
        counts, fingerprints = [0], [0]
        for _, count, fingerprint in rows:
            counts.append(counts[-1] + int(count))
            fingerprints.append(fingerprints[-1] + int(fingerprint))
        found[name] = SourceDays([row[0] for row in rows], counts, fingerprints)
    return found


def _look_at_loads(
    connection: Connection, name: str, source: SourceSpec, table: Table, build: Build
) -> None:
    """Fingerprint the rows of each load that was not looked at before, date by date.

    The rows of a load never change but by going (erased, expired), or where a column is declared
    otherwise; so the long history is not hashed again each night. Of visitors all rows are: whose
    an event is may be known later, and then its date's figures are others.
    """
    raw, time = raw_table(name), quote(source.time or "")
    types = column_types(connection, raw)
    columns = ("customer_id", *source.columns)
    hashed = _digest([[column, types.get(column)] for column in columns])
    rows_of, is_known = raw.sql, "FALSE"
    with transaction(connection):
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table.sql} (load_id BIGINT NOT NULL,"
            " hashed VARCHAR NOT NULL, date DATE NOT NULL, rows BIGINT NOT NULL,"
            " fingerprint HUGEINT NOT NULL)"
        )
        if source.identity is not None:
            rows_of = f"({with_customers_sql(source, raw.sql)})"
        elif known := _known_loads(connection, raw, time, table, hashed):
            # Written out: DuckDB would hash the rows before it joins them with a table of loads.
            is_known = f"load_id IN ({', '.join(map(literal, known))})"
        connection.execute(f"DELETE FROM {table.sql} WHERE NOT {is_known}")
        connection.execute(
            f"INSERT INTO {table.sql} SELECT load_id, {literal(hashed)}, CAST({time} AS DATE),"
            f" count(*), sum(hash({', '.join(map(quote, columns))}))"
            f" FROM {rows_of} WHERE isfinite({time}) AND NOT {is_known} GROUP BY ALL"
        )
        record_build(connection, table, build)


def _known_loads(
    connection: Connection, raw: Table, time: str, table: Table, hashed: str
) -> list[int]:
    """List the loads whose fingerprints are of all their rows as they are now."""
    rows = connection.execute(
        f"SELECT load_id FROM (SELECT load_id, count(*) AS rows FROM {raw.sql}"
        f" WHERE isfinite({time}) GROUP BY load_id) JOIN (SELECT load_id, sum(rows) AS rows"
        f" FROM {table.sql} WHERE hashed = ? GROUP BY load_id) USING (load_id, rows)"
        " ORDER BY load_id",
        [hashed],
    ).fetchall()
    return [int(load_id) for (load_id,) in rows]


def kpi_inputs_by_date(
    kpi: Kpi,
    customers: CustomersSpec,
    days: Mapping[str, SourceDays],
    dates: Sequence[dt.date],
) -> dict[dt.date, KpiInput]:
    """Fingerprint what a KPI of each date is made of: its definition, and the rows in its reach."""
    sources = kpi_sources(kpi)
    definition = _digest(
        [
            kpi.model_dump(mode="json", exclude=_SAID_FOR_PEOPLE),
            customers.limits.smallest_group,
            {name: _definition(customers.sources[name]) for name in sources},
        ]
    )
    begins = max((days[name].begins for name in sources), default=dt.date.max)
    width = dt.timedelta(days=kpi.window_days)
    found = {}
    for date in dates:
        value_first = date - width * (2 if kpi.returning else 1) + dt.timedelta(days=1)
        first = value_first - width
        seen = [[name, *days[name].between(first, date)] for name in sources]
        rows = _digest([seen, begins <= first])
        found[date] = KpiInput(definition, rows, first, value_first, begins)
    return found


def kpi_sources(kpi: Kpi) -> list[str]:
    """Name the sources whose rows a KPI is made of; none of an expression."""
    return sorted({aggregate.source for aggregate in kpi.aggregates.values()})


def create_inputs(connection: Connection, segmentation: str) -> None:
    """Create the table of what was summed up, where there is none."""
    connection.execute(
        f"CREATE SCHEMA IF NOT EXISTS {quote(segmentation)};"
        f" CREATE TABLE IF NOT EXISTS {kpi_inputs(segmentation).sql} (kpi VARCHAR NOT NULL,"
        " kpi_date DATE NOT NULL, definition VARCHAR NOT NULL, rows VARCHAR NOT NULL,"
        " begins DATE NOT NULL, PRIMARY KEY (kpi, kpi_date))"
    )


def known_inputs(
    connection: Connection, segmentation: str
) -> dict[tuple[str, dt.date], KnownInput]:
    """KPI and date -> what its figures were made of."""
    rows = connection.execute(f"FROM {kpi_inputs(segmentation).sql}").fetchall()
    return {(kpi, date): KnownInput(*rest) for kpi, date, *rest in rows}


def kpi_inputs(segmentation: str) -> Table:
    """Name the table of what was summed up."""
    return Table(segmentation, "kpi_inputs")


def _definition(source: SourceSpec) -> dict[str, object]:
    """Say what of a source's declaration decides which rows count, and by which values."""
    found = source.model_dump(mode="json", include=_OF_SOURCES)
    found["columns"] = {
        name: {key: value for key, value in column.items() if key not in _NOT_OF_COLUMNS}
        for name, column in found["columns"].items()
    }
    return found


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
