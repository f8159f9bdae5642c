"""The comparisons that experiments declare: each for all its segments, or for each of them too."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segmentation_pipeline.measurement.experiments import RunningExperiment
from segmentation_pipeline.measurement.readings import ALL
from segmentation_pipeline.segments.suppression import hidden_cells
from segmentation_pipeline.warehouse import Connection, Table, literal

_ARMS = ("treated", "hold_out", "global_hold_out")


@dataclass(frozen=True)
class Cell:
    """One comparison: an experiment in a segment, or in all together, and who is in its arms.

    It counts the customers of the first `enrolment_days`, without those whose segment was typed.
    `treated_sent` and `hold_out_sent` are those who were sent something; None if no source tells.
    `global_hold_out` is None where it tells of a group below the privacy floor; `is_suppressed`
    says that `treated` or `hold_out` does.
    """

    experiment: RunningExperiment
    segment_id: str
    treated: int
    hold_out: int
    global_hold_out: int | None
    treated_sent: int | None
    hold_out_sent: int | None
    is_suppressed: bool

    @property
    def sent_share(self) -> float | None:
        """Of the treated, who were sent something."""
        return _share(self.treated_sent, self.treated)

    @property
    def hold_out_sent_share(self) -> float | None:
        """Of those held out, who were sent something all the same."""
        return _share(self.hold_out_sent, self.hold_out)


def experiment_cells(
    connection: Connection, experiments: Sequence[RunningExperiment], smallest_group: int
) -> list[Cell]:
    """List the comparisons of experiments, that of all segments first; it reads assignments.

    An experiment that has not begun is one comparison, of nobody.
    """
    return [cell for one in experiments for cell in _cells_of(connection, one, smallest_group)]


def _cells_of(connection: Connection, one: RunningExperiment, smallest_group: int) -> list[Cell]:
    counted = ", ".join(f"count(*) FILTER (arm = {literal(arm)})" for arm in _ARMS)
    sent = ", ".join(
        f"CASE WHEN count(sent_count) > 0"
        f" THEN count(*) FILTER (arm = {literal(arm)} AND sent_count > 0) END"
        for arm in _ARMS[:2]
    )
    rows = connection.execute(
        f"SELECT coalesce(segment_id, {literal(ALL)}), {counted}, {sent}"
        f" FROM {Table(one.segmentation, 'strategy_assignments').sql}"
        " WHERE strategy = ? AND NOT is_typed AND assigned_date <= ?"
        " GROUP BY ROLLUP (segment_id) ORDER BY segment_id NULLS FIRST",
        [one.strategy, one.last_enrolment_date],
    ).fetchall()
    rows = rows or [(ALL, 0, 0, 0, None, None)]
    hidden = _hidden([row[1:3] for row in rows[1:]], smallest_group)
    is_global_shown = not any(0 < row[3] < smallest_group for row in rows)
    kept = rows if one.experiment.by_segment else rows[:1]
    return [
        Cell(
            experiment=one,
            segment_id=row[0],
            treated=row[1],
            hold_out=row[2],
            global_hold_out=row[3] if is_global_shown else None,
            treated_sent=row[4],
            hold_out_sent=row[5],
            is_suppressed=is_hidden,
        )
        for row, is_hidden in zip(kept, hidden, strict=False)
    ]


def _hidden(counts: list[tuple[int, ...]], smallest_group: int) -> list[bool]:
    """Say of all segments together, then of each, whether an arm's count is to be withheld."""
    if not counts:
        return [False]
    cells = hidden_cells(np.array(counts, dtype=np.int64), smallest_group, has_total_row=True)
    *of_segments, of_all = [bool(row.any()) for row in cells]
    return [of_all, *of_segments]


def _share(part: int | None, whole: int) -> float | None:
    return part / whole if part is not None and whole else None
