"""The charts of a segmentation, drawn from rows of its tables; none shows who a customer is."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentation_pipeline.reports.drawing import (
    INK,
    MARKERS,
    PALE,
    PALETTE,
    SCREEN,
    Chart,
    Sheet,
    canvas,
    shortened,
)
from segmentation_pipeline.reports.wording import family

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]

_MOST_BARS = 20
_MOST_TOLD = 8
_NOTHING = "no candidate has a silhouette"


def candidates_chart(candidates: Sequence[Row], sheet: Sheet = SCREEN) -> Chart:
    """Draw `model_candidates`: silhouette by number of segments, a line for each family.

    Bars are standard errors; hollow points are not admissible; the chosen one wears a ring. The
    line of a family that tried a number more than once passes through its best.
    """
    drawn = [row for row in candidates if row["silhouette"] is not None]
    families = list(dict.fromkeys(str(row["algorithm"]) for row in drawn))
    with canvas(sheet.width, 3.6) as figure:
        axes = figure.add_subplot()
        axes.set_xlabel("number of segments")
        axes.set_ylabel("silhouette ± standard error")
        if not drawn:
            axes.set(xticks=[], yticks=[])
            axes.annotate(_NOTHING, (0.5, 0.5), xycoords="axes fraction", ha="center")
            return Chart(figure, f"Empty chart: {_NOTHING}.")
        for index, family in enumerate(families):
            rows = [row for row in drawn if row["algorithm"] == family]
            # Side by side, families of one silhouette don't hide each other.
            shift = 0.08 * (index - (len(families) - 1) / 2)
            _draw_family(axes, rows, PALETTE[index], MARKERS[index], shift)
        if not all(row["is_admissible"] for row in drawn):
            axes.plot([], [], "o", color=PALE, mfc="white", label="not admissible")
        counts = [int(row["segments"]) for row in drawn]
        axes.set_xlim(min(counts) - 0.6, max(counts) + 0.6)
        axes.set_xticks(range(min(counts), max(counts) + 1, 1 + (max(counts) - min(counts)) // 16))
        axes.margins(y=0.15)
        if sheet.is_narrow:
            figure.legend(loc="outside lower center", ncols=2)
        else:
            figure.legend(loc="outside right upper")
        return Chart(figure, _candidates_alt(drawn, families))


def distance_share_chart(shares: Mapping[str, float]) -> Chart:
    """Draw how much of the distance each feature carries, as bars; `distance_shares` makes it."""
    ordered = sorted(shares.items(), key=lambda item: (-item[1], item[0]))
    bars = ordered[:_MOST_BARS]
    if len(ordered) > _MOST_BARS:
        bars = ordered[: _MOST_BARS - 1]
        rest = ordered[_MOST_BARS - 1 :]
        bars.append((f"{len(rest)} other features", sum(share for _, share in rest)))
    names = [shortened(name.replace("_", " ")) for name, _ in bars]
    percents = [100 * share for _, share in bars]
    with canvas(6.4, 0.9 + 0.26 * len(bars)) as figure:
        axes = figure.add_subplot()
        places = np.arange(len(bars))
        axes.barh(places, percents, color=PALETTE[0], height=0.7)
        for place, percent in zip(places, percents, strict=True):
            axes.annotate(
                f"{percent:.1f} %", (percent, place), (4, 0), textcoords="offset points",
                va="center", bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
        axes.axvline(100 / len(shares), color=INK, ls="--", lw=1, zorder=0.5, label="equal shares")
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, 1.15 * max(*percents, 100 / len(shares)))
        axes.set_xlabel("share of the distance between two customers, %")
        axes.legend(loc="lower right")
        told = ", ".join(
            f"{name} {percent:.0f} %"
            for name, percent in zip(names[:_MOST_TOLD], percents, strict=False)
        )
        return Chart(figure, f"Bar chart. Share of the distance, largest first: {told}.")


def _draw_family(axes: "Axes", rows: Sequence[Row], colour: str, marker: str, shift: float) -> None:
    best: dict[int, float] = {}
    for row in rows:
        count, silhouette = int(row["segments"]), float(row["silhouette"])
        best[count] = max(best.get(count, silhouette), silhouette)
        axes.errorbar(
            count + shift, silhouette, yerr=row["silhouette_standard_error"] or 0.0, color=colour,
            fmt=marker, ms=6, mfc=colour if row["is_admissible"] else "white", capsize=2, lw=1,
        )  # fmt: skip
        if row["is_chosen"]:
            axes.plot(
                count + shift, silhouette, "o", ms=15, mfc="none", mec=INK, mew=1.4, zorder=5,
                label="chosen",
            )  # fmt: skip
    counts = sorted(best)
    axes.plot([count + shift for count in counts], [best[count] for count in counts], color=colour)
    name = family(str(rows[0]["algorithm"]))
    axes.plot([], [], color=colour, marker=marker, label=name)


def _candidates_alt(drawn: Sequence[Row], families: Sequence[str]) -> str:
    told = []
    for algorithm in families:
        best = max((r for r in drawn if r["algorithm"] == algorithm), key=lambda r: r["silhouette"])
        told.append(
            f"{family(algorithm)} is highest at {best['segments']} segments "
            f"({best['silhouette']:.2f})"
        )
    chosen = [
        f" Chosen: {family(row['algorithm'])} with {row['segments']} segments "
        f"({row['silhouette']:.2f})."
        for row in drawn
        if row["is_chosen"]
    ]
    return f"Line chart. Silhouette by number of segments: {'; '.join(told)}.{''.join(chosen)}"
