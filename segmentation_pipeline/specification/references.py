"""Whether what a specification names is there, and may be looked at.

What belongs here: checks of names that several files' checks share. Each raises SpecificationError
with the line and the nearest name.
"""

from collections.abc import Iterable, Mapping

from segmentation_pipeline.specification.binding import require_predicate
from segmentation_pipeline.specification.columns import MISSING_CATEGORY, SQL_TYPES, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expressions import referenced_columns
from segmentation_pipeline.specification.features import (
    Aggregate,
    Encoding,
    GivenEncoding,
    OrdinalEncoding,
)
from segmentation_pipeline.specification.reading import Document, Place, nearest


def customer_table_columns(customers: CustomersSpec) -> list[str]:
    """List the columns of the table `customers` that expressions may use, besides `as_of`."""
    flags = [f"has_{source}" for source in customers.sources]
    return ["customer_id", *customers.customer_columns(), *flags]


def customer_table_types(customers: CustomersSpec) -> dict[str, str]:
    """Tell the DuckDB types of the columns of `customers` that expressions may use."""
    types = {name: SQL_TYPES[one.type] for name, one in customers.customer_columns().items()}
    flags = {name: "BOOLEAN" for name in customer_table_columns(customers) if name not in types}
    return {**flags, **types, "customer_id": "VARCHAR"}


def check_names(
    document: Document, place: Place, used: Iterable[str], known: Iterable[str]
) -> None:
    """Refuse a name that is none of the known columns."""
    names = set(known)
    for name in used:
        if name not in names:
            raise document.error(place, f"there is no column `{name}`; {nearest(name, names)}")


def refuse_guarded(
    document: Document,
    place: Place,
    used: Iterable[str],
    columns: Mapping[str, ColumnSpec],
    use: str = "neither a feature nor a condition",
) -> None:
    """Refuse a column that is sensitive or personal; `use` says what it can't be."""
    for name in used:
        if name in columns and (columns[name].sensitive or columns[name].personal):
            kind = "sensitive" if columns[name].sensitive else "personal"
            raise document.error(place, f"`{name}` is {kind}: it can be {use}")


def check_aggregate(
    document: Document,
    place: Place,
    aggregate: Aggregate,
    customers: CustomersSpec,
    use: str = "neither a feature nor a condition",
) -> None:
    """Refuse an aggregate of a source that has no dates, or of columns that it can't be made of."""
    if aggregate.source not in customers.sources:
        hint = nearest(aggregate.source, customers.sources)
        raise document.error([*place, "source"], f"no source `{aggregate.source}`; {hint}")
    source = customers.sources[aggregate.source]
    if source.time is None:
        raise document.error(
            [*place, "source"],
            f"rows of `{aggregate.source}` have no `time`: it can't be summed up",
        )
    columns = source.clean_columns
    if aggregate.column is not None:
        check_names(document, [*place, "column"], [aggregate.column], columns)
        refuse_guarded(document, [*place, "column"], [aggregate.column], columns, use)
        needs_number = aggregate.function in ("sum", "mean", "minimum", "maximum")
        if needs_number and not columns[aggregate.column].is_numeric:
            raise document.error(
                [*place, "column"],
                f"`{aggregate.function}` needs a number, and "
                f"`{aggregate.column}` is of type {columns[aggregate.column].type}",
            )
    if aggregate.where is not None:
        used = referenced_columns(aggregate.where)
        check_names(document, [*place, "where"], used, columns)
        refuse_guarded(document, [*place, "where"], used, columns, use)
        types = {name: SQL_TYPES[column.type] for name, column in columns.items()}
        require_predicate(document, [*place, "where"], aggregate.where, types, "events")


def check_encoded_categories(
    document: Document, place: Place, encoding: Encoding | None, column: ColumnSpec
) -> None:
    """Refuse an encoding of categories that the column doesn't list, if it lists any.

    Whoever has the category that was meant would count as missing. Raises SpecificationError with
    the line and the nearest name.
    """
    match encoding:
        case OrdinalEncoding():
            named = [*(encoding.order or ()), *(encoding.values or ())]
        case GivenEncoding():
            named = [*encoding.vectors]
        case _:
            return
    known = [*(column.categories or named)]
    if column.impute is not None:
        imputed = {"missing_category": MISSING_CATEGORY, "constant": str(column.impute.value)}
        known += [imputed[method] for method in imputed if method == column.impute.method]
    for category in named:
        if category not in known:
            hint = nearest(category, known)
            raise document.error(place, f"`{category}` is no category of its column; {hint}")
