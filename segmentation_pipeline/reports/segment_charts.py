"""Charts of the segments themselves: where they lie, how large they are, how they differ.

A segment has one colour and one shape in all of them: those of its place in `segments`, the list of
ids and names that each chart is given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]
Names = Mapping[str, str]
"""Segment id -> name, in the order of the colours."""

MOST_FEATURES = 24
_STRONG = 1.5
"""A standardised difference from which on the colour is as deep as it gets."""
_WARM, _COLD = "#C65A00", "#005A94"
_TOLD = 6
_MOST_NAMED_COLUMNS = 6


@dataclass(frozen=True)
class Mark:
    """How a segment is drawn: colour and shape; from the eighth on all are pale dots."""

    colour: str
    marker: str


def marks(segments: Names) -> dict[str, Mark]:
    """Give each segment its colour and shape."""
    return {
        segment_id: Mark(PALETTE[place], MARKERS[place])
        if place < len(PALETTE)
        else Mark(PALE, ".")
        for place, segment_id in enumerate(segments)
    }


def token(segment_id: str) -> str:
    """Give what a segment is called where a name has no room: the end of its id.

    >>> token("engagement-12")
    '12'
    """
    return segment_id.rpartition("-")[2]


def map_chart(points: Sequence[Row], segments: Names, sheet: Sheet = SCREEN) -> Chart:
    """Draw `segment_map`: each point a customer, each segment's name in its middle.

    `points` is at least one row. Points are one image: none can be taken out of the file.
    """
    drawn = marks(segments)
    with canvas(sheet.width, 0.6 * sheet.width + 0.6) as figure:
        axes = figure.add_subplot()
        size = 16 if len(points) <= 600 else 7
        for segment_id in segments:
            rows = np.array(
                [(row["x"], row["y"]) for row in points if row["segment_id"] == segment_id]
            )
            if len(rows):
                mark = drawn[segment_id]
                axes.scatter(
                    rows[:, 0], rows[:, 1], s=size, color=mark.colour, marker=mark.marker,
                    linewidths=0, alpha=0.75, rasterized=True,
                )  # fmt: skip
        if len(segments) <= len(PALETTE):
            _name_middles(axes, points, segments, is_short=sheet.is_narrow)
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(_arrow(points[0]["x_meaning"], sheet))
        axes.set_ylabel(_arrow(points[0]["y_meaning"], sheet))
        return Chart(figure, _map_alt(points, segments))


def sizes_chart(rows: Sequence[Row], segments: Names, sheet: Sheet = SCREEN) -> Chart:
    """Draw how many customers each segment has; `rows` are of `segments`, in the order of bars."""
    drawn = marks(segments)
    shown = [row for row in rows if row["segment_id"] in segments]
    longest = 16 if sheet.is_narrow else 44
    labels = [
        f"{token(row['segment_id'])}  {shortened(segments[row['segment_id']], longest)}"
        for row in shown
    ]
    counts = [int(row["customers"]) for row in shown]
    with canvas(sheet.width, 0.3 + 0.34 * max(len(shown), 1)) as figure:
        axes = figure.add_subplot()
        places = np.arange(len(shown))
        colours = [drawn[row["segment_id"]].colour for row in shown]
        axes.barh(places, counts, color=colours, height=0.62)
        for place, row in zip(places, shown, strict=True):
            axes.annotate(
                f"{row['customers']:,} ({row['share']:.0%})", (row["customers"], place), (5, 0),
                textcoords="offset points", va="center",
            )  # fmt: skip
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.tick_params(axis="y", length=0)
        axes.set_xlim(0, (1.6 if sheet.is_narrow else 1.25) * max([*counts, 1]))
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        told = "; ".join(
            f"{segments[row['segment_id']]}: {row['customers']:,} ({row['share']:.0%})"
            for row in shown[:_TOLD]
        )
        return Chart(figure, f"Bar chart of customers by segment. {told}.")


def heat_map_chart(profiles: Sequence[Row], segments: Names, sheet: Sheet = SCREEN) -> Chart:
    """Draw `segment_profiles`: a row per feature, a column per segment, blue less, orange more.

    Features that make the segments come first, then, below a line, those that only describe them;
    of each, those that differ most. Numbers are standardised differences.
    """
    shown = [row for row in profiles if row["segment_id"] in segments]
    features = told_features(shown)
    table = np.full((len(features), len(segments)), np.nan)
    places = {segment_id: place for place, segment_id in enumerate(segments)}
    rows = {str(row["feature"]): place for place, row in enumerate(features)}
    for row in shown:
        if row["feature"] in rows and row["standardised_difference"] is not None:
            value = float(row["standardised_difference"])
            table[rows[str(row["feature"])], places[str(row["segment_id"])]] = value
    with canvas(sheet.width, 1.0 + 0.27 * max(len(features), 1)) as figure:
        from matplotlib.colors import LinearSegmentedColormap

        axes = figure.add_subplot()
        colours = LinearSegmentedColormap.from_list("difference", [_COLD, "#FFFFFF", _WARM])
        # Withheld figures have no colour: the ground is seen.
        axes.set_facecolor("#EEEEEE")
        axes.imshow(table, cmap=colours, vmin=-_STRONG, vmax=_STRONG, aspect="auto")
        _write_differences(axes, table)
        longest = 18 if sheet.is_narrow else 44
        axes.set_yticks(range(len(features)), [shortened(_words(row), longest) for row in features])
        axes.set_xticks(range(len(segments)), _headings(segments, sheet))
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        describing = sum(row["use"] == "clustering" for row in features)
        if 0 < describing < len(features):
            axes.axhline(describing - 0.5, color=INK, lw=1.2)
        return Chart(figure, _heat_alt(shown, segments))


def told_features(profiles: Sequence[Row]) -> list[Row]:
    """Choose a row for each feature to tell: those that make segments first, the telling ones."""
    largest: dict[str, tuple[float, Row]] = {}
    for row in profiles:
        size = abs(row["standardised_difference"] or 0.0)
        if size >= largest.get(row["feature"], (-1.0, row))[0]:
            largest[row["feature"]] = (size, row)
    strongest = sorted(largest.values(), key=lambda pair: (-pair[0], pair[1]["feature"]))
    told = [row for _, row in strongest[:MOST_FEATURES]]
    return sorted(told, key=lambda row: row["use"] != "clustering")


def signed(value: float) -> str:
    """Write a difference with its sign, and nothing for a difference of nothing.

    >>> signed(1.26), signed(-0.04)
    ('+1.3', '0')
    """
    text = f"{value:+.1f}"
    return "0" if text in ("+0.0", "-0.0") else text.replace("-", "\u2212")


def _headings(segments: Names, sheet: Sheet) -> list[str]:
    """Head columns by numbers, with names below them where there is room."""
    if sheet.is_narrow or len(segments) > _MOST_NAMED_COLUMNS:
        return [token(segment_id) for segment_id in segments]
    room = 54 // len(segments)
    return [
        "\n".join([token(segment_id), *wrap(shortened(name, 3 * room), room)[:3]])
        for segment_id, name in segments.items()
    ]


def _words(row: Row) -> str:
    return str(row["description"] or str(row["feature"]).replace("_", " "))


def _write_differences(axes: "Axes", table: "np.ndarray[Any, np.dtype[np.float64]]") -> None:
    for (feature, segment), value in np.ndenumerate(table):
        if not np.isnan(value):
            is_dark = abs(value) > 0.6 * _STRONG
            # Within the axes, a number moves nothing: to measure all took a fifth of the time.
            axes.text(
                segment, feature, signed(value), ha="center", va="center",
                color="white" if is_dark else INK, fontsize=8, in_layout=False,
            )  # fmt: skip


def _name_middles(axes: "Axes", points: Sequence[Row], names: Names, *, is_short: bool) -> None:
    """Write each segment's name where most of its customers are, on a white ground."""
    for segment_id, name in names.items():
        number = token(segment_id)
        text = number if is_short else f"{number}  {shortened(name, 24)}"
        rows = np.array([(r["x"], r["y"]) for r in points if r["segment_id"] == segment_id])
        if len(rows):
            axes.annotate(
                text, tuple(np.median(rows, axis=0)), ha="center", va="center",
                fontsize=11 if is_short else 9, fontweight="bold", zorder=5,
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.82, "pad": 2},
            )  # fmt: skip


def _arrow(meaning: str | None, sheet: Sheet) -> str:
    return f"{shortened(meaning, 34 if sheet.is_narrow else 80)} \u2192" if meaning else ""


def _map_alt(points: Sequence[Row], names: Names) -> str:
    nearest = ""
    middles = {
        segment_id: np.median([(r["x"], r["y"]) for r in points if r["segment_id"] == segment_id],
                              axis=0)
        for segment_id in names
        if any(r["segment_id"] == segment_id for r in points)
    }  # fmt: skip
    if len(middles) > 2:
        ids = list(middles)
        pairs = [
            (float(np.linalg.norm(middles[one] - middles[other])), one, other)
            for place, one in enumerate(ids)
            for other in ids[place + 1 :]
        ]
        _, one, other = min(pairs)
        nearest = f" Nearest to each other: {names[one]} and {names[other]}."
    return (
        f"Map of {len(points):,} customers in {len(middles)} segments; "
        f"{points[0]['shown_share']:.0%} of their differences are seen on it.{nearest}"
    )


def _heat_alt(shown: Sequence[Row], segments: Names) -> str:
    told = []
    for segment_id, name in segments.items():
        rows = [
            row
            for row in shown
            if row["segment_id"] == segment_id and row["standardised_difference"] is not None
        ]
        if rows:
            row = max(rows, key=lambda one: abs(one["standardised_difference"]))
            side = "more" if row["standardised_difference"] > 0 else "less"
            told.append(f"{name} by {side} of {_words(row)}")
    return f"Heat map. Each segment differs most from the others: {'; '.join(told[:_TOLD])}."
