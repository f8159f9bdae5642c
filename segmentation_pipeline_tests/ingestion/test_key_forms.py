"""Ids in one form: declared step by step, and never two customers made one in silence."""

import pytest
from pydantic import ValidationError

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source

STAFF = {"column": "id", "pattern": r"(?:EMP[- ]?)?([0-9]+)(?:\.0)?", "zeros": "strip"}
PRINTED = STAFF | {"width": 5, "prefix": "EMP-"}


@pytest.mark.parametrize("written", ["EMP-00017", "17", "emp 17", " Emp-17 ", "017", "17.0"])
def test_the_ways_of_writing_a_number_are_one(workshop, make_source, written):
    workshop.write(f"id,age,name\n{written},1,a\n")
    workshop.load(make_source(key=PRINTED))
    assert workshop.rows("customer_id, id") == [("EMP-00017", written.strip())]


@pytest.mark.parametrize(
    ("form", "written", "expected"),
    [
        ({"zeros": "strip"}, "000", "0"),
        ({"zeros": "strip"}, "0A0", "A0"),
        ({"width": 5}, "123456", "123456"),
        ({"width": 5}, "17", "00017"),
        ({"case": "lower"}, "Ann@X.de", "ann@x.de"),
        ({"case": "upper", "prefix": "de-"}, "a1", "de-A1"),
        ({"case": "upper"}, "Zoe\u0308", "ZOË"),
        ({"pattern": "kd([a-z]+)"}, "KDabC", "abC"),
    ],
)
def test_each_step_of_a_form(workshop, make_source, form, written, expected):
    workshop.write(f"id,age,name\n{written},1,a\n")
    workshop.load(make_source(key={"column": "id"} | form))
    assert [row[1] for row in workshop.rows()] == [expected]


def test_what_is_not_of_the_form_is_no_id(workshop, make_source):
    workshop.write("id,age,name\nEMP-1,1,a\nEMP-,2,b\nEXT-3,3,c\n,4,d\n1 2,5,e\n")
    workshop.load(make_source(key=STAFF, maximum_rejected_share=0.8))
    assert workshop.rows() == [(1, "1")]
    other = "a customer id that is not of the declared form"
    assert workshop.rejects() == [
        (3, None, other),
        (4, None, other),
        (5, None, "no customer id"),
        (6, None, other),
    ]


def test_two_spellings_in_a_crm_table_stop_the_night_and_name_lines_only(workshop, make_source):
    workshop.write("id,age,name\nEMP-00017,30,Ann\n18,31,Bo\n17,32,Cy\n")
    with pytest.raises(SourceError) as raised:
        workshop.load(make_source(key=STAFF))
    assert str(raised.value) == (
        "people.csv: `key` makes one id of what is written in several ways for 1 of 2 ids (50.00%; "
        "`maximum_collision_share` allows 0.00%): see lines 2 and 4. If they are two customers, "
        "make the key tell them apart; if they are one, raise it"
    )
    assert workshop.query("SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'raw'") == [
        (0,)
    ]


def test_allowed_spellings_are_counted_and_told(workshop, make_source):
    workshop.write("id,age,name\nEMP-00017,30,Ann\n18,31,Bo\n17,32,Cy\n18,33,Di\n")
    source = make_source(key=STAFF, maximum_collision_share=0.5)

    summary = workshop.load(source)

    assert summary.remarks == (
        "people.csv: 1 of 2 ids are written in more than one way (first on line 2)",
    )
    remarks = "SELECT file, step, name, rows, line FROM core.load_remarks"
    assert workshop.query(remarks) == [("people.csv", "key_collision", None, 1, 2)]
    assert check_source(workshop.home, "people", source) == [
        "people: people.csv: 4 rows; 1 of 2 ids are written in more than one way (first on line 2)"
    ]
    # The same row twice is written alike: no collision. The older snapshot keeps its remark.
    workshop.write("id,age,name\n17,30,Ann\n17,30,Ann\n")
    assert workshop.load(source, day=2).remarks == ()
    assert len(workshop.query(remarks)) == 1


def test_ids_of_events_and_of_expressions_are_counted_and_not_stopped(workshop, make_source):
    workshop.write("id,age,name\nann,1,2025-01-01\nAnn,2,2025-01-01\n")
    columns = {"id": {"type": "text"}, "name": {"type": "date"}}
    events = make_source(kind="web", time="name", columns=columns, key={"column": "id"} | LOWER)
    expression = make_source(key={"expression": "lower(id)"})
    told = "people.csv: 1 of 1 ids are written in more than one way (first on line 2)"
    assert workshop.load(events).remarks == (told,)
    assert workshop.load(expression).remarks == (told,)
    with pytest.raises(SourceError, match=r"allows 10\.00%"):
        workshop.load(
            make_source(key={"expression": "trim(lower(id))"}, maximum_collision_share=0.1)
        )


LOWER = {"case": "lower"}


def test_parquet_has_the_same_ids_and_collisions(workshop, make_source):
    workshop.query(
        "COPY (SELECT unnest(['EMP-00017', '18', '17']) AS id, 1 AS age, 'x' AS name)"
        f" TO '{workshop.home}/people.parquet'"
    )
    source = make_source(
        path="people.parquet", format="parquet", key=STAFF, maximum_collision_share=1
    )
    assert workshop.load(source).remarks == (
        "people.parquet: 1 of 2 ids are written in more than one way (first on line 1)",
    )
    assert [row[1] for row in workshop.rows()] == ["17", "18", "17"]


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"column": "id"}, "it changes nothing"),
        ({"column": "id", "pattern": "EMP-[0-9]+"}, "it has 0 groups"),
        ({"column": "id", "pattern": "(EMP-)([0-9]+)"}, "it has 2 groups"),
        ({"column": "id", "pattern": "([0-9]+"}, "not a regular expression"),
        ({"column": "id", "pattern": "(?=x)([0-9]+)"}, "not a regular expression"),
        ({"column": "ids", "case": "upper"}, "`key` names `ids`, which `columns` doesn't list"),
        ({"column": "age", "case": "upper"}, "`key` is a form of `age`: declare that as text"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused(make_source, key, said):
    with pytest.raises(ValidationError, match=said.replace("(", r"\(")):
        make_source(key=key)


def test_a_share_of_collisions_without_a_form_is_refused(make_source):
    with pytest.raises(ValidationError, match="is for a `key` that makes several spellings one"):
        make_source(maximum_collision_share=0.1)
