"""Charts on which near means alike: categories by their vectors, customers by their features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.preprocessing_effect import PreparedVariant
from segmentation_pipeline.reports.drawing import (
    INK,
    MARKERS,
    PALE,
    PALETTE,
    Chart,
    canvas,
    principal_components,
    shortened,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]
Points = NDArray[np.float64]

MOST_LABELS = 60
_ALWAYS_LABELLED = 20
_MOST_POINTS = 2_000
_MOST_TOLD = 6
_LABEL_SIZE = 8
_GAP = 6
# Where a label may stand: right (1) or left (-1) of its point, above (1) or below (-1).
_PLACES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))


def encoding_scatter(encodings: Sequence[Row], title: str = "") -> Chart:
    """Draw the categories of one feature by their vectors: alike lie near each other.

    `encodings` are the feature's rows of `encodings`. Two components are drawn as they are, more of
    them by their first two principal components, one alone on a line. Up to 20 categories all have
    their names; of more, up to 60 do whose names find room. The vector of categories without one of
    their own is a cross.
    """
    vectors = _gather(encodings)
    names = [name for name in vectors if name is not None]
    components = list(dict.fromkeys(str(row["component"]) for row in encodings))
    table = np.array([vectors[name] for name in names]).reshape(len(names), len(components))
    other = vectors.get(None)
    mapped = _map(table, other, components)
    with canvas(6.4, 5.2 if len(components) > 1 else 2.0) as figure:
        axes = figure.add_subplot()
        axes.scatter(mapped.points[:, 0], mapped.points[:, 1], s=26, color=PALETTE[0], zorder=3)
        if mapped.other is not None:
            x, y = mapped.other
            axes.scatter(x, y, s=60, marker="x", color=PALETTE[4], zorder=3, label="other")
            axes.legend(loc="best")
        axes.set_xlabel(mapped.labels[0])
        if len(components) > 1:
            axes.set_ylabel(mapped.labels[1])
            axes.axis("equal")
        else:
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
        axes.margins(0.18)
        if title:
            axes.set_title(title)
        labelled = _label_points(figure, axes, mapped.points, names)
        return Chart(figure, _encoding_alt(mapped, names, labelled))


def preprocessing_picture(variants: Sequence[PreparedVariant]) -> Chart:
    """Draw the customers as declared and without scaling, each coloured by its own segments.

    Both panels have the same map, the first two principal components of the features as declared,
    so that a customer stands at one place. At most 2,000 customers are drawn, as one image: no
    point can be taken out of the file. From the eighth segment on all are grey.
    """
    shown = [one for one in variants if one.name in {"as declared", "without scaling"}]
    points, shares = principal_components(shown[0].matrix)
    points = points[:_MOST_POINTS]
    with canvas(8.0, 4.0) as figure:
        panels = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
        for axes, variant in zip(panels, shown, strict=True):
            _draw_segments(axes, points, variant.labels[:_MOST_POINTS])
            axes.set_title(f"{variant.name}\n{_leading(variant)}", fontsize=9)
            axes.set_xticks([])
            axes.set_yticks([])
        figure.supxlabel(
            f"first two principal components as declared ({_percent(sum(shares))} of the variance)",
            fontsize=9,
        )
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
        return Chart(figure, _preprocessing_alt(shown))


@dataclass(frozen=True, eq=False)
class _Map:
    """Points (n, 2), the one of categories without a vector, and what the axes are."""

    points: Points
    other: Points | None
    labels: tuple[str, str]


def _gather(encodings: Sequence[Row]) -> dict[str | None, list[float]]:
    """Category -> vector; None for those that have none of their own, unless they are missing."""
    vectors: dict[str | None, list[float]] = {}
    for row in encodings:
        if row["value"] is not None:
            vectors.setdefault(row["category"], []).append(float(row["value"]))
    return vectors


def _map(table: Points, other: Sequence[float] | None, components: Sequence[str]) -> _Map:
    """Put vectors (n, d) on a plane."""
    stacked = table if other is None else np.vstack((table, other))
    named = [shortened(name.replace("_", " ")) for name in components]
    labels = (named[0], named[1]) if len(named) > 1 else (named[0], "")
    if len(components) == 1:
        points = np.column_stack((stacked, np.zeros(len(stacked))))
    elif len(components) == 2:
        points = stacked
    else:
        points, shares = principal_components(stacked)
        labels = (
            f"first principal component ({_percent(shares[0])} of the variance)",
            f"second principal component ({_percent(shares[1])})",
        )
    if other is None:
        return _Map(points, None, labels)
    return _Map(points[:-1], points[-1], labels)


def _label_points(
    figure: "Figure", axes: "Axes", points: Points, names: Sequence[str]
) -> list[str]:
    """Write names beside points where they hide nothing; those that were written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.font_manager import FontProperties

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    pixels, font = figure.dpi / 72, FontProperties(size=_LABEL_SIZE)
    frame = axes.get_window_extent()
    centres = axes.transData.transform(points)
    taken = np.hstack((centres - 3 * pixels, centres + 3 * pixels))
    written: list[str] = []
    for name, point, centre in zip(names, points, centres, strict=True):
        text = shortened(name, 24)
        width, height, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
        boxes = np.array([_box(centre, width, height, place, pixels) for place in _PLACES])
        is_outside = (boxes[:, 0] < frame.x0) | (boxes[:, 2] > frame.x1)
        crowds = is_outside + _overlaps(boxes, taken)
        best = int(crowds.argmin())
        if crowds[best] and len(names) > _ALWAYS_LABELLED:
            continue
        right, up = _PLACES[best]
        axes.annotate(
            text, point, (_GAP * right, _GAP * up), textcoords="offset points",
            fontsize=_LABEL_SIZE, color=INK, ha=("right", "center", "left")[right + 1],
            va=("top", "center", "bottom")[up + 1],
        )  # fmt: skip
        taken = np.vstack((taken, boxes[best]))
        written.append(name)
        if len(written) == MOST_LABELS:
            break
    return written


def _box(
    centre: Points, width: float, height: float, place: tuple[int, int], pixels: float
) -> Points:
    """Left, bottom, right and top of a label at one of `_PLACES` beside a point, in pixels."""
    size = np.array([width, height])
    middle = centre + np.array(place) * (_GAP * pixels + size / 2)
    return np.concatenate((middle - size / 2, middle + size / 2))


def _overlaps(boxes: Points, others: Points) -> NDArray[np.intp]:
    """How many of the others (m, 4) each box (n, 4) overlaps, shape (n,)."""
    one, other = boxes[:, np.newaxis], others
    are_apart = (one[..., :2] > other[:, 2:]) | (one[..., 2:] < other[:, :2])
    return np.asarray(np.count_nonzero(~are_apart.any(axis=2), axis=1), dtype=np.intp)


def _draw_segments(axes: "Axes", points: Points, labels: NDArray[np.int32]) -> None:
    size = 14 if len(points) <= 600 else 6
    drawn = np.minimum(labels, len(PALETTE))
    for segment in np.unique(drawn).tolist():
        rows = points[drawn == segment]
        is_told = segment < len(PALETTE)
        axes.scatter(
            rows[:, 0],
            rows[:, 1],
            s=size,
            color=PALETTE[segment] if is_told else PALE,
            marker=MARKERS[segment] if is_told else ".",
            label=f"group {segment + 1}" if is_told else "other groups",
            linewidths=0,
            alpha=0.8,
            rasterized=True,
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _leading(variant: PreparedVariant) -> str:
    name = shortened(variant.leading_feature.replace("_", " "))
    return f"{name}: {_percent(variant.leading_share)} of the distance"


def _encoding_alt(mapped: _Map, names: Sequence[str], labelled: Sequence[str]) -> str:
    """Say what is alike: the nearest pairs, each of a category and the one next to it."""
    from scipy.spatial import cKDTree

    told: list[str] = []
    if len(names) > 1:
        distances, found = cKDTree(mapped.points).query(mapped.points, k=2)
        # Where two are at one place, either may be found first.
        nearest = np.where(found[:, 1] == np.arange(len(names)), found[:, 0], found[:, 1])
        order = np.argsort(distances[:, 1], kind="stable").tolist()
        pairs = dict.fromkeys(tuple(sorted((i, int(nearest[i])))) for i in order)
        told = [f"{names[i]} and {names[j]}" for i, j in list(pairs)[:_MOST_TOLD]]
    alike = f" Nearest to each other: {', '.join(told)}." if told else ""
    return (
        f"Scatter chart of {len(names)} categories by their vectors, {len(labelled)} of them with "
        f"names.{alike}"
    )


def _preprocessing_alt(shown: Sequence[PreparedVariant]) -> str:
    told = [
        f"{one.name}, {_leading(one)}, adjusted Rand index {one.agreement:.2f}" for one in shown
    ]
    return (
        "Two maps of the same customers, coloured by group. Feature that carries most, and "
        f"agreement with the groups as declared: {'; '.join(told)}."
    )
