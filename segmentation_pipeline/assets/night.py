"""One night in this process, as the command line runs it: the same graph as in Dagster's UI."""

import datetime as dt
import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import dagster as dg

from segmentation_pipeline.assets import outcome
from segmentation_pipeline.assets.alerting import STARTED_BY
from segmentation_pipeline.assets.event_storage import without_waiting_for_the_disk
from segmentation_pipeline.assets.schedules import NIGHTLY, daily_partitions
from segmentation_pipeline.definitions import build_definitions
from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.garbage import collect_seldom
from segmentation_pipeline.lock import require_writable
from segmentation_pipeline.specification.home import Home, load_home

Progress = Callable[[str, int, int], None]
"""Called with the name of the step that starts, its number, and the number of steps."""


@dataclass(frozen=True)
class NightResult:
    """How a night ended."""

    run_id: str
    failures: tuple[str, ...]
    is_news: bool | None
    warnings: tuple[str, ...] = ()

    @property
    def success(self) -> bool:
        """Whether every step did its work and every blocking check passed."""
        return not self.failures


def dagster_home(home_path: Path) -> Path:
    """Name the folder of Dagster's own storage for a home, and make it if there is none."""
    folder = (home_path / "dagster").resolve()
    templates = files("segmentation_pipeline.demo") / "home" / "dagster"
    for name in ("dagster.yaml", "workspace.yaml"):
        settings = folder / name
        if not settings.exists():
            folder.mkdir(parents=True, exist_ok=True)
            text = (templates / name).read_text(encoding="utf-8")
            settings.write_text(text, encoding="utf-8")
    return folder


def run_night(
    home_path: Path,
    as_of: dt.date,
    *,
    segmentation: str | None = None,
    approximate: bool = False,
    new_segment_ids: bool = False,
    progress: Progress,
) -> NightResult:
    """Run a date's night and wait for it; a home that is locked is refused at once.

    When a segmentation fails, the others are published all the same; its old rows stay, marked
    stale, and the night counts as failed.
    """
    home = load_home(home_path)
    if segmentation is not None and segmentation not in home.segmentations:
        known = ", ".join(home.segmentations)
        raise SpecificationError(
            f"{home_path}: no segmentation `{segmentation}`; there are {known}"
        )
    require_night(home, as_of)
    require_writable(home.path)
    steps = _StepCounter(progress)
    definitions = dg.Definitions.merge(
        build_definitions(
            home_path,
            lock_timeout_seconds=0,
            approximate=approximate,
            new_segment_ids=new_segment_ids,
        ),
        dg.Definitions(loggers={"console": steps.logger()}),
    )
    job = NIGHTLY if segmentation is None else f"refresh_{segmentation}"
    with _instance(home_path) as instance:
        result = _execute(definitions, job, as_of, instance, steps)
        failures = outcome.failures(result.all_events)
        warnings = outcome.warnings(result.all_events)
        published = outcome.published(result.all_events)
        if failures and published is None and _completed_segmentations(result):
            rest = _execute(definitions, "publish", as_of, instance, steps)
            published = outcome.published(rest.all_events)
            failures += outcome.failures(rest.all_events)
        return NightResult(result.run_id, failures, published, warnings)


def require_night(home: Home, as_of: dt.date) -> None:
    """Refuse a date that is no night of a home."""
    if as_of.isoformat() not in daily_partitions(home).get_partition_keys():
        raise SpecificationError(
            f"{as_of} is no night of this home: nights go from {home.customers.nights.first} "
            "(`nights.first` of customers.yaml) to today"
        )


def run_unpublished(
    home_path: Path, as_of: dt.date, segmentation: str, *, progress: Progress
) -> NightResult:
    """Run a segmentation's night up to its verdict and strategies, checks included, no further.

    Dagster keeps nothing of it. The work tables of the home are those of this night then.
    """
    steps = _StepCounter(progress)
    last = ([segmentation, table] for table in ("structure_verdict", "segment_strategies"))
    wanted = dg.AssetSelection.assets(*last).upstream().required_multi_asset_neighbors()
    unpublished = dg.define_asset_job("unpublished", selection=wanted)
    definitions = dg.Definitions.merge(
        build_definitions(home_path, lock_timeout_seconds=0),
        dg.Definitions(jobs=[unpublished], loggers={"console": steps.logger()}),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        result = _execute(definitions, "unpublished", as_of, instance, steps)
        return NightResult(result.run_id, outcome.failures(result.all_events), None)


@contextmanager
def _instance(home_path: Path) -> Iterator[dg.DagsterInstance]:
    """Open Dagster's storage of the home, or the one that DAGSTER_HOME names."""
    folder = os.environ.get("DAGSTER_HOME") or str(dagster_home(home_path))
    with without_waiting_for_the_disk(), dg.DagsterInstance.from_config(folder) as instance:
        yield instance


@contextmanager
def _seldom_collecting() -> Iterator[None]:
    """Look for cyclic garbage seldom, and never among what there is when the night begins."""
    before = gc.get_threshold()
    gc.freeze()
    collect_seldom()
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _execute(
    definitions: dg.Definitions,
    job_name: str,
    as_of: dt.date,
    instance: dg.DagsterInstance,
    steps: "_StepCounter",
) -> dg.ExecuteInProcessResult:
    job = definitions.resolve_job_def(job_name)
    steps.start(len(job.nodes))
    with _seldom_collecting():
        return job.execute_in_process(
            partition_key=as_of.isoformat(),
            instance=instance,
            raise_on_error=False,
            tags={STARTED_BY: "command line"},
            run_config={"loggers": {"console": {}}},
        )


def _completed_segmentations(result: dg.ExecuteInProcessResult) -> set[str]:
    """Name the segmentations whose last table was made, which publishing alone may take further."""
    keys = [event.asset_key for event in result.get_asset_materialization_events()]
    return {key.path[0] for key in keys if key is not None and key.path[-1] == "segments"}


class _StepCounter(logging.Handler):
    """Turns Dagster's events into calls of `progress`, and keeps its log off the terminal."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress
        self._started = 0
        self._steps = 0

    def start(self, steps: int) -> None:
        self._started, self._steps = 0, steps

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_event", None)
        if event is not None and event.event_type_value == "STEP_START":
            self._started += 1
            self._progress(event.step_key, self._started, self._steps)

    def logger(self) -> dg.LoggerDefinition:
        handler = self

        def console(_context: dg.InitLoggerContext) -> logging.Logger:
            logger = logging.getLogger("segmentation_pipeline.night")
            logger.setLevel(logging.DEBUG)
            logger.propagate = False
            logger.handlers = [handler]
            return logger

        return dg.LoggerDefinition(console)
