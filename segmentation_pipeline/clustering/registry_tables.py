"""The tables of the registry of models, and their way from an earlier release to this one."""

from segmentation_pipeline.clustering.model_events import EVENTS_SQL, SYSTEM
from segmentation_pipeline.warehouse import Connection, Table, column_types, has_table, transaction

MODEL_COLUMNS = (
    "segmentation, model_version, as_of, run_id, specification_digest, preparation_digest, "
    "model_digest, algorithm, k, sklearn_version, reason"
)
_MODELS = Table("core", "models")
_MODELS_SQL = """
CREATE TABLE IF NOT EXISTS core.models (
    segmentation VARCHAR NOT NULL,
    model_version INTEGER NOT NULL,
    as_of DATE NOT NULL,
    run_id VARCHAR NOT NULL,
    specification_digest VARCHAR NOT NULL,
    preparation_digest VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    algorithm VARCHAR NOT NULL,
    k INTEGER NOT NULL,
    sklearn_version VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, model_version)
)
"""


def create_registry(connection: Connection) -> None:
    """Create the tables of the registry, or bring those of an earlier release up to this one.

    There `core.models` had a status of its own, champion or retired, and `as_of` was the date from
    which a model was in force. In one transaction; nothing is lost.
    """
    if not has_table(connection, _MODELS) or "status" not in column_types(connection, _MODELS):
        connection.execute(f"{_MODELS_SQL}; {EVENTS_SQL}")
        return
    with transaction(connection):
        # DuckDB neither drops a CHECK nor renames a table that has an index.
        connection.execute("CREATE OR REPLACE TEMP TABLE earlier_models AS FROM core.models")
        connection.execute(f"DROP TABLE core.models; {_MODELS_SQL}; {EVENTS_SQL}")
        connection.execute(
            f"INSERT INTO core.models ({MODEL_COLUMNS}) SELECT {MODEL_COLUMNS} FROM earlier_models"
        )
        # Versions counted promotions as they happened.
        connection.execute(
            "INSERT INTO core.model_events SELECT segmentation, model_version, model_version,"
            " 'champion', as_of, as_of, ?, reason, run_id, FALSE FROM earlier_models",
            [SYSTEM],
        )
        connection.execute("DROP TABLE earlier_models")
