"""A fitted preparation on its way from the step that fits it to the step that fits a model on it.

The model keeps it then, so that the nights that keep the model prepare alike.
"""

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.participation import fitting_features
from segmentation_pipeline.features.preparation import Preparation
from segmentation_pipeline.features.sample import read_feature_sample
from segmentation_pipeline.features.selection import select_features
from segmentation_pipeline.specification.customers import Limits
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_table


def fit_on_sample(
    connection: Connection, name: str, spec: SegmentationSpec, limits: Limits
) -> Preparation:
    """Fit a segmentation's preparation on its customers, on a sample where there are too many."""
    clustered = [feature for feature, how in spec.features.items() if how.use == "clustering"]
    sample = read_feature_sample(
        connection,
        fitting_features(name, spec),
        clustered,
        spec.clustering.seed,
        limits.sample_customers,
    )
    return select_features(fit_preparation(sample, spec), sample, spec)


def keep_preparation(
    connection: Connection, name: str, preparation: Preparation, build: Build
) -> None:
    """Write the preparation in force tonight to `<name>.preparation`: one row, one JSON text."""
    query = f"SELECT {literal(preparation.to_json())} AS preparation"
    write_table(connection, Table(name, "preparation"), query, build)


def kept_preparation(connection: Connection, name: str) -> Preparation:
    """Read the preparation that `keep_preparation` wrote."""
    table = Table(name, "preparation")
    found = connection.execute(f"SELECT preparation FROM {table.sql}").fetchall()
    if len(found) != 1:
        raise PreparationError(f"{table} has {len(found)} rows, not one: prepare features again")
    return Preparation.from_json(found[0][0])
