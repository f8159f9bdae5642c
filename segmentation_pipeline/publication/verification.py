"""Looks at what is in force: as a reader does, and as someone who trusts nothing."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from segmentation_pipeline.contracts import contracts_digest
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication.audit import audit_version
from segmentation_pipeline.publication.manifest import DATABASE, file_faults
from segmentation_pipeline.publication.versions import current_version, version_folder
from segmentation_pipeline.warehouse import DatabaseError, open_warehouse

OF_ANOTHER_RELEASE = (
    "its files are those that were published, but by the contracts of another release, which this "
    "one cannot audit: the next night publishes it anew"
)
_WRITABLE = 0o222


def nothing_published(published: Path) -> str:
    """Say that no night has been published yet."""
    return f"{published}: nothing has been published yet"


def read_published(published: Path, query: str) -> list[tuple[Any, ...]]:
    """Answer a query from the version in force, through the name that every reader uses."""
    if current_version(published) is None:
        raise PublicationError(nothing_published(published))
    with open_warehouse(published / DATABASE, read_only=True) as connection:
        return connection.execute(query).fetchall()


def verify(published: Path, personal: Collection[str] = ()) -> list[str]:
    """Say all that is wrong with the version in force: links, digests, modes, and its audit.

    An empty list means that readers see one complete, audited version. `personal` are the columns
    of the home that never leave the warehouse.
    """
    try:
        manifest = current_version(published)
    except PublicationError as error:
        return [str(error)]
    if manifest is None:
        return [nothing_published(published)]
    folder = version_folder(published, manifest.version)
    if (published / DATABASE).resolve() != (folder / DATABASE).resolve():
        return [f"{published / DATABASE} does not lead to {folder / DATABASE}"]
    faults = file_faults(folder, manifest)
    if faults:
        return faults
    faults = [
        f"{path.relative_to(folder)} can be written to"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.stat().st_mode & _WRITABLE
    ]
    if manifest.contracts_digest != contracts_digest():
        return [*faults, OF_ANOTHER_RELEASE]
    try:
        return faults + audit_version(folder, manifest, personal)
    except DatabaseError as error:
        return [*faults, f"{DATABASE} cannot be read ({type(error).__name__})"]
