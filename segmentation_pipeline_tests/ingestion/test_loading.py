import datetime as dt
import hashlib

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import LoadSummary
from segmentation_pipeline.warehouse import Build, Table, column_types, read_build, require_builds

at = dt.datetime.fromisoformat

WEB = {
    "kind": "web",
    "key": "id",
    "time": "seen_at",
    "columns": {
        "id": {"type": "text"},
        "seen_at": {"type": "timestamp"},
        "page": {"type": "category"},
        "seconds": {"type": "number"},
    },
}


def test_a_load_is_typed_audited_and_recorded(workshop, make_source):
    content = "id,age,name\n 007 , 30 ,  Ann \n8,,NA\n"
    workshop.write(content)
    summary = workshop.load(make_source())
    assert summary == LoadSummary(
        files_loaded=1,
        files_skipped=0,
        rows=2,
        rejected_rows=0,
        rejected_values=0,
        ignored_columns=(),
    )
    assert column_types(workshop.connection, Table("raw", "raw_people")) == {
        "load_id": "BIGINT",
        "source_row": "BIGINT",
        "customer_id": "VARCHAR",
        "id": "VARCHAR",
        "age": "BIGINT",
        "name": "VARCHAR",
    }
    assert workshop.rows("*") == [(1, 1, "007", "007", 30, "Ann"), (1, 2, "8", "8", None, None)]
    require_builds(workshop.connection, [Table("raw", "raw_people")], dt.date(2025, 1, 1))
    (audit,) = workshop.query(
        "SELECT * EXCLUDE (digest, specification_digest, seconds) FROM core.source_loads"
    )
    assert audit == (
        1, "people", "crm", "people.csv", len(content), 2, 0, 0,
        dt.date(2025, 1, 1), "run-1", dt.date(2025, 1, 1),
    )  # fmt: skip
    digest = hashlib.sha256(content.encode()).hexdigest()
    assert workshop.query("SELECT digest, seconds > 0 FROM core.source_loads") == [(digest, True)]


def test_the_temporary_tables_and_settings_are_gone(workshop, make_source):
    workshop.write('id,age,name\n1,1,"a\nb"\n2,2\n3,old,c\n')
    before = workshop.query("SELECT current_setting('preserve_insertion_order')")
    workshop.load(make_source(maximum_rejected_share=0.5))
    workshop.write("id,age,name\n1\n2\n")
    with pytest.raises(SourceError):
        workshop.load(make_source())
    assert workshop.query("SELECT table_name FROM duckdb_tables() WHERE temporary") == []
    assert workshop.query("SELECT current_setting('preserve_insertion_order')") == before


def test_a_row_without_key_or_time_is_left_out(workshop, make_source):
    workshop.write(
        "id,seen_at,page,seconds\n"
        "1,2025-01-01 10:00:00,home,1.5\n"
        ",2025-01-01 10:00:00,home,1.5\n"
        "NA,2025-01-01 10:00:00,home,old\n"
        "3,,home,1.5\n"
        "4,yesterday,home,1.5\n"
        "5\u200b,2025-01-01,home,1.5\n"
        "6\t7,2025-01-01,home,1.5\n"
        "8,2025-01-01,home,inf\n"
    )
    source = make_source(**WEB, maximum_rejected_share=0.8)
    summary = workshop.load(source)
    assert workshop.rows("source_row, customer_id, seen_at, seconds") == [
        (1, "1", at("2025-01-01T10:00:00"), 1.5),
        (8, "8", at("2025-01-01T00:00:00"), None),
    ]
    assert workshop.rejects() == [
        (3, None, "no customer id"),
        (4, None, "no customer id"),
        (5, None, "no time"),
        (6, None, "a time that is not as declared"),
        (7, None, "a control or invisible character in the customer id"),
        (8, None, "a control or invisible character in the customer id"),
        (9, "seconds", "not a finite number"),
    ]
    assert (summary.rejected_rows, summary.rejected_values) == (6, 1)


def test_ids_are_text_trimmed_and_in_normal_form_c(workshop, make_source):
    workshop.write("id,age,name\n007,1,a\n42.0,1,b\n4.2e1,1,c\n ne\u0301e ,1,d\n\u00a0x y,1,e\n")
    workshop.load(make_source())
    assert [row[1] for row in workshop.rows()] == ["007", "42.0", "4.2e1", "n\u00e9e", "x y"]


def test_a_key_of_an_integer_column_is_its_text(workshop, make_source):
    workshop.write("id,age,name\n007,1,a\n42.0,1,b\n")
    columns = {"id": {"type": "integer"}, "name": {"type": "text"}}
    workshop.load(make_source(columns=columns))
    assert workshop.rows("customer_id, id") == [("007", 7), ("42.0", 42)]


def test_several_key_columns_are_joined_by_bars(workshop, make_source):
    workshop.write("id,age,name\n1,2,a\n1,,b\n1,3,c|d\n,4,e\n")
    workshop.load(make_source(key=["id", "name"], maximum_rejected_share=0.5))
    assert workshop.rows() == [(1, "1|a"), (2, "1|b")]
    assert workshop.rejects() == [
        (4, None, "a bar within a part of the customer id"),
        (5, None, "no customer id"),
    ]


def test_a_key_expression_sees_the_columns_texts(workshop, make_source):
    workshop.write("id,age,name\n a1 ,007,x\nb2,8,y\n,9,z\n")
    source = make_source(key={"expression": "upper(id) || '-' || age"}, maximum_rejected_share=0.5)
    workshop.load(source)
    assert workshop.rows("customer_id, age") == [("A1-007", 7), ("B2-8", 8)]
    assert workshop.rejects() == [(4, None, "no customer id")]


def test_a_key_expression_that_fails_on_a_row_rejects_that_row(workshop, make_source):
    workshop.write("id,age,name\n1,1,x\nMARKER,2,y\n")
    source = make_source(key={"expression": "CAST(id AS INTEGER)"}, maximum_rejected_share=0.5)
    workshop.load(source)
    assert workshop.rows() == [(1, "1")]
    assert workshop.rejects() == [(3, None, "no customer id")]


def test_a_row_number_is_a_key_that_unreadable_rows_do_not_shift(workshop, make_source):
    workshop.write("id,age,name\n1,1,a\n2\n3,3,c\n")
    workshop.load(make_source(key={"row_number": True}, maximum_rejected_share=0.5))
    assert workshop.rows() == [(1, "1"), (3, "3")]


def test_the_null_words_of_source_and_column_count(workshop, make_source):
    workshop.write("id,age,name\n1,-,-\n2, none ,none\n3,999,999\n4,NA,NA\n")
    columns = {
        "id": {"type": "text"},
        "age": {"type": "integer", "null_words": ["999"]},
        "name": {"type": "text"},
    }
    summary = workshop.load(make_source(columns=columns, null_words=["-", "none"]))
    assert workshop.rows("age, name") == [(None, None), (None, None), (None, "999"), (None, "NA")]
    assert workshop.rejects() == [(5, "age", "not a whole number")]
    assert summary.rejected_values == 1


def test_an_empty_text_stays_where_it_is_no_null_word(workshop, make_source):
    workshop.write('id,age,name\n1,1,\n2,2,""\n')
    workshop.load(make_source(null_words=["NA"]))
    assert workshop.rows("name") == [("",), ("",)]


def test_a_delimiter_and_quotes_are_as_declared(workshop, make_source):
    workshop.write('id;age;name\n1;30;"a;""b"""\n2;40;it\'s, 5" long\n')
    workshop.load(make_source(delimiter=";"))
    assert workshop.rows("name") == [('a;"b"',), ("it's, 5\" long",)]


def test_unreadable_values_never_stop_a_load_but_unreadable_rows_do(workshop, make_source):
    workshop.write("id,age,name\n" + "".join(f"{i},old,x\n" for i in range(10)))
    assert workshop.load(make_source()).rejected_values == 10
    workshop.write("id,age,name\n" + "".join(f"{i},1,x\n" for i in range(999)) + "MARKER,x\n")
    assert workshop.load(make_source(), day=2).rejected_rows == 1  # 0.1 %, and that is allowed
    workshop.write("id,age,name\n" + "".join(f"{i},1,x\n" for i in range(998)) + "MARKER,x\n")
    with pytest.raises(SourceError) as stopped:
        workshop.load(make_source(), day=3)
    assert str(stopped.value) == (
        "people.csv: 1 of 999 rows cannot be read (0.10%; `maximum_rejected_share` allows 0.10%): "
        "line 1000: too few values"
    )


def test_a_file_without_one_readable_row_stops(workshop, make_source):
    workshop.write("id,age,name\n,1,a\n,2,b\n")
    with pytest.raises(SourceError, match="2 of 2 rows cannot be read"):
        workshop.load(make_source(maximum_rejected_share=1.0))


def test_a_load_that_stops_leaves_everything_as_it_was(workshop, make_source):
    web = make_source(**WEB, path="*.csv")
    header = "id,seen_at,page,seconds\n"
    workshop.write(header + "1,2025-01-01,home,1\n", "a.csv")
    workshop.load(web)
    before = [
        workshop.query(f"FROM {t}")
        for t in ("raw.raw_people", "core.source_loads", "core.rejected_rows", "core.builds")
    ]
    workshop.write(header + "2,2025-01-01,home,1\n", "a.csv")
    workshop.write(header + "3,2025-01-01,home,1\n4\n", "b.csv")
    with pytest.raises(SourceError, match=r"b.csv: 1 of 2 rows"):
        workshop.load(web, day=2)
    after = [
        workshop.query(f"FROM {t}")
        for t in ("raw.raw_people", "core.source_loads", "core.rejected_rows", "core.builds")
    ]
    assert after == before
    build = read_build(workshop.connection, Table("raw", "raw_people"))
    assert build == Build(dt.date(2025, 1, 1), "run-1")


def test_no_value_is_in_an_error_or_in_the_rejects(workshop, make_source):
    marked = 'id,age,name\nMARKER1,MARKER2,MARKER3\n,MARKER4,x\nMARKER5\n"MARKER6"x,1,y\n'
    workshop.write(marked)
    workshop.load(make_source(maximum_rejected_share=0.9))
    assert workshop.query(
        "SELECT count(*), count_if(contains(to_json(r)::VARCHAR, 'MARKER'))"
        " FROM core.rejected_rows AS r"
    ) == [(4, 0)]
    broken = [
        marked,
        "MARKER1,MARKER2\n1,2\n",
        "id,age\n1,MARKER\n",
        "id,age,name\n1,1,MARKER\r\n2,2,MARKER\n",
        'id,age,name\n1,1,"MARKER\n2,2,MARKER\n',
        "id,age,name\nMARKER,1,x\n2,\0,x\n",
        b"id,age,name\nMARKER,1,\xff\n",
    ]
    for content in broken:
        workshop.write(content)
        with pytest.raises(SourceError) as stopped:
            workshop.load(make_source(), day=2)
        assert "MARKER" not in str(stopped.value)
        assert stopped.value.__cause__ is None
        assert stopped.value.__suppress_context__ or stopped.value.__context__ is None
