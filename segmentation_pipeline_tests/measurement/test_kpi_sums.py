"""Sums of small whole numbers are those of scaled ones, to the last bit."""

import pytest

from segmentation_pipeline.measurement import kpi_sums
from segmentation_pipeline.measurement.kpi_rows import kpi_rows
from segmentation_pipeline.measurement.kpi_sums import KpiColumns, sums_by_segment
from segmentation_pipeline.warehouse import open_in_memory

COLUMNS = {
    "alone": KpiColumns("a", None, None, None),
    "before": KpiColumns("a", None, "b", None),
    "ratio": KpiColumns("a", "b", "c", "d"),
    "ratio_alone": KpiColumns("c", "a", None, None),
    "nothing": KpiColumns("nobody", None, "nobody", None),
}
SMALL = [
    ("x", 3, 0, 5, 4), ("x", None, 2, 1, 3), ("x", 0, 7, 0, 0), ("x", 1_048_575, 1, None, 9),
    ("y", -1_048_575, 1_048_575, 2, 2), ("y", None, None, None, None), ("z", 1, 1, 1, 1),
]  # fmt: skip


def measured(rows):
    values = ", ".join(str(row).replace("None", "NULL") for row in rows)
    with open_in_memory() as connection:
        connection.execute(
            "CREATE TABLE people AS SELECT segment_id, a::DOUBLE AS a, b::DOUBLE AS b,"
            " c::DOUBLE AS c, d::DOUBLE AS d, NULL::DOUBLE AS nobody"
            f" FROM (VALUES {values}) t(segment_id, a, b, c, d)"
        )
        return sums_by_segment(connection, "people", COLUMNS)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(SMALL, id="small"),
        pytest.param([*SMALL, ("z", 2.5, 1, 1, 1)], id="one_is_no_whole_number"),
        pytest.param([*SMALL, ("z", 1_048_576, 2**41, 1, 1)], id="one_is_large"),
        pytest.param([("x", 0, 0, 0, 0), ("y", 0, 0, 0, 0)], id="zeros"),
    ],
)
def test_small_whole_numbers_are_summed_up_as_all_others(rows, monkeypatch):
    found = measured(rows)

    monkeypatch.setattr(kpi_sums, "_BITS_OF_SMALL", -2000)
    assert measured(rows) == found
    kinds = {"alone": "heavy", "before": "mean", "ratio": "ratio"}
    for name, kind in kinds.items():
        assert kpi_rows(kind, found[name], 1)[-1]["customers"] == len(rows)


def test_sums_are_those_of_the_values():
    (group,) = measured([("x", 3, 1, 5, 4), ("x", None, 2, 1, 3), ("x", 4, None, 0, 2)])[
        "before"
    ].values()

    unit = group.numerator_scale
    told = {key: value / unit ** key.count("n") / unit ** key.count("p")
            for key, value in group.sums.items() if key != "change"}  # fmt: skip
    assert told == {
        "n": 7, "d": 2, "p": 3, "e": 2, "nn": 25, "nd": 7, "np": 3, "ne": 3, "dd": 2, "dp": 1,
        "de": 1, "pp": 5, "pe": 3, "ee": 2, "nnn": 27 + 64,
    }  # fmt: skip
    assert group.sums["change"] / unit**3 == 2**3 + (-2) ** 3 + 4**3
    assert (group.measured, group.contributing) == (2, 2)


def test_numbers_next_to_nothing_have_sums():
    (group,) = measured([("x", 3e-320, 1, 1e-320, 4)])["ratio"].values()

    assert (group.measured, group.sums["n"]) == (1, 0)
