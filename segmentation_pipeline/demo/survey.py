"""The survey, as SQL over `people`: who answered when, and what.

A customer's first answer came before the first night or, for some, after it; some answered again;
who moved to another segment, or joined, answers on that day. Some never do.
"""

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.dirt import blank_sql, blanked_sql, copies_sql, spelled_sql
from segmentation_pipeline.demo.population import (
    STAFF_ID_SQL,
    Population,
    segment_sql,
)
from segmentation_pipeline.demo.randomness import Draws
from segmentation_pipeline.warehouse import literal

_DRAWN = {
    "education": (planted.EDUCATION, "profession", False),
    "role": (planted.ROLE, "profession", False),
    "prescription_attitude": (planted.PRESCRIPTION_ATTITUDE, "profession", True),
    "collaboration_attitude": (planted.COLLABORATION_ATTITUDE, "profession", True),
    "preferred_channel": (planted.PREFERRED_CHANNEL, "engagement", True),
}
"""Column -> its shares, the segment they depend on, and whether the answer drifts with time."""


def answers_sql(draws: Draws, population: Population) -> str:
    """All answers, oldest first; some rows twice."""
    turn = population.turn_sql("answered_on")
    drawn = ",\n".join(
        f"{_uniform_sql(draws, column, turn if drifts else None)} AS drawn_{column}"
        for column, (_, _, drifts) in _DRAWN.items()
    )
    chosen = ",\n".join(
        f"{category.value_sql(f'drawn_{column}', segment)} AS {column}"
        for column, (category, segment, _) in _DRAWN.items()
    )
    minutes = planted.VISIT_MINUTES.value_sql(
        draws.gaussian_sql("visit minutes", turn=turn), "engagement"
    )
    driver = draws.pick_sql("engagement driver", mess.ENGAGEMENT_DRIVERS)
    blanks = ",\n".join(
        f"{blank_sql(draws, column, 'answer')} AS blank_{column}" for column in _COLUMNS
    )
    written = ",\n".join(f"{_written_sql(draws, column)} AS {column}" for column in _COLUMNS)
    return f"""
    WITH {_occasions_sql(draws, population)}, drawn AS (
        SELECT
            *, 8 * number + occasion AS answer,
            {segment_sql(planted.ENGAGEMENT, "answered_on")} AS engagement,
            {segment_sql(planted.PROFESSION, "answered_on")} AS profession,
            {drawn}
        FROM occasions JOIN people USING (number)
        WHERE answered_on <= {literal(planted.LAST_NIGHT)}
            AND (leaves_on IS NULL OR answered_on < leaves_on)
    ), given AS (
        SELECT
            *,
            {chosen},
            {blanks},
            {minutes} AS average_visit_minutes,
            {driver} AS engagement_driver
        FROM drawn
    ), written AS (
        SELECT
            printf('ANS-%06d-%d', number, occasion) AS answer_id,
            {STAFF_ID_SQL} AS staff_id,
            answered_on + to_seconds(25200 + {draws.below_sql("hour", "43200", "answer")})
                AS answered_at,
            {written},
            unnest(range({copies_sql(draws, "survey", "answer")})) AS copy
        FROM given
    )
    SELECT * EXCLUDE (copy) FROM written ORDER BY answered_at, answer_id
    """


_COLUMNS = mess.BLANKED["survey"]


def _occasions_sql(draws: Draws, population: Population) -> str:
    """Name the CTEs that end in `occasions`: person, kind of occasion, date."""
    first = literal(population.first_night)
    last = literal(planted.LAST_NIGHT)
    late_nights = population.days - 1
    late = draws.chance_sql("late answer", mess.LATE_SHARE if late_nights else 0.0)
    return f"""
    firsts AS (
        SELECT
            *,
            CASE WHEN joins_on > {first} THEN joins_on
                 WHEN {late}
                 THEN {first} + 1 + {draws.below_sql("late night", str(late_nights))}::INTEGER
                 ELSE {first} - 1 - {draws.below_sql("day", str(mess.SURVEY_DAYS))}::INTEGER
            END AS first_on
        FROM people
        WHERE NOT {draws.chance_sql("silent", mess.SILENT_SHARE)}
    ), occasions AS (
        SELECT number, 1 AS occasion, first_on AS answered_on FROM firsts
        UNION ALL
        SELECT
            number, 2,
            first_on + 1 + {draws.below_sql("again", f"{last} - first_on")}::INTEGER
        FROM firsts
        WHERE {draws.chance_sql("repeated answer", mess.REPEATED_SHARE)} AND first_on < {last}
        UNION ALL
        SELECT number, 3, engagement_moves_on FROM firsts WHERE engagement_moves_on IS NOT NULL
        UNION ALL
        SELECT number, 4, profession_moves_on FROM firsts WHERE profession_moves_on IS NOT NULL
    )"""


def _uniform_sql(draws: Draws, column: str, turn: str | None) -> str:
    """One number per person, so that answers agree with each other; it may turn with time."""
    uniform = draws.uniform_sql(column)
    if turn is None:
        return uniform
    turned = f"({uniform} + {turn})"
    return f"({turned} - floor({turned}))"


def _written_sql(draws: Draws, column: str) -> str:
    value = spelled_sql(draws, column, column, "answer") if column in mess.SPELLINGS else column
    return blanked_sql(f"blank_{column}", value)
