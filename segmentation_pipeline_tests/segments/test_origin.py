"""Where a feature was learned follows from the specification alone."""

import pytest

from segmentation_pipeline.segments.origin import feature_origin
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec


def source(kind, **columns):
    timed = {} if kind == "crm" else {"time": "at"}
    return {"kind": kind, "path": f"{kind}.csv", "key": "number", **timed} | {
        "columns": {name: {"type": type_} for name, type_ in columns.items()}
        | {"number": {"type": "text"}, "at": {"type": "date"}}
    }


CUSTOMERS = CustomersSpec.model_validate(
    {
        "name": "test",
        "nights": {"first": "2025-01-01"},
        "sources": {
            "crm": source("crm", born="date", role="category"),
            "answers": source("survey", role="category", motive="category"),
            "site": source("web", pages="integer"),
            "orders": source("transactions", eur="number"),
        },
        "customers": {"base": "crm"},
    }
)
FEATURES = {
    "role": ({}, "crm"),
    "why": ({"column": "motive"}, "survey"),
    "visits": ({"aggregate": {"source": "site", "function": "count"}}, "web"),
    "spend": ({"aggregate": {"source": "orders", "function": "count"}}, "crm"),
    "age": ({"expression": "date_diff('day', born, as_of) / 365.25"}, "crm"),
    "visits_a_year": ({"expression": "visits / age"}, "web"),
    "wants_more": ({"expression": "CASE WHEN motive = 'more' THEN visits_a_year END"}, "survey"),
    "answered": ({"expression": "has_answers"}, "survey"),
    "fixed": ({"expression": "1"}, None),
}


@pytest.mark.parametrize("name", FEATURES)
def test_a_feature_comes_from_what_it_reads(name):
    spec = SegmentationSpec.model_validate(
        {
            "title": "test",
            "criteria": {"needs": "test"},
            "features": {
                one: {"criterion": "needs", **settings} for one, (settings, _) in FEATURES.items()
            },
        }
    )

    assert feature_origin(name, spec, CUSTOMERS) == FEATURES[name][1]
