"""Profiles without what would tell of a small group, and nothing else withheld."""

import pytest

from segmentation_pipeline.segments.suppressed_rows import suppress_profiles, suppress_shares

FLOOR = 10


def profile(segment, feature, customers, mean=5.0, *, overall=(5.0, 2.0)):
    return {
        "segment_id": segment,
        "feature": feature,
        "unit": "visits",
        "customers": customers,
        "missing_share": 0.25,
        "mean": mean,
        "standard_deviation": 1.0,
        "median": mean,
        "lower_quartile": mean,
        "upper_quartile": mean,
        "overall_mean": overall[0],
        "overall_standard_deviation": overall[1],
        "standardised_difference": 0.5,
    }


def suppressed(rows):
    return {(row["segment_id"], row["feature"]): row for row in suppress_profiles(rows, FLOOR)}


def test_figures_of_few_customers_are_withheld_with_those_of_the_next_smallest():
    sizes = {"s-1": 4, "s-2": 30, "s-3": 80}
    rows = [profile(segment, "visits", size) for segment, size in sizes.items()]
    rows += [profile(segment, "age", 50) for segment in sizes]

    found = suppressed(rows)

    assert [found[segment, "visits"]["is_suppressed"] for segment in sizes] == [True, True, False]
    assert not any(found[segment, "age"]["is_suppressed"] for segment in sizes)
    told = {name: value for name, value in found["s-2", "visits"].items() if value is not None}
    assert told == {
        "segment_id": "s-2",
        "feature": "visits",
        "unit": "visits",
        "overall_mean": 5.0,
        "overall_standard_deviation": 2.0,
        "is_suppressed": True,
    }
    assert found["s-3", "visits"] == rows[2] | {"is_suppressed": False}


def test_figures_of_all_are_withheld_where_all_are_few():
    found = suppressed([profile("s-1", "visits", 4), profile("s-2", "visits", 3)])

    assert found["s-1", "visits"]["overall_mean"] is None
    assert found["s-2", "visits"]["is_suppressed"]


def test_the_mean_of_zeros_and_ones_would_tell_how_many_are_ones():
    share = 52 / 200
    overall = (share, (share * (1 - share)) ** 0.5)
    rows = [
        profile("s-1", "is_member", 100, 0.02, overall=overall),
        profile("s-2", "is_member", 100, 0.5, overall=overall),
    ]

    found = suppressed(rows)

    # Both: one mean is the other, from that of all.
    assert [row["mean"] for row in found.values()] == [None, None]
    assert [row["overall_mean"] for row in found.values()] == [share, share]


def test_a_mean_of_other_numbers_stays_however_small():
    found = suppressed([profile("s-1", "visits", 100, 0.02), profile("s-2", "visits", 100, 0.5)])

    assert not any(row["is_suppressed"] for row in found.values())


def test_a_lift_is_withheld_where_the_share_of_all_is():
    rows = [
        {
            "segment_id": segment,
            "feature": "role",
            "category": category,
            "customers": customers,
            "share": customers / sum(counts),
            "overall_share": 0.5,
            "lift": 1.0,
        }
        for segment, counts in {"s-1": (3, 60, 40), "s-2": (2, 70, 30)}.items()
        for category, customers in zip(("Dean", "Nurse", "Surgeon"), counts, strict=True)
    ]

    found = list(suppress_shares(rows, FLOOR))

    # Five deans in all: as few as to be told from the others' shares, were those all published.
    deans = [row for row in found if row["category"] == "Dean"]
    assert [row["overall_share"] for row in deans] == [None, None]
    assert [row["customers"] for row in deans] == [None, None]
    assert sum(row["overall_share"] is None for row in found) == 4
    for row in found:
        assert row["is_suppressed"] == (row["lift"] is None)


def test_nothing_is_withheld_without_a_floor():
    rows = [profile("s-1", "visits", 4), profile("s-2", "visits", 30)]

    assert list(suppress_profiles(rows, 1)) == [row | {"is_suppressed": False} for row in rows]
    assert list(suppress_shares([], 1)) == []


@pytest.mark.parametrize("customers", [0, 10])
def test_nobody_and_enough_are_told(customers):
    rows = [profile("s-1", "visits", customers), profile("s-2", "visits", 30)]

    assert not any(row["is_suppressed"] for row in suppress_profiles(rows, FLOOR))
