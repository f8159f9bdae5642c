"""A KPI of each customer in a window of dates: the one way from rows of a source to a figure.

What belongs here: the SELECT of a KPI's parts by customer. What becomes of them for a segment
belongs to `kpis`, and for the arms of an experiment to `effects`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.features.aggregates import ZERO_WITHOUT_ROWS, dated_aggregates_sql
from segmentation_pipeline.features.engineered import LARGEST_VALUE
from segmentation_pipeline.preparation import CUSTOMERS, events_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import Aggregate
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.kpis import Kpi
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


def customer_kpi_sql(home: Home, kpi: str, first: dt.date, last: dt.date) -> str:
    """Write the SELECT of a KPI for each customer of `core.customers`, over a window of dates.

    Its columns are customer_id, numerator DOUBLE and denominator DOUBLE, one row per customer. The
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
    people = f"SELECT customer_id FROM {CUSTOMERS.sql}"
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
    columns, joins = ["people.*"], []
    for source, aggregates in _passes(windows).items():
        last = max(end for _, end in aggregates.values())
        events = events_sql(source, customers.sources[source], last)
        if is_few:
            events = f"SELECT * FROM ({events}) SEMI JOIN ({people_sql}) USING (customer_id)"
        query = dated_aggregates_sql(events, customers.sources[source], aggregates)
        joins.append(f"LEFT JOIN ({query}) AS {quote(source)} USING (customer_id)")
    for name, window in windows.items():
        kpi = window.kpi
        if kpi.expression is not None:
            relation = quote(f"{name} of customers")
            joins.append(f"LEFT JOIN ({_expression_sql(window)}) AS {relation} USING (customer_id)")
            numerator = f"{relation}.value"
        else:
            numerator = _part_sql(window, name, "numerator")
        if kpi.kind == "binary":
            numerator = f"{numerator} > 0"
        if kpi.returning:
            held = f"{_part_sql(window.before, name, 'numerator')} > 0"
            numerator = f"CASE WHEN {held} THEN {numerator} END"
        denominator = "NULL"
        if kpi.kind == "ratio":
            denominator = _sound_sql(_part_sql(window, name, "denominator"))
        columns.append(f"{_sound_sql(numerator)} AS {quote(numerator_column(name))}")
        columns.append(f"{denominator}::DOUBLE AS {quote(denominator_column(name))}")
    return f"SELECT {', '.join(columns)}\nFROM ({people_sql}\n) AS people\n" + "\n".join(joins)


def _passes(
    windows: Mapping[str, KpiWindow],
) -> dict[str, dict[str, tuple[Aggregate, dt.date]]]:
    """Source -> column -> the aggregate of its rows that is wanted, and its last date."""
    found: dict[str, dict[str, tuple[Aggregate, dt.date]]] = {}
    for name, window in windows.items():
        for one in (window, window.before) if window.kpi.returning else (window,):
            for part, aggregate in window.kpi.aggregates.items():
                wanted = aggregate.model_copy(update={"window_days": one.days})
                found.setdefault(aggregate.source, {})[_part(one, name, part)] = (wanted, one.last)
    return found


def _part(window: KpiWindow, name: str, part: str) -> str:
    """Name the column of a KPI's part in a window."""
    return f"{name} {part} {window.last}"


def _part_sql(window: KpiWindow, name: str, part: str) -> str:
    """Write a person's total, which is 0 where there are no rows, if that is what 0 means."""
    aggregate = window.kpi.aggregates["numerator" if part == "numerator" else "denominator"]
    value = f"{quote(aggregate.source)}.{quote(_part(window, name, part))}"
    return f"coalesce({value}, 0)" if aggregate.function in ZERO_WITHOUT_ROWS else value


def _expression_sql(window: KpiWindow) -> str:
    """Write the SELECT of an expression's value, NULL where it fails for a customer."""
    value = f"TRY({window.kpi.expression}\n)"
    kind = "BOOLEAN" if window.kpi.kind == "binary" else "DOUBLE"
    return (
        f"SELECT customer_id, TRY(CAST({value} AS {kind}))::DOUBLE AS value"
        f" FROM (SELECT *, {literal(window.last)} AS as_of FROM {CUSTOMERS.sql}) AS customers"
    )


def _sound_sql(value: str) -> str:
    """Write a value as DOUBLE, NULL where it is no number or beyond what is a customer's."""
    number = f"CAST({value} AS DOUBLE)"
    return f"CASE WHEN abs({number}) <= {literal(LARGEST_VALUE)} THEN {number} END"
