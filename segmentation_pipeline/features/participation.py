"""Who takes which part: grouped by their own features, typed, or not eligible.

What belongs here: the column that says so, and the relations that hold one part of the customers.
Without `eligible` and `typing` everybody is grouped, and there is neither column nor relation: each
name below is then that of the table itself. How customers are typed belongs to `clustering.typed`.
"""

from typing import Literal

from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    quote,
    write_view,
)

Part = Literal["grouped", "typed", "ineligible"]

# No feature can be called so: theirs are plain names.
PART = "belongs:part"
"""Column of `engineered_features`: which `Part` a customer takes."""

HELD_OUT_SHARE = 0.2
"""Of the customers who have the source, so many are hidden from clustering and typing alike."""


def has_parts(spec: SegmentationSpec) -> bool:
    """Whether not everybody is grouped."""
    return spec.eligible is not None or spec.typing is not None


def part_sql(spec: SegmentationSpec) -> str:
    """Write the expression over `customers` that says which part a customer takes.

    A condition that is NULL doesn't hold.
    """
    cases = ""
    if spec.eligible is not None:
        cases += f" WHEN ({spec.eligible}\n) IS NOT TRUE THEN 'ineligible'"
    if spec.typing is not None:
        has_all = " AND ".join(quote(f"has_{source}") for source in spec.typing.sources)
        cases += f" WHEN ({has_all}) IS NOT TRUE THEN 'typed'"
    return f"CASE{cases} ELSE 'grouped' END"


def grouped_features(name: str, spec: SegmentationSpec) -> Table:
    """Name the engineered features of the customers who are grouped by them."""
    return Table(name, "grouped_features" if has_parts(spec) else "engineered_features")


def fitting_features(name: str, spec: SegmentationSpec) -> Table:
    """Name the engineered features that a preparation and a model are fitted on."""
    return grouped_features(name, spec) if spec.typing is None else Table(name, "fitting_features")


def fitting_matrix(name: str, spec: SegmentationSpec) -> Table:
    """Name the feature matrix that a model is fitted on."""
    return Table(name, "feature_matrix" if spec.typing is None else "fitting_matrix")


def held_out_features(name: str) -> Table:
    """Name the engineered features of those who have the source, and are kept aside."""
    return Table(name, "held_out_features")


def features_of_typed(name: str) -> Table:
    """Name the engineered features of the customers who are typed."""
    return Table(name, "features_of_typed")


def customers_of_part_sql(name: str, part: Part) -> str:
    """Write the SELECT of the `customer_id` of those who take a part; `has_parts` must hold."""
    engineered = Table(name, "engineered_features")
    return f"SELECT customer_id FROM {engineered.sql} WHERE {quote(PART)} = {literal(part)}"


def make_parts(connection: Connection, name: str, spec: SegmentationSpec, build: Build) -> None:
    """Make the relations of a night's `engineered_features` that hold one part each: views."""
    if not has_parts(spec):
        return
    grouped = grouped_features(name, spec)
    wanted = {grouped: f"{quote(PART)} = 'grouped'"}
    if spec.typing is not None:
        wanted |= {
            fitting_features(
                name, spec
            ): f"{quote(PART)} = 'grouped' AND NOT {_held_out_sql(spec)}",
            held_out_features(name): f"{quote(PART)} = 'grouped' AND {_held_out_sql(spec)}",
            features_of_typed(name): f"{quote(PART)} = 'typed'",
        }
    engineered = Table(name, "engineered_features")
    for table, condition in wanted.items():
        _write(connection, table, f"* EXCLUDE ({quote(PART)})", engineered, condition, build)


def make_fitting_matrix(
    connection: Connection, name: str, spec: SegmentationSpec, build: Build
) -> None:
    """Make the relation of a night's `feature_matrix` without those who are kept aside."""
    if spec.typing is None:
        return
    table, matrix = fitting_matrix(name, spec), Table(name, "feature_matrix")
    _write(connection, table, "*", matrix, f"NOT {_held_out_sql(spec)}", build)


def _held_out_sql(spec: SegmentationSpec) -> str:
    """Say whether a customer who has the source is kept aside, by a hash of the id of its own.

    Not the one that orders samples: who is kept aside must not depend on who was drawn.
    """
    bound = int(HELD_OUT_SHARE * 2**64)
    salt = literal(f"{spec.clustering.seed}:held out:")
    return f"(md5_number_lower({salt} || customer_id) < {bound}::UBIGINT)"


def _write(
    connection: Connection, view: Table, columns: str, table: Table, condition: str, build: Build
) -> None:
    rows = f"FROM {table.sql} WHERE {condition}"
    (count,) = connection.execute(f"SELECT count(*) {rows}").fetchall()[0]
    write_view(connection, view, f"SELECT {columns} {rows}", build, int(count))
