"""What DuckDB makes of an expression over a row: its type, or why it can't be evaluated.

Bound against an empty relation of the declared types, so that no night meets an expression that
can't run, and the error has a line.
"""

from collections.abc import Mapping

from segmentation_pipeline.specification.expressions import parser
from segmentation_pipeline.specification.reading import Document, Place
from segmentation_pipeline.warehouse import DatabaseError, column_types_of, quote

ColumnTypes = Mapping[str, str]
"""Column -> DuckDB type."""


def bound_type(
    document: Document, place: Place, expression: str, columns: ColumnTypes, relation: str = "row"
) -> str:
    """Tell the DuckDB type of an expression over a row of these columns.

    `relation` is how the expression may call the row's table (`customers.city`).

    Raises SpecificationError with the line where it can't be evaluated: a function that there
    isn't, types that don't go together, an aggregate.
    """
    row = ", ".join(f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in columns.items())
    try:
        with parser().cursor() as connection:
            # WHERE takes what belongs to one row, and neither aggregates nor UNNEST.
            (kind,) = column_types_of(
                connection,
                f"SELECT ({expression}\n) FROM (SELECT {row}) AS {quote(relation)}"
                f" WHERE ({expression}\n) IS NULL",
            ).values()
    except DatabaseError as error:
        # It speaks of names, types and the expression: there is no row.
        said = str(error).splitlines()[0].partition(": ")[2]
        said = said.replace("WHERE clause", "an expression over a row")
        raise document.error(place, f"it can't be evaluated: {said}") from None
    return kind


def require_predicate(
    document: Document, place: Place, expression: str, columns: ColumnTypes, relation: str = "row"
) -> None:
    """Refuse an expression that can't be evaluated, or is neither true nor false of a row."""
    kind = bound_type(document, place, expression, columns, relation)
    if kind != "BOOLEAN":
        told = "nothing" if kind == '"NULL"' else f"a {kind}"
        raise document.error(place, f"it gives {told}, and must be true or false of a row")
