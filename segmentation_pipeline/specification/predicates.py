"""Whether what a customer base expects of its data can be asked at all.

A predicate is bound by DuckDB against empty tables of the declared types, so that a night never
meets one that can't run: what is no truth about one row is refused with its line.
"""

from collections.abc import Iterable, Mapping, Sequence

from segmentation_pipeline.specification.columns import SQL_TYPES, ColumnSpec
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.expectations import CUSTOMERS_ALIAS, RowExpectation
from segmentation_pipeline.specification.expressions import qualified_columns
from segmentation_pipeline.specification.reading import Document, Place, nearest
from segmentation_pipeline.specification.references import check_names, customer_table_types
from segmentation_pipeline.warehouse import (
    Connection,
    DatabaseError,
    column_types_of,
    open_in_memory,
    quote,
)

_ROW, _CUSTOMERS = "checked row", "checked customers"
_AS_OF = {"as_of": "DATE"}
Columns = Mapping[str, str]
"""Column -> DuckDB type."""


def check_expectations(document: Document, customers: CustomersSpec) -> None:
    """Refuse predicates, references and column names that no night could look at.

    Raises SpecificationError with the line.
    """
    of_customers = customer_table_types(customers)
    with open_in_memory(memory_limit="256MB", threads=1) as connection:
        _make_table(connection, _CUSTOMERS, of_customers)
        for name, source in customers.sources.items():
            place: list[str | int] = ["sources", name]
            own = {**dict.fromkeys(source.id_columns, "VARCHAR"), **_types(source.columns)}
            _make_table(connection, _ROW, own | _AS_OF)
            _check_names_differ(document, place, source.expectations)
            for index, expectation in enumerate(source.expectations):
                where: Place = [*place, "expectations", index, "predicate"]
                _check_known(document, where, expectation, name, own | _AS_OF, of_customers)
                beside = quote(_CUSTOMERS) if expectation.looks_at_customers else None
                _bind(document, where, expectation, connection, name, beside)
            _check_references(document, place, name, customers)
            columns = [*place, "distribution", "columns"]
            check_names(document, columns, source.distribution.columns, source.columns)
        of_home = ["customers"]
        _make_table(connection, _ROW, of_customers | _AS_OF)
        _check_names_differ(document, of_home, customers.customers.expectations)
        for index, expectation in enumerate(customers.customers.expectations):
            where = [*of_home, "expectations", index, "predicate"]
            _check_known(document, where, expectation, "customers", of_customers | _AS_OF, {})
            _bind(document, where, expectation, connection, "customers", None)


def _types(columns: Mapping[str, ColumnSpec]) -> dict[str, str]:
    return {name: SQL_TYPES[column.type] for name, column in columns.items()}


def _make_table(connection: Connection, name: str, columns: Columns) -> None:
    declared = ", ".join(f"{quote(column)} {kind}" for column, kind in columns.items())
    connection.execute(f"CREATE OR REPLACE TABLE {quote(name)} ({declared})")


def _check_names_differ(
    document: Document, place: Place, expectations: Sequence[RowExpectation]
) -> None:
    names = [expectation.name for expectation in expectations]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise document.error(
                [*place, "expectations", index, "name"], f"another expectation is called `{name}`"
            )


def _check_known(
    document: Document,
    place: Place,
    expectation: RowExpectation,
    name: str,
    own: Iterable[str],
    of_customers: Iterable[str],
) -> None:
    used = qualified_columns(expectation.predicate)
    if not used:
        raise document.error(place, "it names no column, so that it says the same of every row")
    for table, column in used:
        if table == CUSTOMERS_ALIAS and of_customers:
            check_names(document, place, [column], of_customers)
        elif not table or (table == name and expectation.looks_at_customers):
            check_names(document, place, [column], own)
        else:
            hint = nearest(table, [CUSTOMERS_ALIAS] if of_customers else [])
            if not hint.startswith("did you mean"):
                hint = f"write `{column}` alone"
            raise document.error(place, f"there is no table `{table}` here; {hint}")


def _bind(
    document: Document,
    place: Place,
    expectation: RowExpectation,
    connection: Connection,
    name: str,
    beside: str | None,
) -> None:
    """Have DuckDB bind the predicate: WHERE refuses an aggregate, the SELECT tells the type."""
    relation = f"{quote(_ROW)} AS {quote(name)}"
    if beside is not None:
        relation += f", {beside} AS {quote(CUSTOMERS_ALIAS)}"
    holds = f"({expectation.predicate}\n)"
    try:
        (kind,) = column_types_of(
            connection, f"SELECT {holds} AS holds FROM {relation} WHERE {holds}"
        ).values()
    except DatabaseError as error:
        # It speaks of names, types and the predicate: the tables are empty.
        said = str(error).splitlines()[0].partition(": ")[2]
        raise document.error(place, f"it can't be asked of a row: {said}") from None
    if kind != "BOOLEAN":
        told = "nothing" if kind == '"NULL"' else f"a {kind}"
        raise document.error(place, f"it gives {told}, and must be true or false of a row")


def _check_references(
    document: Document, place: Place, name: str, customers: CustomersSpec
) -> None:
    known = [other for other in customers.sources if other != name]
    seen: set[str] = set()
    for reference in customers.sources[name].referenced:
        where = [*place, "references"]
        if reference.source not in known:
            hint = nearest(reference.source, known) if known else "it is the only source"
            raise document.error(where, f"no other source is called `{reference.source}`; {hint}")
        if reference.source in seen:
            raise document.error(where, f"`{reference.source}` stands twice")
        seen.add(reference.source)
