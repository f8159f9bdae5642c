"""Which models there are: versions, their digests, and which of them is in force on a date.

What belongs here: the table `core.models` and the folders of its models. What became of each, and
by whose decision, belongs to `model_events`; whether a model deserves to become the champion is
decided elsewhere; history of segments belongs to `segments`.
"""

import datetime as dt
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from segmentation_pipeline.clustering.model import SegmentModel, load_model, save_model
from segmentation_pipeline.clustering.model_events import (
    SYSTEM,
    ModelEvent,
    Status,
    add_event,
    champion_on,
    found_on,
    read_events,
    statuses_on,
)
from segmentation_pipeline.clustering.registry_tables import (
    MODEL_COLUMNS,
    create_registry,
)
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.warehouse import Build, Connection, Table, has_table, transaction


@dataclass(frozen=True)
class ModelRecord:
    """A registered model, as `core.models` has it.

    `as_of` is the date whose customers it was fitted on; `reason` says why it was taken among its
    candidates. The digests are of the specification, of the fitted preparation that its features
    come from, and of the model's manifest. `status` is what it is after all events: a retired one
    may be in force on earlier dates, and one without any event is withdrawn.
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
    status: Status
    sklearn_version: str
    reason: str

    def folder(self, models: Path) -> Path:
        """Where its files are, under the home's folder of models."""
        return model_folder(models, self.segmentation, self.model_version)


@dataclass(frozen=True)
class Registration:
    """What is told of a new model when it is registered, in the words of `ModelRecord`."""

    segmentation: str
    specification_digest: str
    preparation_digest: str
    reason: str


Keep = Callable[[ModelRecord], None]
"""Writes what belongs to a new record, without a transaction of its own."""


def _keep_nothing(_: ModelRecord) -> None:
    """Add nothing to a record."""


def champion(connection: Connection, segmentation: str, as_of: dt.date) -> ModelRecord | None:
    """The model in force on a date; None before the first.

    It is the one that was last made the champion for that date or an earlier one, as decisions
    happened: neither the clock nor the order of the dates run again matters. Writes nothing: a
    read-only connection will do. Raises ClusteringError for the registry of an earlier release.
    """
    events = _events(connection, segmentation)
    version = champion_on(events, as_of)
    return None if version is None else _record(connection, segmentation, version, events)


def found_champion(connection: Connection, segmentation: str, night: dt.date) -> ModelRecord | None:
    """The model that a night finds in force; None on the first one.

    It is the same however often the night is run, and whatever it has fitted for want of one.
    Otherwise as `champion`.
    """
    events = _events(connection, segmentation)
    version = found_on(events, night)
    return None if version is None else _record(connection, segmentation, version, events)


def _events(connection: Connection, segmentation: str) -> list[ModelEvent]:
    if not has_table(connection, Table("core", "model_events")):
        if not has_table(connection, Table("core", "models")):
            return []
        raise ClusteringError(
            "the registry of models is of an earlier release: run a night, which brings it up to "
            "this one"
        )
    return read_events(connection, segmentation)


def version_record(connection: Connection, segmentation: str, model_version: int) -> ModelRecord:
    """Give the record of a version that was registered.

    Raises ClusteringError where there is none.
    """
    events = read_events(connection, segmentation)
    return _record(connection, segmentation, model_version, events)


def _record(
    connection: Connection, segmentation: str, model_version: int, events: Sequence[ModelEvent]
) -> ModelRecord:
    found = connection.execute(
        f"SELECT {MODEL_COLUMNS} FROM core.models WHERE segmentation = ? AND model_version = ?",
        [segmentation, model_version],
    ).fetchall()
    if not found:
        raise ClusteringError(
            f"{segmentation} has no model version {model_version} in the registry: restore the "
            "warehouse from a backup"
        )
    statuses = statuses_on(events)
    values = dict(zip(MODEL_COLUMNS.split(", "), found[0], strict=True))
    return ModelRecord(**values, status=statuses.get(model_version, "withdrawn"))


def register_champion(
    connection: Connection,
    models: Path,
    model: SegmentModel,
    told: Registration,
    build: Build,
    *,
    keep: Keep = _keep_nothing,
) -> ModelRecord:
    """Save a model under the next version and put it in force from the build's date on.

    Its files go to `models/<segmentation>/<version>/` first, its record and its event follow in one
    transaction, with what `keep` writes of it. A run killed between the two leaves a folder without
    a record: nobody reads it, and the next registration removes it. The caller holds the home's
    lock.
    """
    create_registry(connection)
    segmentation = told.segmentation
    is_first = not read_events(connection, segmentation)
    record = _saved(connection, models, model, told, build)
    why = "the first model" if is_first else "what a model depends on was changed in the YAML"
    with transaction(connection):
        _insert(connection, record)
        add_event(
            connection,
            segmentation,
            record.model_version,
            "champion",
            as_of=build.as_of,
            build=build,
            who=SYSTEM,
            reason=why,
        )
        keep(record)
    return version_record(connection, segmentation, record.model_version)


def register_challenger(
    connection: Connection,
    models: Path,
    model: SegmentModel,
    told: Registration,
    build: Build,
    *,
    keep: Keep = _keep_nothing,
) -> ModelRecord:
    """Save a model under the next version, without any status yet: `settle` gives it that.

    A date that is run again and fits the same model, to the last bit, has the version that it had,
    with what was kept of it then. Otherwise as `register_champion`.
    """
    create_registry(connection)
    segmentation = told.segmentation
    record = _saved(connection, models, model, told, build)
    same = connection.execute(
        "SELECT model_version FROM core.models WHERE segmentation = ? AND as_of = ?"
        " AND model_digest = ? AND specification_digest = ?",
        [segmentation, build.as_of, record.model_digest, told.specification_digest],
    ).fetchall()
    if same:
        shutil.rmtree(record.folder(models))
        return version_record(connection, segmentation, int(same[0][0]))
    with transaction(connection):
        _insert(connection, record)
        keep(record)
    return version_record(connection, segmentation, record.model_version)


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


def _saved(
    connection: Connection,
    models: Path,
    model: SegmentModel,
    told: Registration,
    build: Build,
) -> ModelRecord:
    """Write the files of the next version."""
    segmentation = told.segmentation
    (last_version,) = connection.execute(
        "SELECT coalesce(max(model_version), 0) FROM core.models WHERE segmentation = ?",
        [segmentation],
    ).fetchall()[0]
    version = 1 + int(last_version)
    folder = model_folder(models, segmentation, version)
    # Versions are only ever registered in order: a folder of this number is what a killed run left.
    if folder.exists():
        shutil.rmtree(folder)
    return ModelRecord(
        **vars(told),
        model_version=version,
        as_of=build.as_of,
        run_id=build.run_id,
        model_digest=save_model(model, folder),
        algorithm=model.algorithm,
        k=int(str(model.parameters["segments"])),
        sklearn_version=metadata.version("scikit-learn"),
        status="withdrawn",
    )


def _insert(connection: Connection, record: ModelRecord) -> None:
    values = [value for name, value in vars(record).items() if name != "status"]
    marks = ", ".join("?" for _ in values)
    connection.execute(f"INSERT INTO core.models ({MODEL_COLUMNS}) VALUES ({marks})", values)
