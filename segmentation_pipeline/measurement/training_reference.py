"""The customers that a model was fitted on, as far as later nights are compared with them.

What belongs here: bins, counts and the median distance, how they are taken, and their way into the
model and back. What a difference means belongs to `stability_index` and `refit_rules`.
"""

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.families import assigner_of
from segmentation_pipeline.clustering.fitted_model import distance_percentiles
from segmentation_pipeline.clustering.model import SegmentModel, replace_parameters
from segmentation_pipeline.features import Preparation, read_feature_sample
from segmentation_pipeline.features.participation import fitting_features
from segmentation_pipeline.features.sample import sample_sql
from segmentation_pipeline.features.sample_keys import first_key_beyond, kept_keys
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    count_rows,
    literal,
    quote,
    read_batches,
)

BINS = 10
KNOWN_CATEGORIES = 1_000
"""So many categories of a feature are told from new ones, the most frequent first."""
DISTANCE_CUSTOMERS = 10_000
"""The median distance is that of so many customers: it is then known to about one percent."""

_PARAMETER = "training_reference"


@dataclass(frozen=True)
class FeatureReference:
    """One feature of the customers that a model was fitted on.

    A number's bins end at `cuts` (each included), the last has no end; a category's are
    `categories`, and one for all others. `counts` are of customers with a value, per bin. `known`
    are a category's values that customers share, those of the bins among them; `rare` customers
    have another one. What only a few have is not kept: a model is no place for it.
    """

    is_category: bool
    cuts: tuple[float, ...]
    categories: tuple[str, ...]
    known: tuple[str, ...]
    counts: tuple[int, ...]
    rare: int
    missing: int


@dataclass(frozen=True)
class FeatureCounts:
    """A feature of tonight's customers, in the bins of its reference."""

    counts: tuple[int, ...]
    unknown: int
    missing: int


@dataclass(frozen=True)
class TrainingReference:
    """What tonight's customers are compared with.

    `as_of` is the date of the customers, `median_distance` that to the own segment in the model's
    metric, None where the model has none, or where it is 0.
    """

    as_of: dt.date
    customers: int
    median_distance: float | None
    features: Mapping[str, FeatureReference]


def learn_reference(
    connection: Connection, home: Home, name: str, model: SegmentModel, build: Build
) -> SegmentModel:
    """Add to a model the customers that it is fitted on tonight, as a later night's reference.

    The bins of a number are cut at the deciles of the sample that fits are made on, repeated ones
    merged; of a category, the nine most frequent ones are bins. Counts are of all customers.
    """
    spec, limits = home.segmentations[name], home.customers.limits
    customers, features = reference_features(
        connection,
        fitting_features(name, spec),
        _clustered(model),
        seed=spec.clustering.seed,
        limit=limits.sample_customers,
        smallest_group=limits.smallest_group,
    )
    distance = median_distance(connection, name, spec, model, limits.threads or 2)
    reference = TrainingReference(build.as_of, customers, distance, features)
    return replace_parameters(model, {_PARAMETER: _to_json(reference)})


def reference_features(
    connection: Connection,
    table: Table,
    features: Sequence[str],
    *,
    seed: int,
    limit: int,
    smallest_group: int,
) -> tuple[int, dict[str, FeatureReference]]:
    """Cut the features of a table's customers into bins, by a sample, and count all of them.

    Categories of fewer than `smallest_group` customers of the sample are not told apart.
    """
    sample = read_feature_sample(connection, table, features, seed, limit)
    empty = {feature: _bins(sample.values[feature], smallest_group) for feature in features}
    customers, counted = count_features(connection, table, empty)
    return customers, {
        feature: replace(
            bins,
            counts=counted[feature].counts,
            rare=counted[feature].unknown,
            missing=counted[feature].missing,
        )
        for feature, bins in empty.items()
    }


def reference_of(model: SegmentModel) -> TrainingReference | None:
    """Read the reference of a model; None of a model that was made by an earlier release."""
    found = model.parameters.get(_PARAMETER)
    if not isinstance(found, Mapping):
        return None
    content: Mapping[str, Any] = found
    return TrainingReference(
        as_of=dt.date.fromisoformat(content["as_of"]),
        customers=content["customers"],
        median_distance=content["median_distance"],
        features={
            feature: FeatureReference(
                is_category=bins["is_category"],
                cuts=tuple(bins["cuts"]),
                categories=tuple(bins["categories"]),
                known=tuple(bins["known"]),
                counts=tuple(bins["counts"]),
                rare=bins["rare"],
                missing=bins["missing"],
            )
            for feature, bins in content["features"].items()
        },
    )


def count_features(
    connection: Connection, table: Table, features: Mapping[str, FeatureReference]
) -> tuple[int, dict[str, FeatureCounts]]:
    """Count all customers of a table, and their values per bin.

    Counts are whole numbers: neither threads nor the order of rows changes them.
    """
    numbers = {feature: bins for feature, bins in features.items() if not bins.is_category}
    categories = {feature: bins for feature, bins in features.items() if bins.is_category}
    terms = [term for feature, bins in numbers.items() for term in _numbers_sql(feature, bins)]
    parts = [f"(SELECT {', '.join(['count(*)', *terms])} FROM {table.sql})"]
    parts += [_categories_sql(feature, bins, table) for feature, bins in categories.items()]
    found = connection.execute(f"SELECT * FROM {', '.join(parts)}").fetchall()[0]
    customers, *rest = (int(one or 0) for one in found)
    counted = {}
    for feature, bins in numbers.items():
        # Sums up to each cut, which DuckDB makes three times faster than counts of each bin.
        present, *below = rest[: len(bins.cuts) + 1]
        rest = rest[len(bins.cuts) + 1 :]
        counts = tuple(np.diff([0, *below, present]).tolist())
        counted[feature] = FeatureCounts(counts, 0, customers - present)
    for feature, bins in categories.items():
        width = len(bins.categories) + 2
        present, *each, unknown = rest[:width]
        rest = rest[width:]
        counts = (*each, present - sum(each))
        counted[feature] = FeatureCounts(counts, unknown, customers - present)
    return customers, counted


def median_distance(
    connection: Connection, name: str, spec: SegmentationSpec, model: SegmentModel, threads: int
) -> float | None:
    """Measure the median distance of tonight's customers to the segment that is nearest to them.

    It is taken before clip bounds, in the model's own preparation and metric, on the customers with
    the smallest hashes. None of rules, which have no distance, and where it is 0.
    """
    if model.algorithm == "rules":
        return None
    preparation = Preparation.from_json(str(model.parameters["preparation"]))
    table = fitting_features(name, spec)
    key = first_key_beyond(DISTANCE_CUSTOMERS, count_rows(connection, table))
    # Features that were dropped for being the same of everybody are looked up all the same.
    fitted = dict.fromkeys(row.feature for row in preparation.selection)
    wanted = ["customer_id", *map(quote, fitted)]
    seed = spec.clustering.seed
    keys = kept_keys(connection, table, seed, key)
    sample = sample_sql(table.sql, wanted, seed, DISTANCE_CUSTOMERS, key, keys)
    columns, unclipped = preparation.column_names, preparation.unclipped_names
    listed = ", ".join(map(quote, dict.fromkeys([*columns, *unclipped])))
    query = (
        f"SELECT {listed} FROM ({feature_matrix_sql(preparation, f'({sample})')})"
        " ORDER BY customer_id"
    )
    matrix, bare = _read(connection, query, columns, unclipped)
    if not len(matrix):
        return None
    percentiles = distance_percentiles(
        assigner_of(model),
        matrix,
        unclipped=bare if unclipped != columns else None,
        workers=threads,
    )
    return float(percentiles[0, 1]) or None


def _read(
    connection: Connection, query: str, columns: Sequence[str], unclipped: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    frame = read_batches(connection, query).read_all()
    parts = (
        np.column_stack([frame.column(name).to_numpy() for name in names]).astype(np.float64)
        for names in (columns, unclipped)
    )
    return next(parts), next(parts)


def _clustered(model: SegmentModel) -> list[str]:
    """Name the features that a model's distances are made of."""
    preparation = Preparation.from_json(str(model.parameters["preparation"]))
    return list(dict.fromkeys(row.feature for row in preparation.scalings))


def _bins(values: NDArray[Any], smallest_group: int) -> FeatureReference:
    """Cut a feature's values, (n,), into bins that nobody has been counted in yet."""
    if values.dtype == object:
        seen = Counter(str(value) for value in values if value is not None)
        shared = [category for category, customers in seen.items() if customers >= smallest_group]
        shared.sort(key=lambda category: (-seen[category], category))
        known = tuple(shared[:KNOWN_CATEGORIES])
        return FeatureReference(True, (), known[: BINS - 1], known, (), 0, 0)
    present = values[~np.isnan(values)]
    if not len(present):
        return FeatureReference(False, (), (), (), (), 0, 0)
    # Values that occur: an interpolated cut between two counts would be as arbitrary as its bits.
    deciles = np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf")
    cuts = [float(cut) for cut in np.unique(deciles) if cut < present.max()]
    return FeatureReference(False, tuple(cuts), (), (), (), 0, 0)


def _numbers_sql(feature: str, bins: FeatureReference) -> list[str]:
    """Write the aggregates of a number: how many have it, then how many up to each cut."""
    value = f"CAST({quote(feature)} AS DOUBLE)"
    return [f"count({value})", *(f"sum(({value} <= {literal(cut)})::INT)" for cut in bins.cuts)]


def _categories_sql(feature: str, bins: FeatureReference, table: Table) -> str:
    """Write the row of a category: how many have a value, then each bin's, then unknown ones.

    DuckDB groups a column of few values much faster than it compares each with texts.
    """
    known = ", ".join(map(literal, bins.known))
    conditions = [
        "category IS NOT NULL",
        *(f"category = {literal(one)}" for one in bins.categories),
        f"category NOT IN ({known})" if known else "category IS NOT NULL",
    ]
    counts = ", ".join(f"sum(customers) FILTER ({one})" for one in conditions)
    return (
        f"(SELECT {counts} FROM (SELECT {quote(feature)} AS category, count(*) AS customers"
        f" FROM {table.sql} GROUP BY category))"
    )


def _to_json(reference: TrainingReference) -> dict[str, Any]:
    content = asdict(reference)
    content["as_of"] = reference.as_of.isoformat()
    for bins in content["features"].values():
        bins.update({key: list(one) for key, one in bins.items() if isinstance(one, tuple)})
    return content
