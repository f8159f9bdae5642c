"""The manifest of a published version: what it is made of, and the digests of its files."""

import datetime as dt
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from segmentation_pipeline.errors import PublicationError

MANIFEST = "manifest.json"
DATABASE = "segments.duckdb"
PARQUET = "parquet"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Origin(_Record):
    """What a segmentation's current rows were made of: equal origins make equal rows.

    `fitting_digest` is of what the model depends on in the YAML, `decisions_digest` of what was
    decided about models up to the date; None of an earlier release.
    """

    as_of: dt.date
    specification_digest: str
    fitting_digest: str | None = None
    source_digest: str
    preparation_digest: str
    model_digest: str
    model_version: int
    algorithm: str
    decisions_digest: str | None = None


class PublishedSegmentation(_Record):
    """A segmentation in a version: the run that made its current rows, and their origin."""

    run_id: str
    origin: Origin


class PublishedFile(_Record):
    """A file of a version."""

    bytes: int
    sha256: str


class Manifest(_Record):
    """`manifest.json` of a version.

    `previous` is the version that was in force when this one was built, and the one that rollback
    returns to. `as_of` is the newest date among its segmentations; `night` is the date of the run
    that built it, an older one where a past date was run again. `contracts_version` is None of an
    earlier release. `pseudonym_key` is the fingerprint
    of the key of the customers' pseudonyms; None where they are published under their ids.
    """

    format: Literal[1] = 1
    version: str
    previous: str | None
    as_of: dt.date
    night: dt.date
    run_id: str
    contracts_digest: str
    contracts_version: str | None = None
    pseudonym_key: str | None = None
    segmentations: Mapping[str, PublishedSegmentation]
    rows: Mapping[str, int]
    files: Mapping[str, PublishedFile]


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write a version's manifest."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read a version's manifest; raises PublicationError where it is missing or damaged."""
    path = folder / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise PublicationError(f"{path} is missing: the version is not complete") from None
    except ValidationError as error:
        raise PublicationError(
            f"{path} is not a manifest that this release can read "
            f"({error.error_count()} faults, the first at {error.errors()[0]['loc']})"
        ) from None


def manifest_digest(folder: Path) -> str:
    """Compute the SHA-256 of a version's manifest, and by its digests of all that it names."""
    return file_digest(folder / MANIFEST)


def describe_files(folder: Path) -> dict[str, PublishedFile]:
    """Describe every file of a version but its manifest: relative path -> size and digest."""
    return {
        path.relative_to(folder).as_posix(): PublishedFile(
            bytes=path.stat().st_size, sha256=file_digest(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def file_faults(folder: Path, manifest: Manifest) -> list[str]:
    """Compare a version's files with its manifest; one sentence for each that differs."""
    found = describe_files(folder)
    faults = [f"{name} is missing" for name in sorted(manifest.files.keys() - found.keys())]
    faults += [f"{name} is not in the manifest" for name in sorted(found.keys() - manifest.files)]
    faults += [
        f"{name} is not the file that was published: its digest differs"
        for name in sorted(manifest.files.keys() & found.keys())
        if manifest.files[name] != found[name]
    ]
    return faults


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
