"""Charts inside a page: SVG with ids of their own, a title and a description, no fixed size."""

import xml.etree.ElementTree as ET

from segmentation_pipeline.reports.drawing import Chart

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_HREF = f"{{{_XLINK}}}href"


def inline_svg(chart: Chart, key: str, title: str) -> str:
    """Write a chart as an `<svg>` element to be put into HTML.

    Ids, and what points to them, begin with `key`, which no other chart of the page has. It scales
    with its column. `title` and the chart's words are told to those who don't see it.
    """
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", _XLINK)
    # The text is matplotlib's own, not a reader's: it declares no entities.
    root = ET.fromstring(chart.svg)  # noqa: S314
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            element.attrib[name] = _prefixed(name, value, key)
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-labelledby": f"{key}-title {key}-desc"}
    description = ET.Element(f"{{{_SVG}}}desc", {"id": f"{key}-desc"})
    description.text = chart.alt
    heading = ET.Element(f"{{{_SVG}}}title", {"id": f"{key}-title"})
    heading.text = title
    root.insert(0, description)
    root.insert(0, heading)
    return ET.tostring(root, encoding="unicode")


def _prefixed(name: str, value: str, key: str) -> str:
    if name == "id":
        return f"{key}-{value}"
    if name == _HREF and value.startswith("#"):
        return f"#{key}-{value[1:]}"
    return value.replace("url(#", f"url(#{key}-")
