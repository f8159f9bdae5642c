"""The planted truth as rows: who is in which segment each night, and where that shows.

A customer is planted in a segment from a date on, but 90 days of events take their time to say so.
So the truth has two columns more: the segment to which the customer's expected features belong, and
the one on whose border they lie. They come from the planted intensities and centres alone, never
from what was drawn by chance, nor from what a pipeline makes of it.
"""

from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.demo import planted
from segmentation_pipeline.demo.observation import Array
from segmentation_pipeline.demo.planted import BORDER, ENGAGEMENT
from segmentation_pipeline.demo.population import (
    STAFF_ID_SQL,
    Population,
    segment_name_sql,
    segment_names,
    segment_sql,
)
from segmentation_pipeline.demo.randomness import Draws, by_segment_sql, poisson_shares
from segmentation_pipeline.warehouse import literal

_WINDOW_DAYS = 90
_MAILS = _WINDOW_DAYS // planted.MAIL_EVERY_DAYS
_LATENTS = {
    "attended_events": planted.ATTENDED_EVENTS,
    "visit minutes": planted.VISIT_MINUTES,
    "contract_value_eur": planted.CONTRACT_VALUE,
}
"""What a customer's CRM record and answers tell, by the purpose of its draw; nothing of it is
left to chance once it is drawn."""


@dataclass(frozen=True)
class _Space:
    """The natural standardised features of `engagement`, in which segments have centres."""

    segments: int
    spreads: Array
    """Standard deviation of each feature, chance included, as an analyst would divide by it."""

    def window(self, before: int, after: int, new_days: int) -> Array:
        """Return the expected features of 90 days, the last `new_days` of them in `after`."""
        share = new_days / _WINDOW_DAYS
        visits = [
            _mean_and_variance((1 - share) * rate[before] + share * rate[after])[0]
            for rate in (one.per_90_days for one in planted.EVENT_RATES.values())
        ]
        opened = planted.MAILS_OPENED.shares
        values = np.array([*visits, (1 - share) * opened[before] + share * opened[after]])
        return np.asarray(values / self.spreads[: values.size])

    def centre(self, segment: int) -> Array:
        """Return the segment's centre: what is expected of its customers."""
        latent = np.array([one.means[segment] for one in _LATENTS.values()])
        window = self.window(segment, segment, 0)
        return np.concatenate([window, latent / self.spreads[window.size :]])


def truth_sql(draws: Draws, population: Population) -> str:
    """One row per night, customer of that night's snapshot, and segmentation.

    `segment` is the planted one. `expected_segment` is the one whose centre is the nearest to the
    customer's expected features, and `border_segment` the next nearest, where t between the two
    (statistics.md, rule 3) is below `planted.BORDER`: there either is true. In `profession`, where
    everything shows on its date, they are `segment` and NULL.
    """
    first = literal(population.first_night)
    place = "CASE pair.segmentation WHEN {} THEN {} ELSE {} END"
    names = [literal(name) for name in segment_names(ENGAGEMENT)]
    engagement = literal(ENGAGEMENT.name)
    own = place.format(engagement, by_segment_sql("own", names), "pair.segment")
    border = place.format(engagement, by_segment_sql("border", names), "NULL")
    pairs = ", ".join(
        f"{{'segmentation': {literal(one.name)}, 'segment': {segment_name_sql(one, 'as_of')}}}"
        for one in planted.SEGMENTATIONS
    )
    return f"""
        WITH customer_nights AS (
            SELECT *, unnest(range({population.days})) AS night
            FROM people WHERE joins_on IS NOT NULL
        ), dated AS (
            SELECT *, {first} + night::INTEGER AS as_of FROM customer_nights
        ), present AS (
            FROM dated WHERE joins_on <= as_of AND (leaves_on IS NULL OR as_of < leaves_on)
        ), {_places_sql(draws, population)}, pairs AS (
            SELECT as_of, number, own, border, unnest([{pairs}]) AS pair FROM places
        )
        SELECT
            as_of, {STAFF_ID_SQL} AS customer_id,
            pair.segmentation AS segmentation, pair.segment AS segment,
            {own} AS expected_segment, {border} AS border_segment
        FROM pairs
        ORDER BY number, as_of, segmentation
        """


def _places_sql(draws: Draws, population: Population) -> str:
    """Name the CTEs from `present` to `places`, which has the indices `own` and `border`."""
    space = _space(population)
    moved = f"as_of - {ENGAGEMENT.name}_moves_on + 1 + {planted.WEB_LEADS_DAYS}"
    turn = population.turn_sql("as_of")
    segment = segment_sql(ENGAGEMENT, "as_of")
    latents = []
    for position, (purpose, measure) in enumerate(_LATENTS.items()):
        mean = by_segment_sql("segment_now", [literal(mean) for mean in measure.means])
        drawn = f"({mean} + {literal(measure.sd)} * {draws.gaussian_sql(purpose, turn=turn)})"
        spread = float(space.spreads[position - len(_LATENTS)])
        latents.append(f"{drawn} / {literal(spread)}")
    web = len(space.spreads) - len(_LATENTS)
    features = [*(f"windows.feature_{index}" for index in range(web)), *latents]
    named = ", ".join(f"{feature} AS x{index}" for index, feature in enumerate(features))
    segments = range(space.segments)
    centres = [space.centre(one) for one in segments]
    distances = ", ".join(
        " + ".join(
            f"(x{index} - {_number(value)}) * (x{index} - {_number(value)})"
            for index, value in enumerate(centre)
        )
        + f" AS d{one}"
        for one, centre in enumerate(centres)
    )
    own = _least_sql([f"d{one}" for one in segments])
    margins = ", ".join(
        f"(d{one} - least({', '.join(f'd{other}' for other in segments)})) / "
        + by_segment_sql("own", [_gap(centres[other], centres[one]) for other in segments])
        + f" AS t{one}"
        for one in segments
    )
    nearest = [f"t{one}" for one in segments]
    next_one = _least_sql(nearest)
    return f"""windows AS (
            FROM (VALUES {_windows_sql(space)}) AS w(
                segment_before, segment_after, new_days,
                {", ".join(f"feature_{index}" for index in range(web))}
            )
        ), phased AS (
            SELECT
                *, {segment} AS segment_now,
                greatest(0, least({_WINDOW_DAYS}, coalesce({moved}, 0))) AS days_in_new
            FROM present
        ), placed AS (
            SELECT phased.*, {named}
            FROM phased JOIN windows ON segment_before = {ENGAGEMENT.name}_before
                AND new_days = days_in_new
                AND segment_after = CASE days_in_new
                    WHEN 0 THEN {ENGAGEMENT.name}_before ELSE {ENGAGEMENT.name}_after END
        ), measured AS (
            SELECT *, {distances} FROM placed
        ), nearest AS (
            SELECT *, {own} AS own FROM measured
        ), margins AS (
            SELECT *, {margins} FROM nearest
        ), places AS (
            SELECT
                *,
                CASE WHEN least({", ".join(nearest)}) < {literal(BORDER)} THEN {next_one} END
                    AS border
            FROM margins
        )"""


def _space(population: Population) -> _Space:
    """Measure the features' spreads over the segments of the first night."""
    shares = np.array(ENGAGEMENT.shares)
    segments = range(shares.size)
    rates = [one.per_90_days for one in planted.EVENT_RATES.values()]
    opened = np.array(planted.MAILS_OPENED.shares)[: shares.size]
    moments = [
        *(np.array([_mean_and_variance(rate[one]) for one in segments]).T for rate in rates),
        np.array([opened, opened * (1 - opened) / _MAILS]),
        *(
            np.array([[one.means[segment], one.sd**2] for segment in segments]).T
            for one in _LATENTS.values()
        ),
    ]
    spreads = [
        float(np.sqrt(shares @ (within + (means - shares @ means) ** 2)))
        for means, within in moments
    ]
    return _Space(len(population.shares(ENGAGEMENT)), np.array(spreads))


def _windows_sql(space: _Space) -> str:
    """List the expected features of every window: all in one segment, or begun in another."""
    known = range(len(segment_names(ENGAGEMENT)))
    keys = [(one, one, 0) for one in known]
    keys += [
        (one, other, days)
        for one in known
        for other in known
        for days in range(1, _WINDOW_DAYS + 1)
        if one != other
    ]
    return ", ".join(
        f"({', '.join([*map(str, key), *map(_number, space.window(*key))])})" for key in keys
    )


def _mean_and_variance(rate: float) -> tuple[float, float]:
    """Return the moments of log(1 + n) for a number n of events of which `rate` are expected."""
    shares = np.array(poisson_shares(rate))
    logs = np.log1p(np.arange(shares.size))
    mean = float(shares @ logs)
    return mean, float(shares @ logs**2) - mean**2


def _least_sql(columns: list[str]) -> str:
    """Write the index of the least column; the first of equal ones, NULL left out."""
    cases = " ".join(f"WHEN {column} THEN {index}" for index, column in enumerate(columns))
    return f"CASE least({', '.join(columns)}) {cases} END"


def _gap(one: Array, other: Array) -> str:
    """Write the squared distance of two centres; NULL of one from itself, which no row is near."""
    squared = float(((one - other) ** 2).sum())
    return _number(squared) if squared else "NULL"


def _number(value: float) -> str:
    return literal(float(value))
