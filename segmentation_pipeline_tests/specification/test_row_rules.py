"""Names in keys, visitors and rules for rows are checked against the columns, by line."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import load_home

CUSTOMERS = """\
name: Shop
nights: {first: 2025-06-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: id
    ignore_rows:
      - {name: template, reason: an example, predicate: "email = 'a@example.com'"}
    columns:
      id: {type: text}
      email: {type: text, personal: true}
      orders: {type: integer}
  logins:
    kind: identity
    path: logins.csv
    key: id
    visitors: {key: {expression: lower(cookie)}}
    columns:
      id: {type: text}
      cookie: {type: text}
customers: {base: crm}
retention: {sources: {}}
"""
SEGMENTATION = """\
title: Lens
criteria: {behaviour: What they do.}
features:
  orders: {criterion: behaviour}
"""


@pytest.fixture
def home_of(write_home):
    def make(old="", new=""):
        customers = CUSTOMERS.replace(old, new) if old else CUSTOMERS
        return load_home(write_home(customers, lens=SEGMENTATION))

    return make


def test_rules_and_visitors_are_read(home_of):
    sources = home_of().customers.sources
    assert [rule.maximum_rows for rule in sources["crm"].ignore_rows] == [10]
    assert sources["logins"].id_columns == ["customer_id", "visitor_key"]
    assert not sources["logins"].is_attributes


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("email = 'a@", "emial = 'a@", 9, "there is no column `emial`; did you mean `email`?"),
        ("lower(cookie)", "lower(cooky)", 18, "there is no column `cooky`"),
        ("email = 'a@example.com'", "random() < 1", 9, "differs from run to run"),
        ("email = 'a@example.com'", "count(email) > 1", 9, "cannot contain aggregates"),
        ("email = 'a@example.com'", "orders + 1 > 2", 9, "columns are all texts here"),
        ("email = 'a@example.com'", "crm.email IS NULL", 9, 'Referenced table "crm" not found'),
        ("email = 'a@example.com'", "email = ?", 9, "can't be asked of a row"),
        ("lower(cookie)", "lowr(cookie)", 18, "lowr does not exist"),
        ("key: {expression", "untill: x, key: {expression", 18, "untill"),
        ("sources: {}", "sources: {logins: 90 days}", 23, "an identity map stays whole"),
    ],
)
def test_a_mistake_is_told_by_line(home_of, old, new, line, said):
    with pytest.raises(SpecificationError) as raised:
        home_of(old, new)
    assert f"customers.yaml:{line}" in str(raised.value)
    assert said in str(raised.value)
