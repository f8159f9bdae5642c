"""The customers whom no segment holds: each is published in a row of its own, which says why.

What belongs here: the ids and labels of these rows, and the customers who stand for a segment when
it is described: neither those, nor by default those whose segment was only typed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from segmentation_pipeline.features.participation import has_parts
from segmentation_pipeline.segments.identity import NOISE_LABEL, noise_id
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Connection, Table, literal, write_view

UNKNOWN = "unknown"
INELIGIBLE = "ineligible"


def unknown_id(segmentation: str) -> str:
    """Name the row of customers who lack a source, and whose segment nothing else tells."""
    return f"{segmentation}-{UNKNOWN}"


def ineligible_id(segmentation: str) -> str:
    """Name the row of customers for whom `eligible` doesn't hold."""
    return f"{segmentation}-{INELIGIBLE}"


def outside_labels(segmentation: str) -> Mapping[str, str]:
    """Id -> what people call it, of every row that is no segment."""
    return MappingProxyType(
        {
            noise_id(segmentation): NOISE_LABEL,
            unknown_id(segmentation): "segment unknown",
            ineligible_id(segmentation): "not eligible",
        }
    )


def described_customers(segmentation: str, spec: SegmentationSpec) -> Table:
    """Name the part of `customer_segments` by which segments are described."""
    name = "described_customers" if has_parts(spec) else "customer_segments"
    return Table(segmentation, name)


def make_described_customers(
    connection: Connection, segmentation: str, spec: SegmentationSpec, build: Build
) -> None:
    """Make `described_customers` of a night's `customer_segments`, where it isn't all of them."""
    if not has_parts(spec):
        return
    out = f"{literal(unknown_id(segmentation))}, {literal(ineligible_id(segmentation))}"
    condition = f"segment_id NOT IN ({out})"
    if spec.typing is not None and not spec.typing.in_profiles:
        condition += " AND NOT is_typed"
    rows = f"FROM {Table(segmentation, 'customer_segments').sql} WHERE {condition}"
    (count,) = connection.execute(f"SELECT count(*) {rows}").fetchall()[0]
    table = described_customers(segmentation, spec)
    write_view(connection, table, f"SELECT * {rows}", build, int(count))
