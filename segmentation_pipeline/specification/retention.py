"""How long what grows night by night is kept, and that nothing is cut below what a night needs.

What belongs here: what the YAML may say of it. The cutting belongs to `publication.retention` and
to `ingestion.expiry`.
"""

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.specification.closed import ClosedModel, Name

_DURATION = r"^([1-9][0-9]{0,3}) (day|week|month|year)s?$"
Duration = Annotated[str, Field(pattern=_DURATION)]
"""A number of days, weeks, months or years of the calendar, such as `730 days`."""

CUT_AT_SPELLS, CUT_AT_KPI_DATES = "segment_history", "segment_kpis"
_NIGHTS = "segmentation_runs"
_BY_DEFAULT: dict[str, str] = {"validation_results": "400 days"}
_SHORTEST_MONTH, _SHORTEST_YEAR = 28, 365


class Retention(ClosedModel):
    """How long what grows night by night is kept; what isn't named stays for ever."""

    sources: dict[Name, Duration] = {}
    """Source -> how long its rows stay in the warehouse: of events and answers by their date, of a
    CRM table for how long a snapshot stays after another one has replaced it."""
    tables: dict[Name, Duration | None] = {}
    """Published table -> how long its rows stay: of a table with a row per date by that date, of
    `segment_history` for how long a spell stays after it has ended, of `segment_kpis` by the date
    of the KPI. `validation_results` stay 400 days where nothing is said; null is for ever."""
    reports: Duration | None = "400 days"
    """How long a night's report stays; null is for ever."""
    logs: Duration | None = "400 days"
    """How long a night's log stays; null is for ever."""
    runs: Annotated[int, Field(ge=2)] | None = 30
    """How many finished runs Dagster's own record in the home keeps (about 10 MB each); null is all
    of them."""

    @property
    def durations(self) -> dict[str, str]:
        """Published table -> how long its rows stay; those that stay for ever are left out."""
        said = {**_BY_DEFAULT, **self.tables}
        return {name: keep for name, keep in said.items() if keep is not None}


def kept_from(keep: str, as_of: dt.date) -> dt.date:
    """Find the first date that is kept on a night.

    >>> kept_from("30 days", dt.date(2025, 3, 31)), kept_from("1 month", dt.date(2025, 3, 31))
    (datetime.date(2025, 3, 1), datetime.date(2025, 2, 28))
    """
    number, unit = _parts(keep)
    if unit in ("day", "week"):
        days = number * (7 if unit == "week" else 1)
        return as_of - dt.timedelta(days=days) if days < as_of.toordinal() else dt.date.min
    months = as_of.year * 12 + as_of.month - 1 - number * (12 if unit == "year" else 1)
    if months < 12:
        return dt.date.min
    first = dt.date(months // 12, months % 12 + 1, 1)
    beyond = dt.date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return min(first + dt.timedelta(days=as_of.day - 1), beyond - dt.timedelta(days=1))


def shortest_days(keep: str) -> int:
    """Count the days that a duration has at least.

    >>> shortest_days("2 years"), shortest_days("3 weeks")
    (730, 21)
    """
    number, unit = _parts(keep)
    return number * {"day": 1, "week": 7, "month": _SHORTEST_MONTH, "year": _SHORTEST_YEAR}[unit]


def cuttable_tables() -> Iterator[str]:
    """Name the published tables that may have a retention.

    `segmentation_runs` tells which run made which rows, so it stays, with a row per night.
    """
    for contract in CONTRACTS.values():
        is_dated = contract.is_dated and contract.name != _NIGHTS
        if is_dated or contract.name in (CUT_AT_SPELLS, CUT_AT_KPI_DATES):
            yield contract.name


def _parts(keep: str) -> tuple[int, str]:
    found = re.match(_DURATION, keep)
    if found is None:
        raise ValueError(f"`{keep}` is no duration")
    return int(found[1]), found[2]
