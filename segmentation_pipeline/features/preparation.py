"""What fitting learned: rows of `encodings` and `scalings`, and what was dropped and why.

A preparation is data. It is stored with the model that was fitted on it, and loaded again on the
nights that keep the model.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from segmentation_pipeline.errors import PreparationError

IS_MISSING = "is_missing"
"""The component of a scaling that stands for the 0/1 column of missing values."""


UNCLIPPED_SUFFIX = ":unclipped"
"""Ends the name of the matrix column with a clipped feature's value before its bounds."""


@dataclass(frozen=True, slots=True)
class EncodingRow:
    """One number of a category's vector; a feature with rows here is a category."""

    feature: str
    category: str | None
    """NULL in the rows for categories that have none of their own."""
    is_other: bool
    component: str
    value: float | None
    """NULL only in `other` rows: then an unknown category counts as missing."""


@dataclass(slots=True)
class Lookup:
    """Category -> vector, of one feature."""

    components: list[str]
    vectors: dict[str, list[float | None]]
    """Category -> a number per component."""
    other: list[float | None]
    """The vector of categories without one of their own."""

    @property
    def is_other_missing(self) -> bool:
        """Whether a category without a vector of its own counts as a missing value."""
        return None in self.other


def gather_lookups(rows: Iterable[EncodingRow]) -> dict[str, Lookup]:
    """Gather encodings as one lookup per feature, in order."""
    found: dict[str, Lookup] = {}
    for row in rows:
        lookup = found.setdefault(row.feature, Lookup([], {}, []))
        if row.category is None:
            lookup.components.append(row.component)
            lookup.other.append(row.value)
        else:
            lookup.vectors.setdefault(row.category, []).append(row.value)
    return found


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One column of the matrix: weight * (clip(fill(x)) - centre) / spread.

    x is the transformed number, or the component of the category's vector; `fill` takes its place
    where it is missing. `lower`, `upper`, `fill`, `centre` and `spread` are in the unit of x.
    """

    column_name: str
    feature: str
    component: str | None
    """NULL for a number; `is_missing` for the 0/1 column of missing values."""
    transform: Literal["none", "log1p"]
    """What a number goes through first; a negative one has no logarithm, and counts as missing."""
    centre: float
    spread: float
    lower: float | None
    upper: float | None
    fill: float
    weight: float
    """What the column is multiplied by: the square root of its share of the squared distance."""

    @property
    def is_clipped(self) -> bool:
        """Whether it has bounds."""
        return self.lower is not None or self.upper is not None


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """A column that entered the matrix or was dropped, and what was noticed about it."""

    feature: str
    column_name: str
    is_kept: bool
    reason: str | None
    """Why it was dropped, or what to know about it although it was kept."""
    missing_share: float
    """Share of customers whose x is missing."""
    distinct_values: int
    """Of the feature, before encoding, among the customers that it was fitted on."""
    unseen_share: float | None
    """Share of a category's values that have no vector of their own; NULL for numbers."""


@dataclass(frozen=True)
class Preparation:
    """Everything that turns engineered features into the matrix."""

    encodings: tuple[EncodingRow, ...]
    scalings: tuple[ScalingRow, ...]
    selection: tuple[SelectionRow, ...]

    @property
    def lookups(self) -> dict[str, Lookup]:
        """The encodings, as a lookup for each feature that is a category."""
        return gather_lookups(self.encodings)

    @property
    def column_names(self) -> list[str]:
        """The columns that distances are made of, in order."""
        return [scaling.column_name for scaling in self.scalings]

    @property
    def unclipped_names(self) -> list[str]:
        """The same columns as they are before their bounds: where there are none, the same."""
        return [
            scaling.column_name + UNCLIPPED_SUFFIX if scaling.is_clipped else scaling.column_name
            for scaling in self.scalings
        ]

    @property
    def digest(self) -> str:
        """SHA-256 of `to_json()`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """Write it as JSON; numbers keep every bit."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Preparation":
        """Read what `to_json` wrote; PreparationError where that is not what it is."""
        try:
            content: dict[str, list[dict[str, Any]]] = json.loads(text)
            return cls(
                encodings=tuple(EncodingRow(**row) for row in content["encodings"]),
                scalings=tuple(ScalingRow(**row) for row in content["scalings"]),
                selection=tuple(SelectionRow(**row) for row in content["selection"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise PreparationError(
                f"the stored preparation cannot be read ({type(error).__name__}): it was written "
                "by another version, or damaged; refit the segmentation"
            ) from None
