"""Which strategies are run as experiments tonight, each as it was declared when it began.

What belongs here: `core.strategy_experiments`. Who is in them belongs to `assignments`.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.specification.experiments import Experiment
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection

_EXPERIMENTS_SQL = """
CREATE SCHEMA IF NOT EXISTS core;
CREATE TABLE IF NOT EXISTS core.strategy_experiments (
    segmentation VARCHAR NOT NULL,
    strategy VARCHAR NOT NULL,
    started_date DATE NOT NULL,
    goal_kpi VARCHAR NOT NULL,
    declaration VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, strategy)
)
"""


@dataclass(frozen=True)
class RunningExperiment:
    """A strategy of tonight's playbook that is run as an experiment.

    `place` is its segmentation's, from 0, where strategies of equal priority want one customer.
    `started_date` is the night of the first draw; None where there was none yet. `is_changed` says
    that the file has another experiment or goal than the one that was begun, which counts.
    """

    segmentation: str
    strategy: str
    place: int
    goal_kpi: str
    experiment: Experiment
    started_date: dt.date | None
    is_changed: bool

    def is_open(self, as_of: dt.date) -> bool:
        """Whether customers are drawn on a date."""
        return self.experiment.start is None or self.experiment.start <= as_of

    @property
    def last_enrolment_date(self) -> dt.date | None:
        """The last night whose customers count for the effect; None before it began."""
        if self.started_date is None:
            return None
        return self.started_date + dt.timedelta(days=self.experiment.enrolment_days - 1)

    @property
    def horizon(self) -> dt.date | None:
        """The date on which the effect is read; None before it began."""
        last = self.last_enrolment_date
        return None if last is None else last + dt.timedelta(days=self.experiment.days)


def running_experiments(connection: Connection, home: Home) -> list[RunningExperiment]:
    """List the experiments of a home's playbooks, those of the first segmentation first."""
    create_experiments(connection)
    begun = {
        (segmentation, strategy): (started, goal, Experiment.model_validate_json(declaration))
        for segmentation, strategy, started, goal, declaration in connection.execute(
            "SELECT segmentation, strategy, started_date, goal_kpi, declaration"
            " FROM core.strategy_experiments"
        ).fetchall()
    }
    found = []
    for place, segmentation in enumerate(_ordered(home)):
        for name, strategy in home.segmentations[segmentation].strategies.items():
            declared = strategy.experiment
            if declared is None:
                continue
            started, goal, experiment = begun.get(
                (segmentation, name), (None, strategy.goal_kpi, declared)
            )
            is_changed = (goal, experiment) != (strategy.goal_kpi, declared)
            found.append(
                RunningExperiment(segmentation, name, place, goal, experiment, started, is_changed)
            )
    return found


def begin_experiments(
    connection: Connection, experiments: Sequence[RunningExperiment], as_of: dt.date
) -> None:
    """Note, for good, how experiments are declared whose first customers are drawn on a date."""
    for one in experiments:
        connection.execute(
            "INSERT INTO core.strategy_experiments VALUES (?, ?, ?, ?, ?)",
            [one.segmentation, one.strategy, as_of, one.goal_kpi, one.experiment.model_dump_json()],
        )


def create_experiments(connection: Connection) -> None:
    """Create the table of experiments where there is none."""
    connection.execute(_EXPERIMENTS_SQL)


def _ordered(home: Home) -> list[str]:
    declared = home.customers.experiments
    first = declared.order if declared is not None else []
    return [*first, *(name for name in home.segmentations if name not in first)]
