"""Which model is in force: versions, their digests, and the champion of a date.

What belongs here: the table `core.models` and the folders of its models. Whether a model deserves
to become the champion is decided elsewhere; history of segments belongs to `segments`.
"""

import datetime as dt
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.warehouse import Build, Connection, transaction

_COLUMNS = (
    "segmentation, model_version, as_of, run_id, specification_digest, preparation_digest, "
    "model_digest, algorithm, k, status, sklearn_version, reason"
)
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
    status VARCHAR NOT NULL CHECK (status IN ('champion', 'retired')),
    sklearn_version VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    PRIMARY KEY (segmentation, model_version)
)
"""


@dataclass(frozen=True)
class ModelRecord:
    """A registered model, as `core.models` has it.

    `as_of` is the first date it was promoted for; `status` is 'champion' for the version in force
    on the newest date, else 'retired' (it may be in force on earlier dates); `reason` says why it
    was promoted. The digests are of the specification, of the fitted preparation that its features
    come from, and of the model's manifest.
    """

    segmentation: str
    model_version: int
    as_of: dt.date
    run_id: str
    specification_digest: str
    preparation_digest: str
    model_digest: str
    algorithm: str
    k: int
    status: Literal["champion", "retired"]
    sklearn_version: str
    reason: str

    def folder(self, models: Path) -> Path:
        """Where its files are, under the home's folder of models."""
        return model_folder(models, self.segmentation, self.model_version)


def champion(connection: Connection, segmentation: str, as_of: dt.date) -> ModelRecord | None:
    """The model in force on a date; None before the first.

    It is the highest version promoted for that date or an earlier one. Versions count promotions
    as they happened, so neither the clock nor the order of the dates run again matters. Writes
    nothing: a read-only connection will do.
    """
    is_there = connection.execute(
        "SELECT count(*) FROM information_schema.tables WHERE table_catalog = current_database()"
        " AND table_schema = 'core' AND table_name = 'models'"
    ).fetchall()[0][0]
    if not is_there:
        return None
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM core.models WHERE segmentation = ? AND as_of <= ?"
        " ORDER BY as_of DESC, model_version DESC LIMIT 1",
        [segmentation, as_of],
    ).fetchall()
    return ModelRecord(*found[0]) if found else None


def version_record(connection: Connection, segmentation: str, model_version: int) -> ModelRecord:
    """Give the record of a version that was registered.

    Raises ClusteringError where there is none.
    """
    found = connection.execute(
        f"SELECT {_COLUMNS} FROM core.models WHERE segmentation = ? AND model_version = ?",
        [segmentation, model_version],
    ).fetchall()
    if not found:
        raise ClusteringError(
            f"{segmentation} has no model version {model_version} in the registry: restore the "
            "warehouse from a backup"
        )
    return ModelRecord(*found[0])


def register_champion(
    connection: Connection,
    models: Path,
    model: SegmentModel,
    build: Build,
    *,
    segmentation: str,
    specification_digest: str,
    preparation_digest: str,
    reason: str,
) -> ModelRecord:
    """Save a model under the next version and put it in force from the build's date on.

    Its files go to `models/<segmentation>/<version>/` first, its record follows in one
    transaction, which also retires the champion before it (an older date's model is born retired:
    it is in force on its own dates only). A run killed between the two leaves a
    folder without a record: nobody reads it, and the next registration removes it. The caller
    holds the home's lock.
    """
    connection.execute(_MODELS_SQL)
    last_version, newest = connection.execute(
        "SELECT coalesce(max(model_version), 0), max(as_of) FROM core.models"
        " WHERE segmentation = ?",
        [segmentation],
    ).fetchall()[0]
    version = 1 + int(last_version)
    is_newest = newest is None or build.as_of >= newest
    folder = model_folder(models, segmentation, version)
    # Versions are only ever registered in order: a folder of this number is what a killed run left.
    if folder.exists():
        shutil.rmtree(folder)
    record = ModelRecord(
        segmentation=segmentation,
        model_version=version,
        as_of=build.as_of,
        run_id=build.run_id,
        specification_digest=specification_digest,
        preparation_digest=preparation_digest,
        model_digest=save_model(model, folder),
        algorithm=model.algorithm,
        k=int(str(model.parameters["segments"])),
        status="champion" if is_newest else "retired",
        sklearn_version=metadata.version("scikit-learn"),
        reason=reason,
    )
    with transaction(connection):
        if is_newest:
            connection.execute(
                "UPDATE core.models SET status = 'retired' WHERE segmentation = ?", [segmentation]
            )
        connection.execute(
            f"INSERT INTO core.models ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            list(vars(record).values()),
        )
    return record


def load_champion(models: Path, record: ModelRecord) -> SegmentModel:
    """Read a registered model's arrays; refuses files that are not those that were registered."""
    return load_model(record.folder(models), record.model_digest)


def library_mismatch(record: ModelRecord) -> str | None:
    """Say in words that the model was made by another scikit-learn than the one installed.

    Scoring doesn't need scikit-learn, so the model stays in force; a refit might differ.
    """
    installed = metadata.version("scikit-learn")
    if installed == record.sklearn_version:
        return None
    return (
        f"model {record.model_version} of {record.segmentation} was fitted by scikit-learn "
        f"{record.sklearn_version}, {installed} is installed: its segments don't change, "
        "a new fit might"
    )


def model_folder(models: Path, segmentation: str, version: int) -> Path:
    """Say where the files of a version are, under the home's folder of models."""
    return models / segmentation / str(version)
