import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.errors import SourceError

at = dt.datetime.fromisoformat

WEB = {
    "kind": "web",
    "format": "parquet",
    "path": "web.parquet",
    "key": "id",
    "time": "seen_at",
    "columns": {
        "id": {"type": "text"},
        "seen_at": {"type": "timestamp"},
        "page": {"type": "category"},
        "seconds": {"type": "number"},
        "visits": {"type": "integer"},
    },
}
NOON = at("2025-01-01T12:00:00")


@pytest.fixture
def web(make_source):
    return make_source(**WEB, maximum_rejected_share=0.9)


def write(workshop, **columns):
    data = {
        "id": ["1", "2", "3"],
        "seen_at": [NOON] * 3,
        "page": ["home"] * 3,
        "seconds": [1.0, 2.0, 3.0],
        "visits": [1, 2, 3],
    }
    pq.write_table(pa.table(data | columns), workshop.home / "web.parquet")


def test_typed_columns_are_loaded_with_their_row_numbers(workshop, web):
    write(workshop)
    summary = workshop.load(web)
    assert workshop.rows("source_row, customer_id, seen_at, page, seconds, visits") == [
        (1, "1", NOON, "home", 1.0, 1),
        (2, "2", NOON, "home", 2.0, 2),
        (3, "3", NOON, "home", 3.0, 3),
    ]
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (3, 0, 0)


def test_what_cannot_be_read_is_told_by_row(workshop, web):
    write(
        workshop,
        id=[" 1 ", None, "3"],
        page=pa.array([" home ", "x", "NA"]).dictionary_encode(),
        seconds=[float("nan"), float("inf"), None],
        visits=[1.5, 2.0, 3.0],
    )
    summary = workshop.load(web)
    assert workshop.rows("source_row, customer_id, page, seconds, visits") == [
        (1, "1", "home", None, None),
        (3, "3", None, None, 3),
    ]
    assert workshop.rejects() == [
        (1, "seconds", "not a finite number"),
        (1, "visits", "not a whole number"),
        (2, None, "no customer id"),
    ]
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (2, 1, 2)


def test_text_columns_are_read_as_those_of_a_csv_file(workshop, web):
    write(
        workshop,
        seen_at=["2025-01-01 12:00:00", "soon", ""],
        visits=["1", "two", "N/A"],
        seconds=["1.5", "1e400", " 3 "],
    )
    workshop.load(web)
    assert workshop.rows("source_row, seen_at, seconds, visits") == [(1, NOON, 1.5, 1)]
    assert workshop.rejects() == [
        (2, None, "a time that is not as declared"),
        (3, None, "no time"),
    ]


def test_a_missing_typed_time_is_told_apart(workshop, web):
    write(workshop, seen_at=[None, NOON, NOON])
    workshop.load(web)
    assert workshop.rejects() == [(1, None, "no time")]


def test_binary_text_ids_and_numbers_as_ids(workshop, web):
    write(workshop, id=pa.array([b"a", b"b", b"c"], pa.binary()))
    workshop.load(web)
    assert [key for _, key in workshop.rows()] == ["a", "b", "c"]
    write(workshop, id=[7, 8, 9])
    workshop.load(web, day=2)
    assert workshop.rows("customer_id, id") == [("7", "7"), ("8", "8"), ("9", "9")]


def test_null_words_mean_typed_values(workshop, make_source):
    columns = WEB["columns"] | {"visits": {"type": "integer", "null_words": ["2"]}}
    write(workshop)
    workshop.load(make_source(**WEB | {"columns": columns}))
    assert workshop.rows("visits") == [(1,), (None,), (3,)]


def test_a_row_number_may_be_the_key(workshop, make_source):
    write(workshop, seconds=[1.0, None, 3.0])
    workshop.load(make_source(**WEB | {"key": {"row_number": True}}))
    assert workshop.rows() == [(1, "1"), (2, "2"), (3, "3")]


def test_the_schema_is_compared_by_name(workshop, web):
    write(workshop)
    table = pq.read_table(workshop.home / "web.parquet")
    path = workshop.home / "web.parquet"
    reordered = table.select(["visits", "seconds", "page", "seen_at", "id"])
    pq.write_table(reordered.append_column("Extra", pa.array([1, 2, 3])), path)
    assert workshop.load(web).ignored_columns == ("Extra",)
    pq.write_table(table.rename_columns(["id", "seen_at", "Page", "seconds", "visits"]), path)
    with pytest.raises(SourceError, match=r"lacks `page`; .* did you mean `Page`"):
        workshop.load(web)
    pq.write_table(table.append_column("page", table["page"]), path)
    with pytest.raises(SourceError, match=r"names `page` more than once \(columns 3, 6\)"):
        workshop.load(web)


def test_names_that_differ_in_case_are_two_columns(workshop, web):
    write(workshop)
    path = workshop.home / "web.parquet"
    table = pq.read_table(path)
    pq.write_table(table.add_column(0, "ID", pa.array(["x", "y", "z"])), path)
    workshop.load(web)
    assert [key for _, key in workshop.rows()] == ["1", "2", "3"]


def test_a_damaged_file_stops(workshop, web):
    write(workshop)
    path = workshop.home / "web.parquet"
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"id,seen_at\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"web.parquet: it is no Parquet file, or was cut"):
            workshop.load(web)
    damaged = bytearray(whole)
    damaged[4:100] = bytes(96)
    path.write_bytes(bytes(damaged))
    with pytest.raises(SourceError, match=r"web.parquet: DuckDB cannot read it"):
        workshop.load(web)
    pq.write_table(pq.read_table(pa.BufferReader(whole)).slice(0, 0), path)
    with pytest.raises(SourceError, match=r"web.parquet: it has no row"):
        workshop.load(web)


def test_folders_that_look_like_partitions_are_just_folders(workshop, make_source):
    folder = workshop.home / "page=other"
    folder.mkdir()
    write(workshop)
    (workshop.home / "web.parquet").rename(folder / "web.parquet")
    workshop.load(make_source(**WEB | {"path": "page=*/web.parquet"}))
    assert workshop.rows("page") == [("home",)] * 3


def test_many_row_groups_keep_their_row_numbers_with_two_threads(workshop, make_source):
    ids = list(range(1, 30_001))
    table = pa.table({"id": [str(one) for one in ids], "age": ids})
    pq.write_table(table, workshop.home / "people.parquet", row_group_size=1000)
    columns = {"id": {"type": "text"}, "age": {"type": "integer"}}
    workshop.load(make_source(format="parquet", path="people.parquet", columns=columns))
    assert workshop.query(
        "SELECT count(*), count_if(source_row <> age OR customer_id <> age::VARCHAR)"
        " FROM raw.raw_people"
    ) == [(30_000, 0)]
