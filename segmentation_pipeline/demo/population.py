"""Who there is: one row per person, with the planted segments and the nights of their changes.

`people` numbers everybody from 1: first the customers of the first night, then those who join
later, then the newcomers of a scenario that has some, then orphans, who answer and click but never
enter the CRM. A person moves to another segment at most once per segmentation.
"""

import datetime as dt
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.planted import PlantedSegmentation
from segmentation_pipeline.demo.randomness import Draws, step_sql
from segmentation_pipeline.demo.scenario import Scenario
from segmentation_pipeline.warehouse import literal


@dataclass(frozen=True)
class Population:
    """How many customers over how many nights, and what changes in them."""

    customers: int
    days: int
    scenario: Scenario

    @property
    def first_night(self) -> dt.date:
        """The date of the first CRM snapshot."""
        return planted.LAST_NIGHT - dt.timedelta(days=self.days - 1)

    @property
    def nights(self) -> list[dt.date]:
        """Every night, in order."""
        return [self.first_night + dt.timedelta(days=day) for day in range(self.days)]

    @property
    def history_start(self) -> dt.date:
        """The date of the oldest web events."""
        return self.first_night - dt.timedelta(days=planted.HISTORY_DAYS)

    @property
    def history_days(self) -> int:
        """Days with web events, the last night's included."""
        return planted.HISTORY_DAYS + self.days

    @property
    def joiners(self) -> int:
        """Customers who join after the first night."""
        return ceil(mess.JOIN_SHARE * self.customers * (self.days - 1))

    @property
    def newcomers(self) -> int:
        """Customers of another kind, who all join on one night."""
        return round(self.scenario.newcomer_share * self.customers)

    @property
    def ever_customers(self) -> int:
        """Who is a customer at some time; the number of the last of them."""
        return self.customers + self.joiners + self.newcomers

    @property
    def is_newcomer_sql(self) -> str:
        """Whether a person is one of the newcomers."""
        return f"(number > {self.customers + self.joiners} AND number <= {self.ever_customers})"

    @property
    def stranger_share(self) -> float:
        """About the share of answers and events, at most, of people who are no customers then."""
        turnover = mess.LEAVE_SHARE * (self.days - 1) + self.joiners / self.customers
        return turnover + mess.ORPHAN_SHARE

    @property
    def raised_on(self) -> dt.date:
        """The first night on which a number of the CRM is another for everybody."""
        return self._night_after(self.scenario.raised_after)

    @property
    def joined_on(self) -> dt.date:
        """The night on which newcomers are customers for the first time."""
        return self._night_after(self.scenario.joined_after)

    @property
    def changes_on(self) -> list[dt.date]:
        """The nights on which something changes at once, in order."""
        nights = set()
        if self.scenario.raised_column is not None:
            nights.add(self.raised_on)
        if self.newcomers:
            nights.add(self.joined_on)
        return sorted(nights)

    @property
    def orphans(self) -> int:
        """People who are never in the CRM."""
        return ceil(mess.ORPHAN_SHARE * self.customers)

    def people_sql(self, draws: Draws) -> str:
        """One row per person: number, nights of joining and leaving, segments and moves."""
        later = str(self.days - 1)
        first = literal(self.first_night)
        last_joiner = self.customers + self.joiners
        moves = ",\n".join(self._moves_sql(draws, one) for one in planted.SEGMENTATIONS)
        return f"""
        SELECT
            number,
            CASE WHEN number <= {self.customers} THEN {first}
                 WHEN number <= {last_joiner}
                 THEN {first} + 1 + {draws.below_sql("joins", later)}::INTEGER
                 WHEN number <= {self.ever_customers} THEN {literal(self.joined_on)}
            END AS joins_on,
            CASE WHEN number <= {self.customers}
                 THEN {self._night_of_sql(draws, "leaves", mess.LEAVE_SHARE)} END AS leaves_on,
            {moves}
        FROM (
            SELECT range AS number FROM range(1, {self.ever_customers + self.orphans + 1})
        )
        """

    def shares(self, one: PlantedSegmentation) -> tuple[float, ...]:
        """Shares of a segmentation's segments; once newcomers are there, theirs comes last."""
        if not (one.newcomers and self.newcomers):
            return one.shares
        share = self.newcomers / (self.customers + self.newcomers)
        return (*(share_of * (1 - share) for share_of in one.shares), share)

    def shift(self, column: str, night: dt.date) -> float:
        """By how much a number of the CRM has grown on a night, on its logarithm's scale."""
        scenario = self.scenario
        is_raised = column == scenario.raised_column and night >= self.raised_on
        raised = scenario.raised_by if is_raised else 0.0
        return scenario.growth * (night - self.first_night).days + raised

    def turn_sql(self, date: str) -> str:
        """How far latents have turned on a date, counted from the last night."""
        if not self.scenario.is_turning:
            return "0"
        last = literal(planted.LAST_NIGHT)
        return f"date_diff('day', {last}, {date}) / {planted.TURN_DAYS}.0::DOUBLE"

    def _night_after(self, part: Fraction) -> dt.date:
        return self.first_night + dt.timedelta(days=int(part * self.days))

    def _moves_sql(self, draws: Draws, one: PlantedSegmentation) -> str:
        count = len(one.segments)
        start = step_sql(draws.uniform_sql(f"{one.name} segment"), one.shares)
        night = self._night_of_sql(draws, f"{one.name} moves", self.scenario.move_share)
        destination = f"({start} + 1 + {self._step_sql(draws, one, count)}) % {count}"
        if self.scenario.moves_at_once and one.first_at_once:
            first, among = one.first_at_once, count - one.first_at_once
            step = self._step_sql(draws, one, among)
            destination = f"{first} + ({start} - {first} + 1 + {step}) % {among}"
            night = f"CASE WHEN {start} >= {first} THEN {night} END"
        if one.newcomers and self.newcomers:
            start = f"CASE WHEN {self.is_newcomer_sql} THEN {count} ELSE {start} END"
            night = f"CASE WHEN NOT {self.is_newcomer_sql} THEN {night} END"
        return f"""
            {start} AS {one.name}_before,
            {destination} AS {one.name}_after,
            {night} AS {one.name}_moves_on"""

    def _step_sql(self, draws: Draws, one: PlantedSegmentation, among: int) -> str:
        return draws.below_sql(f"{one.name} destination", str(among - 1))

    def _night_of_sql(self, draws: Draws, purpose: str, share: float) -> str:
        """Draw the night of what happens to a share of people each night after the first."""
        if not share:
            return "NULL::DATE"
        uniform = draws.uniform_sql(purpose)
        return (
            f"CASE WHEN {uniform} < {literal(share * (self.days - 1))} THEN "
            f"{literal(self.first_night)} + 1 + floor({uniform} / {literal(share)})::INTEGER END"
        )


STAFF_ID_SQL = "printf('EMP-%06d', number)"
"""A person's id as all sources have it; of more digits above 999,999."""


def segment_sql(one: PlantedSegmentation, date: str) -> str:
    """A person's segment on a date, as an index from 0."""
    moved = f"coalesce({date} >= {one.name}_moves_on, false)"
    return f"CASE WHEN {moved} THEN {one.name}_after ELSE {one.name}_before END"


def segment_names(one: PlantedSegmentation) -> list[str]:
    """Name all segments in the order of their indices, that of newcomers last."""
    return [*one.segments, *([one.newcomers] if one.newcomers else [])]


def segment_name_sql(one: PlantedSegmentation, date: str) -> str:
    """A person's segment on a date, by its name."""
    names = ", ".join(literal(name) for name in segment_names(one))
    return f"[{names}][1 + ({segment_sql(one, date)})]"
