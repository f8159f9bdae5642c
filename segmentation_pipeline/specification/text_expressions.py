"""Whether what a specification says over the texts of a file's row can be evaluated at all.

Ids by an expression and rows to ignore are worked out while a file is read, where a fault of the
expression would look like one of the file. So each is bound by DuckDB against an empty table of
texts, and refused with its line.
"""

from collections.abc import Iterator

from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.keys import KeyExpression
from segmentation_pipeline.specification.reading import Document, Place
from segmentation_pipeline.specification.references import check_names
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import (
    DatabaseError,
    column_types_of,
    open_in_memory,
    quote,
)


def check_text_expressions(document: Document, customers: CustomersSpec) -> None:
    """Refuse keys and rules of rows to ignore that no row could be asked (SpecificationError)."""
    for name, source in customers.sources.items():
        for place, expression, kind in _expressions(name, source):
            check_names(document, place, referenced_columns(expression), source.columns)
            _bind(document, place, expression, kind, source)


def _expressions(name: str, source: SourceSpec) -> Iterator[tuple[Place, str, str]]:
    """Yield where each expression stands, the expression, and what its value is read as."""
    if isinstance(source.key, KeyExpression):
        yield ["sources", name, "key"], source.key.expression, "VARCHAR"
    if source.visitors is not None and isinstance(source.visitors.key, KeyExpression):
        yield ["sources", name, "visitors", "key"], source.visitors.key.expression, "VARCHAR"
    for index, rule in enumerate(source.ignore_rows):
        yield ["sources", name, "ignore_rows", index, "predicate"], rule.predicate, "BOOLEAN"


def _bind(document: Document, place: Place, expression: str, kind: str, source: SourceSpec) -> None:
    texts = ", ".join(f"CAST(NULL AS VARCHAR) AS {quote(column)}" for column in source.columns)
    evaluated = f"TRY(CAST(({expression}\n) AS {kind}))"
    try:
        with open_in_memory(memory_limit="256MB", threads=1) as connection:
            column_types_of(
                connection, f"SELECT {evaluated} FROM (SELECT {texts}) WHERE {evaluated} IS NULL"
            )
    except DatabaseError as error:
        # It speaks of names, types and the expression: there is no row.
        said = str(error).splitlines()[0].partition(": ")[2]
        raise document.error(
            place, f"it can't be asked of a row, whose columns are all texts here: {said}"
        ) from None
