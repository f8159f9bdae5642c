"""Who was erased does not come back with a later file."""

import datetime as dt

import pytest

from segmentation_pipeline.ingestion.tombstones import (
    erased_digest,
    erased_digests,
    is_erased_sql,
    remember_erased,
)

TODAY = dt.date(2025, 1, 9)


def test_rows_of_the_erased_are_left_out_and_are_no_rejects(workshop, make_source):
    remember_erased(workshop.connection, ["8"], salt="a", requested_on=TODAY)
    workshop.write("id,age,name\n7,30,Ann\n8,31,Bo\nx\n 8 ,x,Bo\n9,no number,Cy\n")

    summary = workshop.load(make_source(maximum_rejected_share=0.5))

    assert workshop.rows() == [(1, "7"), (5, "9")]
    assert (summary.rows, summary.rejected_rows) == (2, 1)
    assert [(line, column) for line, column, _ in workshop.rejects()] == [
        (4, None),
        (5, "age"),
        (6, "age"),
    ]


@pytest.mark.parametrize("customer_id", ["EMP-1", "Zoë", "名前", "a|b"])
def test_sql_and_python_agree_on_a_digest(workshop, customer_id):
    remember_erased(workshop.connection, [customer_id], salt="a salt", requested_on=TODAY)

    condition = is_erased_sql(workshop.connection, "id")
    found = workshop.connection.execute(
        f"SELECT id FROM (SELECT unnest([?, 'other', NULL]) AS id) WHERE {condition}", [customer_id]
    ).fetchall()

    assert found == [(customer_id,)]
    expected = erased_digest(customer_id, "a salt")
    assert erased_digests(workshop.connection) == ("a salt", {expected})


def test_the_first_salt_stays(workshop):
    remember_erased(workshop.connection, ["1"], salt="first", requested_on=TODAY)
    remember_erased(workshop.connection, ["1", "2"], salt="second", requested_on=TODAY)

    salt, digests = erased_digests(workshop.connection)

    assert salt == "first"
    assert digests == {erased_digest("1", "first"), erased_digest("2", "first")}


def test_where_nobody_was_erased_nothing_is_asked(workshop):
    assert is_erased_sql(workshop.connection, "id") is None
    assert erased_digests(workshop.connection) == ("", frozenset())
