import re
from pathlib import Path

import numpy as np
import pytest

import segmentation_pipeline
from segmentation_pipeline.measurement.mean_effect import welch
from segmentation_pipeline.measurement.power import (
    planned_standard_error,
    power,
    smallest_detectable,
)


def test_the_textbook_s_64_per_arm():
    """Half a standard deviation, alpha .05, power .8 (Cohen 1988); .801 with t instead of z."""
    assert power(0.5, planned_standard_error(1.0, 64, 64)) == pytest.approx(0.807, abs=0.001)
    assert power(-0.5, planned_standard_error(1.0, 64, 64)) == pytest.approx(0.807, abs=0.001)


def test_no_effect_is_found_as_often_as_alpha():
    assert power(0.0, 1.0) == pytest.approx(0.05)
    assert power(0.0, 1.0, comparisons=10) == pytest.approx(0.005)


@pytest.mark.parametrize("comparisons", [1, 6])
def test_the_smallest_detectable_has_a_power_of_four_fifths(comparisons):
    size = smallest_detectable(0.3, comparisons=comparisons)

    assert power(size, 0.3, comparisons=comparisons) == pytest.approx(0.8, abs=1e-4)


def test_the_past_takes_its_share_of_the_error():
    plain = planned_standard_error(2.0, 700, 300)

    assert plain == pytest.approx(2.0 * np.sqrt(1 / 700 + 1 / 300))
    assert planned_standard_error(2.0, 700, 300, history_correlation=0.8) == pytest.approx(
        0.6 * plain
    )


def test_what_is_promised_is_found():
    rng = np.random.default_rng(11)
    error = planned_standard_error(1.0, 300, 200)
    is_treated = np.arange(500) < 300
    size = smallest_detectable(error, comparisons=5)

    found = [
        welch(rng.standard_normal(500) + size * is_treated, is_treated, alpha=0.05).p_value <= 0.01
        for _ in range(1000)
    ]

    assert np.mean(found) == pytest.approx(0.8, abs=0.04)


def test_the_table_for_analysts():
    page = Path(segmentation_pipeline.__file__).parents[1] / "docs" / "effects.md"
    rows = re.findall(
        r"^\| ([\d,]+) \| (\d+) % \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$",
        page.read_text(encoding="utf-8"),
        re.MULTILINE,
    )

    assert len(rows) == 5
    for customers, held_out, *sizes in rows:
        n = int(customers.replace(",", ""))
        control = n * int(held_out) // 100
        error = planned_standard_error(1.0, n - control, control, history_correlation=0.6)
        for size, comparisons in zip(sizes, (1, 4, 12), strict=True):
            found = smallest_detectable(error, comparisons=comparisons)
            assert float(size) == pytest.approx(100 * found, abs=0.051)
