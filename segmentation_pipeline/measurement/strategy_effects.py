"""What strategies bring: treated against held out, read once, at the horizon of each experiment.

What belongs here: the rows of `strategy_effects`. What is read on which night belongs to
`effect_readings`, the statistics to `effects` and its neighbours. Before and after inside a segment
are not compared: who is there for being quiet is less quiet a month later, whatever was done.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.measurement.assignments import is_newest_night
from segmentation_pipeline.measurement.correction import holm
from segmentation_pipeline.measurement.effect_readings import ExperimentReader
from segmentation_pipeline.measurement.effect_verdict import effect_verdict
from segmentation_pipeline.measurement.effects import Effect
from segmentation_pipeline.measurement.experiment_cells import Cell, experiment_cells
from segmentation_pipeline.measurement.experiments import RunningExperiment, running_experiments
from segmentation_pipeline.measurement.power import ALPHA
from segmentation_pipeline.measurement.readings import Reading, find_reading, keep_reading
from segmentation_pipeline.measurement.sample_ratio import sample_ratio_p
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, Table, transaction, write_rows

_SCHEMA = pa.schema(
    {
        "strategy": pa.string(),
        "segment_id": pa.string(),
        "goal_kpi": pa.string(),
        "unit": pa.string(),
        "started_date": pa.date32(),
        "end_date": pa.date32(),
        "treated_count": pa.int64(),
        "hold_out_count": pa.int64(),
        "global_hold_out_count": pa.int64(),
        "sent_share": pa.float64(),
        "hold_out_sent_share": pa.float64(),
        "sample_ratio_p": pa.float64(),
        "comparisons": pa.int32(),
        "smallest_detectable": pa.float64(),
        "method": pa.string(),
        "has_history": pa.bool_(),
        "treated_mean": pa.float64(),
        "hold_out_mean": pa.float64(),
        "effect": pa.float64(),
        "relative_effect": pa.float64(),
        "lower": pa.float64(),
        "upper": pa.float64(),
        "winsorised_effect": pa.float64(),
        "p_value": pa.float64(),
        "corrected_p": pa.float64(),
        "is_final": pa.bool_(),
        "verdict": pa.string(),
        "is_suppressed": pa.bool_(),
    }
)

_Judged = tuple[Cell, Reading | None, bool]
"""A comparison, what was read of it last, and whether that was the final reading."""


def make_strategy_effects(connection: Connection, home: Home, build: Build) -> dict[str, int]:
    """Write the `strategy_effects` of every segmentation; returns the rows of each.

    All comparisons of the home are one family (Holm): whoever reads the table reads all of them.
    Readings are made on the newest night only, and kept. It reads each segmentation's
    `strategy_assignments`, made for the same date.
    """
    experiments = running_experiments(connection, home)
    floor = home.customers.limits.smallest_group
    cells = experiment_cells(connection, experiments, floor)
    with transaction(connection):
        if is_newest_night(connection, build.as_of):
            for one in experiments:
                own = [cell for cell in cells if cell.experiment == one]
                ExperimentReader(connection, home, one, own, len(cells), build.as_of).read()
        judged = _judged(connection, cells, build.as_of)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in home.segmentations}
    for cell, reading, is_final in judged:
        plan = find_reading(connection, cell.experiment, cell.segment_id, "plan")
        row = _row(home, cell, reading, plan, len(cells), floor, is_final=is_final)
        rows[cell.experiment.segmentation].append(row)
    return {
        name: write_rows(connection, Table(name, "strategy_effects"), _SCHEMA, found, build)
        for name, found in rows.items()
    }


def _judged(connection: Connection, cells: Sequence[Cell], as_of: dt.date) -> list[_Judged]:
    """Correct the p of what was read so far for the number of all comparisons.

    A final reading of an earlier night keeps the p that it was judged by then: those still to come
    took part as the last of their order, so that no later one makes an error likelier.
    """
    found = [_newest(connection, cell) for cell in cells]
    p_values = np.array(
        [np.nan if reading is None or reading.p_value is None else reading.p_value
         for _, reading, _ in found]
    )  # fmt: skip
    judged: list[_Judged] = []
    for (cell, reading, is_final), corrected in zip(found, holm(p_values), strict=True):
        if reading is None or reading.p_value is None or (is_final and reading.as_of < as_of):
            judged.append((cell, reading, is_final))
            continue
        corrected_reading = replace(reading, corrected_p=float(corrected))
        if is_final and reading.as_of == as_of:
            keep_reading(connection, cell.experiment, cell.segment_id, "final", corrected_reading)
        judged.append((cell, corrected_reading, is_final))
    return judged


def _newest(connection: Connection, cell: Cell) -> _Judged:
    final = find_reading(connection, cell.experiment, cell.segment_id, "final")
    if final is not None:
        return cell, final, True
    return cell, find_reading(connection, cell.experiment, cell.segment_id, "look"), False


def _row(
    home: Home,
    cell: Cell,
    reading: Reading | None,
    plan: Reading | None,
    comparisons: int,
    floor: int,
    *,
    is_final: bool,
) -> dict[str, Any]:
    one = cell.experiment
    row: dict[str, Any] = dict.fromkeys(_SCHEMA.names)
    kpi = home.customers.kpis.get(one.goal_kpi)
    corrected_p = None if reading is None else reading.corrected_p
    row |= {
        "strategy": one.strategy,
        "segment_id": cell.segment_id,
        "goal_kpi": one.goal_kpi,
        "unit": None if kpi is None else kpi.unit,
        "started_date": one.started_date,
        "end_date": one.horizon,
        "comparisons": comparisons,
        "smallest_detectable": None if plan is None else plan.detectable,
        "is_final": is_final,
        "is_suppressed": cell.is_suppressed,
        "verdict": _verdict(home, cell, reading, floor, is_final=is_final),
    }
    if not cell.is_suppressed:
        row |= _counts(cell)
    if reading is not None and reading.p_value is not None:
        row |= {"p_value": reading.p_value, "corrected_p": corrected_p}
    if is_final or (corrected_p is not None and corrected_p <= ALPHA):
        row |= _figures(reading.effect if reading is not None else None)
    return row


def _counts(cell: Cell) -> dict[str, Any]:
    one = cell.experiment
    drawn = cell.treated + cell.hold_out
    return {
        "treated_count": cell.treated,
        "hold_out_count": cell.hold_out,
        "global_hold_out_count": cell.global_hold_out,
        "sent_share": cell.sent_share,
        "hold_out_sent_share": cell.hold_out_sent_share,
        "sample_ratio_p": _sample_ratio_p(cell, one) if drawn else None,
    }


def _figures(effect: Effect | None) -> dict[str, Any]:
    if effect is None:
        return {}
    return {
        "smallest_detectable": effect.smallest_detectable,
        "method": effect.method,
        "has_history": bool(effect.uses_history),
        "treated_mean": effect.treated_mean,
        "hold_out_mean": effect.control_mean,
        "effect": effect.effect,
        "relative_effect": effect.relative_effect,
        "lower": effect.lower,
        "upper": effect.upper,
        "winsorised_effect": effect.winsorised_effect,
    }


def _verdict(home: Home, cell: Cell, reading: Reading | None, floor: int, *, is_final: bool) -> str:
    one = cell.experiment
    kpi = home.customers.kpis.get(one.goal_kpi)
    if one.horizon is None or cell.treated + cell.hold_out == 0:
        return "not begun: nobody has been drawn into an arm yet"
    if kpi is None:
        return f"nothing to read: customers.yaml has no KPI {one.goal_kpi} any more"
    if cell.is_suppressed:
        return f"too few: an arm has fewer than {floor} customers, or tells of one that has"
    words = effect_verdict(
        None if reading is None else reading.effect,
        unit=kpi.unit,
        higher_is_better=kpi.higher_is_better,
        n_treated=cell.treated,
        n_control=cell.hold_out,
        sample_ratio_p=_sample_ratio_p(cell, one),
        sent_share=cell.sent_share,
        corrected_p=None if reading is None else reading.corrected_p,
        is_final=is_final,
        end_date=one.horizon,
    )
    if cell.hold_out_sent_share:
        words += f"; {cell.hold_out_sent_share:.1%} of those held out were sent it all the same"
    return words


def _sample_ratio_p(cell: Cell, one: RunningExperiment) -> float:
    return sample_ratio_p(cell.treated, cell.hold_out, one.experiment.hold_out)
