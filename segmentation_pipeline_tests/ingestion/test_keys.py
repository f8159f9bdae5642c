"""One customer, written differently from source to source, is one customer: by a key expression.

The expressions are those of docs/sources.md.
"""

import pytest

from segmentation_pipeline.errors import SourceError

STAFF_NUMBER = "'EMP-' || lpad(regexp_extract(id, '([0-9]+)(\\.0)?$', 1), 5, '0')"


@pytest.mark.parametrize("written", ["EMP-00017", "17", "emp 17", " Emp-17 ", "017", "17.0"])
def test_a_number_with_a_prefix_has_one_spelling(workshop, make_source, written):
    workshop.write(f"id,age,name\n{written},1,a\n")
    workshop.load(make_source(key={"expression": STAFF_NUMBER}))
    assert workshop.rows() == [(1, "EMP-00017")]


def test_an_id_without_a_number_is_rejected_not_invented(workshop, make_source):
    workshop.write("id,age,name\nEMP-1,1,a\nEMP-,2,b\nTEST,3,c\n")
    expression = f"CASE WHEN regexp_matches(id, '[0-9]') THEN {STAFF_NUMBER} END"
    workshop.load(make_source(key={"expression": expression}, maximum_rejected_share=0.7))
    assert workshop.rows() == [(1, "EMP-00001")]
    assert workshop.rejects() == [(3, None, "no customer id"), (4, None, "no customer id")]


def test_zeros_that_a_spreadsheet_ate_are_put_back(workshop, make_source):
    workshop.write("id,age,name\n42,1,a\n0043,2,b\n123456,3,c\n")
    expression = "CASE WHEN length(id) < 5 THEN lpad(id, 5, '0') ELSE id END"
    workshop.load(make_source(key={"expression": expression}))
    assert [row[1] for row in workshop.rows()] == ["00042", "00043", "123456"]


def test_e_mail_addresses_differ_in_case_only(workshop, make_source):
    workshop.write("id,age,name\nAnn@X.de,1,a\nann@x.DE,2,b\n")
    workshop.load(make_source(key={"expression": "lower(id)"}))
    assert [row[1] for row in workshop.rows()] == ["ann@x.de", "ann@x.de"]


def test_a_composite_key_is_parts_joined_by_bars_or_an_expression(workshop, make_source):
    workshop.write("id,age,name\n007,1,north\n7,2,North\n")
    workshop.load(make_source(key=["name", "id"]))
    assert [row[1] for row in workshop.rows()] == ["north|007", "North|7"]
    joined = {"expression": "lower(name) || '-' || lpad(id, 3, '0')"}
    workshop.load(make_source(key=joined), day=1)
    assert [row[1] for row in workshop.rows()] == ["north-007", "north-007"]


def test_an_expression_that_takes_texts_for_numbers_is_named_as_the_cause(workshop, make_source):
    workshop.write("id,age,name\n1,1,a\n")
    with pytest.raises(SourceError, match="the expression of its `key` takes columns for what"):
        workshop.load(make_source(key={"expression": "lpad(id, age, '0')"}))
