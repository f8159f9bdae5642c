"""The best agreement with the planted truth that anybody could reach: Bayes' rule by its densities.

It sees what the sources say on the last night, mess included: blanks tell nothing, spellings are
read right, the latest answer counts. The last 90 days' events are judged as if they all belonged to
the present segment, and a birth date as if it did, which for the few who moved is not quite so: the
rule that knew of moves would be better by less than 0.005.
"""

import datetime as dt

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.observation import Array, Measure
from segmentation_pipeline.demo.population import STAFF_ID_SQL, Population, segment_sql
from segmentation_pipeline.demo.web import EVENTS, first_second_sql
from segmentation_pipeline.warehouse import Connection, literal, read_batches

SAMPLED_CUSTOMERS = 100_000
"""The figure is computed on the first so many customers (their numbers mean nothing)."""
_WINDOW_DAYS = 90


def best_possible_ari(connection: Connection, population: Population) -> dict[str, float]:
    """Segmentation -> adjusted Rand index of the Bayes rule against the truth of the last night.

    Reads the tables `people`, `crm_last`, `survey` and `web_events`.
    """
    seen = read_batches(connection, _observed_sql(population)).read_all()
    evidence = {
        planted.ENGAGEMENT: _engagement_evidence(seen, population),
        planted.PROFESSION: _profession_evidence(seen, population),
    }
    return {
        one.name: adjusted_rand_index(
            seen.column(one.name).to_numpy(), _likeliest(logs, population.shares(one))
        )
        for one, logs in evidence.items()
    }


def adjusted_rand_index(truth: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Agreement of two partitions of the same customers, corrected for chance (Hubert 1985).

    >>> adjusted_rand_index(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3]))
    1.0
    """
    _, rows = np.unique(truth, return_inverse=True)
    _, columns = np.unique(found, return_inverse=True)
    table = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(table, (rows, columns), 1)
    together = _pairs(table)
    in_truth, in_found = _pairs(table.sum(axis=1)), _pairs(table.sum(axis=0))
    expected = in_truth * in_found / _pairs(np.array([truth.size]))
    largest = (in_truth + in_found) / 2
    return 1.0 if largest == expected else float((together - expected) / (largest - expected))


def _likeliest(logs: Array, shares: tuple[float, ...]) -> NDArray[np.int64]:
    """By Bayes' rule; where there are no newcomers, nobody is taken for one."""
    likeliest: NDArray[np.int64] = (logs[:, : len(shares)] + np.log(shares)).argmax(axis=1)
    return likeliest


def _pairs(counts: Array | NDArray[np.int64]) -> float:
    return float((counts * (counts - 1)).sum() / 2)


def _engagement_evidence(seen: pa.Table, population: Population) -> Array:
    sent, opened, clicked = (
        _numbers(seen, f"email_{fate}") for fate in ("sent", "opened", "clicked")
    )
    logs = (
        _crm_evidence(seen, population, planted.CONTRACT_VALUE, "contract_value_eur")
        + _crm_evidence(seen, population, planted.ATTENDED_EVENTS, "attended_events")
        + planted.VISIT_MINUTES.log_likelihoods(_numbers(seen, "average_visit_minutes"))
        + planted.PREFERRED_CHANNEL.log_likelihoods(seen.column("preferred_channel").to_pylist())
        + planted.MAILS_OPENED.log_likelihoods(opened, sent)
        + planted.MAILS_CLICKED.log_likelihoods(clicked, opened)
    )
    for event, rate in planted.EVENT_RATES.items():
        logs = logs + rate.log_likelihoods(_numbers(seen, event))
    return logs


def _profession_evidence(seen: pa.Table, population: Population) -> Array:
    logs = (
        planted.AGE.log_likelihoods(_numbers(seen, "age"))
        + _crm_evidence(seen, population, planted.PUBLICATIONS, "publications")
        + _crm_evidence(seen, population, planted.CONGRESSES, "congresses")
        + _crm_evidence(seen, population, planted.PARTNERSHIPS, "partnerships")
    )
    for category, column in (
        (planted.EDUCATION, "education"),
        (planted.ROLE, "role"),
        (planted.PRESCRIPTION_ATTITUDE, "prescription_attitude"),
        (planted.COLLABORATION_ATTITUDE, "collaboration_attitude"),
    ):
        logs = logs + category.log_likelihoods(seen.column(column).to_pylist())
    return logs


def _crm_evidence(seen: pa.Table, population: Population, measure: Measure, column: str) -> Array:
    shifted = measure.shifted(population.shift(column, planted.LAST_NIGHT))
    return shifted.log_likelihoods(_numbers(seen, column))


def _numbers(seen: pa.Table, column: str) -> Array:
    return np.asarray(seen.column(column).to_numpy(), dtype=np.float64)


def _observed_sql(population: Population) -> str:
    """One row per sampled customer of the last night: what can be seen, and the true segments."""
    last = literal(planted.LAST_NIGHT)
    measures = (
        "publications", "congresses", "partnerships", "attended_events", "contract_value_eur"
    )  # fmt: skip
    numbers = ", ".join(f"TRY_CAST({name} AS DOUBLE) AS {name}" for name in measures)
    earliest = literal(dt.date(1920, 1, 1))
    window = planted.LAST_NIGHT - dt.timedelta(days=_WINDOW_DAYS - 1)
    events = ", ".join(
        f"count(DISTINCT sequence) FILTER (kind = {kind}) AS {event}"
        for kind, event in enumerate(EVENTS)
    )
    counts = ", ".join(f"coalesce({event}, 0)::DOUBLE AS {event}" for event in EVENTS)
    truth = ", ".join(
        f"({segment_sql(one, last)})::BIGINT AS {one.name}" for one in planted.SEGMENTATIONS
    )
    education, role = (_proper_name_sql(column) for column in ("education", "role"))
    return f"""
    WITH sampled AS (
        SELECT *, {STAFF_ID_SQL} AS staff_id FROM people WHERE number <= {SAMPLED_CUSTOMERS}
    ), crm AS (
        SELECT DISTINCT
            staff_id, {numbers},
            CASE WHEN TRY_CAST(birth_date AS DATE) BETWEEN {earliest} AND {last}
                 THEN ({last} - birth_date::DATE) / 365.25::DOUBLE END AS age
        FROM crm_last
    ), answers AS (
        SELECT
            staff_id, {education} AS education, {role} AS role, prescription_attitude,
            collaboration_attitude, preferred_channel,
            TRY_CAST(average_visit_minutes AS DOUBLE) AS average_visit_minutes
        FROM survey
        WHERE staff_id IN (SELECT staff_id FROM sampled)
        QUALIFY row_number() OVER (PARTITION BY staff_id ORDER BY answered_at DESC) = 1
    ), events AS (
        SELECT number, {events}
        FROM web_events
        WHERE number <= {SAMPLED_CUSTOMERS} AND second >= {first_second_sql(population, window)}
        GROUP BY number
    )
    SELECT crm.* EXCLUDE (staff_id), answers.* EXCLUDE (staff_id), {counts}, {truth}
    FROM sampled
    JOIN crm USING (staff_id)
    LEFT JOIN answers USING (staff_id)
    LEFT JOIN events USING (number)
    ORDER BY number
    """


def _proper_name_sql(column: str) -> str:
    branches = " ".join(
        f"WHEN lower(trim({column})) IN ({words}) THEN {literal(name)}"
        for name, words in (
            (name, ", ".join(literal(word.lower()) for word in (name, *spellings)))
            for name, spellings in mess.SPELLINGS[column].items()
        )
    )
    return f"CASE {branches} END"
