"""Charts of segments: what they say in words, one colour for one segment, equal for equal data."""

import re
import xml.etree.ElementTree as ET

import pytest

from segmentation_pipeline.reports import heat_map_chart, map_chart, migration_chart, sizes_chart
from segmentation_pipeline.reports.drawing import PAGE, PALE, PALETTE, PHONE
from segmentation_pipeline.reports.embedding import inline_svg
from segmentation_pipeline.reports.segment_charts import marks, token

SVG = "{http://www.w3.org/2000/svg}"
NAMES = {"a-1": "Early", "a-2": "Late", "a-noise": "In no segment"}


def texts(chart):
    return ["".join(element.itertext()) for element in ET.fromstring(chart.svg).iter(f"{SVG}text")]


def point(segment_id, x, y, **meanings):
    return {
        "segment_id": segment_id, "x": x, "y": y, "x_meaning": "more visits", "y_meaning": None,
        "shown_share": 0.625,
    } | meanings  # fmt: skip


def difference(segment_id, feature, value, use="clustering"):
    return {
        "segment_id": segment_id, "feature": feature, "description": "", "use": use,
        "standardised_difference": value,
    }  # fmt: skip


def flow(origin, target, customers):
    return {"from_segment_id": origin, "to_segment_id": target, "customers": customers}


POINTS = [point("a-1", 0.0, 0.0), point("a-2", 1.0, 0.0), point("a-noise", 9.0, 9.0)]
SIZES = [
    {"segment_id": "a-1", "customers": 1500, "share": 0.75},
    {"segment_id": "a-2", "customers": 500, "share": 0.25},
]
DIFFERENCES = [
    difference("a-1", "visits", 2.0),
    difference("a-2", "visits", -0.04),
    difference("a-1", "open_rate", None, "profile"),
    difference("a-2", "open_rate", -1.0, "profile"),
]
FLOWS = [flow("a-1", "a-1", 90), flow("a-1", "a-2", 7), flow(None, "a-2", 3), flow("a-2", None, 2)]
CHARTS = {
    "map": lambda sheet: map_chart(POINTS, NAMES, sheet),
    "sizes": lambda sheet: sizes_chart(SIZES, NAMES, sheet),
    "heat map": lambda sheet: heat_map_chart(DIFFERENCES, NAMES, sheet),
    "migration": lambda sheet: migration_chart(FLOWS, NAMES, sheet),
}
EVERY_CHART = pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)


@EVERY_CHART
@pytest.mark.parametrize("sheet", [PAGE, PHONE])
def test_equal_data_make_equal_charts(draw, sheet):
    first, second = draw(sheet), draw(sheet)

    assert (first.svg, first.alt) == (second.svg, second.alt)
    assert "png" not in vars(first)  # a page draws none


@EVERY_CHART
def test_a_chart_in_a_page_has_ids_of_its_own(draw):
    chart = draw(PAGE)

    one, other = inline_svg(chart, "one", "A <title>"), inline_svg(chart, "other", "A <title>")

    ids = {key: re.findall(r'\sid="([^"]+)"', svg) for key, svg in (("one", one), ("other", other))}
    assert not {*ids["one"]} & {*ids["other"]}
    assert all(name.startswith("one-") for name in ids["one"])
    pointed = re.findall(r'(?:href="#|url\(#)([^")]+)', one)
    assert {*pointed} <= {*ids["one"]}
    assert '<title id="one-title">A &lt;title&gt;</title>' in one
    assert "metadata" not in one


def test_the_map_says_what_is_near():
    chart = map_chart(POINTS, NAMES, PAGE)

    assert chart.alt == (
        "Map of 3 customers in 3 segments; 62% of their differences are seen on it. Nearest to "
        "each other: Early and Late."
    )
    assert {"1  Early", "2  Late", "noise  In no segment", "more visits \u2192"} <= {*texts(chart)}
    # On a phone there is room for numbers alone.
    assert {"1", "2", "noise"} <= {*texts(map_chart(POINTS, NAMES, PHONE))}


def test_points_are_no_shapes_that_could_be_read_off():
    assert "<image" in map_chart(POINTS, NAMES, PAGE).svg
    assert "<use" not in map_chart(POINTS, NAMES, PAGE).svg


def test_sizes_are_written():
    chart = sizes_chart(SIZES, NAMES, PAGE)

    assert chart.alt == "Bar chart of customers by segment. Early: 1,500 (75%); Late: 500 (25%)."
    assert {"1,500 (75%)", "1  Early"} <= {*texts(chart)}


def test_differences_are_written_with_their_sign_and_withheld_ones_are_not():
    found = texts(heat_map_chart(DIFFERENCES, NAMES, PAGE))

    assert {"+2.0", "0", "\u22121.0", "visits", "open rate"} <= {*found}
    assert found.index("visits") < found.index("open rate")
    assert not any("nan" in text for text in found)


def test_the_migration_tells_who_stayed_and_who_changed():
    chart = migration_chart(FLOWS, NAMES, PAGE)

    assert chart.alt == (
        "Sankey diagram from the night before to tonight. 90 customers stayed. Changed: 7 from "
        "Early to Late; 3 from new customers to Late; 2 from Late to no longer there."
    )
    assert {"the night before", "tonight"} <= {*texts(chart)}


def test_segments_beyond_the_names_flow_together():
    chart = migration_chart([flow("a-8", "a-9", 5), flow("a-1", "a-9", 2)], NAMES, PAGE)

    assert "2 from Early to other segments" in chart.alt


def test_nobody_who_changed_is_said():
    assert migration_chart([flow("a-1", "a-1", 9)], NAMES, PAGE).alt.endswith("Nobody changed.")


def test_from_the_eighth_on_segments_are_pale():
    drawn = marks({f"a-{number}": "Any" for number in range(1, 10)})

    assert [mark.colour for mark in drawn.values()] == [*PALETTE, PALE, PALE]
    assert len({mark.marker for mark in list(drawn.values())[:7]}) == 7
    assert token("many-words-12") == "12"


def test_withheld_ways_are_lines_without_a_number():
    flows = [
        flow("a-1", "a-1", None), flow("a-1", "a-2", None), flow("a-2", "a-2", None),
        flow("a-2", "a-1", None), flow("a-2", None, 20),
    ]  # fmt: skip

    chart = migration_chart(flows, NAMES, PAGE, sizes={"a-1": 1500, "a-2": 500})

    assert chart.alt == (
        "Sankey diagram from the night before to tonight. Changed: 20 from Late to no longer "
        "there. Too few to be told may have gone 2 other ways."
    )
    found = {*texts(chart)}
    assert {"1  Early", "2  Late"} <= found
    assert not any("1,500" in text or "500" in text for text in found)
