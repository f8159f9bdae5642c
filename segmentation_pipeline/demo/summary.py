"""What was made: the counts of rows, segments and mess, and the best possible agreement.

It is written to `planted_summary.json`, so that a test or a benchmark can ask for exact figures.
"""

import datetime as dt
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from segmentation_pipeline.demo import mess, planted
from segmentation_pipeline.demo.ceiling import best_possible_ari
from segmentation_pipeline.demo.population import Population, segment_name_sql
from segmentation_pipeline.demo.scenario import Drift
from segmentation_pipeline.demo.template import FileFormat
from segmentation_pipeline.warehouse import Connection, literal

SUMMARY_NAME = "planted_summary.json"


@dataclass(frozen=True)
class DemoSummary:
    """A demo home in figures; all of them are exact counts, but for the agreement."""

    customers: int
    """On the first night."""
    days: int
    seed: int
    file_format: FileFormat
    first_night: str
    last_night: str
    best_possible_ari: dict[str, float]
    """Segmentation -> adjusted Rand index of Bayes' rule on the last night (see `ceiling.py`)."""
    segments: dict[str, dict[str, int]]
    """Segmentation -> segment -> customers on the last night."""
    mess: dict[str, dict[str, int]]
    """Source -> what -> how many; of the CRM, in the last night's snapshot."""
    digests: dict[str, str]
    """YAML file -> SHA-256 of its text as it was written, to tell whether it was edited since."""
    drift: Drift | None = None
    """The scenario; None where it is the usual one, `moves`."""
    changes_on: tuple[str, ...] | None = None
    """The nights on which something changes at once, in order; None where nothing does."""

    def write(self, path: Path) -> None:
        """Write it as JSON, what is None left out."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        path.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def summarise(
    connection: Connection,
    population: Population,
    drift: Drift,
    seed: int,
    file_format: FileFormat,
    digests: dict[str, str],
) -> DemoSummary:
    """Count what is in the tables `people`, `survey`, `crm_last` and `web_events`."""
    ari = best_possible_ari(connection, population)
    return DemoSummary(
        customers=population.customers,
        days=population.days,
        seed=seed,
        file_format=file_format,
        first_night=population.first_night.isoformat(),
        last_night=planted.LAST_NIGHT.isoformat(),
        best_possible_ari={name: round(value, 4) for name, value in ari.items()},
        segments=_segment_sizes(connection, population),
        mess={
            "survey": _counts(connection, _survey_mess_sql(population)),
            "crm": _counts(connection, _crm_mess_sql()),
            "web": _counts(connection, _web_mess_sql(population)),
        },
        digests=digests,
        drift=None if drift == "moves" else drift,
        changes_on=tuple(night.isoformat() for night in population.changes_on) or None,
    )


def _segment_sizes(connection: Connection, population: Population) -> dict[str, dict[str, int]]:
    last = literal(planted.LAST_NIGHT)
    sizes: dict[str, dict[str, int]] = {}
    for one in planted.SEGMENTATIONS:
        counted = connection.execute(
            f"SELECT {segment_name_sql(one, last)}, count(*) FROM people"
            f" WHERE joins_on <= {last} AND (leaves_on IS NULL OR {last} < leaves_on) GROUP BY 1"
        ).fetchall()
        found = {str(name): int(count) for name, count in counted}
        names = [*one.segments, one.newcomers][: len(population.shares(one))]
        sizes[one.name] = {name: found.get(name, 0) for name in names if name is not None}
    return sizes


def _counts(connection: Connection, query: str) -> dict[str, int]:
    result = connection.execute(query)
    names = [str(column[0]) for column in result.description or []]
    return {name: int(count) for name, count in zip(names, result.fetchall()[0], strict=True)}


def _blanks_sql(source: str) -> str:
    words = ", ".join(literal(word) for word in mess.NULL_WORDS)
    return ", ".join(
        f"count(*) FILTER ({column} IS NULL OR {column} IN ({words})) AS blank_{column}"
        for column in mess.BLANKED[source]
    )


def _survey_mess_sql(population: Population) -> str:
    first_orphan = population.ever_customers + 1
    number = "substr(staff_id, 5)::BIGINT"
    night = literal(population.first_night + dt.timedelta(days=1))
    return f"""
    SELECT
        count(*) AS rows,
        count(*) - count(DISTINCT answer_id) AS duplicate_rows,
        count(*) FILTER ({number} >= {first_orphan}) AS orphan_rows,
        count(*) FILTER (answered_at >= {night}) AS rows_after_first_night,
        count(DISTINCT staff_id) FILTER ({number} < {first_orphan}) AS customers_who_answered,
        {_blanks_sql("survey")}
    FROM survey
    """


def _crm_mess_sql() -> str:
    births = ", ".join(literal(date) for date in mess.IMPOSSIBLE_BIRTHS)
    return f"""
    SELECT
        count(*) AS rows,
        count(*) - count(DISTINCT staff_id) AS duplicate_rows,
        count(*) FILTER (birth_date IN ({births})) AS impossible_births,
        {_blanks_sql("crm")}
    FROM crm_last
    """


def _web_mess_sql(population: Population) -> str:
    first_orphan = population.ever_customers + 1
    return f"""
    SELECT
        count(*) AS rows,
        count(*) FILTER (copy > 0) AS duplicate_rows,
        count(*) FILTER (number >= {first_orphan}) AS orphan_rows
    FROM web_events
    """
