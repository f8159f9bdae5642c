"""A KPI of each customer in a window of dates: the one way from rows of a source to a figure.

What belongs here: the SELECT of a KPI's parts by customer. What becomes of them for a segment
belongs to `kpis`, and for the arms of an experiment to `effects`.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.features.aggregates import ZERO_WITHOUT_ROWS, dated_aggregates_sql
from segmentation_pipeline.features.engineered import LARGEST_VALUE
from segmentation_pipeline.preparation import CUSTOMERS, events_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import Aggregate
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.kpis import Kpi, KpiPart
from segmentation_pipeline.specification.reading import nearest
from segmentation_pipeline.warehouse import literal, quote


@dataclass(frozen=True)
class KpiWindow:
    """A KPI, and the dates that it looks at, both inclusive."""

    kpi: Kpi
    first: dt.date
    last: dt.date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise SpecificationError(f"a KPI's window ends on {self.last}, before {self.first}")

    @property
    def days(self) -> int:
        """How many dates there are."""
        return (self.last - self.first).days + 1

    @property
    def before(self) -> "KpiWindow":
        """As many dates, just before these."""
        day = dt.timedelta(days=1)
        return KpiWindow(self.kpi, self.first - self.days * day, self.first - day)


def numerator_column(name: str) -> str:
    """Name the column of `kpi_values_sql` that holds a KPI, or the numerator of a ratio."""
    return f"{name} numerator"


def denominator_column(name: str) -> str:
    """Name the column of `kpi_values_sql` that holds the denominator of a ratio."""
    return f"{name} denominator"


def customer_kpi_sql(
    home: Home, kpi: str, first: dt.date, last: dt.date, people_sql: str | None = None
) -> str:
    """Write the SELECT of a KPI for each customer of `core.customers`, over a window of dates.

    With `people_sql`, a SELECT of `customer_id`, it is of them only. Its columns are
    customer_id, numerator DOUBLE and denominator DOUBLE, one row per customer. The
    rows of sources dated from `first` to `last`, both inclusive, count. Of a ratio the KPI of a
    group is the sum of numerators divided by the sum of denominators; of any other kind the
    denominator is NULL, and the KPI is the mean of the numerators, which are 0 or 1 of kind binary.
    A numerator is NULL where the customer has no value: a mean without rows, an expression without
    a result, somebody who doesn't count for a KPI with `returning`. A KPI that is an expression
    reads `core.customers` as it is, whatever the dates.

    It reads raw tables, `core.customers` and `core.left_out_rows`, made for `last` or a later date.
    Raises SpecificationError where the home has no such KPI, or the window ends before it begins.
    """
    if kpi not in home.customers.kpis:
        raise SpecificationError(
            f"{home.path / 'customers.yaml'}: no KPI `{kpi}`; {nearest(kpi, home.customers.kpis)}"
        )
    window = KpiWindow(home.customers.kpis[kpi], first, last)
    people = people_sql or f"SELECT customer_id FROM {CUSTOMERS.sql}"
    values = kpi_values_sql(home.customers, {kpi: window}, people)
    return (
        f"SELECT customer_id, {quote(numerator_column(kpi))} AS numerator,"
        f" {quote(denominator_column(kpi))} AS denominator FROM ({values}) AS kpi"
    )


def kpi_values_sql(
    customers: CustomersSpec,
    windows: Mapping[str, KpiWindow],
    people_sql: str,
    *,
    is_few: bool = False,
) -> str:
    """Write the SELECT of several KPIs for each person, with one pass per source.

    `people_sql` is a SELECT with `customer_id`; its columns come first. Where they are few among
    the customers, it pays to look for their rows first. Then there are two columns
    of each KPI, by the name that it has in `windows`: see `customer_kpi_sql`.
    """
    parts = _relations(customers, windows, people_sql if is_few else None)
    return _values_sql(windows, people_sql, parts)


def kpi_parts_sql(customers: CustomersSpec, windows: Mapping[str, KpiWindow]) -> str:
    """Write the SELECT of what KPIs are made of, for everybody of whom anything is known.

    Whoever keeps its rows reads any people's KPIs from them, by `values_of_parts_sql`.
    """
    first, *others = _relations(customers, windows, None)
    joined = first
    for other in others:
        joined = f"SELECT * FROM ({joined}\n) AS l FULL JOIN ({other}\n) AS r USING (customer_id)"
    return joined


def values_of_parts_sql(windows: Mapping[str, KpiWindow], people_sql: str, parts: str) -> str:
    """Write what `kpi_values_sql` does, of rows of `kpi_parts_sql` with the same windows."""
    return _values_sql(windows, people_sql, [f"FROM {parts}"])


def _values_sql(windows: Mapping[str, KpiWindow], people_sql: str, relations: Iterable[str]) -> str:
    columns = ["people.*"]
    for name, window in windows.items():
        kpi = window.kpi
        numerator = _part_sql(window, "numerator")
        if kpi.kind == "binary":
            numerator = f"{numerator} > 0"
        if kpi.returning:
            held = f"{_part_sql(window.before, 'numerator')} > 0"
            numerator = f"CASE WHEN {held} THEN {numerator} END"
        denominator = "NULL"
        if kpi.kind == "ratio":
            denominator = _sound_sql(_part_sql(window, "denominator"))
        columns.append(f"{_sound_sql(numerator)} AS {quote(numerator_column(name))}")
        columns.append(f"{denominator}::DOUBLE AS {quote(denominator_column(name))}")
    joins = [
        f"LEFT JOIN ({query}\n) AS {quote(f'parts {number}')} USING (customer_id)"
        for number, query in enumerate(relations)
    ]
    return f"SELECT {', '.join(columns)}\nFROM ({people_sql}\n) AS people\n" + "\n".join(joins)


def _relations(
    customers: CustomersSpec, windows: Mapping[str, KpiWindow], people_sql: str | None
) -> list[str]:
    """Write the SELECTs of all parts of KPIs by customer: one of each source, one of expressions.

    Of a source they have the customers with rows that count; with `people_sql` none but those.
    """
    found = []
    for source, aggregates in _passes(windows).items():
        last = max(end for _, end in aggregates.values())
        events = events_sql(source, customers.sources[source], last)
        if people_sql is not None:
            events = f"SELECT * FROM ({events}) SEMI JOIN ({people_sql}) USING (customer_id)"
        found.append(dated_aggregates_sql(events, customers.sources[source], aggregates))
    by_date: dict[dt.date, dict[str, str]] = {}
    for window in windows.values():
        if window.kpi.expression is not None:
            told = by_date.setdefault(window.last, {})
            told[_part(window, "numerator")] = _expression_sql(window.kpi)
    for date, expressions in by_date.items():
        columns = ", ".join(f"{value} AS {quote(part)}" for part, value in expressions.items())
        found.append(
            f"SELECT customer_id, {columns}"
            f" FROM (SELECT *, {literal(date)} AS as_of FROM {CUSTOMERS.sql}) AS customers"
        )
    return found


def _passes(
    windows: Mapping[str, KpiWindow],
) -> dict[str, dict[str, tuple[Aggregate, dt.date]]]:
    """Source -> part -> the aggregate of its rows that is wanted, and its last date."""
    found: dict[str, dict[str, tuple[Aggregate, dt.date]]] = {}
    for window in windows.values():
        for one in (window, window.before) if window.kpi.returning else (window,):
            for part, aggregate in window.kpi.aggregates.items():
                wanted = _in_window(one, aggregate)
                found.setdefault(aggregate.source, {})[_part(one, part)] = (wanted, one.last)
    return found


def _part(window: KpiWindow, part: KpiPart) -> str:
    """Name the column of a KPI's part by what it is, so that KPIs share those that they share."""
    kpi = window.kpi
    content = f"{kpi.kind == 'binary'} {kpi.expression}"
    if kpi.expression is None:
        content = _in_window(window, kpi.aggregates[part]).model_dump_json()
    return f"{hashlib.sha256(content.encode()).hexdigest()[:16]} until {window.last}"


def _in_window(window: KpiWindow, aggregate: Aggregate) -> Aggregate:
    return aggregate.model_copy(update={"window_days": window.days})


def _part_sql(window: KpiWindow, part: KpiPart) -> str:
    """Write a person's total, which is 0 where there are no rows, if that is what 0 means."""
    value = quote(_part(window, part))
    if window.kpi.expression is not None:
        return value
    is_zero = window.kpi.aggregates[part].function in ZERO_WITHOUT_ROWS
    return f"coalesce({value}, 0)" if is_zero else value


def _expression_sql(kpi: Kpi) -> str:
    """Write an expression's value over a row of customers, NULL where it fails for one."""
    kind = "BOOLEAN" if kpi.kind == "binary" else "DOUBLE"
    return f"TRY(CAST(TRY({kpi.expression}\n) AS {kind}))::DOUBLE"


def _sound_sql(value: str) -> str:
    """Write a value as DOUBLE, NULL where it is no number or beyond what is a customer's."""
    number = f"CAST({value} AS DOUBLE)"
    return f"CASE WHEN abs({number}) <= {literal(LARGEST_VALUE)} THEN {number} END"
