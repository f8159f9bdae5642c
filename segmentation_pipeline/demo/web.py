"""The web interactions, as SQL over `people`: mails, what became of them, and visits.

Visits, online services and network usage come at random (Poisson). A person who moves to another
segment has two spells; each spell draws its events for all days and keeps those that fall into it,
which is again Poisson. Mails come every 30 days, and are opened and clicked on the same day, so
that a window of days never tears an opened mail from its sending.
"""

import datetime as dt

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.population import STAFF_ID_SQL, Population
from segmentation_pipeline.demo.randomness import Draws
from segmentation_pipeline.warehouse import literal

EVENTS = {
    "landing_page_visit": "LP",
    "online_service": "OS",
    "network_usage": "NU",
    "email_sent": "ES",
    "email_opened": "EO",
    "email_clicked": "EC",
}
"""Event -> the letters in its ids; a kind of event is numbered by its place here."""
_KINDS = {name: kind for kind, name in enumerate(EVENTS)}
_MEGABYTES = 35.0
_MEGABYTES_SPREAD = 0.6
_EVENTS_PER_SPELL = 1024
"""Room for the events of one kind in one spell; the rates give a few dozen a year."""


def events_sql(draws: Draws, population: Population) -> str:
    """All events, in no order: number, kind (its place in EVENTS), sequence, second, amount, copy.

    `second` counts from the midnight that begins the oldest day: whole numbers are cheaper than
    timestamps, of which `file_sql` makes one per event.
    """
    arrivals = "\nUNION ALL\n".join(
        _arrivals_sql(draws, population, kind) for kind in planted.EVENT_RATES
    )
    return f"""
    WITH {_spells_sql(population)}, arrivals AS (
        {arrivals}
    ), {_mails_sql(draws, population)}, happened AS (
        SELECT * FROM arrivals
        UNION ALL
        SELECT number, kind, sequence, second, NULL FROM mails
    )
    SELECT
        number, kind::UTINYINT AS kind, sequence::UINTEGER AS sequence,
        second::UINTEGER AS second, amount, 0::UTINYINT AS copy
    FROM happened
    """


def lifted_sql(draws: Draws, population: Population) -> str:
    """Select what the treated do more of, as `events_sql` does; `treated` are people's numbers.

    It begins on the day after the first night, on which they are drawn.
    """
    more = _drawn_arrivals_sql(
        draws,
        population,
        planted.LIFTED_EVENT,
        times=population.scenario.lifted_by,
        purpose=", lifted",
        first_sequence=_EVENTS_PER_SPELL // 2,
    )
    begins = planted.HISTORY_DAYS + 1
    return f"""
    WITH {_spells_sql(population)}, lifted AS (
        {more}
        WHERE greatest(starts, {begins}) <= day AND day < ends
            AND segment = {planted.LIFTED_SEGMENT} AND number IN (SELECT number FROM treated)
    )
    SELECT
        number, kind::UTINYINT AS kind, sequence::UINTEGER AS sequence,
        second::UINTEGER AS second, amount, 0::UTINYINT AS copy
    FROM lifted
    """


def duplicates_sql(draws: Draws) -> str:
    """The events of `web_events` that stand in their file twice, as their second copies."""
    event = f"((number * {2 * _EVENTS_PER_SPELL} + sequence) * {len(EVENTS)} + kind)"
    twice = draws.chance_sql("duplicate web", mess.DUPLICATE_SHARE["web"], event)
    return f"SELECT * REPLACE (1::UTINYINT AS copy) FROM web_events WHERE {twice}"


def file_sql(population: Population, first: dt.date, last: dt.date) -> str:
    """The events of some days as they stand in a file, oldest first."""
    begin = literal(population.history_start)
    names = ", ".join(literal(name) for name in EVENTS)
    letters = ", ".join(literal(letters) for letters in EVENTS.values())
    return f"""
    SELECT
        printf('WEB-%06d-%s%d', number, [{letters}][1 + kind], sequence) AS event_id,
        {STAFF_ID_SQL} AS staff_id,
        make_timestamp(epoch_us({begin}) + 1000000 * second::BIGINT) AS occurred_at,
        [{names}][1 + kind] AS event, amount
    FROM (
        FROM web_events
        WHERE second >= {first_second_sql(population, first)}
            AND second < {first_second_sql(population, last + dt.timedelta(days=1))}
        ORDER BY second, number, kind, sequence, copy
    )
    """


def first_second_sql(population: Population, day: dt.date) -> str:
    """The first second of a day, as `events_sql` counts them."""
    return literal((day - population.history_start).days * 86_400)


def _spells_sql(population: Population) -> str:
    """Name the CTE `spells`: for each person the days in each engagement segment."""
    begin = literal(population.history_start)
    end = population.history_days
    one = planted.ENGAGEMENT.name
    moves = f"{one}_moves_on - {begin} - {planted.WEB_LEADS_DAYS}"
    leaves = f"coalesce(leaves_on - {begin}, {end})"
    # Who joins was a visitor before; a whole group of them would look like events of nobody's.
    known = "0"
    if population.newcomers:
        known = f"CASE WHEN {population.is_newcomer_sql} THEN joins_on - {begin} ELSE 0 END"
    return f"""
    spells AS (
        SELECT
            2 * number AS spell, number, {one}_before AS segment,
            {known} AS starts, least({leaves}, coalesce({moves}, {end})) AS ends
        FROM people
        UNION ALL
        SELECT
            2 * number + 1, number, {one}_after, greatest({moves}, {known}), {leaves}
        FROM people
        WHERE {one}_moves_on IS NOT NULL
    )"""


def _arrivals_sql(draws: Draws, population: Population, kind: str) -> str:
    return f"{_drawn_arrivals_sql(draws, population, kind)} WHERE starts <= day AND day < ends"


def _drawn_arrivals_sql(
    draws: Draws,
    population: Population,
    kind: str,
    *,
    times: float = 1.0,
    purpose: str = "",
    first_sequence: int = 0,
) -> str:
    """Select the events of a kind that each spell has in all days, `times` as many as planted.

    `purpose` tells draws apart, and `first_sequence` numbers, where a spell has events of a kind
    for two reasons.
    """
    days = population.history_days
    count = planted.EVENT_RATES[kind].times(times).count_sql("drawn", "segment", days)
    day = draws.below_sql(f"{kind} day{purpose}", str(days), "arrival")
    early = draws.below_sql(f"{kind} early{purpose}", "28800", "arrival")
    late = draws.below_sql(f"{kind} late{purpose}", "28800", "arrival")
    amount = "NULL::DOUBLE"
    if kind == "network_usage":
        spread = f"{literal(_MEGABYTES_SPREAD)} * {draws.gaussian_sql('megabytes', 'arrival')}"
        amount = f"round({literal(_MEGABYTES)} * exp({spread}), 1)"
    # Two halves of a working day (06:00 to 22:00) added up: noon is busier than night.
    return f"""
        SELECT
            number, {_KINDS[kind]} AS kind, sequence,
            86400 * day + 21600 + {early} + {late} AS second, {amount} AS amount
        FROM (
            SELECT
                *, arrival % {2 * _EVENTS_PER_SPELL} AS sequence,
                {day} AS day
            FROM (
                SELECT
                    *,
                    spell * {_EVENTS_PER_SPELL} + {first_sequence} + unnest(range({count}))
                        AS arrival
                FROM (
                    SELECT *, {draws.uniform_sql(f"{kind} count{purpose}", "spell")} AS drawn
                    FROM spells
                )
            )
        )
       """


def _mails_sql(draws: Draws, population: Population) -> str:
    """Name the CTEs that end in `mails`: sent, opened and clicked, with the letter's sequence."""
    sent, opened, clicked = (_KINDS[f"email_{fate}"] for fate in ("sent", "opened", "clicked"))
    every = planted.MAIL_EVERY_DAYS
    letters = -(-population.history_days // every)
    phase = draws.below_sql("mail day", str(every))
    hour = draws.below_sql("mail hour", "10800", "mail")
    opens = planted.MAILS_OPENED.chance_sql(draws.uniform_sql("mail opened", "mail"), "segment")
    clicks = planted.MAILS_CLICKED.chance_sql(draws.uniform_sql("mail clicked", "mail"), "segment")
    wait = draws.below_sql("wait", "36000", "mail")
    read = draws.below_sql("read", "280", "mail")
    return f"""
    letters AS (
        SELECT *, unnest(range({letters})) AS sequence FROM spells
    ), sent AS (
        SELECT
            *, {phase} + {every} * sequence AS day,
            number * {_EVENTS_PER_SPELL} + sequence AS mail
        FROM letters
    ), delivered AS (
        SELECT
            *, 86400 * day + 21600 + {hour} AS sent,
            60 + {wait} AS opened_after, 20 + {read} AS clicked_after,
            {opens} AS is_opened, {clicks} AS is_clicked
        FROM sent
        WHERE starts <= day AND day < ends
    ), fates AS (
        SELECT
            number, sequence, sent, opened_after, clicked_after,
            unnest(CASE WHEN is_opened AND is_clicked THEN [{sent}, {opened}, {clicked}]
                        WHEN is_opened THEN [{sent}, {opened}] ELSE [{sent}] END) AS kind
        FROM delivered
    ), mails AS (
        SELECT
            number, kind, sequence,
            sent + CASE kind
                WHEN {sent} THEN 0
                WHEN {opened} THEN opened_after
                ELSE opened_after + clicked_after END AS second
        FROM fates
    )"""
