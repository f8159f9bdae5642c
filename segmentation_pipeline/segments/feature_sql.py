"""Features as SQL over the columns of `customers`, where that is what they are.

What belongs here: putting a feature's expression in the place of its name, so that a predicate runs
where there are only customers. A feature that sums up events is no expression over a customer's
row; nor is one that is made of such a feature.
"""

import copy
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.home import feature_column
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Connection, literal, quote

_DIVISIONS = ("/", "//", "%")
Tree = dict[str, Any]


def feature_over_customers_sql(
    connection: Connection, name: str, spec: SegmentationSpec, as_of: dt.date
) -> str | None:
    """Write a feature as an expression over the columns of `customers`; None where it is none.

    A division by zero gives NULL there too, whatever the session's settings are, and `as_of` is the
    date itself.
    """
    feature = spec.features[name]
    column = feature_column(name, feature)
    if column is not None:
        return quote(column)
    if feature.expression is None:
        return None
    tree = _expanded(connection, name, feature, spec, as_of)
    return None if tree is None else f"TRY({_text(connection, tree)})"


def where_over_customers_sql(
    connection: Connection, spec: SegmentationSpec, as_of: dt.date
) -> str | None:
    """Write the predicate of who takes part, with the date in the place of `as_of`."""
    if spec.where is None:
        return None
    date = _parsed(connection, literal(as_of))
    tree = _replaced(
        connection,
        _parsed(connection, spec.where),
        lambda column: date if column == "as_of" else None,
    )
    return _text(connection, tree)


def _expanded(
    connection: Connection, name: str, feature: FeatureSpec, spec: SegmentationSpec, as_of: dt.date
) -> Tree | None:
    """Parse an expression with the features that it reads in their place."""
    is_possible = True

    def instead(read: str) -> Tree | None:
        nonlocal is_possible
        if read == "as_of":
            return _parsed(connection, literal(as_of))
        # A feature that has the name of a column reads that column, not itself.
        if read == name or read not in spec.features:
            return None
        inner = feature_over_customers_sql(connection, read, spec, as_of)
        if inner is None:
            is_possible = False
            return None
        return _parsed(connection, inner)

    expression = feature.expression or "NULL"
    tree = _replaced(connection, _parsed(connection, expression), instead)
    return tree if is_possible else None


def _replaced(connection: Connection, tree: Any, instead: Callable[[str], Tree | None]) -> Any:
    """Copy a tree with other trees in the place of columns, and divisions that give NULL."""
    if isinstance(tree, list):
        return [_replaced(connection, one, instead) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("class") == "COLUMN_REF":
        return instead(tree["column_names"][-1]) or tree
    made = {key: _replaced(connection, value, instead) for key, value in tree.items()}
    if made.get("class") == "FUNCTION" and made["function_name"] in _DIVISIONS:
        divisor = made["arguments"][1]
        if divisor["expression"]["class"] == "CONSTANT":
            return made  # A constant zero is no value to anybody: nobody would write it.
        by_zero = _parsed(connection, "nullif(x, 0)")
        by_zero["arguments"][0]["expression"] = divisor["expression"]
        divisor["expression"] = by_zero
    return made


def _parsed(connection: Connection, expression: str) -> Tree:
    statement = _statement(connection, expression)
    tree: Tree = statement["statements"][0]["node"]["select_list"][0]
    return tree


def _text(connection: Connection, tree: Tree) -> str:
    statement = copy.deepcopy(_statement(connection, "x"))
    statement["statements"][0]["node"]["select_list"] = [tree]
    written = connection.execute(
        "SELECT json_deserialize_sql(?::JSON)", [json.dumps(statement)]
    ).fetchall()[0][0]
    return str(written).removeprefix("SELECT ")


def _statement(connection: Connection, expression: str) -> Tree:
    parsed = connection.execute(
        "SELECT json_serialize_sql(?::VARCHAR)", [f"SELECT ({expression}\n)"]
    ).fetchall()
    statement: Tree = json.loads(parsed[0][0])
    return statement
