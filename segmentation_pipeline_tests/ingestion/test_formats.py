"""Text files as they really are: marks, codecs, compression, no header, fixed width, NDJSON."""

import gzip
import json

import pyarrow as pa
import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source

TEXT = "id,age,name\n1,30,Zoé\n2,40,Åsa\n"
ROWS = [("1", 30, "Zoé"), ("2", 40, "Åsa")]
BY_POSITION = {
    "id": {"type": "text", "position": 1},
    "age": {"type": "integer", "position": 2},
    "name": {"type": "text", "position": 3},
}
FIXED = {
    "id": {"type": "text", "start": 1, "width": 3},
    "age": {"type": "integer", "start": 5, "width": 3},
    "name": {"type": "text", "start": 9, "width": 5},
}
OBJECTS = {
    "id": {"type": "text"},
    "age": {"type": "integer"},
    "city": {"type": "category", "header": "/address/city", "maximum_null_share": 1},
}


def zstd(content: bytes) -> bytes:
    packed = pa.BufferOutputStream()
    with pa.CompressedOutputStream(packed, "zstd") as stream:
        stream.write(content)
    return packed.getvalue().to_pybytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["plain", "gzip", "zstd"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8-sig", b"\xef\xbb\xbf"), ("cp1252", b""), ("latin-1", b""), ("mac-roman", b""),
        ("utf-16-be", b""), ("utf-16", b"\xfe\xff"), ("utf-32", b""), ("utf-32-le", b""),
        ("cp500", b""), ("gb18030", b"\x84\x31\x95\x33"), ("utf-7", b""),
    ],
)  # fmt: skip
def test_any_codec_of_python_is_read_packed_or_not(workshop, make_source, encoding, mark, pack):
    suffix = {bytes: "", gzip.compress: ".gz", zstd: ".zst"}[pack]
    codec = "utf-16-be" if mark == b"\xfe\xff" else encoding.removesuffix("-sig")
    workshop.write(pack(mark + TEXT.encode(codec)), f"people.csv{suffix}")
    source = make_source(encoding=encoding, path=f"people.csv{suffix}")
    workshop.load(source)
    assert workshop.rows("id, age, name") == ROWS
    assert sorted(path.name for path in workshop.home.iterdir() if path.is_dir()) == []


def test_lines_of_a_mainframe_end_in_next_line(workshop, make_source):
    workshop.write(TEXT.replace("\n", "\x85").encode("cp500"))
    workshop.load(make_source(encoding="cp500"))
    assert workshop.rows("id, age, name") == ROWS


@pytest.mark.parametrize("encoding", ["cp932", "big5", "iso2022_jp", "cp1252", "ascii"])
def test_a_byte_that_is_no_text_of_the_codec_stops_with_its_line(workshop, make_source, encoding):
    workshop.write(b"id,age,name\n1,30,a\n2,40,\x81\xff\n")
    with pytest.raises(SourceError, match=f"line 3 is not {encoding}"):
        workshop.load(make_source(encoding=encoding))


def test_a_zstandard_file_may_begin_with_a_frame_to_be_skipped(workshop, make_source):
    """As pzstd writes them."""
    packed = zstd(TEXT.encode())
    frame = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + len(packed).to_bytes(4, "little")
    workshop.write(frame + packed, "people.csv.zst")
    assert workshop.load(make_source(path="people.csv.zst")).files_loaded == 1


def test_a_damaged_zstandard_file_stops(workshop, make_source):
    whole = zstd(TEXT.encode() + b"".join(b"%d,1,x\n" % i for i in range(5000)))
    source = make_source(path="people.csv.zst")
    flipped = bytearray(whole)
    flipped[7] ^= 0xFF  # in the frame's header: Arrow writes frames without a checksum
    for content in (whole[: len(whole) // 2], whole[:-3], bytes(flipped)):
        workshop.write(content, "people.csv.zst")
        with pytest.raises(SourceError, match=r"people.csv.zst: the zstd is damaged or cut short"):
            workshop.load(source)
    workshop.write(whole + zstd(b"x,1,y\n"), "people.csv.zst")
    assert workshop.load(source).rows == 5003


def test_quoted_line_breaks_are_numbered_in_a_packed_file(workshop, make_source):
    workshop.write(zstd(b'id,age,name\n1,1,"a\nb"\n\n2\n3,3,c\n'), "people.csv.zst")
    workshop.load(make_source(path="people.csv.zst", maximum_rejected_share=0.5))
    assert workshop.rows() == [(1, "1"), (3, "3")]
    assert workshop.rejects() == [(5, None, "too few values")]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|", "\x1f", "§", " "])
def test_any_character_can_be_the_delimiter(workshop, make_source, delimiter):
    workshop.write(TEXT.replace(",", delimiter))
    workshop.load(make_source(delimiter=delimiter))
    assert workshop.rows("id, age, name") == ROWS


def test_quotes_are_as_declared(workshop, make_source):
    workshop.write("id,age,name\n1,30,'a,''b'''\n2,40,x\"y\n")
    workshop.load(make_source(quote="'"))
    assert workshop.rows("name") == [("a,'b'",), ('x"y',)]
    workshop.write('id,age,name\n1,30,"a\n2\n3,40,x"y\n')
    workshop.load(make_source(quote=None, maximum_rejected_share=0.5), day=2)
    assert workshop.rows("id, name")[2:] == [("1", '"a'), ("3", 'x"y')]
    assert workshop.rejects() == [(3, None, "too few values")]


@pytest.mark.parametrize(
    ("decimal", "thousands", "text", "value"),
    [
        (",", "", "1234,5", 1234.5),
        (",", "", "-,5", -0.5),
        (",", "", "12", 12),
        (",", "", "1,25e1", 12.5),
        (",", ".", "1.234,56", 1234.56),
        (",", ".", "1.234.567", 1234567),
        (",", ".", "1234,5", 1234.5),
        (".", ",", "1,234.56", 1234.56),
        (".", "'", "1'234.5", 1234.5),
        (".", "'", "1\u2019234.5", 1234.5),
        (",", " ", "1\u202f234\u00a0567,8", 1234567.8),
        (",", "", "1.234", None),
        (",", ".", "1.23", None),
        (",", ".", "1,234.5", None),
        (".", ",", "12,34", None),
        (".", ",", "1,2345", None),
        (".", "", "1,5", None),
        (",", ".", ".234", None),
        (",", "", "inf", None),
        (",", "", "1_0", None),
        (",", "", ",", None),
    ],
)
def test_numbers_have_the_declared_marks_and_no_others(
    workshop, make_source, decimal, thousands, text, value
):
    columns = {"id": {"type": "text"}, "amount": {"type": "number"}, "whole": {"type": "integer"}}
    workshop.write(f"id;amount;whole\n1;{text};{text}\n")
    source = make_source(
        delimiter=";", decimal_mark=decimal, thousands_mark=thousands, columns=columns
    )
    summary = workshop.load(source)
    whole = value if value is not None and value == int(value) else None
    assert workshop.rows("amount, whole") == [(value, whole)]
    assert summary.rejected_values == (value is None) + (whole is None)


def test_columns_of_a_file_without_header_have_positions(workshop, make_source):
    workshop.write('1,30,"a\nb"\n\n2,40\n3,x,c\n')
    source = make_source(columns=BY_POSITION, has_header=False, maximum_rejected_share=0.5)
    workshop.load(source)
    assert workshop.rows("source_row, id, age, name") == [(1, "1", 30, "a\nb"), (3, "3", None, "c")]
    assert workshop.rejects() == [(4, None, "too few values"), (5, "age", "not a whole number")]


def test_without_line_breaks_rejects_of_a_file_without_header_are_numbered_too(
    workshop, make_source
):
    workshop.write("1,30,a\n2\n3,x,c\n")
    workshop.load(make_source(columns=BY_POSITION, has_header=False, maximum_rejected_share=0.5))
    assert workshop.rejects() == [(2, None, "too few values"), (3, "age", "not a whole number")]


def test_another_number_of_columns_is_the_only_sign_of_a_change_without_header(
    workshop, make_source
):
    workshop.write("1,30,a,MARKER\n")
    source = make_source(columns=BY_POSITION, has_header=False)
    with pytest.raises(
        SourceError, match="its first row has 4 columns, and 3 are declared"
    ) as stop:
        workshop.load(source)
    assert "MARKER" not in str(stop.value)
    workshop.load(make_source(columns=BY_POSITION, has_header=False, column_count=4))
    assert workshop.rows() == [(1, "1")]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_fixed_width_lines_are_cut_by_characters(workshop, make_source, line_end, encoding):
    lines = ["007  30 Zoé, ", "ü 2  x5 \"a'b", "", "3", "4     4 five and more"]
    workshop.write(line_end.join([*lines, "", ""]).encode(encoding))
    source = make_source(
        format="fixed_width", has_header=False, columns=FIXED, encoding=encoding,
        maximum_rejected_share=0.5,
    )  # fmt: skip
    workshop.load(source)
    assert workshop.rows("source_row, id, age, name") == [
        (1, "007", 30, "Zoé,"), (2, "ü 2", None, "\"a'b"), (4, "4", 4, "five")
    ]  # fmt: skip
    assert workshop.rejects() == [
        (2, "age", "not a whole number"),
        (4, None, "a line that ends within a column"),
    ]


def test_a_cut_line_never_gives_a_cut_number(workshop, make_source):
    workshop.write("001 123 anna\n002 12\n003 456\n")
    source = make_source(
        format="fixed_width", has_header=False, columns=FIXED, maximum_rejected_share=0.5
    )
    workshop.load(source)
    assert workshop.rows("id, age, name") == [("001", 123, "anna"), ("003", 456, None)]
    assert workshop.rejects() == [(2, None, "a line that ends within a column")]


def test_a_fixed_width_header_is_compared(workshop, make_source):
    workshop.write("ID  AGE NAME\n007  30 Zoe\n")
    columns = {name: {**column, "header": name.upper()} for name, column in FIXED.items()}
    workshop.load(make_source(format="fixed_width", columns=columns))
    assert workshop.rows("source_row, id, age, name") == [(1, "007", 30, "Zoe")]
    with pytest.raises(SourceError, match="line 1 has none of the 3 declared columns"):
        workshop.load(make_source(format="fixed_width", columns=FIXED))


def test_ndjson_is_read_by_keys_and_paths(workshop, make_source):
    objects = [
        {"id": "007", "age": 30, "address": {"city": "Rome"}, "shoe": 1},
        {"age": 41.5, "id": 8},
        {"id": 9, "age": None, "address": {"city": "Rome, old"}},
    ]
    text = "\n".join(json.dumps(one) for one in objects)
    workshop.write(
        text + '\n\n{"id": 10, "age": \n[1]\n{"id": "a\\u0000b", "age": 1}\n', "p.ndjson"
    )
    source = make_source(
        format="ndjson", path="p.ndjson", columns=OBJECTS, maximum_rejected_share=0.5
    )
    summary = workshop.load(source)
    assert workshop.rows("source_row, id, age, city") == [
        (1, "007", 30, "Rome"), (2, "8", None, None), (3, "9", None, "Rome, old")
    ]  # fmt: skip
    assert workshop.rejects() == [
        (2, "age", "not a whole number"),
        (5, None, "not a JSON object"),
        (6, None, "not a JSON object"),
        (7, None, "a control or invisible character in the customer id"),
    ]
    assert summary.ignored_columns == ("shoe",)
    (told,) = check_source(workshop.home, "people", source)
    assert "line 5" not in told
    assert "undeclared columns ignored: shoe" in told


def test_a_key_that_no_object_has_stops_and_names_the_nearest(workshop, make_source):
    workshop.write('{"id": 1, "aged": 30}\n{"id": 2, "aged": 40}\n', "p.ndjson")
    source = make_source(format="ndjson", path="p.ndjson", columns=OBJECTS)
    with pytest.raises(SourceError, match=r"no object has the key `age`; .*did you mean `aged`"):
        workshop.load(source)


def test_strange_keys_of_json_are_found(workshop, make_source):
    workshop.write('{"the/id": 1, "a~b": {"x.y": [5, 6]}}\n', "p.ndjson.gz".removesuffix(".gz"))
    columns = {
        "id": {"type": "text", "header": "the/id"},
        "second": {"type": "integer", "header": "/a~0b/x.y/1"},
    }
    workshop.load(make_source(format="ndjson", path="p.ndjson", columns=columns))
    assert workshop.rows("id, second") == [("1", 6)]


def test_a_folder_is_all_its_files(workshop, make_source):
    source = make_source(
        kind="web", time="seen_on", path="days",
        columns={"id": {"type": "text"}, "seen_on": {"type": "date"}},
    )  # fmt: skip
    for day in (1, 2):
        workshop.write(f"id,seen_on\n{day},2025-01-0{day}\n", f"days/{day}.csv")
    workshop.write(gzip.compress(b"id,seen_on\n3,2025-01-03\n"), "days/3.csv.gz")
    workshop.write("half", "days/.4.csv.part")
    workshop.write("", "days/_SUCCESS")
    workshop.write("no", "days/older/5.csv")
    assert workshop.load(source).files_loaded == 3
    assert workshop.load(source).files_skipped == 3
    workshop.write("id,seen_on\n9,2025-01-01\n", "days/1.csv")
    assert workshop.load(source).files_loaded == 1
    assert sorted(row[1] for row in workshop.rows()) == ["2", "3", "9"]


def test_a_row_number_is_no_key_of_a_folder_with_several_files(workshop, make_source):
    for name in ("a", "b"):
        workshop.write(TEXT, f"days/{name}.csv")
    with pytest.raises(SourceError, match="holds 2 files, and a row number identifies"):
        workshop.load(make_source(path="days", key={"row_number": True}))
