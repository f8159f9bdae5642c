"""The chart of `feature_drift`: a bar for each feature, next to what would be a warning."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segmentation_pipeline.reports.drawing import (
    INK,
    PALE,
    PALETTE,
    SCREEN,
    Chart,
    Sheet,
    canvas,
    shortened,
)
from segmentation_pipeline.specification.refit import Refit

_MOST_BARS = 20
_MOST_TOLD = 8
_COLOURS = {"ok": PALETTE[0], "warn": PALETTE[1], "alarm": PALETTE[4]}


def drift_chart(
    features: Sequence[Mapping[str, Any]], rules: Refit, sheet: Sheet = SCREEN
) -> Chart:
    """Draw the PSI of each feature, with marks where a warning and an alarm begin.

    The marks differ between features with missing values, since chance does. A feature without
    values has no bar. At most the twenty worst are drawn.
    """
    ordered = sorted(
        features, key=lambda row: (row["psi"] is not None, -(row["psi"] or 0.0), row["feature"])
    )
    bars = ordered[:_MOST_BARS]
    names = [shortened(str(row["feature"]).replace("_", " ")) for row in bars]
    values = [float(row["psi"] or 0.0) for row in bars]
    floors = [float(row["psi_floor"] or 0.0) for row in bars]
    warnings = [max(rules.psi_warning, rules.floor_warning * floor) for floor in floors]
    alarms = [max(rules.psi_alarm, rules.floor_alarm * floor) for floor in floors]
    with canvas(sheet.width, 1.1 + 0.26 * len(bars)) as figure:
        axes = figure.add_subplot()
        places = np.arange(len(bars))
        colours = [_COLOURS[str(row["level"])] for row in bars]
        axes.barh(places, values, color=colours, height=0.6)
        axes.plot(warnings, places, "|", color=PALE, ms=13, mew=1.6, label="warning from here")
        axes.plot(alarms, places, "|", color=INK, ms=13, mew=1.6, label="alarm from here")
        for place, row in zip(places, bars, strict=True):
            said = "no values" if row["psi"] is None else f"{row['psi']:.2f}"
            axes.annotate(
                said if row["level"] == "ok" else f"{said} {row['level']}",
                (float(row["psi"] or 0.0), place), (4, 0), textcoords="offset points",
                va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 1.2 * max(*values, *alarms))
        axes.set_xlabel("population stability index (PSI) against the model's training")
        figure.legend(loc="outside lower center", ncols=1 if sheet.is_narrow else 2)
        told = "; ".join(
            f"{name} {'without values' if row['psi'] is None else format(row['psi'], '.2f')}"
            f" ({row['level']})"
            for name, row in zip(names[:_MOST_TOLD], bars, strict=False)
        )
        return Chart(figure, f"Bar chart. Drift of each feature, worst first: {told}.")
