"""What readers of the version in force will find changed when this release publishes next."""

from pathlib import Path

from segmentation_pipeline.contracts import contracts_digest
from segmentation_pipeline.contracts.changes import Change, ColumnShape, Shapes, changes, shapes_of
from segmentation_pipeline.publication.verification import read_published
from segmentation_pipeline.publication.versions import current_version


def announced_changes(published: Path) -> list[Change]:
    """Compare the published `data_dictionary` with this release's contracts, breaking ones first.

    Nothing where nothing is published yet, or where the release is that which published it.
    """
    manifest = current_version(published)
    if manifest is None or manifest.contracts_digest == contracts_digest():
        return []
    return changes(_published_shapes(published), shapes_of())


def _published_shapes(published: Path) -> Shapes:
    rows = read_published(
        published,
        "SELECT table_name, column_name, type, is_key, is_nullable FROM data_dictionary"
        " ORDER BY table_name, position",
    )
    shapes: dict[str, dict[str, ColumnShape]] = {}
    for table, column, kind, is_key, is_nullable in rows:
        shapes.setdefault(table, {})[column] = ColumnShape(kind, is_key, is_nullable)
    return shapes
