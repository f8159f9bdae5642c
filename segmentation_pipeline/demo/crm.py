"""The CRM's nightly snapshot, as SQL over `people`: one row per customer, and the mess."""

import datetime as dt

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.dirt import blanked_sql, copies_sql, spelled_sql
from segmentation_pipeline.demo.observation import Measure
from segmentation_pipeline.demo.population import STAFF_ID_SQL, segment_sql, turn_sql
from segmentation_pipeline.demo.randomness import Draws
from segmentation_pipeline.warehouse import literal

_MEASURES: dict[str, tuple[Measure, str]] = {
    "publications": (planted.PUBLICATIONS, "profession"),
    "congresses": (planted.CONGRESSES, "profession"),
    "partnerships": (planted.PARTNERSHIPS, "profession"),
    "attended_events": (planted.ATTENDED_EVENTS, "engagement"),
    "contract_value_eur": (planted.CONTRACT_VALUE, "engagement"),
}


def snapshot_sql(draws: Draws, night: dt.date) -> str:
    """Everybody who is a customer on that night, by number; some rows twice."""
    date = literal(night)
    measures = ",\n".join(
        f"{_blanked_measure_sql(draws, column, date)} AS {column}" for column in _MEASURES
    )
    first_name = draws.pick_sql("first name", mess.FIRST_NAMES)
    last_name = draws.pick_sql("last name", mess.LAST_NAMES)
    department = draws.pick_sql("department", tuple(mess.DEPARTMENTS))
    gender = draws.pick_sql("gender", tuple(mess.GENDERS))
    return f"""
    WITH staff AS (
        SELECT
            number, {STAFF_ID_SQL} AS staff_id,
            {first_name} AS first_name, {last_name} AS last_name,
            {department} AS department, {gender} AS gender,
            {_birth_date_sql(draws)} AS birth_date,
            {segment_sql(planted.ENGAGEMENT, date)} AS engagement,
            {segment_sql(planted.PROFESSION, date)} AS profession
        FROM people
        WHERE joins_on <= {date} AND (leaves_on IS NULL OR {date} < leaves_on)
    ), written AS (
        SELECT
            staff_id,
            first_name || ' ' || last_name AS full_name,
            lower(first_name || '.' || last_name || '.' || number) || '@hospital.example' AS email,
            {blanked_sql(draws, "birth_date", "birth_date")} AS birth_date,
            {blanked_sql(draws, "gender", spelled_sql(draws, "gender", "gender"))} AS gender,
            {blanked_sql(draws, "department", spelled_sql(draws, "department", "department"))}
                AS department,
            {measures},
            unnest(range({copies_sql(draws, "crm")})) AS copy
        FROM staff
    )
    SELECT * EXCLUDE (copy) FROM written
    """


def _blanked_measure_sql(draws: Draws, column: str, date: str) -> str:
    measure, segment = _MEASURES[column]
    gaussian = draws.gaussian_sql(column, turn=turn_sql(date))
    return blanked_sql(draws, column, measure.value_sql(gaussian, segment))


def _birth_date_sql(draws: Draws) -> str:
    """A birth date stays as it is, whatever segment the person moves to."""
    age = planted.AGE.value_sql(draws.gaussian_sql("age"), "profession_before")
    impossible = draws.pick_sql("impossible birth", mess.IMPOSSIBLE_BIRTHS)
    return (
        f"CASE WHEN {draws.chance_sql('birth is impossible', mess.IMPOSSIBLE_BIRTH_SHARE)} "
        f"THEN {impossible}::DATE "
        f"ELSE {literal(planted.LAST_NIGHT)} - round(greatest(20, {age}) * 365.25)::INTEGER END"
    )
