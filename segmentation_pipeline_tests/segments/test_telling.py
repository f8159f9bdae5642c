"""A category is told if chance doesn't explain it, it matters, and enough people are in it."""

import numpy as np
import pytest
from scipy.stats import fisher_exact

from segmentation_pipeline.segments.telling import (
    category_cells,
    chance_of_counts,
    holm,
    telling_categories,
)


def shares_of(counts):
    """Rows of segment_category_shares, of counts by feature, segment and category."""
    rows, sizes = [], {}
    for feature, segments in counts.items():
        sizes = {segment: sum(found.values()) for segment, found in segments.items()}
        everybody = sum(sizes.values())
        for segment, found in segments.items():
            for category, customers in found.items():
                overall = sum(other[category] for other in segments.values()) / everybody
                share = customers / sizes[segment]
                rows.append(
                    {
                        "segment_id": segment,
                        "feature": feature,
                        "category": category,
                        "use": "profile",
                        "customers": customers,
                        "share": share,
                        "overall_share": overall,
                        "lift": share / overall,
                    }
                )
    return rows, sizes


def told(counts, smallest_group=10):
    cells = category_cells(*shares_of(counts))
    found = telling_categories(cells, smallest_group)
    return {key: (cell.category, cell.customers) for key, cell in found.items()}


def test_the_p_is_fishers_of_the_smaller_tail():
    counts = {"role": {"s-1": {"Nurse": 30, "Surgeon": 10}, "s-2": {"Nurse": 20, "Surgeon": 40}}}
    cells = category_cells(*shares_of(counts))

    found = chance_of_counts(cells)

    one_sided = fisher_exact([[30, 10], [20, 40]], alternative="greater").pvalue
    assert found == pytest.approx([2 * one_sided] * 4)
    assert chance_of_counts([]).shape == (0,)


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])) == pytest.approx([1.0, 1.0])


def test_what_is_more_frequent_goes_before_what_is_rarer():
    counts = {
        "role": {
            "s-1": {"Nurse": 60, "Surgeon": 10, "Dentist": 30},
            "s-2": {"Nurse": 20, "Surgeon": 100, "Dentist": 30},
        }
    }

    assert told(counts) == {("s-1", "role"): ("Nurse", 60), ("s-2", "role"): ("Surgeon", 100)}


def test_only_rarer_is_told_where_nothing_is_more_frequent_enough():
    counts = {
        "channel": {
            "s-1": {"web": 100, "mail": 450, "phone": 450},
            "s-2": {"web": 300, "mail": 350, "phone": 350},
        }
    }

    assert told(counts)["s-1", "channel"] == ("web", 100)


def test_chance_small_lifts_small_groups_and_missing_values_are_not_told():
    by_chance = {"role": {"s-1": {"a": 14, "b": 26}, "s-2": {"a": 10, "b": 30}}}
    small_lift = {"role": {"s-1": {"a": 900, "b": 100}, "s-2": {"a": 780, "b": 220}}}
    few = {"role": {"s-1": {"a": 9, "b": 31}, "s-2": {"a": 1, "b": 399}}}
    missing = {"role": {"s-1": {"missing": 50, "a": 50}, "s-2": {"missing": 5, "a": 95}}}

    assert told(by_chance) == {}
    assert {category for category, _ in told(small_lift).values()} == {"b"}
    assert ("a", 9) not in told(few).values()
    assert told(few, smallest_group=9)["s-1", "role"] == ("a", 9)
    assert {category for category, _ in told(missing).values()} == {"a"}


def test_a_suppressed_cell_is_neither_tested_nor_told():
    counts = {"role": {"s-1": {"a": 60, "b": 40}, "s-2": {"a": 10, "b": 90}}}
    rows, sizes = shares_of(counts)
    hidden = [row | {"customers": None, "share": None, "lift": None} for row in rows[:2]]

    cells = category_cells([*hidden, *rows[2:]], sizes)

    assert {cell.segment_id for cell in cells} == {"s-2"}
    assert [cell.everybody_in_category for cell in cells] == [70, 130]


def test_many_categories_of_noise_are_hardly_ever_told():
    generator = np.random.default_rng(5)
    false_alarms = 0
    for _ in range(50):
        counts = {
            f"f{feature}": {
                segment: dict(zip("abcdefgh", drawn.tolist(), strict=True))
                for segment, drawn in zip(
                    ("s-1", "s-2", "s-3"),
                    generator.multinomial(200, np.full(8, 1 / 8), size=3),
                    strict=True,
                )
            }
            for feature in range(5)
        }
        false_alarms += bool(told(counts))

    # 120 tests a time; without the correction every time would be one.
    assert false_alarms <= 5
