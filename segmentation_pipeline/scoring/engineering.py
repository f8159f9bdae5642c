"""The features of an input, and the prepared ones: the night's own code on a private warehouse."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.features.engineered import feature_types, make_engineered_features
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.features.participation import (
    customers_of_part_sql,
    features_of_typed,
    grouped_features,
)
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.scoring.columns import (
    InputColumns,
    customers_sql,
    missing_columns,
    needed_features,
    no_events_sql,
    scoring_spec,
    unchecked_conditions,
)
from segmentation_pipeline.scoring.customers import CUSTOMERS
from segmentation_pipeline.scoring.published_model import PublishedModel
from segmentation_pipeline.segments.hysteresis import PREVIOUS
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    literal,
    quote,
    write_table,
)

LACKING = "lacking features"
"""Column: how many of the features that typing reads have no value."""


@dataclass(frozen=True)
class Engineered:
    """The features of those who take part, and what to say of it.

    `grouped` holds those of the customers who are grouped by them. `query` selects these:
    `customer_id`, the columns of the feature matrix, and each of `features` as `value_column` names
    it. `typed` selects those who are typed: `customer_id`, the columns that typing reads,
    `hysteresis.PREVIOUS`, and `LACKING`; None where nobody is. `ineligible` selects the
    `customer_id` of who is not eligible.
    """

    grouped: Table
    query: str
    typed: str | None
    ineligible: str | None
    features: Mapping[str, FeatureSpec]
    customers: int
    notes: tuple[str, ...]


def value_column(feature: str) -> str:
    """Name the column of a feature's own value, in its unit, beside the prepared ones."""
    return f"value:{feature}"


def types_of_features(
    connection: Connection, found: PublishedModel, build: Build
) -> dict[str, str]:
    """Tell the DuckDB type of each feature that the model needs, before any row is read.

    `customers` is left empty, with all of its columns.
    """
    nobody = "(SELECT CAST(NULL AS VARCHAR) AS customer_id WHERE false) AS nobody"
    write_table(connection, CUSTOMERS, customers_sql(found, {}, {}, nobody), build)
    spec = found.spec.model_copy(
        update={
            "features": needed_features(found),
            "where": None,
            "eligible": None,
            "typing": None,
        }
    )
    events = no_events_sql(found.customers)
    return feature_types(connection, found.name, spec, found.customers, events, build.as_of)


def engineer(
    connection: Connection, found: PublishedModel, columns: InputColumns, build: Build
) -> Engineered:
    """Make `engineered_features` of `core.customers`, and the SELECT of their feature matrix.

    Raises PreparationError where nobody takes part, or a feature of the model is gone.
    """
    given = columns.given
    spec = scoring_spec(found, given)
    made = make_engineered_features(connection, found.name, spec, found.customers, {}, build)
    table = grouped_features(found.name, spec)
    check_features(found.preparation, found.name, column_types(connection, table))
    told = {
        row.feature: spec.features[row.feature]
        for row in found.preparation.selection
        if row.is_kept
    }
    if found.model.algorithm == "rules":
        told |= {name: spec.features[name] for name in found.model.feature_names}
    values = [f"engineered.{quote(name)} AS {quote(value_column(name))}" for name in told]
    query = (
        f"SELECT matrix.*, {', '.join(values)}"
        f" FROM ({feature_matrix_sql(found.preparation, table.sql)}) AS matrix"
        f" JOIN {table.sql} AS engineered USING (customer_id)"
    )
    notes = []
    lacking = missing_columns(spec, given)
    if lacking:
        notes.append(f"not in the input, and so missing for everybody: {lacking}")
    if columns.ignored:
        notes.append(f"{columns.ignored} columns that {found.name} is not made of: not read")
    notes += [
        f"`{setting}` reads columns that are not in the input: nobody is left out by it"
        for setting in unchecked_conditions(found, given)
    ]
    if made.left_out:
        notes.append(f"{made.left_out:,} customers do not take part in {found.name}: no segment")
    absent = ", ".join(
        f"{name} {count:,}"
        for name, count in made.missing.items()
        if name in told and 0 < count < made.rows
    )
    if absent:
        notes.append(f"customers without a value, of {made.rows:,}: {absent}")
    ineligible = None
    if spec.eligible is not None:
        ineligible = customers_of_part_sql(found.name, "ineligible")
    return Engineered(table, query, _typed_sql(found), ineligible, told, made.rows, tuple(notes))


def _typed_sql(found: PublishedModel) -> str | None:
    """Write the SELECT of those who are typed; of nobody it is known where they were last night."""
    if found.spec.typing is None:
        return None
    silent = features_of_typed(found.name)
    nowhere = f"CAST(NULL AS INTEGER) AS {quote(PREVIOUS)}"
    if found.typing is None:
        return f"SELECT customer_id, 0 AS {quote(LACKING)}, {nowhere} FROM {silent.sql}"
    preparation = found.typing.preparation
    kept = dict.fromkeys(row.feature for row in preparation.selection if row.is_kept)
    lacking = " + ".join(f"CAST(silent.{quote(name)} IS NULL AS INTEGER)" for name in kept)
    return (
        f"SELECT matrix.*, {lacking} AS {quote(LACKING)}, {nowhere}"
        f" FROM ({feature_matrix_sql(preparation, silent.sql)}) AS matrix"
        f" JOIN {silent.sql} AS silent USING (customer_id)"
    )


def missing_vector(connection: Connection, found: PublishedModel) -> NDArray[np.float64]:
    """Prepare a customer of whom nothing is known: what each column is where a value is missing."""
    categories = found.preparation.lookups
    features = dict.fromkeys(row.feature for row in found.preparation.scalings)
    columns = [
        f"CAST(NULL AS {'VARCHAR' if name in categories else 'DOUBLE'}) AS {quote(name)}"
        for name in features
    ]
    nobody = f"(SELECT {literal('nobody')} AS customer_id, {', '.join(columns)})"
    listed = ", ".join(quote(name) for name in found.preparation.column_names)
    query = f"SELECT {listed} FROM ({feature_matrix_sql(found.preparation, nobody)})"
    return np.array(connection.execute(query).fetchall()[0], dtype=np.float64)
