"""What is expected of the data is asked of DuckDB before a night: it must be a truth of one row."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.specification.schema import json_schema

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-24}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      role: {type: category}
      joined_on: {type: date}
      publications: {type: integer}
    expectations:
      - {name: adult, predicate: PREDICATE, maximum_share: 0.1}
  web:
    kind: web
    path: web/*.csv
    key: staff_id
    time: occurred_at
    references: {source: crm, at_least: 0.95}
    distribution: {severity: error, columns: {event: ignore}}
    columns:
      staff_id: {type: text}
      occurred_at: {type: timestamp}
      event: {type: category}
    expectations:
      - {name: joined, predicate: WEB_PREDICATE, quarantine: none}
      - {name: known_event, predicate: "event <> 'bot'", quarantine: row}
customers:
  base: crm
  expectations:
    - {name: has_role, predicate: CUSTOMERS_PREDICATE}
"""
GOOD = {
    "WEB_PREDICATE": '"occurred_at >= customers.joined_on"',
    "CUSTOMERS_PREDICATE": '"role IS NOT NULL OR NOT has_web"',
    "PREDICATE": '"publications < 1000 AND joined_on <= as_of -- for people"',
}
SEGMENTATION = """\
title: Engagement
criteria: {behaviour: What they publish.}
features: {publications: {criterion: behaviour}}
"""


@pytest.fixture
def load(write_home):
    def load(*changes: tuple[str, str], **predicates: str):
        text = CUSTOMERS
        for name, predicate in {**GOOD, **predicates}.items():
            text = text.replace(f" {name}", f" {predicate}")
        for written, instead in changes:
            assert written in text
            text = text.replace(written, instead, 1)
        return load_home(write_home(text, engagement=SEGMENTATION))

    return load


def test_predicates_over_rows_over_customers_and_across_are_read(load):
    web = load().customers.sources["web"]

    assert [one.looks_at_customers for one in web.expectations] == [True, False]
    assert [(one.source, one.at_least, one.severity) for one in web.referenced] == [
        ("crm", 0.95, "error")
    ]
    assert web.distribution.of("event") == "ignore"
    assert web.distribution.of("amount") == "error"


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ("publications", "it gives a BIGINT, and must be true or false"),
        ("1 = 1", "it names no column"),
        ("publications > (SELECT 1)", "cannot hold a query"),
        ("publications > 1) FROM x; DROP TABLE x; SELECT (1", "not an SQL expression"),
        ("sum(publications) > 3", "WHERE clause cannot contain aggregates"),
        ("row_number() OVER () = 1", "cannot hold a window function"),
        ("upper(publications) = 'A'", "No function matches"),
        ("starts_with(rol, 'a')", "did you mean `role`?"),
        ("crm.role = 'a'", "there is no table `crm` here; write `role` alone"),
        ("joined_on < today()", "`today` differs from run to run"),
        ("error(role)", "it gives nothing"),
    ],
)
def test_what_is_no_truth_about_one_row_is_refused_with_its_line(load, predicate, message):
    with pytest.raises(SpecificationError) as error:
        load(PREDICATE=f'"{predicate}"')

    assert "customers.yaml:14:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("predicate", "message"),
    [
        ("occurred_at >= customers.joined", "did you mean `joined_on`?"),
        ("occurred_at >= customer.joined_on", "did you mean `customers`?"),
        ("web.occurred >= customers.joined_on", "did you mean `occurred_at`?"),
        ("customer_id = customers.customer_id", "Ambiguous reference to column name"),
        ("occurred_at > customers.role", "Cannot compare"),
        ("count(customers.role) > 0", "cannot contain aggregates"),
    ],
)
def test_a_predicate_across_sources_is_bound_to_both(load, predicate, message):
    with pytest.raises(SpecificationError) as error:
        load(WEB_PREDICATE=f'"{predicate}"')

    assert "customers.yaml:27:" in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("written", "instead", "line", "message"),
    [
        (
            "quarantine: none",
            "quarantine: row",
            27,
            "`quarantine: row` is for a predicate over one",
        ),
        ("name: known_event", "name: joined", 28, "another expectation is called `joined`"),
        ("name: known_event", "name: a__b", 28, "two underscores in a row"),
        ("source: crm, at", "source: crn, at", 20, "did you mean `crm`?"),
        ("source: crm, at", "source: web, at", 20, "no other source is called `web`"),
        ("at_least: 0.95", "at_least: 95", 20, "less than or equal to 1"),
        ("{event: ignore}", "{evnt: ignore}", 21, "did you mean `event`?"),
        ("{event: ignore}", "{event: ignored}", 21, "did you mean `ignore`?"),
        ("{source: crm, at_least: 0.95}", "[{source: crm}, {source: crm}]", 20, "stands twice"),
    ],
)
def test_a_faulty_declaration_is_placed(load, written, instead, line, message):
    with pytest.raises(SpecificationError) as error:
        load((written, instead))

    assert f"customers.yaml:{line}:" in str(error.value)
    assert message in str(error.value)


def test_editors_know_the_declarations():
    schema = json_schema("customers.schema.json")

    for name in ("at_least", "maximum_stability_index", "maximum_missing_change"):
        assert f'"{name}"' in schema
