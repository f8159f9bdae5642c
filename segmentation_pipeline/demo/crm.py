"""The CRM's nightly snapshots, as SQL over `people`: one row per customer, and the mess."""

import datetime as dt

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.dirt import blank_sql, blanked_sql, copies_sql, spelled_sql
from segmentation_pipeline.demo.observation import Measure
from segmentation_pipeline.demo.population import STAFF_ID_SQL, Population, segment_sql
from segmentation_pipeline.demo.randomness import Draws, turned_gaussian_sql
from segmentation_pipeline.warehouse import literal

_MEASURES: dict[str, tuple[Measure, str]] = {
    "publications": (planted.PUBLICATIONS, "profession"),
    "congresses": (planted.CONGRESSES, "profession"),
    "partnerships": (planted.PARTNERSHIPS, "profession"),
    "attended_events": (planted.ATTENDED_EVENTS, "engagement"),
    "contract_value_eur": (planted.CONTRACT_VALUE, "engagement"),
}


def staff_sql(draws: Draws) -> str:
    """Whoever is ever a customer, by number: all that doesn't change from night to night.

    Of each measure it holds what is drawn once: radius and angle of its latent, and which cell is
    blank. So a snapshot costs a third of what it would if it drew all this again each night.
    """
    first_name = draws.pick_sql("first name", mess.FIRST_NAMES)
    last_name = draws.pick_sql("last name", mess.LAST_NAMES)
    birth_date = blanked_sql(blank_sql(draws, "birth_date"), _birth_date_sql(draws))
    latents = ",\n".join(
        f"{draws.radius_sql(column)} AS {column}_radius,"
        f"{draws.angle_sql(column)} AS {column}_angle,"
        f"{blank_sql(draws, column)}::UTINYINT AS {column}_blank"
        for column in _MEASURES
    )
    return f"""
    WITH named AS (
        SELECT
            *, {first_name} AS first_name, {last_name} AS last_name,
            {draws.pick_sql("department", tuple(mess.DEPARTMENTS))} AS department_name,
            {draws.pick_sql("gender", tuple(mess.GENDERS))} AS gender_name
        FROM people
        WHERE joins_on IS NOT NULL
    )
    SELECT
        joins_on, leaves_on, {_SEGMENT_COLUMNS_SQL},
        {STAFF_ID_SQL} AS staff_id,
        first_name || ' ' || last_name AS full_name,
        lower(first_name || '.' || last_name || '.' || number) || '@hospital.example' AS email,
        {draws.chance_sql("contact permission", mess.PERMISSION_SHARE)} AS contact_permission,
        {birth_date} AS birth_date,
        {_blanked_category_sql(draws, "gender")} AS gender,
        {_blanked_category_sql(draws, "department")} AS department,
        {latents},
        {copies_sql(draws, "crm")} AS copies
    FROM named
    """


def snapshot_sql(population: Population, night: dt.date) -> str:
    """Everybody of `crm_staff` who is a customer on that night, by number; some rows twice."""
    date = literal(night)
    measures = ", ".join(
        f"{_measure_sql(column, population, night)} AS {column}" for column in _MEASURES
    )
    return f"""
    WITH present AS (
        SELECT
            *,
            {segment_sql(planted.ENGAGEMENT, date)} AS engagement,
            {segment_sql(planted.PROFESSION, date)} AS profession
        FROM crm_staff
        WHERE joins_on <= {date} AND (leaves_on IS NULL OR {date} < leaves_on)
    ), written AS (
        SELECT
            staff_id, full_name, email, contact_permission, birth_date, gender, department,
            {measures}, unnest(range(copies)) AS copy
        FROM present
    )
    SELECT * EXCLUDE (copy) FROM written
    """


_SEGMENT_COLUMNS_SQL = ", ".join(
    f"{one.name}_before, {one.name}_after, {one.name}_moves_on" for one in planted.SEGMENTATIONS
)


def _measure_sql(column: str, population: Population, night: dt.date) -> str:
    measure, segment = _MEASURES[column]
    turn = population.turn_sql(literal(night))
    gaussian = turned_gaussian_sql(f"{column}_radius", f"{column}_angle", turn)
    shifted = measure.shifted(population.shift(column, night))
    return blanked_sql(f"{column}_blank", shifted.value_sql(gaussian, segment))


def _blanked_category_sql(draws: Draws, column: str) -> str:
    return blanked_sql(blank_sql(draws, column), spelled_sql(draws, column, f"{column}_name"))


def _birth_date_sql(draws: Draws) -> str:
    """A birth date stays as it is, whatever segment the person moves to."""
    age = planted.AGE.value_sql(draws.gaussian_sql("age"), "profession_before")
    impossible = draws.pick_sql("impossible birth", mess.IMPOSSIBLE_BIRTHS)
    return (
        f"CASE WHEN {draws.chance_sql('birth is impossible', mess.IMPOSSIBLE_BIRTH_SHARE)} "
        f"THEN {impossible}::DATE "
        f"ELSE {literal(planted.LAST_NIGHT)} - round(greatest(20, {age}) * 365.25)::INTEGER END"
    )
