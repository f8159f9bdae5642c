"""From the warehouse to a model that knows how to type: the samples, and whose segment is known."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.assigning import assigned_customers
from segmentation_pipeline.clustering.families import segments_of
from segmentation_pipeline.clustering.model import SegmentModel
from segmentation_pipeline.clustering.typed.fitting import TypingSample, fit_typing, refused
from segmentation_pipeline.clustering.typed.model import Typed, with_typing
from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features import Preparation, fit_on_sample
from segmentation_pipeline.features.participation import (
    features_of_typed,
    fitting_features,
    grouped_features,
    held_out_features,
)
from segmentation_pipeline.features.sample import sample_sql
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.specification.features import NeuralEncoding
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.specification.typing_features import typing_features
from segmentation_pipeline.warehouse import (
    Connection,
    Table,
    count_rows,
    quote,
    read_batches,
)

LEARNED_CUSTOMERS = 40_000
"""So many are learned from: a share of 50 % is then known to a quarter of a percent."""
JUDGED_CUSTOMERS = 10_000
"""So many of those kept aside are judged by: a kappa of .6 is then known to .007."""


_DRAWN = "typing_drawn"
_AMONG_DRAWN = f"SEMI JOIN {_DRAWN} USING (customer_id)"


def learn_typing(
    connection: Connection,
    home: Home,
    name: str,
    model: SegmentModel,
    matrix: Table | None = None,
) -> SegmentModel:
    """Add to a segmentation's new model how customers who lack a source are typed.

    The model itself where its YAML types nobody. The customers are tonight's; those kept aside were
    hidden from the fit of `model`, too, as `fitting_features` hides them. `matrix` holds them all
    as the model's own preparation makes them; that is the segmentation's, where it is None.
    """
    spec = home.segmentations[name]
    if spec.typing is None:
        return model if "typing" not in model.parameters else with_typing(model, None)
    prepared = matrix or Table(name, "feature_matrix")
    return with_typing(model, _typed(connection, home, name, spec, model, prepared))


def _typed(
    connection: Connection,
    home: Home,
    name: str,
    spec: SegmentationSpec,
    model: SegmentModel,
    matrix: Table,
) -> Typed:
    try:
        preparation = fit_on_sample(
            connection, name, _typing_spec(home, spec), home.customers.limits
        )
    except PreparationError as error:
        return refused(f"its features can't be prepared: {error}", None)
    threads = home.customers.limits.threads or 2
    sample = _sample(connection, name, spec, model, matrix, preparation, threads)
    return fit_typing(sample, preparation, segments_of(model), seed=spec.clustering.seed)


def _typing_spec(home: Home, spec: SegmentationSpec) -> SegmentationSpec:
    """Make the features that typing learns from those that a preparation is fitted on.

    Each counts alike whatever its weight in the distance; a neural encoding, which takes its
    vectors from other features, becomes one-hot.
    """
    features = {
        feature: one.model_copy(
            update={
                "use": "clustering",
                "weight": 1.0,
                "encoding": None if isinstance(one.encoding, NeuralEncoding) else one.encoding,
            }
        )
        for feature, one in typing_features(spec, home.customers).items()
    }
    return spec.model_copy(update={"features": features})


def _sample(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    model: SegmentModel,
    matrix: Table,
    preparation: Preparation,
    threads: int,
) -> TypingSample:
    silent = features_of_typed(name)
    found = []
    for table, limit in (
        (fitting_features(name, spec), LEARNED_CUSTOMERS),
        (held_out_features(name), JUDGED_CUSTOMERS),
        (silent, JUDGED_CUSTOMERS),
    ):
        query = sample_sql(table.sql, ["customer_id"], spec.clustering.seed, limit)
        ids = [str(row[0]) for row in connection.execute(query).fetchall()]
        connection.register(_DRAWN, pa.table({"customer_id": pa.array(ids, pa.string())}))
        columns = _prepared(connection, table, ids, preparation)
        # What the segment model says of the silent is what typing does without.
        labels = np.empty(0, dtype=np.int32)
        if table != silent:
            labels = _labels(connection, name, spec, model, matrix, ids, threads)
        found.append((columns, labels))
        connection.unregister(_DRAWN)
    (columns, labels), (held_columns, held_labels), (silent_columns, _) = found
    return TypingSample(
        columns=columns,
        labels=labels,
        held_columns=held_columns,
        held_labels=held_labels,
        silent_columns=silent_columns,
        silent_customers=count_rows(connection, silent),
    )


def _prepared(
    connection: Connection, table: Table, ids: Sequence[str], preparation: Preparation
) -> NDArray[np.float64]:
    """Prepare the drawn customers' features: (n, d), in the order of their ids."""
    query = feature_matrix_sql(preparation, f"(FROM {table.sql} {_AMONG_DRAWN})")
    names = preparation.column_names
    found = np.empty((len(ids), len(names)))
    for places, batch in _placed(read_batches(connection, query), ids):
        for index, column in enumerate(names):
            found[places, index] = batch.column(column).to_numpy()
    return found


def _labels(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    model: SegmentModel,
    matrix: Table,
    ids: Sequence[str],
    threads: int,
) -> NDArray[np.int32]:
    """Label the drawn customers by the segment model: (n,), in the order of their ids."""
    grouped = grouped_features(name, spec)
    drawn = Table("temp", "typing_drawn_features")
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {quote(drawn.name)} AS FROM {grouped.sql} {_AMONG_DRAWN}"
    )
    assigned = assigned_customers(
        connection,
        name,
        spec.clustering,
        model,
        features=drawn,
        query=f"FROM {matrix.sql} {_AMONG_DRAWN}",
        threads=threads,
    )
    found = np.empty(len(ids), dtype=np.int32)
    for places, batch in _placed(assigned, ids):
        found[places] = batch.column("raw_segment").to_numpy()
    connection.execute(f"DROP VIEW {drawn.sql}")
    return found


def _placed(
    batches: Iterable[pa.RecordBatch], ids: Sequence[str]
) -> Iterator[tuple[NDArray[np.intp], pa.RecordBatch]]:
    """Give batches of the drawn customers, with the places that these have among `ids`."""
    places = {customer: place for place, customer in enumerate(ids)}
    for batch in batches:
        customers = batch.column("customer_id").to_pylist()
        yield np.array([places[customer] for customer in customers], dtype=np.intp), batch
