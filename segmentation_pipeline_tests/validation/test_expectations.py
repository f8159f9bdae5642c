import datetime as dt

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.validation import Expectation


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"kind": "betwen", "column": "age"}, "did you mean 'between'"),
        ({"kind": "not_null", "column": "age", "severity": "eror"}, "did you mean 'error'"),
        ({"kind": "not_null", "column": "age", "mostly": 1.5}, "share from 0 to 1"),
        ({"kind": "not_null"}, "wants column"),
        ({"kind": "not_null", "columns": ("age",)}, "does not take `columns`"),
        ({"kind": "unique", "column": "a", "columns": ("b",)}, "wants column or columns"),
        ({"kind": "row_predicate", "column": "age"}, "does not take `column`"),
        ({"kind": "between", "column": "age"}, "maximum or minimum"),
        (
            {"kind": "between", "column": "age", "parameters": {"minium": 1}},
            "did you mean 'minimum'",
        ),
        ({"kind": "not_null", "column": "age", "parameters": {"minimum": 1}}, "Allowed: none"),
        (
            {"kind": "between", "column": "age", "parameters": {"minimum": "1"}},
            "`minimum` is int or float or date, not str",
        ),
        (
            {"kind": "between", "column": "age", "parameters": {"minimum": 2, "maximum": 1}},
            "below `maximum`",
        ),
        (
            {
                "kind": "between",
                "column": "born",
                "parameters": {"minimum": 2, "maximum": dt.date(2026, 1, 1)},
            },
            "both numbers or dates",
        ),
        ({"kind": "in_set", "column": "age", "parameters": {"values": ()}}, "`values` is empty"),
        (
            {
                "kind": "row_predicate",
                "parameters": {"predicate": "true); DROP TABLE x; SELECT (1"},
            },
            "not an SQL expression",
        ),
        (
            {"kind": "row_predicate", "parameters": {"predicate": "id IN (SELECT id FROM x)"}},
            "cannot hold a query",
        ),
        (
            {
                "kind": "columns_exist",
                "columns": ("age",),
                "mostly": 0.5,
            },
            "takes no `mostly`",
        ),
    ],
)
def test_a_malformed_expectation_is_refused_when_it_is_made(fields, told):
    with pytest.raises(SpecificationError, match=r"expectation 'wrong'") as refused:
        Expectation("wrong", **fields)
    assert told in str(refused.value)


def test_a_name_is_plain():
    with pytest.raises(SpecificationError, match="lower-case letters"):
        Expectation("Age?", "not_null", "age")
