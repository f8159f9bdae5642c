"""A loaded row is found in its file again, wherever lines run ahead of rows."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.ingestion.line_numbers import with_lines_sql

ROWS = "SELECT load_id, source_row, customer_id FROM raw.raw_people"


def lines(workshop):
    """customer_id -> line."""
    return dict(workshop.query(f"SELECT customer_id, line FROM ({with_lines_sql(ROWS)})"))


@pytest.mark.parametrize(
    ("content", "expected", "starts"),
    [
        # One line a row: the header is ahead, and nothing else.
        ("id,age,name\na,1,x\nb,2,y\n", {"a": 2, "b": 3}, 1),
        # An unreadable row takes a line and a number.
        ("id,age,name\na,1,x\nb,2\nc,3,z\n", {"a": 2, "c": 4}, 1),
        # A record of three lines, and blank lines.
        ('id,age,name\na,1,"x\ny\nz"\n\n\nb,2,y\nc,3,"u\nv"\nd,4,z\n',
         {"a": 2, "b": 7, "c": 8, "d": 10}, 3),
    ],
)  # fmt: skip
def test_rows_of_a_text_file_have_its_lines(workshop, make_source, content, expected, starts):
    workshop.write(content)
    workshop.load(make_source(maximum_rejected_share=0.5))

    assert lines(workshop) == expected
    assert workshop.query("SELECT count(*) FROM core.load_lines") == [(starts,)]


def test_rows_of_parquet_are_their_own_lines(workshop, make_source):
    table = pa.table({"id": ["a", "b"], "age": [1, 2], "name": ["x", "y"]})
    pq.write_table(table, workshop.home / "people.parquet")
    workshop.load(make_source(format="parquet", path="people.parquet"))

    assert lines(workshop) == {"a": 1, "b": 2}


def test_a_file_loaded_again_has_the_lines_it_has_now(workshop, make_source):
    source = make_source(kind="survey", maximum_volume_change=None)
    workshop.write("id,age,name\na,1,x\nb,2,y\n")
    workshop.load(source)
    workshop.write("id,age,name\n\na,1,x\n\nb,2,y\n")
    workshop.load(source, 2)

    assert lines(workshop) == {"a": 3, "b": 5}
    assert workshop.query("SELECT DISTINCT load_id FROM core.load_lines") == [(2,)]
