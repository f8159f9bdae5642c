"""The SELECTs behind each published table: of work tables, and of the version before."""

import json
from collections.abc import Iterable, Iterator, Mapping

from segmentation_pipeline.contracts import (
    CONTRACTS,
    CONTRACTS_VERSION,
    Contract,
    contracts_digest,
)
from segmentation_pipeline.errors import PublicationError
from segmentation_pipeline.publication.plan import BEFORE, Plan
from segmentation_pipeline.publication.pseudonyms import pseudonym_sql
from segmentation_pipeline.publication.retention import is_kept_sql
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Connection,
    DatabaseError,
    Table,
    column_types,
    literal,
    quote,
)

CUSTOMER_ID = "customer_id"
_MADE_HERE = ("segmentation_runs", "segment_crosstab")
"""Tables of the segmentations that are made of others while publishing."""


def work_tables(segmentation: str) -> list[Table]:
    """List the work tables of a segmentation that are published."""
    return [
        Table(segmentation, contract.name)
        for contract in CONTRACTS.values()
        if contract.has_segmentation and contract.name not in _MADE_HERE
    ]


def published_parts_sql(
    connection: Connection, home: Home, plan: Plan, contract: Contract
) -> Iterator[str]:
    """Write the SELECTs of a published table: one after the other they give the key's order.

    All have the contract's columns. A table of customers, whose key begins with the segmentation
    or the date, comes in several, so that no sort holds more than one segmentation, and rows of
    other dates aren't sorted again: run them where rows keep the order that they stand in.
    Raises PublicationError where a work table is missing, or its columns are not the contract's.
    """
    is_kept = is_kept_sql(home, contract, plan.as_of)
    if contract.name == "data_dictionary":
        yield _part_sql(contract, f"({_data_dictionary_sql(contract)})", is_kept, contract.key)
        return
    kept = _kept_sql(connection, plan, contract)
    # An earlier release may have had another order.
    is_sorted = plan.before is not None and plan.before.contracts_digest == contracts_digest()
    if is_of_customers(contract) and not contract.is_dated:
        made = _made_tonight(plan, contract)
        for name in sorted({*plan.ready, *plan.kept}):
            if name in made:
                # Sorted before what is the same in all its rows is added: that would be moved too.
                by_key = _order_sql(contract.work_key)
                rows = _of_segmentation_sql(connection, plan, contract, name, by_key)
                yield _part_sql(contract, f"({rows})", is_kept)
            else:
                of_one = f"{is_kept} AND segmentation = {literal(name)}"
                yield _part_sql(contract, f"({kept})", of_one, () if is_sorted else contract.key)
        return
    fresh = list(_fresh_sql(connection, home, plan, contract))
    if is_of_customers(contract):
        night = literal(plan.build.as_of)
        order = () if is_sorted else contract.key
        yield _part_sql(contract, f"({kept})", f"{is_kept} AND as_of < {night}", order)
        same_date = f"({' UNION ALL '.join([*fresh, f'({kept} AND as_of = {night})'])})"
        yield _part_sql(contract, same_date, is_kept, contract.key[1:])
        yield _part_sql(contract, f"({kept})", f"{is_kept} AND as_of > {night}", order)
    else:
        rows = f"({' UNION ALL '.join([*fresh, kept])})"
        yield _part_sql(contract, rows, is_kept, contract.key)


def is_of_customers(contract: Contract) -> bool:
    """Whether a table has rows of single customers, and so grows with their number."""
    return any(column.name == CUSTOMER_ID for column in contract.columns)


def _part_sql(contract: Contract, rows: str, where: str, order: Iterable[str] = ()) -> str:
    return f"SELECT {_names_sql(contract)} FROM {rows} WHERE {where}{_order_sql(order)}"


def _order_sql(order: Iterable[str]) -> str:
    sorted_by = ", ".join(quote(name) for name in order)
    return f" ORDER BY {sorted_by}" if sorted_by else ""


def _fresh_sql(connection: Connection, home: Home, plan: Plan, contract: Contract) -> Iterable[str]:
    """Rows made by this night."""
    key = plan.pseudonym_key
    night = {"as_of": literal(plan.build.as_of), "run_id": literal(plan.build.run_id)}
    if contract.name == "segmentation_runs":
        for name in plan.ready:
            yield _values_sql(contract, night | _run_values(home, plan, name))
    elif contract.has_segmentation:
        for name in _made_tonight(plan, contract):
            yield _of_segmentation_sql(connection, plan, contract, name)
    elif contract.is_dated:
        # Results of other runs of this date are of rows that have been replaced since.
        yield (
            _work_table_sql(connection, contract, Table("core", contract.name), night, key)
            + " SEMI JOIN core.builds USING (table_name, as_of, run_id)"
            + f" WHERE as_of = {night['as_of']}"
        )
    elif plan.is_home_fresh:
        yield _work_table_sql(connection, contract, Table("core", contract.name), night, key)


def _made_tonight(plan: Plan, contract: Contract) -> Iterable[str]:
    """Name the segmentations whose rows of a table are made by this night."""
    return plan.ready if contract.is_dated or contract.is_cumulative else plan.fresh


def _of_segmentation_sql(
    connection: Connection, plan: Plan, contract: Contract, name: str, order: str = ""
) -> str:
    added = {
        "as_of": literal(plan.build.as_of),
        "run_id": literal(plan.build.run_id),
        "segmentation": literal(name),
        "model_version": literal(plan.ready[name].model_version),
        "is_stale": literal(plan.build.as_of < plan.as_of),
    }
    table = Table(name, contract.name)
    return _work_table_sql(connection, contract, table, added, plan.pseudonym_key, order)


def _kept_sql(connection: Connection, plan: Plan, contract: Contract) -> str:
    """Rows copied from the version before, which an earlier release may have published."""
    if plan.before is None or contract.name not in plan.before.rows:
        # A table without a row still has its columns.
        return _values_sql(contract, {}) + " WHERE FALSE"
    table = Table(BEFORE, contract.name)
    found = column_types(connection, table)
    values = {name: quote(name) for name in found}
    if "is_stale" in values:
        values["is_stale"] = f"as_of < {literal(plan.as_of)}"
    return f"{_values_sql(contract, values)} FROM {table.sql} WHERE {_is_kept_sql(plan, contract)}"


def _is_kept_sql(plan: Plan, contract: Contract) -> str:
    as_of = literal(plan.build.as_of)
    if contract.is_dated and contract.has_segmentation:
        return f"NOT (as_of = {as_of} AND {_among_sql(plan.ready)})"
    if contract.is_dated:
        return f"as_of <> {as_of}"
    if contract.is_cumulative:
        return _among_sql(name for name in plan.kept if name not in plan.ready)
    if contract.has_segmentation:
        return _among_sql(plan.kept)
    return literal(not plan.is_home_fresh)


def _among_sql(segmentations: Iterable[str]) -> str:
    names = ", ".join(literal(name) for name in segmentations)
    return f"segmentation IN ({names})" if names else "FALSE"


def _work_table_sql(
    connection: Connection,
    contract: Contract,
    table: Table,
    added: Mapping[str, str],
    key: bytes | None,
    order: str = "",
) -> str:
    """Select a contract's columns from a work table, and from `added` those that it lacks."""
    try:
        found = column_types(connection, table)
    except DatabaseError:
        raise PublicationError(
            f"{table} is not in the warehouse: run the steps before publication first"
        ) from None
    faults = []
    for column in contract.columns:
        if column.name in found and found[column.name] != column.type:
            faults.append(f"{column.name} is {found[column.name]}, not {column.type}")
        if column.name not in found and column.name not in added:
            faults.append(f"{column.name} is missing")
    if faults:
        raise PublicationError(f"{table} is not as its contract says: {'; '.join(faults)}")
    rows = table.sql
    if CUSTOMER_ID in found:
        called = pseudonym_sql(key, quote(CUSTOMER_ID))
        rows = f"(SELECT * REPLACE ({called} AS {quote(CUSTOMER_ID)}) FROM {rows}{order})"
    values = {**added, **{name: quote(name) for name in found}}
    return f"{_values_sql(contract, values)} FROM {rows}"


def _run_values(home: Home, plan: Plan, segmentation: str) -> dict[str, str]:
    origin = plan.origins[segmentation].model_dump(exclude={"as_of"})
    criteria = dict(home.segmentations[segmentation].criteria)
    counted = {
        column: f"(SELECT count(*) FROM {Table(segmentation, table).sql})"
        for column, table in (("segments", "segments"), ("customers", "customer_segments"))
    }
    return {
        **{name: literal(value) for name, value in origin.items()},
        **counted,
        "segmentation": literal(segmentation),
        "criteria": literal(json.dumps(criteria, ensure_ascii=False)),
        "silhouette": literal(plan.ready[segmentation].silhouette),
    }


def _data_dictionary_sql(contract: Contract) -> str:
    rows = [
        {
            "table_name": described.name,
            "column_name": column.name,
            "position": position,
            "type": column.type,
            "unit": column.unit,
            "description": column.description,
            "is_key": column.name in described.key,
            "is_nullable": column.is_nullable,
            "is_volatile": column.is_volatile,
            "table_description": described.description,
            "grain": described.grain,
            "contracts_version": CONTRACTS_VERSION,
        }
        for described in CONTRACTS.values()
        for position, column in enumerate(described.columns, start=1)
    ]
    # One text is read ten times faster than thousands of literals.
    types = json.dumps([{column.name: column.type for column in contract.columns}])
    described_sql = f"unnest(from_json({literal(json.dumps(rows))}, {literal(types)}))"
    return f"SELECT described.* FROM (SELECT {described_sql} AS described)"


def _values_sql(contract: Contract, values: Mapping[str, str]) -> str:
    """Select an expression for each column of a contract, in its type; NULL where there is none."""
    selected = (
        f"CAST({values.get(c.name, 'NULL')} AS {c.type}) AS {quote(c.name)}"
        for c in contract.columns
    )
    return f"SELECT {', '.join(selected)}"


def _names_sql(contract: Contract) -> str:
    return ", ".join(quote(column.name) for column in contract.columns)
