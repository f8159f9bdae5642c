"""The key's own column of a log of events or answers: it is the id, and is not stored twice."""

from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.warehouse import generated_columns

HEADER = "id,age,name\n"
ROWS = HEADER + "1,30,a\n2,40,b\n"
SURVEY = {"kind": "survey"}


def computed(workshop):
    return generated_columns(workshop.connection, raw_table("people"))


def test_it_reads_like_any_other_column(workshop, make_source):
    workshop.write(HEADER + " 01 ,30,a\nA\u030a,40,b\n")
    workshop.load(make_source(**SURVEY))
    assert computed(workshop) == {"id"}
    assert workshop.rows("customer_id, id, age") == [("01", "01", 30), ("\u00c5", "\u00c5", 40)]
    assert workshop.query("SELECT age FROM raw.raw_people WHERE id = '01'") == [(30,)]


def test_a_key_of_another_form_and_snapshots_keep_theirs(workshop, make_source):
    workshop.write(ROWS)
    workshop.load(make_source(**SURVEY, key={"expression": "'x' || id"}))
    assert computed(workshop) == set()
    assert workshop.rows("customer_id, id") == [("x1", "1"), ("x2", "2")]
    workshop.query("DROP TABLE raw.raw_people")
    workshop.load(make_source(), day=2)
    assert computed(workshop) == set()


def test_a_table_of_an_earlier_release_stores_it_and_takes_new_rows(workshop, make_source):
    source = make_source(**SURVEY, path="*.csv")
    workshop.write(ROWS, "a.csv")
    workshop.load(source)
    workshop.query("CREATE TABLE stored AS FROM raw.raw_people")
    workshop.query("DROP TABLE raw.raw_people")
    workshop.query("CREATE TABLE raw.raw_people AS FROM stored")
    workshop.write(HEADER + "3,50,c\n", "b.csv")
    assert workshop.load(source, day=2).files_skipped == 1
    assert computed(workshop) == set()
    assert workshop.rows("customer_id, id, name") == [
        ("1", "1", "a"), ("2", "2", "b"), ("3", "3", "c")
    ]  # fmt: skip


def test_another_column_becomes_the_key(workshop, make_source):
    workshop.write(ROWS)
    workshop.load(make_source(**SURVEY))
    workshop.load(make_source(**SURVEY, key="name"), day=2)
    assert workshop.rows("customer_id, id, name") == [("a", "1", "a"), ("b", "2", "b")]
    assert computed(workshop) == {"name"}
