"""`engineered_features`: every feature of a segmentation, one row per customer, in its own unit."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from segmentation_pipeline.errors import PreparationError
from segmentation_pipeline.features.aggregates import ZERO_WITHOUT_ROWS, aggregates_sql
from segmentation_pipeline.features.dependencies import (
    columns_read,
    features_read,
    in_dependency_order,
)
from segmentation_pipeline.features.participation import PART, has_parts, make_parts, part_sql
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.features import (
    NUMBER_TYPE,
    Aggregate,
    FeatureSpec,
    type_fault,
)
from segmentation_pipeline.specification.home import feature_column
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    DatabaseError,
    Table,
    count_rows,
    literal,
    quote,
    require_builds,
    write_table,
)

CUSTOMERS = Table("core", "customers")

# What DuckDB raises for a value; a full disk or memory is another matter, and keeps its own words.
_FAULTS_OF_VALUES = frozenset(
    {"ConversionException", "OutOfRangeException", "InvalidInputException"}
)

LARGEST_VALUE = 1e15
"""Beyond it no number is a customer's (a DOUBLE no longer holds cents), and squares of scaled
float32 values would overflow: such a value, an infinite one and NaN count as none."""


@dataclass(frozen=True)
class EngineeredFeatures:
    """What was made: how many customers, and where values are lacking."""

    rows: int
    """Customers that take part."""
    left_out: int
    """Customers for whom the segmentation's `where` doesn't hold."""
    missing: Mapping[str, int]
    """Feature -> customers without a value."""
    undefined: Mapping[str, int]
    """Feature -> customers without a value though everything it is made of has one: a division by
    zero, an impossible logarithm, a CASE without ELSE, a number that isn't finite or is beyond
    `LARGEST_VALUE`."""


@dataclass(frozen=True)
class _Scope:
    """A relation under construction: the WITH clauses so far, and the columns of the last one."""

    clauses: tuple[str, ...]
    relation: str
    columns: tuple[str, ...]

    def select(self, columns: str) -> str:
        return f"WITH {', '.join(self.clauses)}\nSELECT {columns} FROM {self.relation}"

    def extended(self, relation: str, new_columns: Mapping[str, str]) -> "_Scope":
        """Add columns; one that has the name of an older one takes its place."""
        kept = [column for column in self.columns if column not in new_columns]
        listed = [quote(column) for column in kept]
        listed += [f"{sql} AS {quote(name)}" for name, sql in new_columns.items()]
        clause = f"{relation} AS (SELECT {', '.join(listed)} FROM {self.relation})"
        return _Scope((*self.clauses, clause), relation, (*kept, *new_columns))


def make_engineered_features(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    customers: CustomersSpec,
    events: Mapping[str, str],
    build: Build,
) -> EngineeredFeatures:
    """Make `<name>.engineered_features`: customer_id, then every feature in the spec's order.

    Numbers are DOUBLE in their original unit, categories VARCHAR; a feature with `use: input` that
    is neither keeps its type. Values don't depend on the threads or the order of rows.
    `events` gives for each aggregated source a SELECT of its cleaned events (`customer_id` and
    the declared columns); later ones than `build.as_of` don't count.

    Raises PreparationError where an expression cannot be evaluated or no customer takes part, and
    StaleUpstreamError where `customers` was made for another date.
    """
    require_builds(connection, [CUSTOMERS], build.as_of)
    table = Table(name, "engineered_features")
    with _division_by_zero_is_null(connection):
        query = _features_sql(connection, name, spec, customers, events, build.as_of)
        _check_types(name, spec, _describe(connection, query, f"segmentation `{name}`"))
        try:
            rows = write_table(connection, table, query, build)
        except DatabaseError as error:
            if type(error).__name__ not in _FAULTS_OF_VALUES:
                raise
            # The message may quote a customer's value: only its kind is passed on.
            raise PreparationError(
                f"segmentation `{name}`: `where` or an aggregate meets a value that it cannot "
                f"work with ({type(error).__name__}): sums take numbers below 10^18 (declare "
                "`maximum`), a cast that may fail is written TRY_CAST"
            ) from None
    if rows == 0:
        raise PreparationError(
            f"segmentation `{name}`: no customer takes part: check its `where` and `customers`"
        )
    make_parts(connection, name, spec, build)
    missing, undefined = _count_lacking(connection, table, spec, build.as_of)
    return EngineeredFeatures(rows, count_rows(connection, CUSTOMERS) - rows, missing, undefined)


def feature_types(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    customers: CustomersSpec,
    events: Mapping[str, str],
    as_of: dt.date,
) -> dict[str, str]:
    """Tell the DuckDB type of each feature; `customers` and `events` need columns, and no rows."""
    with _division_by_zero_is_null(connection):
        query = _features_sql(connection, name, spec, customers, events, as_of)
        return _describe(connection, query, f"segmentation `{name}`")


def _features_sql(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    customers: CustomersSpec,
    events: Mapping[str, str],
    as_of: dt.date,
) -> str:
    """Write the SELECT of `engineered_features`, having asked DuckDB for types on the way."""
    scope = _participants(connection, name, spec, customers, events, as_of)
    for step, features in enumerate(in_dependency_order(spec)):
        scope = _evaluated(connection, name, spec, scope, features, step)
    parts = [PART] if has_parts(spec) else []
    return scope.select(", ".join(["customer_id", *map(quote, [*spec.features, *parts])]))


@contextmanager
def _division_by_zero_is_null(connection: Connection) -> Iterator[None]:
    """Make `/`, `//` and `%` by zero NULL; DuckDB gives infinity for the first, errors for others.

    With infinity, `least(clicks / mails, 1)` would be 1 for who got no mail. TRY around each
    expression would do too, but costs 2 us for each row that fails.
    """
    settings = ("ieee_floating_point_ops", "error_on_division_by_zero")
    listed = ", ".join(f"current_setting('{setting}')" for setting in settings)
    before = connection.execute(f"SELECT {listed}").fetchall()[0]
    for setting in settings:
        connection.execute(f"SET SESSION {setting} = false")
    try:
        yield
    finally:
        for setting, value in zip(settings, before, strict=True):
            connection.execute(f"SET SESSION {setting} = {literal(bool(value))}")


def _participants(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    customers: CustomersSpec,
    events: Mapping[str, str],
    as_of: dt.date,
) -> _Scope:
    """Select the customers that take part, with columns, aggregates and what expressions read."""
    clauses = [f"customers AS ({_customers_sql(as_of)})"]
    joins, columns = [], {"customer_id": "customers.customer_id", "as_of": "customers.as_of"}
    for feature_name, feature in spec.features.items():
        for read in columns_read(feature_name, feature, spec):
            columns[read] = f"customers.{quote(read)}"
    for source, aggregates in _aggregates_by_source(spec).items():
        relation = quote(f"events of {source}")
        if source not in events:
            raise PreparationError(f"segmentation `{name}`: there are no events of `{source}`")
        query = aggregates_sql(events[source], customers.sources[source], aggregates, as_of)
        _describe(connection, query, f"segmentation `{name}`: aggregates of `{source}`")
        clauses.append(f"{relation} AS ({query})")
        joins.append(f"LEFT JOIN {relation} USING (customer_id)")
        for feature_name, aggregate in aggregates.items():
            value = f"{relation}.{quote(feature_name)}"
            is_zero = aggregate.function in ZERO_WITHOUT_ROWS
            columns[feature_name] = f"coalesce({value}, 0)" if is_zero else value
    for feature_name, feature in spec.features.items():
        column = feature_column(feature_name, feature)
        if column is not None:
            columns[feature_name] = f"customers.{quote(column)}"
    where = "" if spec.where is None else f"WHERE ({spec.where}\n)"
    chosen = "*"
    if has_parts(spec):
        chosen = f"*, {part_sql(spec)} AS {quote(PART)}"
        columns[PART] = f"customers.{quote(PART)}"
    taking_part = f"(SELECT {chosen} FROM customers {where}) AS customers"
    scope = _Scope(tuple(clauses), f"{taking_part} {' '.join(joins)}", ())
    scope = scope.extended("participants", columns)
    measured = [quote(n) for n, feature in spec.features.items() if feature.expression is None]
    query = scope.select(", ".join(["customer_id", *measured]))
    types = _describe(connection, query, f"segmentation `{name}`: `where`")
    return _conformed(scope, "measured", types)


def _customers_sql(as_of: dt.date) -> str:
    return f"SELECT *, {literal(as_of)} AS as_of FROM {CUSTOMERS.sql}"


def _aggregates_by_source(spec: SegmentationSpec) -> dict[str, dict[str, Aggregate]]:
    found: dict[str, dict[str, Aggregate]] = {}
    for name, feature in spec.features.items():
        if feature.aggregate is not None:
            found.setdefault(feature.aggregate.source, {})[name] = feature.aggregate
    return found


def _evaluated(
    connection: Connection,
    name: str,
    spec: SegmentationSpec,
    scope: _Scope,
    features: list[str],
    step: int,
) -> _Scope:
    """Add the features of one group, each NULL where its expression fails for a customer."""
    expressions = {feature: f"TRY({spec.features[feature].expression}\n)" for feature in features}
    types: dict[str, str] = {}
    for feature, expression in expressions.items():
        place = f"segmentation `{name}`: the expression of feature `{feature}`"
        query = scope.select(f"{expression} AS {quote(feature)}")
        types |= _describe(connection, query, place)
    return _conformed(scope.extended(f"tried_{step}", expressions), f"evaluated_{step}", types)


def _conformed(scope: _Scope, relation: str, types: Mapping[str, str]) -> _Scope:
    """Turn numbers into DOUBLE, enums into text, and values that are no numbers into NULL."""
    conformed = {}
    for feature, column_type in types.items():
        value = quote(feature)
        if column_type.startswith("ENUM"):
            conformed[feature] = f"CAST({value} AS VARCHAR)"
        elif NUMBER_TYPE.fullmatch(column_type):
            is_sound = f"abs({value}) <= {literal(LARGEST_VALUE)}"
            conformed[feature] = f"CASE WHEN {is_sound} THEN CAST({value} AS DOUBLE) END"
    return scope.extended(relation, conformed)


def _describe(connection: Connection, query: str, place: str) -> dict[str, str]:
    """Column -> type of a query's result, without running it."""
    try:
        described = connection.execute(f"DESCRIBE {query}").fetchall()
    except DatabaseError as error:
        # No customer was read yet, so the message holds names and the file's own words only.
        reason = str(error).splitlines()[0]
        raise PreparationError(f"{place} cannot be evaluated: {reason}") from None
    return {str(row[0]): str(row[1]) for row in described}


def _check_types(name: str, spec: SegmentationSpec, types: Mapping[str, str]) -> None:
    for feature_name, feature in spec.features.items():
        fault = type_fault(feature, types[feature_name])
        if fault is not None:
            raise PreparationError(f"segmentation `{name}`: feature `{feature_name}` {fault}")


def _count_lacking(
    connection: Connection, table: Table, spec: SegmentationSpec, as_of: dt.date
) -> tuple[dict[str, int], dict[str, int]]:
    """Count customers without a value, and those without one for no lack of what it is made of."""
    counts = []
    for name, feature in spec.features.items():
        is_null = f"features.{quote(name)} IS NULL"
        counts.append(f"count(*) FILTER (WHERE {is_null})")
        counts.append(f"count(*) FILTER (WHERE {_is_undefined_sql(name, feature, spec)})")
    found = connection.execute(
        f"SELECT {', '.join(counts)} FROM {table.sql} AS features"
        f" JOIN ({_customers_sql(as_of)}) AS customers USING (customer_id)"
    ).fetchall()[0]
    return dict(zip(spec.features, found[::2], strict=True)), dict(
        zip(spec.features, found[1::2], strict=True)
    )


def _is_undefined_sql(name: str, feature: FeatureSpec, spec: SegmentationSpec) -> str:
    terms = [f"features.{quote(name)} IS NULL"]
    if feature.aggregate is not None:
        if feature.aggregate.function not in ZERO_WITHOUT_ROWS:
            return "false"  # without rows these have no value, which is no fault
        return terms[0]
    column = feature_column(name, feature)
    reads = [column] if column is not None else columns_read(name, feature, spec)
    terms += [f"customers.{quote(read)} IS NOT NULL" for read in reads]
    used = features_read(name, feature, spec)
    terms += [f"features.{quote(read)} IS NOT NULL" for read in used]
    return " AND ".join(terms)
