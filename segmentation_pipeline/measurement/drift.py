"""How far tonight's customers are from those that the model in force was fitted on.

What belongs here: the tables `feature_drift` and `model_drift` of a night, and which model it looks
at. What follows from them belongs to `refit_decision`.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.registry import found_champion, load_champion
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.features.participation import fitting_features
from segmentation_pipeline.measurement.refit_rules import FeatureFigures, feature_level
from segmentation_pipeline.measurement.training_reference import (
    FeatureCounts,
    FeatureReference,
    TrainingReference,
    count_features,
    median_distance,
    reference_of,
)
from segmentation_pipeline.specification.home import Home, fitting_digest
from segmentation_pipeline.specification.refit import Refit
from segmentation_pipeline.validation.stability_index import stability_index
from segmentation_pipeline.warehouse import Build, Connection, Table, column_types, write_rows

FEATURE_DRIFT, MODEL_DRIFT = "feature_drift", "model_drift"
_DIGITS = 6
"""Of what is published: sums of a matrix may differ in their last bits from machine to machine."""
_FEATURES_SCHEMA = pa.schema(
    {
        "feature": pa.string(),
        "psi": pa.float64(),
        "psi_floor": pa.float64(),
        "missing_share": pa.float64(),
        "reference_missing_share": pa.float64(),
        "new_category_share": pa.float64(),
        "level": pa.string(),
        "reason": pa.string(),
        "customers": pa.int64(),
        "reference_customers": pa.int64(),
        "reference_date": pa.date32(),
        "reference_model_version": pa.int32(),
    }
)
_MODEL_SCHEMA = pa.schema(
    {
        "model_version": pa.int32(),
        "fitted_date": pa.date32(),
        "is_specification_changed": pa.bool_(),
        "has_reference": pa.bool_(),
        "median_distance_ratio": pa.float64(),
    }
)


@dataclass(frozen=True)
class ModelDrift:
    """Which model a night looked at, and how far its customers are from its segments.

    `fitted` is the date of the customers that it was fitted on. Where its specification was
    changed, features and distances aren't compared: they may be others under the same names.
    """

    model_version: int
    fitted: dt.date
    is_specification_changed: bool
    has_reference: bool
    median_distance_ratio: float | None


def make_feature_drift(connection: Connection, home: Home, name: str, build: Build) -> int:
    """Write the night's `feature_drift`, and `model_drift`, which isn't published.

    The model that is looked at is the one that the night finds in force, whatever it has fitted at
    once since: a date that is run again finds the same. Returns the rows of `feature_drift`.

    Raises PreparationError where a feature is of another kind than when the model was fitted, and
    ClusteringError where the model's files were altered.
    """
    judged = found_model(connection, home, name, build.as_of)
    if judged is None:
        write_rows(connection, Table(name, MODEL_DRIFT), _MODEL_SCHEMA, [], build)
        return write_rows(connection, Table(name, FEATURE_DRIFT), _FEATURES_SCHEMA, [], build)
    spec = home.segmentations[name]
    is_changed = judged.record.specification_digest != fitting_digest(spec)
    reference = reference_of(judged.model)
    rows: list[dict[str, Any]] = []
    ratio = None
    if reference is not None and not is_changed:
        table = fitting_features(name, spec)
        preparation = Preparation.from_json(judged.preparation)
        check_features(preparation, name, column_types(connection, table))
        customers, counted = count_features(connection, table, reference.features)
        rows = feature_rows(reference, customers, counted, spec.refit)
        distance = median_distance(
            connection, name, spec, judged.model, home.customers.limits.threads or 2
        )
        if distance is not None and reference.median_distance is not None:
            ratio = round(distance / reference.median_distance, _DIGITS)
    model = {
        "model_version": judged.record.model_version,
        "fitted_date": judged.record.as_of if reference is None else reference.as_of,
        "is_specification_changed": is_changed,
        "has_reference": reference is not None,
        "median_distance_ratio": ratio,
    }
    write_rows(connection, Table(name, MODEL_DRIFT), _MODEL_SCHEMA, [model], build)
    version = {"reference_model_version": judged.record.model_version}
    table = Table(name, FEATURE_DRIFT)
    return write_rows(connection, table, _FEATURES_SCHEMA, [row | version for row in rows], build)


def found_model(connection: Connection, home: Home, name: str, night: dt.date) -> Champion | None:
    """Load the model that a night finds in force; None on the first one.

    Raises ClusteringError where its files were altered.
    """
    record = found_champion(connection, name, night)
    return None if record is None else Champion(record, load_champion(home.models, record))


def read_model_drift(connection: Connection, name: str) -> ModelDrift | None:
    """Read the night's `model_drift`; None where the night found no model."""
    columns = ", ".join(_MODEL_SCHEMA.names)
    found = connection.execute(f"SELECT {columns} FROM {Table(name, MODEL_DRIFT).sql}").fetchall()
    return ModelDrift(*found[0]) if found else None


def read_feature_figures(connection: Connection, name: str) -> list[FeatureFigures]:
    """Read the night's `feature_drift`, as far as decisions need it."""
    columns = "feature, psi, psi_floor, missing_share, reference_missing_share, new_category_share"
    table = Table(name, FEATURE_DRIFT)
    found = connection.execute(f"SELECT {columns} FROM {table.sql} ORDER BY feature").fetchall()
    return [FeatureFigures(*row) for row in found]


def feature_rows(
    reference: TrainingReference,
    customers: int,
    counted: Mapping[str, FeatureCounts],
    rules: Refit,
) -> list[dict[str, Any]]:
    """Make the rows of `feature_drift` from tonight's counts, the version of the model left out."""
    rows = []
    for feature, trained in reference.features.items():
        figures = _figures(feature, trained, reference.customers, counted[feature], customers)
        level, reason = feature_level(figures, rules)
        rows.append(
            {
                "feature": feature,
                "psi": figures.psi,
                "psi_floor": figures.floor,
                "missing_share": figures.missing_share,
                "reference_missing_share": figures.reference_missing_share,
                "new_category_share": figures.new_category_share,
                "level": level,
                "reason": reason,
                "customers": customers,
                "reference_customers": reference.customers,
                "reference_date": reference.as_of,
            }
        )
    return rows


def _figures(
    feature: str,
    trained: FeatureReference,
    trained_customers: int,
    counted: FeatureCounts,
    customers: int,
) -> FeatureFigures:
    index = stability_index(trained.counts, counted.counts)
    new = None
    if trained.is_category:
        # Some were rare already when the model was fitted.
        unknown = _share(counted.unknown, sum(counted.counts))
        new = max(0.0, unknown - _share(trained.rare, sum(trained.counts)))
    return FeatureFigures(
        feature=feature,
        psi=None if index is None else round(index.psi, _DIGITS),
        floor=None if index is None else round(index.floor, _DIGITS),
        missing_share=_share(counted.missing, customers),
        reference_missing_share=_share(trained.missing, trained_customers),
        new_category_share=new,
    )


def _share(count: int, customers: int) -> float:
    return count / customers if customers else 0.0
