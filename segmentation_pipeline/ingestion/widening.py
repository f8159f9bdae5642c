"""Rows of attributes -> one row per customer.

Of several rows on the same attribute of a customer one counts: by what the declaration trusts, then
the latest, then the one whose value sorts first, whatever their order in the file. So an attribute
of which the latest row is empty, or cannot be read, is missing: an older one does not come back.
"""

from segmentation_pipeline.ingestion.incoming import ATTRIBUTE, ROW_FAILURE, VALUE, value_column
from segmentation_pipeline.ingestion.reading import Incoming
from segmentation_pipeline.ingestion.remarks import Remark
from segmentation_pipeline.specification.row_shapes import LongTable
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

_ROW = quote("told row")


def find_overtaken_rows(
    connection: Connection, long: LongTable, incoming: Incoming, number: int
) -> list[Remark]:
    """Find the rows that don't count, since another on the same attribute does.

    Tells how many they are, and how many customers' attributes have rows that contradict each other
    though nothing declared says which of them to take. `number` makes the name of the temporary
    table unique; `forget_wide_rows` drops it.
    """
    overtaken = _overtaken_table(number)
    query = _overtaken_rows_sql(long, _told_sql(incoming))
    connection.execute(f"CREATE TEMP TABLE {overtaken} AS {query}")
    rows, contradicted = connection.execute(
        "SELECT count(*), count(DISTINCT (customer_id, attribute)) FILTER (WHERE is_contradicted)"
        f" FROM {overtaken}"
    ).fetchall()[0]
    found = [
        Remark("overtaken_attribute", None, rows),
        Remark("contradicted_attribute", None, contradicted),
    ]
    return [remark for remark in found if remark.count]


def wide_rows_sql(source: SourceSpec, incoming: Incoming, number: int) -> str:
    """Write the query of a row per customer: source_row (of the first that counts), id, values.

    It reads what `find_overtaken_rows` made.
    """
    values = ", ".join(
        f"max({value_column(name)}) AS {value_column(name)}" for name in source.columns
    )
    return (
        f"SELECT min({_ROW}) AS source_row, customer_id, {values} FROM {_told_sql(incoming)}"
        f" ANTI JOIN {_overtaken_table(number)} USING ({_ROW}) GROUP BY customer_id"
    )


def forget_wide_rows(connection: Connection, number: int) -> None:
    """Drop what `find_overtaken_rows` made."""
    connection.execute(f"DROP TABLE IF EXISTS {_overtaken_table(number)}")


def _told_sql(incoming: Incoming) -> str:
    return (
        f"(SELECT *, {incoming.source_row} AS {_ROW} FROM {incoming.relation}"
        f" WHERE {quote(ROW_FAILURE)} IS NULL)"
    )


def _overtaken_table(number: int) -> str:
    return quote(f"overtaken_{number}")


def _overtaken_rows_sql(long: LongTable, told: str) -> str:
    """Write the query of the rows that don't count; only attributes told twice pay for an order."""
    ranks = _ranks(long)
    alike = [f"{one} IS NOT DISTINCT FROM first_value({one}) OVER best" for one in ranks]
    alike.append("told_value IS DISTINCT FROM first_value(told_value) OVER best")
    order = ", ".join([*(f"{one} NULLS LAST" for one in ranks), "told_value NULLS LAST", _ROW])
    columns = ", ".join(
        [
            _ROW,
            "customer_id",
            f"{quote(ATTRIBUTE)} AS attribute",
            f"trim({quote(VALUE)}) AS told_value",
            *(f"{sql} AS {name}" for name, sql in ranks.items()),
        ]
    )
    return (
        f"WITH told AS (SELECT {columns} FROM {told}),"
        " repeated AS ("
        "SELECT customer_id, attribute FROM told GROUP BY ALL HAVING count(*) > 1"
        "), ranked AS ("
        f"SELECT {_ROW}, customer_id, attribute, row_number() OVER best AS place,"
        f" {' AND '.join(alike)} AS is_contradicted"
        " FROM told SEMI JOIN repeated USING (customer_id, attribute)"
        f" WINDOW best AS (PARTITION BY customer_id, attribute ORDER BY {order})"
        f") SELECT {_ROW}, customer_id, attribute, is_contradicted FROM ranked WHERE place > 1"
    )


def _ranks(long: LongTable) -> dict[str, str]:
    """Name and write the numbers that order rows on the same attribute, the smallest first."""
    ranks = {}
    if long.trust is not None:
        order = ", ".join(literal(one) for one in long.trust.order)
        place = f"list_position([{order}], {value_column(long.trust.column)})"
        ranks["trust_rank"] = f"coalesce({place}, {len(long.trust.order) + 1})"
    if long.latest_by is not None:
        written = f"CAST({value_column(long.latest_by)} AS TIMESTAMP)"
        ranks["age_rank"] = f"-epoch_us({written})"
    return ranks
