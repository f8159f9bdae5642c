"""The files of a source: found below the home, digested, and watched for changes."""

import datetime as dt
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.specification.keys import RowNumberKey
from segmentation_pipeline.specification.sources import SourceSpec


@dataclass(frozen=True)
class SourceFile:
    """A file as it was when it was digested; `name` is its path relative to the home."""

    path: Path
    name: str
    digest: str
    bytes: int
    changed_ns: int

    def require_unchanged(self) -> None:
        """Refuse a file that was written to since it was digested.

        A half-written file thus stops the night, and its rows never carry another file's digest.
        """
        with _readable(self.name):
            status = self.path.stat()
        if (status.st_size, status.st_mtime_ns) != (self.bytes, self.changed_ns):
            raise SourceError(
                f"{self.name}: it changed while it was read; run again when it is complete "
                "(write to another name, then rename)"
            )


def source_files(home_path: Path, name: str, source: SourceSpec) -> list[Path]:
    """Find the files of a source, in the order of their names; a database has none.

    Of a folder these are the files in it, but not in folders below it, and not those whose names
    begin with a dot or an underscore: half-copied ones, and marks such as `_SUCCESS`. Raises
    SourceError where there is none, unless no row is needed, and where one lies outside the home (a
    symbolic link).
    """
    if source.format == "database":
        return []
    home = home_path.resolve()
    named = home / source.path
    if named.is_file():
        found = [named]
    elif named.is_dir():
        found = [p for p in named.iterdir() if p.is_file() and not p.name.startswith((".", "_"))]
    else:
        found = [p for p in home.glob(source.path) if p.is_file()]
    if not found and source.minimum_rows == 0:
        return []
    if not found:
        raise SourceError(
            f"source {name}: no file matches `{source.path}` in {home}; "
            "put it there, or correct `path` in customers.yaml"
        )
    if isinstance(source.key, RowNumberKey) and len(found) > 1:
        raise SourceError(
            f"source {name}: `{source.path}` holds {len(found)} files, and a row number identifies "
            "a customer only within one"
        )
    for path in found:
        if not path.resolve().is_relative_to(home):
            raise SourceError(
                f"source {name}: `{source.path}` leads out of the home {home}; "
                "a source's files lie below it"
            )
    return sorted(found, key=lambda path: path.as_posix())


def digest_file(home_path: Path, path: Path) -> SourceFile:
    """Compute the SHA-256 of a file of a home."""
    name = path.relative_to(home_path.resolve()).as_posix()
    with _readable(name):
        status = path.stat()
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
    file = SourceFile(path, name, digest, status.st_size, status.st_mtime_ns)
    file.require_unchanged()
    return file


def file_date(file_name: str, path: Path) -> dt.date:
    """Read a snapshot's date from its file's name, by a strptime format of the whole name."""
    try:
        return dt.datetime.strptime(path.name, file_name).replace(tzinfo=dt.UTC).date()
    except ValueError:
        raise SourceError(
            f"{path.name}: the name does not give the snapshot's date; "
            f"`snapshot_date.file_name` says names look like `{file_name}`"
        ) from None


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn the operating system's refusal into an error that names the file."""
    try:
        yield
    except OSError as error:
        raise SourceError(f"{name}: it cannot be read: {error.strerror}") from None
