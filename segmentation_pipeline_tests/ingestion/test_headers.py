import re

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion.headers import match_header


def test_columns_are_matched_by_name_in_any_order(make_source):
    matched = match_header("people.csv", ["name", "id", "age"], make_source())
    assert matched.positions == {"id": 1, "age": 2, "name": 0}
    assert matched.ignored == ()


def test_a_column_may_have_another_name_in_the_file(make_source):
    columns = {"id": {"type": "text", "header": "Staff ID"}}
    matched = match_header("people.csv", ["Staff ID"], make_source(columns=columns))
    assert matched.positions == {"id": 0}


def test_undeclared_columns_are_ignored_and_told(make_source):
    found = ["", "id", "age", "name", "Shoe size", "Shoe size"]
    matched = match_header("people.csv", found, make_source())
    assert matched.ignored == ("(column 1)", "Shoe size", "Shoe size")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (["id", "name"], "the header lacks `age`, and has no undeclared column"),
        (["id", "name", "Age"], "lacks `age`; of its undeclared columns, did you mean `Age`?"),
        (["id", "nmae", "x"], "lacks `age`; of its undeclared columns, known are: nmae, x; `name`"),
        (["id", "age", "name", "age"], r"names `age` more than once (columns 2, 4)"),
        (["1", "30", "Ann"], "line 1 has none of the 3 declared columns (expected age, id, name)"),
        (["id;age;name"], "declare `delimiter: ';'` instead of ','"),
        (["id\tage\tname"], r"declare `delimiter: '\t'` instead of ','"),
        ([], "line 1 has none of the 3 declared columns"),
    ],
)
def test_what_does_not_match_stops_and_names_both_sides(make_source, found, message):
    with pytest.raises(SourceError, match=r"^people.csv: .*" + re.escape(message)):
        match_header("people.csv", found, make_source())


def test_a_first_line_that_is_no_header_is_not_shown(make_source):
    with pytest.raises(SourceError) as stopped:
        match_header("people.csv", ["4711", "MARKER", "Ann"], make_source())
    assert "MARKER" not in str(stopped.value)
    assert "4711" not in str(stopped.value)


def test_reordered_and_added_columns_load(workshop, make_source):
    workshop.write("name,shoe,id,age\nAnn,40,1,30\n")
    assert workshop.load(make_source()).ignored_columns == ("shoe",)
    assert workshop.rows("id, age, name") == [("1", 30, "Ann")]
