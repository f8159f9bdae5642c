"""What the statistics of structure know about a customer: raw features, before preparation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import ClusteringError

Kind = Literal["continuous", "integer", "ordinal", "categorical"]
Matrix = NDArray[np.float64]
Labels = NDArray[np.intp]

NOISE = -1
"""The label of customers in no segment, as in scikit-learn."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFeature:
    """One feature as an analyst knows it, one value per customer.

    `values` are numbers, with NaN where missing; an ordinal feature holds the numbers of its
    levels. Only a categorical feature may hold anything else, with None or NaN where missing.

    Raises:
        ClusteringError: if values are not one-dimensional, or not numbers where they must be.

    """

    name: str
    values: NDArray[Any]
    kind: Kind

    def __post_init__(self) -> None:
        if self.values.ndim != 1:
            raise ClusteringError(f"feature {self.name!r}: values must be one-dimensional")
        if self.kind == "categorical":
            return
        try:
            numbers = self.values.astype(np.float64)
        except (TypeError, ValueError):
            raise ClusteringError(
                f"feature {self.name!r} is {self.kind}, but holds values that are no numbers: "
                "encode it, or declare it categorical"
            ) from None
        if np.isinf(numbers).any():
            raise ClusteringError(f"feature {self.name!r} holds infinite values: clean it first")
        object.__setattr__(self, "values", numbers)

    def missing(self) -> NDArray[np.bool_]:
        """Which customers have no value, shape (n,)."""
        if self.kind != "categorical":
            nan: NDArray[np.bool_] = np.isnan(self.values)
            return nan
        # NaN is the one value that differs from itself.
        return np.array([v is None or v != v for v in self.values], dtype=np.bool_)

    def take(self, rows: NDArray[np.intp]) -> "RawFeature":
        """The same feature of some customers."""
        return replace(self, values=self.values[rows])

    def category_codes(self) -> tuple[NDArray[np.intp], list[str]]:
        """Codes of a categorical feature, shape (n,), -1 where missing, and the sorted names."""
        missing = self.missing()
        names = np.array([str(v) for v in self.values], dtype=np.str_)
        codes = np.full(len(names), -1, dtype=np.intp)
        categories, codes[~missing] = np.unique(names[~missing], return_inverse=True)
        return codes, categories.tolist()


Prepare = Callable[[Sequence[RawFeature]], Matrix]
"""Raw features -> the matrix that is clustered, shape (n, d), finite.

It is called some hundred times with up to a few thousand rows, with values between the levels
of integer and ordinal features, and from several threads: milliseconds, pure, and no fitting of
anything that is slow to fit.
"""


def take_rows(features: Sequence[RawFeature], rows: NDArray[np.intp]) -> list[RawFeature]:
    """The same features of some customers."""
    return [feature.take(rows) for feature in features]


def dithered(feature: RawFeature, rng: np.random.Generator) -> RawFeature:
    """Spread integer and ordinal values evenly over half a step to either side.

    A step is the distance to the nearest other value. Without this the empty space between two
    counts looks like a border between two groups of customers. Categories stay as they are:
    between two of them there is no space to fill.
    """
    if feature.kind not in {"integer", "ordinal"}:
        return feature
    distinct = np.unique(feature.values[~feature.missing()])
    if len(distinct) < 2:
        return feature
    gaps = np.diff(distinct)
    steps = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
    position = np.searchsorted(distinct, feature.values).clip(max=len(distinct) - 1)
    noise = rng.uniform(-0.5, 0.5, len(position)) * steps[position]
    return replace(feature, values=feature.values + noise)
