"""SQL expressions in a specification: parsed by DuckDB, refused unless they are one expression.

An expression may name columns of one row and call functions; it may not hold a query, so that a
file cannot read another table, a file or the network.
"""

import atexit
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import cache, lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator

from segmentation_pipeline.warehouse import Connection, open_in_memory

_UNREPEATABLE = frozenset(
    {"now", "today", "ago", "current_date", "current_timestamp", "current_localtimestamp",
     "current_localtime", "get_current_timestamp", "get_current_time", "transaction_timestamp",
     "pg_postmaster_start_time", "pg_conf_load_time", "random", "setseed", "uuid", "uuidv4",
     "uuidv7", "gen_random_uuid", "nextval", "currval", "setval", "getenv", "getvariable",
     "txid_current", "current_transaction_id", "current_connection_id", "current_query",
     "current_query_id", "current_setting", "current_database", "current_catalog",
     "current_schema", "current_schemas", "in_search_path", "stats", "vector_type", "write_log",
     "sleep_ms", "pg_sleep"}
)  # fmt: skip


def referenced_columns(expression: str) -> tuple[str, ...]:
    """Name the columns an SQL expression reads, in order of appearance.

    Raises ValueError where the text is not one expression over a row.

    >>> referenced_columns("emails_opened / nullif(emails_sent, 0)")
    ('emails_opened', 'emails_sent')
    """
    return tuple(dict.fromkeys(name for _, name in qualified_columns(expression)))


@lru_cache(maxsize=4096)
def qualified_columns(expression: str) -> tuple[tuple[str, str], ...]:
    """Name the columns an SQL expression reads as (table, column); the table is "" if not written.

    Raises ValueError as `referenced_columns` does.

    >>> qualified_columns("seen_on >= customers.joined_on")
    (('', 'seen_on'), ('customers', 'joined_on'))
    """
    with parser().cursor() as connection:
        parsed = connection.execute(
            "SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT ({expression}\n)"]
        ).fetchall()
    tree = json.loads(parsed[0][0])
    if tree.get("error"):
        raise ValueError(f"not an SQL expression: {tree.get('error_message', 'syntax error')}")
    node = tree["statements"][0]["node"] if len(tree["statements"]) == 1 else {}
    is_bare_select = (
        node.get("type") == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not any(node.get(part) for part in ("where_clause", "having", "qualify", "modifiers"))
    )
    if not is_bare_select:
        raise ValueError("not one SQL expression over the columns of a row")
    (value,) = node["select_list"]
    if value["class"] == "FUNCTION" and value["function_name"] == "row":
        # Nothing, or several expressions with commas between them.
        raise ValueError("not one SQL expression over the columns of a row")
    names: dict[tuple[str, str], None] = {}
    for item in _walk(value):
        _refuse_what_reads_more_than_a_row(item)
        if item.get("class") == "COLUMN_REF":
            *table, column = item["column_names"]
            names[".".join(table), column] = None
    return tuple(names)


def _refuse_what_reads_more_than_a_row(item: Mapping[str, Any]) -> None:
    kind = item.get("class")
    if kind == "SUBQUERY":
        raise ValueError("an expression reads one row: it cannot hold a query")
    if kind == "WINDOW":
        raise ValueError("an expression reads one row: it cannot hold a window function")
    if kind == "FUNCTION" and item["function_name"] == "age" and len(item["arguments"]) == 1:
        raise ValueError("`age` of one date looks at the clock: write `age(as_of, ...)`")
    if kind == "FUNCTION" and item["function_name"] in _UNREPEATABLE:
        raise ValueError(
            f"`{item['function_name']}` differs from run to run: a night is for its `as_of`, "
            "whenever it runs"
        )
    if kind == "POSITIONAL_REFERENCE":
        raise ValueError("an expression names its columns: it cannot hold a position like #1")
    if kind == "STAR":
        raise ValueError("an expression names its columns: it cannot hold *")


@cache
def parser() -> Connection:
    """Open the DuckDB that parses, once in a process: to open one takes 8 ms, to parse a tenth."""
    opened = ExitStack()
    atexit.register(opened.close)
    return opened.enter_context(open_in_memory(memory_limit="256MB", threads=1))


def _walk(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _walk(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _walk(value)


def _checked(expression: str) -> str:
    referenced_columns(expression)
    return expression


Expression = Annotated[str, AfterValidator(_checked)]
"""An SQL expression (DuckDB's dialect) over the columns of one row."""
