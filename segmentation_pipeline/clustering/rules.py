"""Segments that business defines: SQL predicates, or a grid of recency, frequency and money.

What belongs here: how rules become a model, and how DuckDB applies it. Such a model has neither
centres nor distances; identity, profiles and measurement are those of any other.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features.sample import FeatureSample, sample_sql
from segmentation_pipeline.specification.clustering import RfmGrid, Rule
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.warehouse import Connection, Table, literal, quote

_INITIALS = {"recency": "R", "frequency": "F", "monetary": "M"}


def rules_model(rules: Sequence[Rule] | RfmGrid, sample: FeatureSample) -> SegmentModel:
    """Make the model of a segmentation's rules.

    `parameters` hold `names` and `predicates`, in the order in which they are tried. A grid's
    levels are cut at quantiles of `sample` (its features' values), kept as arrays, from 1 (long
    ago, seldom, little) to the number of levels; a value that is missing has level 1. Its segments
    are called by their levels, such as `R3 F1 M2`. Cells that hold nobody of the sample are
    segments all the same: tomorrow they may hold somebody.

    Raises ClusteringError where a feature of a grid has fewer distinct values than levels.
    """
    if isinstance(rules, RfmGrid):
        return _grid_model(rules, sample)
    names = [rule.name for rule in rules]
    predicates = [rule.where for rule in rules]
    features = dict.fromkeys(name for where in predicates for name in referenced_columns(where))
    return _model(names, predicates, tuple(features), {})


def rule_names(model: SegmentModel) -> list[str]:
    """Tell what a model's segments are called by its rules; nothing of other models."""
    names = model.parameters.get("names", [])
    return [str(name) for name in names] if isinstance(names, list) else []


def rules_assignment_sql(model: SegmentModel, relation_sql: str) -> str:
    """Write the SELECT of `assignment.assignment_schema` that applies a model of rules.

    A customer belongs to the first rule that holds; one for whom none does is noise. A predicate
    that can't be computed (a NULL, a cast that fails) doesn't hold.
    """
    return (
        f"SELECT customer_id, {_label_sql(model)} AS raw_segment, CAST(NULL AS DOUBLE) AS distance,"
        " CAST(NULL AS DOUBLE) AS margin, CAST(NULL AS DOUBLE) AS probability,"
        " CAST(NULL AS INTEGER) AS runner_up, false AS is_borderline, false AS is_outlier"
        f" FROM {relation_sql}"
    )


def rule_labels(
    connection: Connection, model: SegmentModel, table: Table, *, seed: int, limit: int
) -> NDArray[np.int32]:
    """Label (n,) the customers of the seeded sample of `features.sample`, in its order."""
    query = sample_sql(table.sql, [_label_sql(model)], seed, limit)
    found = connection.execute(query).fetchnumpy()
    (labels,) = found.values()
    return np.asarray(labels, dtype=np.int32)


def _grid_model(grid: RfmGrid, sample: FeatureSample) -> SegmentModel:
    features = {
        "recency": grid.recency,
        "frequency": grid.frequency,
        "monetary": grid.monetary,
    }
    shares = np.arange(1, grid.levels) / grid.levels
    cuts: dict[str, NDArray[np.float64]] = {}
    for part, feature in features.items():
        values = sample.values[feature].astype(np.float64)
        present = values[~np.isnan(values)]
        found = np.unique(np.quantile(present, shares)) if len(present) else np.empty(0)
        # Fewer is better of recency: its cuts are of the negative, so that all three rise.
        cuts[part] = np.sort(-found) if part == "recency" else found
        if len(found) < grid.levels - 1:
            raise ClusteringError(
                f"`rules`: {part} (`{feature}`) can't be cut into {grid.levels} levels, since too "
                "many customers have the same value: take fewer levels, or predicates of your own"
            )
    names, predicates = [], []
    for levels in product(range(grid.levels, 0, -1), repeat=3):
        cell = dict(zip(features, levels, strict=True))
        names.append(" ".join(f"{_INITIALS[part]}{level}" for part, level in cell.items()))
        predicates.append(
            " AND ".join(
                f"{_level_sql(part, feature, cuts[part])} = {cell[part]}"
                for part, feature in features.items()
            )
        )
    arrays = {f"{part}_cuts": values for part, values in cuts.items()}
    return _model(names, predicates, tuple(features.values()), arrays)


def _level_sql(part: str, feature: str, cuts: NDArray[np.float64]) -> str:
    value = f"-{quote(feature)}" if part == "recency" else quote(feature)
    steps = [f"coalesce({value} > {literal(float(cut))}, false)::INTEGER" for cut in cuts]
    return f"(1 + {' + '.join(steps)})"


def _model(
    names: Sequence[str],
    predicates: Sequence[str],
    feature_names: tuple[str, ...],
    arrays: Mapping[str, NDArray[Any]],
) -> SegmentModel:
    return SegmentModel(
        algorithm="rules",
        metric="euclidean",
        feature_names=feature_names,
        arrays=arrays,
        parameters={
            "segments": len(names),
            "names": list(names),
            "predicates": list(predicates),
        },
    )


def _label_sql(model: SegmentModel) -> str:
    predicates = model.parameters["predicates"]
    if not isinstance(predicates, list):
        raise ClusteringError("a model of rules has a list of predicates")
    cases = " ".join(
        f"WHEN TRY(({predicate}\n)) THEN {label}" for label, predicate in enumerate(predicates)
    )
    return f"CAST(CASE {cases} ELSE {NOISE} END AS INTEGER)"
