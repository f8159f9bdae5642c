"""The night's migration as a Sankey diagram: bands from segments before to segments after."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segmentation_pipeline.reports.drawing import (
    INK,
    PALE,
    SCREEN,
    Chart,
    Sheet,
    canvas,
    shortened,
)
from segmentation_pipeline.reports.segment_charts import Names, marks, token

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]

NEW, GONE, OTHERS = "new customers", "no longer there", "other segments"
_GAP = 0.05
_BAR = 0.035
_TOLD = 6
_THIN = 0.08
_WITHHELD = 0.004
"""How thick a band is whose customers are withheld, as a share of all."""


def migration_chart(
    migration: Sequence[Row],
    segments: Names,
    sheet: Sheet = SCREEN,
    *,
    sizes: Mapping[str, int] | None = None,
) -> Chart:
    """Draw `segment_migration` of one night: left the night before, right this one.

    A band is as thick as it has customers; who stayed is pale, who changed has the colour of the
    segment they came from. Segments that `segments` doesn't name are drawn as one. Where counts are
    withheld, a way is drawn as a line, and who stayed by what else `sizes`, tonight's published
    ones, leave.
    """
    flows: dict[tuple[str, str], int] = {}
    withheld: set[tuple[str, str]] = set()
    for row in _drawn(migration, sizes or {}):
        pair = (
            _node(row["from_segment_id"], NEW, segments),
            _node(row["to_segment_id"], GONE, segments),
        )
        flows[pair] = flows.get(pair, 0) + int(row["customers"])
        withheld |= {pair} if row["is_withheld"] else set()
    order = [*segments, OTHERS, NEW, GONE]
    flows = dict(sorted(flows.items(), key=lambda x: tuple(order.index(node) for node in x[0])))
    total = max(sum(flows.values()), 1)
    left, right = _stack(flows, 0, order, total), _stack(flows, 1, order, total)
    height = max(2.4, 0.55 * max(len(left), len(right)) + 0.5)
    with canvas(sheet.width, height) as figure:
        axes = figure.add_subplot()
        colours = {key: mark.colour for key, mark in marks(segments).items()}
        starts, ends = dict(left), dict(right)
        for (origin, target), customers in flows.items():
            thickness = customers / total
            is_moved = origin != target
            _band(
                axes, starts[origin], ends[target], thickness,
                colours.get(origin, INK) if is_moved else colours.get(origin, PALE),
                0.75 if is_moved else 0.22,
            )  # fmt: skip
            starts[origin] -= thickness
            ends[target] -= thickness
        longest = 0 if sheet.is_narrow else 30
        for side, stack in ((0, left), (1, right)):
            unknown = {pair[side] for pair in withheld}
            _bars(axes, side, stack, flows, total, colours, segments, longest, unknown)
        axes.set_xlim(-0.75 if sheet.is_narrow else -0.5, 1.75 if sheet.is_narrow else 1.5)
        axes.set_ylim(min(*_bottoms(flows, left, right, total), 0.0) - 0.02, 1.1)
        axes.annotate(
            "before" if sheet.is_narrow else "the night before", (0, 1.06), ha="center", color=INK
        )
        axes.annotate("tonight", (1, 1.06), ha="center", color=INK)
        axes.set_axis_off()
        return Chart(figure, _alt(flows, withheld, segments))


def _drawn(migration: Sequence[Row], sizes: Mapping[str, int]) -> Iterator[Row]:
    """Give each row the customers it is drawn with, and say of which the number is not known."""
    known = [row["customers"] for row in migration if row["customers"] is not None]
    line = max(1, round(_WITHHELD * (sum(sizes.values()) or sum(known))))
    for row in migration:
        segment_id, customers = row["to_segment_id"], row["customers"]
        is_withheld = customers is None
        if is_withheld and segment_id == row["from_segment_id"]:
            arrived = [one["customers"] for one in migration if one["to_segment_id"] == segment_id]
            customers = max(line, sizes.get(segment_id, 0) - sum(n or 0 for n in arrived))
        elif is_withheld:
            customers = line
        yield {**row, "customers": customers, "is_withheld": is_withheld}


def _node(segment_id: str | None, otherwise: str, segments: Names) -> str:
    if segment_id is None:
        return otherwise
    return segment_id if segment_id in segments else OTHERS


def _stack(
    flows: Mapping[tuple[str, str], int], side: int, order: Sequence[str], total: int
) -> dict[str, float]:
    """Put the nodes of a side one below the other; gives the top of each, the first at 1."""
    tops, top = {}, 1.0
    for node in order:
        size = sum(customers for pair, customers in flows.items() if pair[side] == node)
        if size:
            tops[node] = top
            top -= size / total + _GAP
    return tops


def _bottoms(
    flows: Mapping[tuple[str, str], int],
    left: Mapping[str, float],
    right: Mapping[str, float],
    total: int,
) -> list[float]:
    return [
        top - sum(n for pair, n in flows.items() if pair[side] == node) / total
        for side, stack in ((0, left), (1, right))
        for node, top in stack.items()
    ]


def _band(
    axes: "Axes", start: float, end: float, thickness: float, colour: str, alpha: float
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    x0, x1, middle = _BAR, 1 - _BAR, 0.5
    vertices = [
        (x0, start), (middle, start), (middle, end), (x1, end),
        (x1, end - thickness), (middle, end - thickness), (middle, start - thickness),
        (x0, start - thickness), (x0, start),
    ]  # fmt: skip
    codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
    axes.add_patch(PathPatch(Path(vertices, codes), facecolor=colour, lw=0, alpha=alpha))


def _bars(
    axes: "Axes",
    side: int,
    stack: Mapping[str, float],
    flows: Mapping[tuple[str, str], int],
    total: int,
    colours: Mapping[str, str],
    segments: Names,
    longest: int,
    unknown: Collection[str],
) -> None:
    from matplotlib.patches import Rectangle

    for node, top in stack.items():
        customers = sum(n for pair, n in flows.items() if pair[side] == node)
        size = customers / total
        x = -_BAR if side == 0 else 1 - _BAR
        axes.add_patch(
            Rectangle((x, top - size), 2 * _BAR, size, facecolor=colours.get(node, PALE), lw=0)
        )
        axes.annotate(
            _label(node, segments, longest, None if node in unknown else customers, size),
            (side, top - size / 2), (-10 if side == 0 else 10, 0), textcoords="offset points",
            ha="right" if side == 0 else "left", va="center", linespacing=1.3,
        )  # fmt: skip


def _label(node: str, segments: Names, longest: int, customers: int | None, size: float) -> str:
    """Say who a bar is, on one line where the bar is too thin for two."""
    if customers is None:
        return _called(node, segments, longest)
    between = "\n" if size > _THIN else "  "
    return f"{_called(node, segments, longest)}{between}{customers:,}"


def _called(node: str, segments: Names, longest: int) -> str:
    if node not in segments:
        return node
    if not longest:
        return f"segment {token(node)}"
    return f"{token(node)}  {shortened(segments[node], longest)}"


def _alt(
    flows: Mapping[tuple[str, str], int], withheld: Collection[tuple[str, str]], segments: Names
) -> str:
    known = {pair: customers for pair, customers in flows.items() if pair not in withheld}
    stayed = sum(customers for (origin, target), customers in known.items() if origin == target)
    moved = sorted(
        ((n, origin, target) for (origin, target), n in known.items() if origin != target),
        reverse=True,
    )
    told = "; ".join(
        f"{customers:,} from {segments.get(origin, origin)} to {segments.get(target, target)}"
        for customers, origin, target in moved[:_TOLD]
    )
    ways = sum(origin != target for origin, target in withheld)
    said = [
        "Sankey diagram from the night before to tonight.",
        f"{stayed:,} customers stayed." if len(withheld) == ways else "",
        f"Changed: {told}." if told else "" if ways else "Nobody changed.",
        f"Too few to be told may have gone {ways} other ways." if ways else "",
    ]
    return " ".join(part for part in said if part)
