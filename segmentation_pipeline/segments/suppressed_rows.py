"""Rows of profiles, category shares and crosstabs without what would tell of a small group.

What is made of these rows afterwards, such as labels, importance, traits and reports, can tell no
more than they do. How many customers lack a value of a number stays: it is a figure of the data,
and describes nobody.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from segmentation_pipeline.segments.suppression import (
    completed_counts,
    hidden_cells,
    hidden_groups,
)

Row = dict[str, Any]
Pairs = Mapping[tuple[str, str], int]
"""Two segments -> the customers of both."""

_OF_A_SEGMENT = (
    "customers",
    "missing_share",
    "mean",
    "standard_deviation",
    "median",
    "lower_quartile",
    "upper_quartile",
    "standardised_difference",
)
_OF_ALL = ("overall_mean", "overall_standard_deviation", "standardised_difference")


def suppress_profiles(rows: Iterable[Row], smallest_group: int) -> list[Row]:
    """Withhold the figures of segments in which too few customers have a value.

    A feature of 0 and 1 is a category of two: its mean would give their counts.
    """
    by_feature: dict[str, list[Row]] = {}
    for row in rows:
        by_feature.setdefault(row["feature"], []).append(row)
    return [
        row for found in by_feature.values() for row in _suppressed_feature(found, smallest_group)
    ]


def suppress_shares(rows: Sequence[Row], smallest_group: int) -> Iterator[Row]:
    """Withhold small categories of a segment, and as many others as keep them unknown.

    The rows of a feature must be all combinations of segment and category.
    """
    for _, found in groupby(rows, key=lambda row: str(row["feature"])):
        of_feature = list(found)
        segments = list(dict.fromkeys(row["segment_id"] for row in of_feature))
        categories = list(dict.fromkeys(row["category"] for row in of_feature))
        counts = np.array([row["customers"] for row in of_feature], dtype=np.int64)
        table = counts.reshape(len(segments), len(categories))
        hidden = hidden_cells(table, smallest_group, has_total_row=True)
        for index, row in enumerate(of_feature):
            place = divmod(index, len(categories))
            is_total_hidden = bool(hidden[-1, place[1]])
            yield _without_share(row, is_hidden=bool(hidden[place]), is_total=is_total_hidden)


def hidden_pairs(counted: Pairs, smallest_group: int) -> set[tuple[str, str]]:
    """Choose the pairs of segments to withhold; both sizes are known to readers of `segments`."""
    if not counted:
        return set()
    firsts, seconds = (sorted(set(names)) for names in zip(*counted, strict=True))
    counts = np.array(
        [[counted.get((first, second), 0) for second in seconds] for first in firsts],
        dtype=np.int64,
    )
    hidden = hidden_cells(counts, smallest_group, has_total_row=False)
    return {(firsts[row], seconds[column]) for row, column in np.argwhere(hidden)}


def completed_shares(
    rows: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]
) -> tuple[list[str], list[list[float]]]:
    """Estimate all counts of one categorical feature from what its rows publish.

    `sizes` are the customers of each segment. Returns the segments, and a list of counts for each.
    """
    segments = list(dict.fromkeys(str(row["segment_id"]) for row in rows))
    categories = list(dict.fromkeys(row["category"] for row in rows))
    places = {
        (segment, category): (index, position)
        for index, segment in enumerate(segments)
        for position, category in enumerate(categories)
    }
    known = np.zeros((len(segments), len(categories)))
    totals = np.zeros(len(categories))
    everybody = sum(sizes.values())
    for row in rows:
        place = places[row["segment_id"], row["category"]]
        known[place] = math.nan if row["customers"] is None else row["customers"]
        share = row["overall_share"]
        totals[place[1]] = math.nan if share is None else share * everybody
    of_segments = np.array([sizes[segment] for segment in segments], dtype=np.float64)
    return segments, completed_counts(known, of_segments, totals).tolist()


def _suppressed_feature(rows: list[Row], smallest_group: int) -> Iterator[Row]:
    counts = np.array([row["customers"] for row in rows], dtype=np.int64)
    hidden = hidden_groups(counts, smallest_group)
    is_total_hidden = 0 < int(counts.sum()) < smallest_group
    if _is_zero_or_one(rows[0]):
        ones = [round(row["mean"] * row["customers"]) if row["customers"] else 0 for row in rows]
        cells = hidden_cells(
            np.column_stack([ones, counts - np.array(ones, dtype=np.int64)]).astype(np.int64),
            smallest_group,
            has_total_row=True,
        )
        hidden = np.logical_or(hidden, cells[:-1].any(axis=1))
        is_total_hidden |= bool(cells[-1].any())
    for row, is_hidden in zip(rows, hidden, strict=True):
        withheld = [*(_OF_A_SEGMENT if is_hidden else ()), *(_OF_ALL if is_total_hidden else ())]
        yield row | dict.fromkeys(withheld) | {"is_suppressed": bool(withheld)}


def _is_zero_or_one(row: Row) -> bool:
    """Whether a feature holds only 0 and 1, as its mean and deviation of all tell."""
    mean, deviation = row["overall_mean"], row["overall_standard_deviation"]
    if mean is None or not 0 <= mean <= 1:
        return False
    return math.isclose(deviation**2, mean * (1 - mean), rel_tol=1e-6, abs_tol=1e-12)


def _without_share(row: Row, *, is_hidden: bool, is_total: bool) -> Row:
    withheld = [
        *(("customers", "share", "lift") if is_hidden else ()),
        *(("overall_share", "lift") if is_total else ()),
    ]
    return row | dict.fromkeys(withheld) | {"is_suppressed": bool(withheld)}
