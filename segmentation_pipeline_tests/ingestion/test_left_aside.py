"""Rows left over from a template are left aside by a declared rule, and counted by its name."""

import pytest
from pydantic import ValidationError

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source

TEMPLATE = {
    "name": "template",
    "reason": "the example of the CRM's template",
    "predicate": "id = 'EXAMPLE' OR name = 'JOHN DOE'",
}
TOTALS = {"name": "totals", "reason": "a line of sums", "predicate": "id ILIKE 'total%'"}
FILE = "id,age,name\nEXAMPLE,99,Ann\n7,30,Ann\nx1,none,JOHN DOE\n8,x,Bo\nTotal:,2,\n"
REMARKS = "SELECT step, name, rows, line FROM core.load_remarks ORDER BY name"


def test_rows_are_left_aside_before_anything_else_and_are_no_rejects(workshop, make_source):
    workshop.write(FILE)
    source = make_source(ignore_rows=[TEMPLATE, TOTALS])

    summary = workshop.load(source)

    assert workshop.rows("source_row, customer_id, age") == [(2, "7", 30), (4, "8", None)]
    assert workshop.rejects() == [(5, "age", "not a whole number")]
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (2, 0, 1)
    assert workshop.query(REMARKS) == [
        ("ignored_row", "template", 2, 2),
        ("ignored_row", "totals", 1, 6),
    ]
    assert summary.remarks == (
        "people.csv: 2 rows left aside as `template` (first on line 2)",
        "people.csv: 1 rows left aside as `totals` (first on line 6)",
    )


def test_check_tells_the_same(workshop, make_source):
    workshop.write(FILE)
    source = make_source(ignore_rows=[TEMPLATE, TOTALS])
    (told,) = check_source(workshop.home, "people", source)
    assert told == (
        "people: people.csv: 2 rows; 1 values of `age` cannot be read; 2 rows left aside as "
        "`template` (first on line 2); 1 rows left aside as `totals` (first on line 6)"
    )


@pytest.mark.parametrize("predicate", ["id = 'EXAMPLE' -- the first one", "CAST(age AS INT) > 90"])
def test_a_predicate_that_fails_on_a_row_is_not_true_of_it(workshop, make_source, predicate):
    workshop.write(FILE)
    rule = TEMPLATE | {"predicate": predicate}
    workshop.load(make_source(ignore_rows=[rule], maximum_rejected_share=0.5))
    assert [row[1] for row in workshop.rows()] == ["7", "x1", "8", "Total:"]


def test_a_predicate_that_is_too_wide_stops_the_night(workshop, make_source):
    workshop.write("id,age,name\n" + "".join(f"{n},30,Ann\n" for n in range(12)))
    rule = TEMPLATE | {"predicate": "name = 'Ann'"}
    with pytest.raises(SourceError) as raised:
        workshop.load(make_source(ignore_rows=[rule]))
    assert str(raised.value) == (
        "people.csv: `ignore_rows` would leave 12 rows aside as `template` (first on line 2), and "
        "its `maximum_rows` is 10; is the predicate too wide? Raise it if they are no data"
    )


def test_a_file_of_a_template_alone_stops_the_night(workshop, make_source):
    workshop.write("id,age,name\nEXAMPLE,99,Ann\n")
    with pytest.raises(SourceError, match="all of its rows were left aside"):
        workshop.load(make_source(ignore_rows=[TEMPLATE]))


def test_a_new_rule_reads_the_file_again(workshop, make_source):
    workshop.write(FILE)
    source = make_source(maximum_rejected_share=0.5)
    assert workshop.load(source).rows == 5
    changed = make_source(maximum_rejected_share=0.5, ignore_rows=[TOTALS])
    assert workshop.load(changed, day=2).rows == 4
    assert workshop.load(changed, day=3).files_skipped == 1
    assert workshop.query(REMARKS) == [("ignored_row", "totals", 1, 6)]


def test_parquet_excel_lines_and_row_numbers_are_as_in_the_file(workshop, make_source):
    workshop.query(
        "COPY (SELECT unnest(['EXAMPLE', '7']) AS id, 1 AS age, 'x' AS name)"
        f" TO '{workshop.home}/people.parquet'"
    )
    source = make_source(path="people.parquet", format="parquet", ignore_rows=[TEMPLATE])
    workshop.load(source)
    assert workshop.rows() == [(2, "7")]
    assert workshop.query(REMARKS) == [("ignored_row", "template", 1, 1)]


def test_two_rules_of_one_name_are_refused(make_source):
    with pytest.raises(ValidationError, match="two of `ignore_rows` are called `template`"):
        make_source(ignore_rows=[TEMPLATE, TEMPLATE])
