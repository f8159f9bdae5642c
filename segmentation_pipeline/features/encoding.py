"""Categories -> vectors: every encoding is rows of one lookup table."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.preparation import IS_MISSING, EncodingRow, Lookup
from segmentation_pipeline.specification.features import (
    Encoding,
    GivenEncoding,
    OneHotEncoding,
    OrdinalEncoding,
)

Numbers = NDArray[np.float64]

VALUE = "value"
"""The one component of an ordinal encoding."""
OTHER = "other"
"""The component of a one-hot encoding for categories that have none of their own."""


_FEW_CATEGORIES = 20
"""So many never look like identifiers, however few customers there are."""


def encode_categories(
    feature: str, encoding: Encoding | None, values: NDArray[Any]
) -> list[EncodingRow]:
    """Make a vector per category, and the `other` rows for categories without one.

    `values` are the categories of the customers it is fitted on, shape (n,), None where missing;
    only a one-hot encoding (the default) looks at them. A neural encoding looks at other features,
    too: `neural` makes it. Raises PreparationError for a one-hot encoding of what looks like an
    identifier.
    """
    match encoding:
        case OrdinalEncoding(order=list(order)):
            ranks = {category: [float(rank)] for rank, category in enumerate(order, start=1)}
            return encoding_rows(feature, [VALUE], ranks, [None])
        case OrdinalEncoding(values=dict(numbers)):
            vectors = {category: [float(number)] for category, number in numbers.items()}
            return encoding_rows(feature, [VALUE], vectors, [None])
        case GivenEncoding(components=components, vectors=vectors):
            unknown = [None] * len(components)
            return encoding_rows(feature, _component_names(components), vectors, unknown)
        case OneHotEncoding(maximum_categories=maximum):
            return _one_hot(feature, maximum, values)
        case _:
            return _one_hot(feature, OneHotEncoding(kind="one_hot").maximum_categories, values)


def look_up(lookup: Lookup, values: NDArray[Any]) -> tuple[dict[str | None, Numbers], float]:
    """Replace categories by vectors: component -> x, shape (n,), and the unseen share.

    x is NaN where it is missing. The unseen share is that of the values without a vector of their
    own.
    """
    codes = {category: index for index, category in enumerate(lookup.vectors)}
    unseen, missing = len(codes), len(codes) + 1
    rows = np.fromiter(
        (missing if value is None else codes.get(value, unseen) for value in values),
        dtype=np.intp,
        count=len(values),
    )
    nothing = [None] * len(lookup.components)
    table = np.array([*lookup.vectors.values(), lookup.other, nothing], dtype=np.float64)
    columns: dict[str | None, Numbers] = {
        name: table[rows, index] for index, name in enumerate(lookup.components)
    }
    n_present = int(np.count_nonzero(rows != missing))
    return columns, int(np.count_nonzero(rows == unseen)) / max(n_present, 1)


def refuse_identifier(feature: str, counts: Mapping[str, int], maximum: int = 0) -> None:
    """Raise PreparationError where half of the customers have a category that nobody shares.

    `counts` are customers by category; up to `maximum` categories, or 20, are never too many.
    """
    customers = sum(counts.values())
    if len(counts) > max(maximum, _FEW_CATEGORIES, customers / 2):
        raise PreparationError(
            f"feature `{feature}` looks like an identifier: {len(counts)} categories among "
            f"{customers} customers; leave it out, or give its categories an `encoding` of kind "
            "ordinal or given"
        )


def encoding_rows(
    feature: str,
    components: Sequence[str],
    vectors: Mapping[str, Sequence[float]],
    other: Sequence[float | None],
) -> list[EncodingRow]:
    """Write vectors by category, and the one for categories without, as rows; a row a number."""
    rows = [
        EncodingRow(feature, category, False, component, float(value))
        for category, vector in vectors.items()
        for component, value in zip(components, vector, strict=True)
    ]
    rows += [
        EncodingRow(feature, None, True, component, value)
        for component, value in zip(components, other, strict=True)
    ]
    return rows


def _one_hot(feature: str, maximum: int, values: NDArray[Any]) -> list[EncodingRow]:
    counts = Counter(value for value in values if value is not None)
    refuse_identifier(feature, counts, maximum)
    # Ties by name: the order of rows must not decide.
    kept = sorted(sorted(counts), key=lambda category: -counts[category])[:maximum]
    components = dict(zip(kept, _component_names(kept), strict=True))
    if len(counts) > len(kept):
        # A category that is itself called "other" shares its column with the rest.
        components.setdefault(OTHER, OTHER)
    names = list(components.values())
    vectors = {kept_one: _unit_vector(names, components[kept_one]) for kept_one in kept}
    return encoding_rows(feature, names, vectors, _unit_vector(names, OTHER))


def _unit_vector(names: Sequence[str], hot: str) -> list[float]:
    """Put 1 at one name; all zeros if it isn't among them."""
    return [1.0 if name == hot else 0.0 for name in names]


def _component_names(names: Sequence[str]) -> list[str]:
    """Keep a category's or a given component's name, but for the one the pipeline uses itself."""
    return [f"{name}_" if name == IS_MISSING else name for name in names]
