"""Which categories set a segment apart beyond chance, and by how much a share is worth telling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.segments.profiles import TELLING_DIFFERENCE
from segmentation_pipeline.specification.columns import MISSING_CATEGORY

SIGNIFICANCE = 0.05
TELLING_LIFT = 1.25
"""A share is worth telling from a quarter more than everybody's, or a fifth less, on."""


@dataclass(frozen=True, slots=True)
class CategoryCell:
    """How many customers of a segment are in a category, next to everybody."""

    segment_id: str
    feature: str
    category: str
    use: str
    customers: int
    segment_customers: int
    everybody_in_category: int
    everybody: int
    share: float
    overall_share: float
    lift: float

    @property
    def difference(self) -> float:
        """Standardised difference of the 0/1 indicator, inside against outside.

        (p - q) / sqrt(pooled p (1 - p)), so that categories can be compared with numbers; infinite
        where all inside are in the category and nobody outside, or the other way round.
        """
        outside = self.everybody - self.segment_customers
        if not outside:
            return 0.0
        p = self.customers / self.segment_customers
        q = (self.everybody_in_category - self.customers) / outside
        pooled = (self.segment_customers * p * (1 - p) + outside * q * (1 - q)) / self.everybody
        if p == q:
            return 0.0
        return (p - q) / math.sqrt(pooled) if pooled > 0 else math.copysign(math.inf, p - q)


def category_cells(
    shares: Sequence[Mapping[str, Any]], sizes: Mapping[str, int]
) -> list[CategoryCell]:
    """Gather the cells of `segment_category_shares` that may be tested.

    `sizes` are the customers of every segment, noise included. Missing values are no category: that
    somebody didn't answer is about the data. A cell that is suppressed, or whose total is, is left
    out.
    """
    everybody = sum(sizes.values())
    return [
        CategoryCell(
            row["segment_id"],
            row["feature"],
            row["category"],
            row["use"],
            row["customers"],
            sizes[row["segment_id"]],
            round(row["overall_share"] * everybody),
            everybody,
            row["share"],
            row["overall_share"],
            row["lift"],
        )
        for row in shares
        if row["category"] != MISSING_CATEGORY
        and row["customers"] is not None
        and row["lift"] is not None
    ]


def chance_of_counts(cells: Sequence[CategoryCell]) -> NDArray[np.float64]:
    """Compute Fisher's exact p of each cell, twice the smaller tail, shape (cells,)."""
    from scipy.stats import hypergeom

    counts = np.array([cell.customers for cell in cells], dtype=np.float64)
    parameters = (
        np.array([cell.everybody for cell in cells], dtype=np.float64),
        np.array([cell.everybody_in_category for cell in cells], dtype=np.float64),
        np.array([cell.segment_customers for cell in cells], dtype=np.float64),
    )
    if not cells:
        return counts
    upper = hypergeom.sf(counts - 1, *parameters)
    lower = hypergeom.cdf(counts, *parameters)
    found: NDArray[np.float64] = np.minimum(1.0, 2 * np.minimum(upper, lower))
    return found


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p values for being many (Holm 1979): reject where the result is below alpha.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = p.argsort(kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def telling_categories(
    cells: Sequence[CategoryCell], smallest_group: int
) -> dict[tuple[str, str], CategoryCell]:
    """Choose the category of each segment and feature that is told, where there is one.

    All cells are tested together; one is told if its corrected p is below 5 %, its lift is worth
    telling, its difference is (as of a number), and `smallest_group` customers are in it. Of
    several, what is more frequent than elsewhere goes before what is rarer, then the larger
    difference.
    """
    tested = [cell for cell in cells if cell.everybody_in_category < cell.everybody]
    corrected = holm(chance_of_counts(tested))
    told: dict[tuple[str, str], CategoryCell] = {}
    for cell, p in zip(tested, corrected, strict=True):
        is_worth = cell.lift >= TELLING_LIFT or cell.lift <= 1 / TELLING_LIFT
        if (
            p >= SIGNIFICANCE
            or not is_worth
            or abs(cell.difference) < TELLING_DIFFERENCE
            or cell.customers < smallest_group
        ):
            continue
        key = (cell.segment_id, cell.feature)
        if key not in told or _preference(cell) > _preference(told[key]):
            told[key] = cell
    return told


def _preference(cell: CategoryCell) -> tuple[bool, float]:
    return cell.lift > 1, abs(cell.difference)
