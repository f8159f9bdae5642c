"""What is read of an experiment on which night: the plan, a look, the outcome.

What belongs here: when, and of whom. A customer's outcome is looked at when all of `days` are over:
with `look: nightly` the customers who have come that far are more from night to night.
"""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from segmentation_pipeline.measurement.arm_values import ArmValues, read_arm_values
from segmentation_pipeline.measurement.effects import Effect, estimate_effect
from segmentation_pipeline.measurement.experiment_cells import Cell
from segmentation_pipeline.measurement.experiment_plan import planned_detectable
from segmentation_pipeline.measurement.experiments import RunningExperiment
from segmentation_pipeline.measurement.readings import (
    ALL,
    Reading,
    Stage,
    find_reading,
    keep_reading,
)
from segmentation_pipeline.measurement.sequential import sequential_p
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Connection


@dataclass(frozen=True)
class ExperimentReader:
    """Reads an experiment for its comparisons (`cells`), among all `comparisons` of the home."""

    connection: Connection
    home: Home
    one: RunningExperiment
    cells: Sequence[Cell]
    comparisons: int
    as_of: dt.date

    def read(self) -> None:
        """Read, and keep, what is due tonight and was not read on an earlier night."""
        last, horizon = self.one.last_enrolment_date, self.one.horizon
        if last is None or horizon is None or self.one.goal_kpi not in self.home.customers.kpis:
            return
        if self.as_of >= last and self._is_due("plan"):
            for segment_id, detectable in self._planned(last).items():
                self._keep(segment_id, "plan", Reading(self.as_of, detectable))
        if self.as_of >= horizon:
            if self._is_due("final"):
                self._read_outcomes(last, is_over=True)
        elif self.one.experiment.look == "nightly":
            self._read_outcomes(
                self.as_of - dt.timedelta(days=self.one.experiment.days), is_over=False
            )

    def _read_outcomes(self, until: dt.date, *, is_over: bool) -> None:
        if self.one.started_date is None or until < self.one.started_date:
            return
        is_look = self.one.experiment.look == "nightly"
        values = read_arm_values(self.connection, self.home, self.one, until=until)
        sizes = self._sizes(until) if is_look else {}
        for cell in self.cells:
            effect = self._effect(cell, values)
            p_value = None if effect is None else effect.p_value
            if is_look:
                size = sizes.get(cell.segment_id)
                p_value = self._sequential_p(cell, effect, size)
                self._keep(cell.segment_id, "look", Reading(self.as_of, size, effect, p_value))
            if is_over:
                detectable = None if effect is None else effect.smallest_detectable
                final = Reading(self.as_of, detectable, effect, p_value)
                self._keep(cell.segment_id, "final", final)

    def _is_due(self, stage: Stage) -> bool:
        return find_reading(self.connection, self.one, ALL, stage, before=self.as_of) is None

    def _keep(self, segment_id: str, stage: Stage, reading: Reading) -> None:
        keep_reading(self.connection, self.one, segment_id, stage, reading)

    def _look_before(self, segment_id: str) -> Reading | None:
        return find_reading(self.connection, self.one, segment_id, "look", before=self.as_of)

    def _planned(self, until: dt.date) -> dict[str, float | None]:
        """Foresee the smallest detectable effect of each cell from the time before the draw."""
        past = read_arm_values(
            self.connection, self.home, self.one, until=until, days_back=self.one.experiment.days
        )
        has_history = self.home.customers.kpis[self.one.goal_kpi].expression is None
        if not has_history:
            # Of an expression only the value on the night of the draw is known.
            past = replace(past, numerator=past.before)
        return {
            cell.segment_id: planned_detectable(
                past, _segment(cell), comparisons=self.comparisons, has_history=has_history
            )
            for cell in self.cells
        }

    def _sizes(self, until: dt.date) -> Mapping[str, float | None]:
        """Find the size of effect that nightly looks think of: fixed by the first that has one."""
        looks = {cell.segment_id: self._look_before(cell.segment_id) for cell in self.cells}
        fixed = {name: look.detectable for name, look in looks.items() if look and look.detectable}
        return fixed if len(fixed) == len(self.cells) else self._planned(until) | fixed

    def _sequential_p(self, cell: Cell, effect: Effect | None, size: float | None) -> float | None:
        before = self._look_before(cell.segment_id)
        previous = before.p_value if before is not None else None
        if effect is None or not size:
            return previous
        return sequential_p(effect, tau=size, previous=1.0 if previous is None else previous)

    def _effect(self, cell: Cell, values: ArmValues) -> Effect | None:
        kind = self.home.customers.kpis[self.one.goal_kpi].kind
        treated, control = values.arms(_segment(cell), is_ratio=kind == "ratio")
        name = f"{self.one.segmentation}.{self.one.strategy}.{cell.segment_id}"
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        return estimate_effect(treated, control, kind=kind, comparisons=self.comparisons, seed=seed)


def _segment(cell: Cell) -> str | None:
    return None if cell.segment_id == ALL else cell.segment_id
