"""Where the published versions are on disk, which one is in force, and how that changes.

    published/current           -> versions/<version>           (the one link that moves)
    published/segments.duckdb   -> current/segments.duckdb      (never moves)
    published/versions/<sequence>-<run>/{segments.duckdb, parquet/<table>.parquet,
                                            exports/<strategy>.*, manifest.json}
    published/.staging/         what a run is building

Versions are ordered by their sequence, never by time: clocks go backwards.
"""

import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from segmentation_pipeline.durable import synchronise
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication.manifest import (
    DATABASE,
    Manifest,
    file_faults,
    read_manifest,
)

_CURRENT = "current"
_VERSIONS = "versions"
_STAGING = ".staging"
_VERSION = re.compile(r"(?P<sequence>[0-9]{6,})-(?P<run_id>[A-Za-z0-9._-]+)")


def current_version(published: Path) -> Manifest | None:
    """Read the manifest of the version in force; None where nothing has been published yet."""
    link = published / _CURRENT
    if not link.is_symlink():
        if link.exists():
            raise PublicationError(
                f"{link} is not a link to a version: move it away, then run this again"
            )
        return None
    return read_manifest(published / link.readlink())


def kept_versions(published: Path) -> Iterator[Manifest]:
    """Read the manifests of the version in force and of those that rollbacks lead to, in order."""
    current = current_version(published)
    while current is not None:
        yield current
        if current.previous is None:
            break
        folder = version_folder(published, current.previous)
        current = read_manifest(folder) if folder.is_dir() else None


def version_database(published: Path, version: str) -> Path:
    """Say where the DuckDB file of a version is."""
    return version_folder(published, version) / DATABASE


def version_folder(published: Path, version: str) -> Path:
    """Say where a version is kept."""
    return published / _VERSIONS / version


def version_folders(published: Path) -> list[Path]:
    """List the folders of all versions that are there, those included that nothing leads to."""
    return sorted(path for path in (published / _VERSIONS).glob("*") if path.is_dir())


def next_version(published: Path, run_id: str) -> str:
    """Name the next version: its sequence is above every one that is there."""
    sequences = [
        int(named["sequence"])
        for folder in (published / _VERSIONS).glob("*")
        if (named := _VERSION.fullmatch(folder.name))
    ]
    version = f"{max(sequences, default=0) + 1:06d}-{run_id}"
    if _VERSION.fullmatch(version) is None:
        raise PublicationError(
            f"run id {run_id!r} cannot name a folder: letters, digits, dots, dashes, underscores"
        )
    return version


def make_staging(published: Path, version: str) -> Path:
    """Make the empty folder that a version is built in, on the same file system as the others."""
    (published / _VERSIONS).mkdir(parents=True, exist_ok=True)
    staged = published / _STAGING / version
    staged.mkdir(parents=True)
    return staged


def clear_staging(published: Path) -> None:
    """Remove what a run left that was killed while it built a version."""
    if (published / _STAGING).exists():
        shutil.rmtree(published / _STAGING)


def refuse_stale_wal(published: Path) -> None:
    """Refuse to publish beside a write-ahead log: DuckDB would apply it to the next version."""
    for path in (published / f"{DATABASE}.wal", published / _CURRENT / f"{DATABASE}.wal"):
        if path.exists():
            raise PublicationError(
                f"{path}: some tool opened the published file to write to it. Close that tool, "
                "make it open the file read-only, delete this .wal file, then run this again"
            )


def require_free_space(published: Path, warehouse: Path) -> None:
    """Refuse to begin without room for the new version three times over.

    It will be about as large as the version before. The first one is taken from the warehouse, and
    both its forms together are smaller than that.
    """
    before = published / _CURRENT / DATABASE
    needed = 3 * before.stat().st_size if before.exists() else warehouse.stat().st_size
    free = shutil.disk_usage(published if published.exists() else published.parent).free
    if free < needed:
        raise PublicationError(
            f"{published}: {free // 10**6} MB are free, publishing may need {needed // 10**6} MB: "
            "make room, then run this again"
        )


def seal(staged: Path) -> None:
    """Make a version's files read-only, and have the disk confirm files and folders."""
    for path in sorted(staged.rglob("*"), reverse=True):
        if path.is_file():
            path.chmod(0o444)
        synchronise(path)
    synchronise(staged)


def install(published: Path, staged: Path) -> None:
    """Move a finished version to the others; it is not in force yet."""
    staged.rename(version_folder(published, staged.name))
    synchronise(published / _VERSIONS)


def link_stable_name(published: Path) -> None:
    """Make `published/segments.duckdb`, through which every reader finds the version in force."""
    _replace_link(published / DATABASE, Path(_CURRENT) / DATABASE)


def put_in_force(published: Path, version: str) -> None:
    """Swap the one link that readers follow; they see the version before or this one."""
    _replace_link(published / _CURRENT, Path(_VERSIONS) / version)


def rollback(published: Path) -> str:
    """Put the version back that was in force before the present one; returns its name.

    Called again, it goes back once more. Hold the home's lock while calling it.
    Raises PublicationError where there is none, or where its files are not those published.
    """
    current = current_version(published)
    if current is None:
        raise PublicationError(f"{published}: nothing has been published, nothing to go back to")
    if current.previous is None:
        raise PublicationError(
            f"{published}: {current.version} is the first version: there is none to go back to"
        )
    refuse_stale_wal(published)
    folder = version_folder(published, current.previous)
    if not folder.is_dir():
        raise PublicationError(
            f"{folder} is no longer kept: `publication.keep_versions` says how many are"
        )
    faults = file_faults(folder, read_manifest(folder))
    if faults:
        raise PublicationError(f"{folder} cannot be put back: {'; '.join(faults)}")
    put_in_force(published, current.previous)
    clear_staging(published)
    return current.previous


def prune(published: Path, keep: int) -> None:
    """Delete every version but the one in force and those that `keep` - 1 rollbacks lead to.

    That includes versions that were rolled back from, and those of runs killed before the swap.
    A version leaves by a rename, so that none is ever found half deleted.
    """
    kept = {manifest.version for manifest in islice(kept_versions(published), keep)}
    for folder in version_folders(published):
        if folder.name not in kept:
            doomed = published / _STAGING / folder.name
            doomed.parent.mkdir(exist_ok=True)
            folder.rename(doomed)
            shutil.rmtree(doomed)


def _replace_link(link: Path, target: Path) -> None:
    """Point a link at a relative target in one rename, and have the disk confirm it."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.parent / _STAGING / link.name
    fresh.parent.mkdir(exist_ok=True)
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    synchronise(link.parent)
