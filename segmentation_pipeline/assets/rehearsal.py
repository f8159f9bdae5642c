"""A night on a copy: what a changed segmentation would do, with nothing of it kept.

The copy is a home of its own below the home's folder: the warehouse and the models as they are, the
source files as hard links, the changed file in its place. So it is the nightly job itself that is
rehearsed, and neither the warehouse, nor the registry, nor what is published is opened for writing.
"""

import datetime as dt
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from segmentation_pipeline.assets.night import Progress, require_night, run_unpublished
from segmentation_pipeline.clustering.champion import require_champion
from segmentation_pipeline.errors import PipelineError, SpecificationError
from segmentation_pipeline.ingestion import source_files
from segmentation_pipeline.lock import REHEARSAL, hold_lock, rehearsal_lock
from segmentation_pipeline.publication.difference import Difference, compare_with_published
from segmentation_pipeline.specification.home import (
    Home,
    load_home,
    load_segmentation,
    require_segmentation_name,
)
from segmentation_pipeline.warehouse import Build, open_warehouse

_SPACE_FACTOR = 3
"""A night wants three times the warehouse's room."""


def rehearse(
    home_path: Path, segmentation: str, as_of: dt.date, *, file: Path | None, progress: Progress
) -> Difference:
    """Run a segmentation's night on a copy of its home, and compare it with what is published.

    `file` stands in the place of `segmentations/<segmentation>.yaml`, which need not be there;
    None: that file as it is now.

    Raises SpecificationError where a file is wrong, LockedError where a run writes to the home or
    another rehearsal goes on, and PipelineError with its reasons where the night would fail.
    """
    home = load_home(home_path)
    require_night(home, as_of)
    changed = _changed_file(home, segmentation, file)
    with _copied(home, segmentation, changed) as copy:
        result = run_unpublished(copy, as_of, segmentation, progress=progress)
        if not result.success:
            raise PipelineError("the night would fail:\n" + "\n".join(result.failures))
        rehearsed = load_home(copy)
        build = Build(as_of, result.run_id)
        with open_warehouse(
            rehearsed.warehouse, memory_limit=home.customers.limits.memory
        ) as connection:
            model = require_champion(connection, rehearsed, segmentation, as_of).record
            return compare_with_published(connection, home.published, segmentation, model, build)


def _changed_file(home: Home, segmentation: str, file: Path | None) -> Path:
    """Find the segmentation's file and check it where it lies, so that errors name it."""
    if file is None:
        if segmentation not in home.segmentations:
            raise SpecificationError(
                f"{home.path}: no segmentation `{segmentation}`; there are "
                f"{', '.join(home.segmentations)}"
            )
        return home.path / "segmentations" / f"{segmentation}.yaml"
    require_segmentation_name(file, segmentation)
    load_segmentation(file, home.customers)
    return file


@contextmanager
def _copied(home: Home, segmentation: str, changed: Path) -> Iterator[Path]:
    """Make the copy for the length of a `with` block; what a killed one left is removed before.

    Whoever takes the home's lock removes that, too (`lock`). That lock is held while the warehouse
    is copied, not while the copy works.
    """
    copy = home.path / REHEARSAL
    with hold_lock(rehearsal_lock(home.path), "diff", timeout_seconds=0):
        _remove(copy)
        try:
            (copy / "segmentations").mkdir(parents=True)
            shutil.copyfile(home.path / "customers.yaml", copy / "customers.yaml")
            shutil.copyfile(changed, copy / "segmentations" / f"{segmentation}.yaml")
            with hold_lock(home.lock, "diff", timeout_seconds=0):
                _copy_warehouse(home, segmentation, copy)
                _link_sources(home, copy)
            yield copy
        finally:
            _remove(copy)


def _copy_warehouse(home: Home, segmentation: str, copy: Path) -> None:
    """Copy the database, with the log that a killed run may have left, and the models."""
    files = [*home.path.glob(f"{home.warehouse.name}*")]
    wanted = _SPACE_FACTOR * sum(file.stat().st_size for file in files)
    free = shutil.disk_usage(home.path).free
    if free < wanted:
        raise PipelineError(
            f"{home.path}: {free / 1e9:.1f} GB free, and a rehearsal wants three times the "
            f"warehouse, {wanted / 1e9:.1f} GB: make room first"
        )
    for file in files:
        _copy_file(file, copy / file.name)
    models = home.models / segmentation
    if models.exists():
        shutil.copytree(models, copy / "models" / segmentation)


def _copy_file(source: Path, target: Path) -> None:
    """Copy a file within one file system, which may share the blocks instead (XFS, Btrfs)."""
    with source.open("rb") as reading, target.open("wb") as writing:
        left = os.fstat(reading.fileno()).st_size
        while left:
            done = os.copy_file_range(reading.fileno(), writing.fileno(), left)
            if not done:
                raise PipelineError(f"{source.name}: it was cut short while it was copied")
            left -= done


def _link_sources(home: Home, copy: Path) -> None:
    """Give the copy the same source files: same names, contents and dates, no second content."""
    for name, source in home.customers.sources.items():
        for file in source_files(home.path, name, source):
            target = copy / file.relative_to(home.path)
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(file.resolve(), target)
            except OSError:
                # A folder of another file system is mounted there, or it knows no links.
                shutil.copy2(file, target)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
