"""A challenger's nights in the shadow of the model in force: what it would do, and nobody sees.

What belongs here: scoring tonight's customers by the challenger and counting it against the
champion, into `core.challenger_nights`. Whether that is good enough belongs to `gates`, what
becomes of the challenger to `challenge`. Customers' labels are dropped when they are counted; those
of a sample are kept, so that the next night can tell who would have moved.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.clustering.assigning import assigned_customers
from segmentation_pipeline.clustering.champion import Champion
from segmentation_pipeline.clustering.family import NOISE
from segmentation_pipeline.features import Preparation
from segmentation_pipeline.features.matrix import check_features
from segmentation_pipeline.features.participation import grouped_features
from segmentation_pipeline.features.sample import sample_sql
from segmentation_pipeline.features.sample_keys import first_key_beyond
from segmentation_pipeline.features.transform import feature_matrix_sql
from segmentation_pipeline.segments.identity import noise_id, segment_ids
from segmentation_pipeline.segments.matching import Contingency, match_segments
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    column_types,
    count_rows,
    drop_relation,
    write_batches,
)

_SAMPLE_CUSTOMERS = 20_000
"""Of so many it is told who would have moved since the night before."""
_NIGHTS_KEPT = 60
"""Of so many nights labels are kept; a date before them that is run again counts no churn."""

_LABELS_SCHEMA = pa.schema([("customer_id", pa.string()), ("raw_segment", pa.int32())])
_FIGURES = {
    "champion_model_version": "INTEGER NOT NULL",
    "customers": "BIGINT NOT NULL",
    "agreement": "DOUBLE NOT NULL",
    "migration_share": "DOUBLE NOT NULL",
    "kept_segments": "INTEGER NOT NULL",
    "smallest_customers": "BIGINT NOT NULL",
    "sizes": "VARCHAR NOT NULL",
    "noise_share": "DOUBLE NOT NULL",
    "churn_share": "DOUBLE",
}
FIGURES = tuple(_FIGURES)
_NIGHTS_SQL = f"""
CREATE TABLE IF NOT EXISTS core.challenger_nights (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    as_of DATE NOT NULL,
    {", ".join(f"{name} {type_}" for name, type_ in _FIGURES.items())},
    PRIMARY KEY (segmentation, model_version, as_of)
);
CREATE TABLE IF NOT EXISTS core.challenger_labels (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    as_of DATE NOT NULL,
    customer_id VARCHAR NOT NULL,
    raw_segment INTEGER NOT NULL
)
"""

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ShadowNight:
    """What a challenger would have done on one night.

    - champion_model_version: the model in force, against which it is counted;
    - customers: whom both grouped;
    - agreement: adjusted Rand index of both models' raw segments;
    - migration_share: who would be in another segment, by the ids that a promotion would give;
    - kept_segments: segments of the champion that would go on;
    - smallest_customers: those of the challenger's smallest segment; sizes: of each, as JSON;
    - noise_share: who would be in no segment;
    - churn_share: who changed the challenger's segment since the night before; None on its first.
    """

    champion_model_version: int
    customers: int
    agreement: float
    migration_share: float
    kept_segments: int
    smallest_customers: int
    sizes: str
    noise_share: float
    churn_share: float | None


def shadow_night(
    connection: Connection,
    home: Home,
    name: str,
    champion: Champion,
    challenger: Champion,
    build: Build,
) -> ShadowNight:
    """Score tonight's customers by a challenger, and keep what it would have done.

    Tonight's `customer_segments` must be there. All customers stream. Raises PreparationError where
    a feature is gone that the challenger was fitted on.
    """
    create_shadow(connection)
    labels = Table(name, "segments_by_challenger")
    _label(connection, home, name, challenger, labels, build)
    ids = segment_ids(connection, name, champion.record.model_version, champion.record.k)
    counts = _count(connection, name, labels, [*ids, noise_id(name)], challenger.record.k)
    churn = _churn(connection, home, name, challenger, labels, build)
    drop_relation(connection, labels)
    night = figures(counts, champion.record.model_version, churn)
    key = [name, challenger.record.model_version, build.as_of]
    marks = ", ".join("?" for _ in [*key, *FIGURES])
    connection.execute(
        f"INSERT OR REPLACE INTO core.challenger_nights VALUES ({marks})",
        [*key, *vars(night).values()],
    )
    return night


def read_nights(
    connection: Connection, name: str, model_version: int, until: dt.date
) -> list[ShadowNight]:
    """Read a challenger's nights up to a date, in order."""
    create_shadow(connection)
    rows = connection.execute(
        f"SELECT {', '.join(FIGURES)} FROM core.challenger_nights"
        " WHERE segmentation = ? AND model_version = ? AND as_of <= ? ORDER BY as_of",
        [name, model_version, until],
    ).fetchall()
    return [ShadowNight(*row) for row in rows]


def forget_others(
    connection: Connection, name: str, model_version: int | None, as_of: dt.date
) -> None:
    """Drop what an earlier run of a date kept of challengers that aren't on it any more."""
    create_shadow(connection)
    for table in ("core.challenger_nights", "core.challenger_labels"):
        connection.execute(
            f"DELETE FROM {table} WHERE segmentation = ? AND as_of = ?"
            " AND model_version IS DISTINCT FROM ?",
            [name, as_of, model_version],
        )


def figures(counts: Counts, champion_version: int, churn: float | None) -> ShadowNight:
    """Compute the figures of a night from the pairs of raw segments (k_old + 1, k_new + 1).

    The last row and column are noise. There is at least one customer.
    """
    old_sizes, new_sizes = counts.sum(axis=1), counts.sum(axis=0)
    customers = int(counts.sum())
    matched = match_segments(
        Contingency(
            counts[:-1, :-1],
            old_sizes[:-1],
            new_sizes[:-1],
            customers,
            customers,
            customers,
        )
    )
    kept = [(one.old, one.new) for one in matched if one.kind == "kept"]
    stay = int(counts[-1, -1]) + sum(int(counts[pair]) for pair in kept)
    return ShadowNight(
        champion_model_version=champion_version,
        customers=customers,
        agreement=adjusted_rand(counts),
        migration_share=1.0 - stay / customers,
        kept_segments=len(kept),
        smallest_customers=int(new_sizes[:-1].min()),
        sizes=json.dumps(new_sizes[:-1].tolist()),
        noise_share=int(new_sizes[-1]) / customers,
        churn_share=churn,
    )


def adjusted_rand(counts: Counts) -> float:
    """Adjusted Rand index (Hubert & Arabie 1985) of two labelings, from their pairs' counts.

    In whole numbers up to the division: a hundred million customers have no rounding either.
    """

    def pairs(sizes: Counts) -> int:
        return sum(size * (size - 1) // 2 for size in sizes.ravel().tolist())

    together, old, new = pairs(counts), pairs(counts.sum(axis=1)), pairs(counts.sum(axis=0))
    everyone = pairs(np.array([counts.sum()]))
    # Twice both sides of (together - expected) / ((old + new) / 2 - expected), times everyone.
    above = 2 * (together * everyone - old * new)
    below = (old + new) * everyone - 2 * old * new
    return 1.0 if below == 0 else above / below


def create_shadow(connection: Connection) -> None:
    """Create the tables of challengers' nights where there are none."""
    connection.execute(_NIGHTS_SQL)


def _label(
    connection: Connection, home: Home, name: str, challenger: Champion, table: Table, build: Build
) -> None:
    spec = home.segmentations[name]
    engineered = grouped_features(name, spec)
    preparation = Preparation.from_json(challenger.preparation)
    check_features(preparation, name, column_types(connection, engineered))
    with connection.cursor() as reading:
        assigned = assigned_customers(
            reading,
            name,
            spec.clustering,
            challenger.model,
            features=engineered,
            query=feature_matrix_sql(preparation, engineered.sql),
            threads=home.customers.limits.threads or 2,
        )
        write_batches(connection, table, _LABELS_SCHEMA, _narrowed(assigned), build)


def _narrowed(assigned: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in assigned:
        customers = batch.column("customer_id").cast(pa.string())
        yield pa.record_batch([customers, batch.column("raw_segment")], schema=_LABELS_SCHEMA)


def _count(
    connection: Connection, name: str, labels: Table, old_ids: list[str], segments: int
) -> Counts:
    places = {segment_id: place for place, segment_id in enumerate(old_ids)}
    counts = np.zeros((len(old_ids), segments + 1), dtype=np.int64)
    for segment_id, label, customers in connection.execute(
        "SELECT c.raw_segment_id, l.raw_segment, count(*)"
        f" FROM {Table(name, 'customer_segments').sql} c JOIN {labels.sql} l USING (customer_id)"
        " GROUP BY ALL"
    ).fetchall():
        counts[places[segment_id], segments if label == NOISE else label] += customers
    return counts


def _churn(
    connection: Connection,
    home: Home,
    name: str,
    challenger: Champion,
    labels: Table,
    build: Build,
) -> float | None:
    """Keep the labels of a sample, and count who had another one the night before."""
    key = [name, challenger.record.model_version, build.as_of]
    connection.execute(
        "DELETE FROM core.challenger_labels WHERE segmentation = ? AND (model_version = ?"
        " AND as_of = ? OR as_of NOT IN (SELECT DISTINCT as_of FROM core.challenger_labels"
        f" WHERE segmentation = ? ORDER BY as_of DESC LIMIT {_NIGHTS_KEPT}))",
        [*key, name],
    )
    seed = home.segmentations[name].clustering.seed
    first_key = first_key_beyond(_SAMPLE_CUSTOMERS, count_rows(connection, labels))
    columns = ["customer_id", "raw_segment"]
    sample = sample_sql(labels.sql, columns, seed, _SAMPLE_CUSTOMERS, first_key)
    connection.execute(
        f"INSERT INTO core.challenger_labels SELECT ?, ?, ?, customer_id, raw_segment"
        f" FROM ({sample})",
        key,
    )
    ((share,),) = connection.execute(
        "WITH own AS (FROM core.challenger_labels WHERE segmentation = ? AND model_version = ?)"
        " SELECT avg((t.raw_segment <> b.raw_segment)::INT)"
        " FROM own t JOIN own b USING (customer_id)"
        " WHERE t.as_of = ? AND b.as_of = (SELECT max(as_of) FROM own WHERE as_of < t.as_of)",
        key,
    ).fetchall()
    return None if share is None else float(share)
