"""What a source gives tonight, whether its files lie in the home or are copied from a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from segmentation_pipeline.ingestion.csv_text import folder_for_copies
from segmentation_pipeline.ingestion.files import SourceFile, digest_file, source_files
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection

if TYPE_CHECKING:
    from segmentation_pipeline.ingestion.databases import Environment


@contextmanager
def found_files(
    connection: Connection,
    home_path: Path,
    name: str,
    source: SourceSpec,
    environment: "Environment",
) -> Iterator[list[SourceFile]]:
    """Find and digest a source's files, in the order of their names.

    The copy of a database's rows lives as long as the `with` block. Raises SourceError where there
    is nothing, or nothing that can be read.
    """
    if source.format != "database":
        yield [digest_file(home_path, path) for path in source_files(home_path, name, source)]
        return
    # SQLAlchemy costs a third of a second: only homes that need it pay.
    from segmentation_pipeline.ingestion.databases import copy_rows

    with folder_for_copies(copies_folder(connection)) as folder:
        yield [copy_rows(connection, source, environment, folder)]


def copies_folder(connection: Connection) -> Path:
    """Name the folder for what lives no longer than a load: where DuckDB spills to."""
    (row,) = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    return Path(str(row[0]))
