import gzip

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import reading
from segmentation_pipeline.ingestion.csv_text import CsvText
from segmentation_pipeline.ingestion.numbering import OPEN_QUOTE, UnreadableLine, number_rows

SHORT = "too few values"
LONG = "too many values"


def text_of(path, header_lines, lines, header=("a", "b")):
    return CsvText(path, header, header_lines, lines, len(header))


def test_without_rejects_rows_stand_on_consecutive_lines(tmp_path):
    numbered = number_rows("f.csv", text_of(tmp_path, 1, 4), 3, [])
    assert [numbered.numbering.line(row) for row in range(3)] == [2, 3, 4]


def test_lines_move_on_after_each_reject(tmp_path):
    # Lines 2, 4, 5 and 8 are unreadable; 3, 6, 7 and 9 are rows.
    rejects = [(2, SHORT), (4, SHORT), (5, LONG), (8, SHORT)]
    numbered = number_rows("f.csv", text_of(tmp_path, 1, 9), 4, rejects)
    assert [numbered.numbering.line(row) for row in range(4)] == [3, 6, 7, 9]
    assert list(numbered.numbering.rows_before) == [1, 3, 4]
    assert [(bad.line, bad.reason) for bad in numbered.unreadable] == rejects


def test_a_header_of_two_lines_shifts_all(tmp_path):
    # DuckDB counts the header as one line.
    numbered = number_rows("f.csv", text_of(tmp_path, 2, 5), 2, [(3, SHORT)])
    assert [numbered.numbering.line(row) for row in range(2)] == [3, 5]
    assert numbered.unreadable == [UnreadableLine(4, SHORT)]


def test_line_breaks_within_values_and_blank_lines_are_followed(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,"x\ny\nz"\n\n2,y\nshort\n\n\n3,"p\nq"\n4,z\n')
    numbered = number_rows("f.csv", text_of(path, 1, 12), 4, [(5, SHORT)])
    assert [numbered.numbering.line(row) for row in range(4)] == [2, 6, 10, 12]
    assert numbered.unreadable == [UnreadableLine(7, SHORT)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_a_blank_line_is_no_row_even_of_one_column(workshop, make_source, line_end):
    workshop.write("id\n1\n\n2\n\n\n".replace("\n", line_end))
    workshop.load(make_source(columns={"id": {"type": "text"}}))
    assert workshop.rows() == [(1, "1"), (2, "2")]


def test_lines_that_are_not_accounted_for_stop(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text('a,b\n1,"open\n2,b\n3,c\n')
    with pytest.raises(SourceError, match=r"f.csv: .* line 2 opens a quotation mark"):
        number_rows("f.csv", text_of(path, 1, 4), 1, [(2, OPEN_QUOTE)])
    with pytest.raises(SourceError, match=r"f.csv: 1 rows should stand in it, and 0 can be read"):
        number_rows("f.csv", text_of(path, 1, 4), 0, [])


# What follows asks DuckDB too.


def test_ragged_rows_and_wide_lines_are_told_by_line(workshop, make_source):
    wide = "x" * 2_000_001
    workshop.write(f'id,age,name\n1,1,a\n2,2\n3,3,b,c\n4,4,{wide}\n5,5,"d"e\n6,6,f\n')
    summary = workshop.load(make_source(maximum_rejected_share=0.7))
    assert workshop.rows("source_row, id") == [(1, "1"), (6, "6")]
    assert workshop.rejects() == [
        (3, None, "too few values"),
        (4, None, "too many values"),
        (5, None, "longer than 2000000 bytes"),
        (6, None, "a quotation mark out of place"),
    ]
    assert (summary.rows, summary.rejected_rows) == (2, 4)


def test_an_open_quote_counts_every_line_it_swallows(workshop, make_source):
    workshop.write('id,age,name\n1,1,a\n2,2,"b\n3,3,c\n4,4,"d"\n5,5,e\n')
    source = make_source(maximum_rejected_share=0.6)
    assert workshop.load(source).rejected_rows == 3
    assert workshop.rows("source_row, id") == [(1, "1"), (5, "5")]
    assert workshop.rejects() == [(3, None, "a quotation mark out of place")]


def test_columns_may_have_names_that_sql_uses(workshop, make_source):
    names = ("rowid", "position", "bucket", "rows", "line", "first_row", "next_row", "value")
    workshop.write(f"{','.join(names)}\n" + "a,b,c,d,e,f,g,h\nbad\n" + "a,b,c,d,old,f,g,h\n")
    columns = {name: {"type": "text"} for name in names} | {"line": {"type": "category"}}
    source = make_source(key="rowid", columns=columns, maximum_rejected_share=0.5)
    workshop.load(source)
    assert workshop.rows("source_row, customer_id, rowid, position, line") == [
        (1, "a", "a", "b", "e"),
        (3, "a", "a", "b", "old"),
    ]
    assert workshop.rejects() == [(3, None, "too few values")]


def test_more_faults_than_can_be_noted_stop(workshop, make_source, monkeypatch):
    monkeypatch.setattr(reading, "MOST_REJECTS", 4)
    source = make_source(maximum_rejected_share=1.0)
    workshop.write("id,age,name\n1,1,a\n2,2\n3,3\n4,4\n")
    assert workshop.load(source).rejected_rows == 3
    workshop.write("id,age,name\n1,1,a\n" + "2,2\n" * 100)
    with pytest.raises(SourceError, match="more than 4 faults in its lines"):
        workshop.load(source)


@pytest.mark.parametrize("is_gzip", [False, True])
def test_values_are_told_by_line_among_rejects_blanks_and_line_breaks(
    workshop, make_source, is_gzip
):
    content = (
        b"id,age,name\n"  # 1
        b"1,old,a\n"  # 2
        b'2,2,"b\r\nb"\n'  # 3, 4
        b"3,3\n"  # 5
        b"\n"  # 6
        b"4,old,d\n"  # 7
        b"5,5,e\n"  # 8
        b',6,"f\n\nf"\n'  # 9, 10, 11
        b"7,7.5,g\n"  # 12
    )
    path = "people.csv.gz" if is_gzip else "people.csv"
    workshop.write(gzip.compress(content) if is_gzip else content, path)
    workshop.load(make_source(path=path, maximum_rejected_share=0.5))
    assert workshop.rejects() == [
        (2, "age", "not a whole number"),
        (5, None, "too few values"),
        (7, "age", "not a whole number"),
        (9, None, "no customer id"),
        (12, "age", "not a whole number"),
    ]
    assert workshop.rows("source_row, id, name") == [
        (1, "1", "a"),
        (2, "2", "b\r\nb"),
        (4, "4", "d"),
        (5, "5", "e"),
        (7, "7", "g"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "id,age,name\n1,1,a\r\n2,2,b\n",
        "id,age,name\r\n1,1,a\n2,2,b\r\n",
        "id,age,name\n1,1,a\rb\n2,2,c\n",
    ],
)
def test_mixed_line_ends_stop(workshop, make_source, content):
    workshop.write(content)
    with pytest.raises(SourceError, match=r"people.csv: .*line"):
        workshop.load(make_source(maximum_rejected_share=1.0))


ROWS = 150_000


@pytest.fixture
def large(workshop):
    """Write 12 MB of rows, some of them odd; DuckDB's threads read buffers of 8 MB."""

    def write(odd_rows):
        rows = (odd_rows.get(row, f"{row},{row % 90},{'x' * 70}\n") for row in range(1, ROWS + 1))
        workshop.write("id,age,name\n" + "".join(rows))

    return write


def misnumbered(workshop):
    return workshop.query(
        "SELECT count(*), count_if(source_row::VARCHAR <> id) FROM raw.raw_people"
    )


def test_row_numbers_and_lines_are_exact_with_two_threads(workshop, make_source, large):
    unreadable = {row: f"{row},old,a\n" for row in range(777, ROWS, 997)}
    ragged = {row: f"{row},1\n" for row in range(555, ROWS, 1999)}
    large(unreadable | ragged)
    workshop.load(make_source())
    assert misnumbered(workshop) == [(ROWS - len(ragged), 0)]
    lines = {line: column for line, column, _ in workshop.rejects()}
    assert lines == {row + 1: "age" for row in unreadable} | {row + 1: None for row in ragged}


def test_row_numbers_and_lines_are_exact_around_line_breaks_with_two_threads(
    workshop, make_source, large
):
    broken = {row: f'{row},1,"a\nb"\n' for row in range(100, ROWS, 1000)}
    large(broken | {row: f"{row},old,a\n" for row in (1, 101, 75_001, ROWS)})
    workshop.load(make_source())
    assert misnumbered(workshop) == [(ROWS, 0)]
    expected = [2, 101 + 1 + 1, 75_001 + 1 + 75, ROWS + 1 + 150]
    assert [line for line, _, _ in workshop.rejects()] == expected


def test_an_open_quote_cannot_hide_what_duckdb_skips(workshop, make_source, large):
    # DuckDB reports one bad line, and leaves out the rest of a buffer.
    large({1000: '1000,1,"open\n'})
    with pytest.raises(SourceError, match="line 1001 opens a quotation mark that swallows"):
        workshop.load(make_source(maximum_rejected_share=1.0))
