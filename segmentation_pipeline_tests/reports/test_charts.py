"""Charts are equal for equal data, say in words what they show, and show no customer's id."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from segmentation_pipeline.clustering.preprocessing_effect import PreparedVariant
from segmentation_pipeline.reports import (
    candidates_chart,
    distance_share_chart,
    encoding_scatter,
    preprocessing_picture,
)
from segmentation_pipeline.reports.drawing import MARKERS, PALETTE, principal_components, shortened

SVG = "{http://www.w3.org/2000/svg}"


def texts(chart):
    return ["".join(element.itertext()) for element in ET.fromstring(chart.svg).iter(f"{SVG}text")]


def candidate(algorithm, segments, silhouette, **settings):
    return {
        "algorithm": algorithm,
        "segments": segments,
        "silhouette": silhouette,
        "silhouette_standard_error": 0.01,
        "is_admissible": True,
        "is_chosen": False,
    } | settings


def encodings(vectors, components, other=None):
    return [
        {"category": category, "is_other": category is None, "component": name, "value": value}
        for category, vector in [*vectors.items(), (None, other or [None] * len(components))]
        for name, value in zip(components, vector, strict=True)
    ]


def variants(customers=50, groups=3):
    generator = np.random.default_rng(0)
    labels = np.arange(customers, dtype=np.int32) % groups
    return [
        PreparedVariant(
            name, generator.normal(size=(customers, 4)), labels, 0.3, 0.2, agreement, feature, share
        )
        for name, agreement, feature, share in (
            ("as declared", 1.0, "visits", 0.25),
            ("without scaling", 0.1, "contract_value_eur", 0.991),
            ("without transforms", 0.9, "visits", 0.3),
        )
    ]


ROLES = {"Nurse": [0.1, 0.5], "Surgeon": [0.9, 0.7], "Resident": [1.0, 0.5], "Intern": [0.9, 0.3]}
DRAWN = {
    "candidates": lambda: candidates_chart(
        [candidate("k_means", 2, 0.3), candidate("k_means", 3, 0.4, is_chosen=True)]
    ),
    "shares": lambda: distance_share_chart({"age": 0.75, "visits": 0.25}),
    "encodings": lambda: encoding_scatter(encodings(ROLES, ["clinical", "responsibility"])),
    "preprocessing": lambda: preprocessing_picture(variants()),
}


@pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)
def test_equal_data_give_equal_pictures(draw):
    one, other = draw(), draw()

    assert (one.svg, one.png, one.alt) == (other.svg, other.png, other.alt)
    assert one.png.startswith(b"\x89PNG")
    assert ET.fromstring(one.svg).tag == f"{SVG}svg"
    assert "<dc:date>" not in one.svg
    assert mpl.__version__ not in one.svg
    assert one.alt.endswith(".")
    assert "\n" not in one.alt


def test_a_readers_own_style_changes_nothing():
    plain = DRAWN["shares"]()
    drawn = plain.svg, plain.png

    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        other = DRAWN["shares"]()
        assert (other.svg, other.png) == drawn
        assert mpl.rcParams["font.size"] == 30


def test_candidates_by_family():
    chart = candidates_chart(
        [
            candidate("k_means", 2, 0.3),
            candidate("k_means", 3, 0.4, is_chosen=True),
            candidate("gaussian_mixture", 3, 0.2, is_admissible=False),
            candidate("gaussian_mixture", 3, 0.25),
            candidate("dbscan", 0, None, silhouette_standard_error=None),
        ]
    )

    assert chart.alt == (
        "Line chart. Silhouette by number of segments: K-Means is highest at 3 segments (0.40); "
        "Gaussian mixture is highest at 3 segments (0.25). Chosen: K-Means with 3 segments (0.40)."
    )
    found = texts(chart)
    assert {"K-Means", "Gaussian mixture", "chosen", "not admissible", "2", "3"} <= {*found}
    assert "dbscan" not in found


@pytest.mark.parametrize("rows", [[], [candidate("k_means", 1, None)]])
def test_without_a_silhouette_the_chart_says_so(rows):
    chart = candidates_chart(rows)

    assert chart.alt == "Empty chart: no candidate has a silhouette."
    assert "no candidate has a silhouette" in texts(chart)


def test_shares_largest_first():
    chart = distance_share_chart({"age": 0.2, "open_rate": 0.7, "visits": 0.1})

    assert chart.alt == (
        "Bar chart. Share of the distance, largest first: open rate 70 %, age 20 %, visits 10 %."
    )
    assert {"70.0 %", "20.0 %", "10.0 %", "equal shares"} <= {*texts(chart)}


def test_many_features_share_a_bar():
    shares = {f"feature_{i:02}": 0.04 for i in range(25)}

    found = texts(distance_share_chart(shares))

    assert "6 other features" in found
    assert "24.0 %" in found
    assert "feature 18" in found
    assert "feature 19" not in found


def test_categories_by_two_components():
    chart = encoding_scatter(encodings(ROLES, ["clinical", "responsibility"]), "Role")

    found = texts(chart)
    assert {*ROLES, "clinical", "responsibility", "Role"} <= {*found}
    assert "other" not in found

    assert chart.alt.startswith("Scatter chart of 4 categories by their vectors, 4 of them")
    assert "Nurse and" in chart.alt


def test_categories_on_a_line_and_by_principal_components():
    line = encoding_scatter(encodings({"low": [1.0], "high": [3.0]}, ["value"]))
    assert {"low", "high", "value"} <= {*texts(line)}
    vectors = {f"role {i}": np.eye(5)[i].tolist() for i in range(5)}
    planar = encoding_scatter(encodings(vectors, list("abcde"), other=[0.2] * 5))
    found = texts(planar)
    assert "first principal component (25 % of the variance)" in found
    assert {"role 0", "role 4", "other"} <= {*found}


def test_of_many_categories_those_that_find_room_are_named():
    points = np.random.default_rng(0).normal(size=(500, 2))
    vectors = {f"product {i}": point.tolist() for i, point in enumerate(points)}

    chart = encoding_scatter(encodings(vectors, ["x", "y"]))

    named = [text for text in texts(chart) if text.startswith("product")]
    assert 5 < len(named) <= 60
    assert f"500 categories by their vectors, {len(named)} of them with names" in chart.alt


def test_odd_names_of_categories():
    names = ["$x_1$ and $", "看護師", "a\nb", "<b> & co", "x" * 99, "_hidden"]
    vectors = {name: [float(i), 1.0] for i, name in enumerate(names)}

    found = texts(encoding_scatter(encodings(vectors, ["x_1", "y"])))

    assert {"$x_1$ and $", "看護師", "a b", "<b> & co", "x" * 23 + "…", "_hidden", "x 1"} <= {
        *found
    }


def test_two_ways_to_prepare_side_by_side():
    chart = preprocessing_picture(variants())

    found = texts(chart)
    assert "contract value eur: 99 % of the distance" in found
    assert {"as declared", "without scaling", "group 1", "group 3"} <= {*found}
    assert "without transforms" not in found
    assert chart.alt == (
        "Two maps of the same customers, coloured by group. Feature that carries most, and "
        "agreement with the groups as declared: as declared, visits: 25 % of the distance, "
        "adjusted Rand index 1.00; without scaling, contract value eur: 99 % of the distance, "
        "adjusted Rand index 0.10."
    )


def test_customers_are_an_image_and_not_points_of_the_file():
    few, many = (preprocessing_picture(variants(count)).svg for count in (50, 5000))

    assert "<image" in many
    assert few.count("<use") == many.count("<use")
    assert len(many) < 400_000


def test_from_the_eighth_on_groups_are_grey():
    found = texts(preprocessing_picture(variants(100, groups=10)))

    assert {"group 7", "other groups"} <= {*found}
    assert "group 8" not in found
    assert len(PALETTE) == len(MARKERS) == len({*PALETTE}) == 7


def test_principal_components_of_a_line():
    line = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [2.0, 4.0, 4.0]])

    points, shares = principal_components(line)

    np.testing.assert_allclose(points, [[-3, 0], [0, 0], [3, 0]], atol=1e-12)
    assert shares == pytest.approx([1, 0])
    assert principal_components(np.ones((4, 1)))[0].tolist() == [[0.0, 0.0]] * 4
    assert shortened("a  b", 3) == "a b"


QUIET = """
import sys
from segmentation_pipeline.reports import distance_share_chart
assert "matplotlib" not in sys.modules
distance_share_chart({"age": 1.0})
assert "matplotlib.pyplot" not in sys.modules
"""


def test_it_is_quiet_where_nothing_can_be_written(tmp_path):
    # Below a file no folder can be made, not even by root.
    blocked = tmp_path / "file"
    blocked.touch()

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", QUIET],
        env={"HOME": str(blocked / "home"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
