"""`segment_traits`: the traits of each segment, with their figures and a sentence.

What belongs here: where traits are read from. The figures told are cells of `segment_profiles` and
`segment_category_shares`, so that what is withheld there is not told here; which of them are traits
belongs to `traits`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.segments.identity import noise_id
from segmentation_pipeline.segments.outside import described_customers
from segmentation_pipeline.segments.resampling import SegmentSample, resample
from segmentation_pipeline.segments.segment_sample import read_segment_sample, segment_sizes
from segmentation_pipeline.segments.telling import (
    CategoryCell,
    category_cells,
    telling_categories,
)
from segmentation_pipeline.segments.traits import Trait, told_traits
from segmentation_pipeline.segments.wording import trait_sentence
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    literal,
    quote,
    write_rows,
)

_MOST_CUSTOMERS = 2_000
_FEWEST_CUSTOMERS = 50
_MOST_NUMBERS = 20_000_000

_SCHEMA = pa.schema(
    {
        "segment_id": pa.string(),
        "rank": pa.int32(),
        "kind": pa.string(),
        "feature": pa.string(),
        "category": pa.string(),
        "criterion": pa.string(),
        "use": pa.string(),
        "value": pa.float64(),
        "overall_value": pa.float64(),
        "effect": pa.float64(),
        "effect_lower": pa.float64(),
        "effect_upper": pa.float64(),
        "top_five_share": pa.float64(),
        "name_place": pa.int32(),
        "sentence": pa.string(),
    }
)


def make_segment_traits(
    connection: Connection, name: str, spec: SegmentationSpec, smallest_group: int, build: Build
) -> int:
    """Write `segment_traits` from the profiles, the shares and a sample; returns its rows.

    Up to 2,000 customers of each segment are resampled; fewer where there are very many segments
    and features, so that they fit into memory. Noise has no traits: it is no segment.
    """
    noise = noise_id(name)
    members = described_customers(name, spec)
    sizes = segment_sizes(connection, members)
    profiles = _rows(connection, Table(name, "segment_profiles"))
    shares = _rows(connection, Table(name, "segment_category_shares"))
    cells = category_cells(shares, sizes)
    candidates = [
        *_numbers([row for row in profiles if row["segment_id"] != noise], smallest_group),
        *_categories([cell for cell in cells if cell.segment_id != noise], smallest_group),
    ]
    columns = list(dict.fromkeys(trait.column for trait in candidates))
    traits: list[Trait] = []
    if columns:
        features = Table(name, "engineered_features")
        samples = _samples(connection, members, features, columns, sizes, seed=spec.clustering.seed)
        for resampled in resample(samples, seed=spec.clustering.seed):
            own = [t for t in candidates if t.segment_id == resampled.segment_id]
            places = [columns.index(trait.column) for trait in own]
            if own:
                traits += told_traits(own, resampled, places, list(spec.features))
    types = column_types(connection, Table(name, "engineered_features"))
    rows = list(_trait_rows(traits, spec, types))
    return write_rows(connection, Table(name, "segment_traits"), _SCHEMA, rows, build)


def _numbers(profiles: Sequence[Mapping[str, Any]], smallest_group: int) -> Iterator[Trait]:
    """Numbers that may be told: of at least so many customers, and not suppressed."""
    for row in profiles:
        if row["mean"] is None or row["overall_mean"] is None or not row["customers"]:
            continue
        if row["customers"] < smallest_group:
            continue
        difference = row["standardised_difference"]
        if difference is None:
            # Neither the segment nor the others vary: they differ entirely, or not at all.
            gap = row["mean"] - row["overall_mean"]
            is_gap = abs(gap) > 1e-9 * max(abs(row["mean"]), abs(row["overall_mean"]))
            difference = math.copysign(math.inf, gap) if is_gap else 0.0
        yield Trait(
            row["segment_id"],
            row["feature"],
            None,
            row["use"],
            row["mean"],
            row["overall_mean"],
            difference,
            difference,
        )


def _categories(cells: Sequence[CategoryCell], smallest_group: int) -> Iterator[Trait]:
    for cell in telling_categories(cells, smallest_group).values():
        yield Trait(
            cell.segment_id,
            cell.feature,
            cell.category,
            cell.use,
            cell.share,
            cell.overall_share,
            cell.lift,
            cell.difference,
        )


def _samples(
    connection: Connection,
    members: Table,
    features: Table,
    columns: Sequence[tuple[str, str | None]],
    sizes: Mapping[str, int],
    *,
    seed: int,
) -> list[SegmentSample]:
    """Read each segment's sample: numbers, and of a category whether a customer is in it."""
    fitting = _MOST_NUMBERS // (len(columns) * len(sizes))
    found = read_segment_sample(
        connection,
        members,
        f"JOIN {features.sql} AS features USING (customer_id)",
        [
            f"CAST(features.{quote(feature)} AS DOUBLE)"
            if category is None
            else f"coalesce(features.{quote(feature)} = {literal(category)}, FALSE)::DOUBLE"
            for feature, category in columns
        ],
        sizes,
        seed=seed,
        limit=max(_FEWEST_CUSTOMERS, min(_MOST_CUSTOMERS, fitting)),
    )
    ids = found.column(0).to_numpy()
    values = np.column_stack([column.to_numpy().astype(np.float64) for column in found.columns[1:]])
    # Infinite values are possible nowhere: preparation makes them missing.
    starts = [int(at) for at in np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]])]
    ends = [*starts[1:], len(ids)]
    return [
        SegmentSample(str(ids[start]), sizes[str(ids[start])], values[start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


def _trait_rows(
    traits: Sequence[Trait], spec: SegmentationSpec, types: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    ranks: dict[str, int] = {}
    for trait in traits:
        ranks[trait.segment_id] = ranks.get(trait.segment_id, 0) + 1
        feature = spec.features[trait.feature]
        effects = {
            key: value if math.isfinite(value := getattr(trait, key)) else None
            for key in ("effect", "effect_lower", "effect_upper")
        }
        yield {
            "segment_id": trait.segment_id,
            "rank": ranks[trait.segment_id],
            "kind": "number" if trait.category is None else "category",
            "feature": trait.feature,
            "category": trait.category,
            "criterion": feature.criterion,
            "use": trait.use,
            "value": trait.value,
            "overall_value": trait.overall_value,
            **effects,
            "top_five_share": trait.top_five_share,
            "name_place": trait.name_place,
            "sentence": trait_sentence(
                trait.feature,
                feature,
                trait.category,
                trait.value,
                trait.overall_value,
                trait.difference,
                is_boolean=types[trait.feature] == "BOOLEAN",
            ),
        }


def _rows(connection: Connection, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = connection.sql(f"FROM {table.sql}").to_arrow_table().to_pylist()
    return rows
