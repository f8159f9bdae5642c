import csv
import gzip
import os
from pathlib import Path

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import csv_text, decoding
from segmentation_pipeline.ingestion.csv_text import verified_csv
from segmentation_pipeline.ingestion.files import digest_file

TEXT = "id,age,name\n1,30,Zoé\n2,40,Åsa\n"
ROWS = [("1", 30, "Zoé"), ("2", 40, "Åsa")]
# Without a time: it would be part of a test's name, which must be the same in all processes.
PACKED = gzip.compress(TEXT.encode(), mtime=0)


def verify(workshop, source):
    file = digest_file(workshop.home, workshop.home / source.path)
    with verified_csv(file, source, workshop.home / "copies") as text:
        return text


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (TEXT.encode("utf-8-sig"), "utf-8"),
        (TEXT.encode("latin-1"), "latin-1"),
        (TEXT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + TEXT.encode("utf-16-be"), "utf-16"),
        (TEXT.encode("utf-16-le"), "utf-16"),
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.replace("\n", "\r").encode(), "utf-8"),
        (TEXT.replace("\n", "\r\n").encode("utf-16"), "utf-16"),
        (TEXT.rstrip("\n").encode(), "utf-8"),
        (TEXT.encode() + b"\n\n\n", "utf-8"),
        (b"\xef\xbb\xbf" + TEXT.replace("id", '"id"').encode(), "utf-8"),
    ],
)
@pytest.mark.parametrize("is_gzip", [False, True])
def test_declared_encodings_and_line_ends_are_read(
    workshop, make_source, content, encoding, is_gzip
):
    path = "people.csv.gz" if is_gzip else "people.csv"
    workshop.write(gzip.compress(content) if is_gzip else content, path)
    source = make_source(encoding=encoding, path=path)
    text = verify(workshop, source)
    assert (text.header, text.header_lines, text.lines) == (("id", "age", "name"), 1, 3)
    assert not (workshop.home / "copies").exists()
    workshop.load(source)
    assert workshop.rows("id, age, name") == ROWS
    assert workshop.rejects() == []


def test_every_latin_1_byte_and_characters_beyond_the_basic_plane_survive(workshop, make_source):
    # DuckDB's own decoders refuse both.
    odd = "".join(chr(code) for code in range(0xA1, 0x100)) + "\x80\x9f"
    workshop.write(f"id,age,name\n1,1,x{odd}x\n".encode("latin-1"))
    workshop.load(make_source(encoding="latin-1"))
    assert workshop.rows("name") == [(f"x{odd}x",)]
    workshop.write("id,age,name\n1,1,x😀x\n".encode("utf-16"))
    workshop.load(make_source(encoding="utf-16"), day=2)
    assert workshop.rows("name")[-1] == ("x😀x",)
    assert sorted(p.name for p in workshop.home.iterdir()) == [
        "people.csv",
        "warehouse.duckdb",
    ]


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"", "utf-8", "it is empty"),
        (b"\xef\xbb\xbf", "utf-8", "it is empty"),
        (b"id,age,name\n", "utf-8", "it has a header and no row"),
        (b"id,age,name\r\n\r\n", "utf-8", "it has a header and no row"),
        (b"id,age,name\n1,1,a\n2,2,Zo\xe9\n", "utf-8", "line 3 is not utf-8"),
        (b"id,age,name\n1,1,a\n2,2,cut \xc3", "utf-8", "line 3 is not utf-8"),
        ("id,age,name\n1,1,a\n".encode("utf-16") + b"x", "utf-16", "line 3 is not utf-16"),
        ("id,age,name\n1,1,".encode("utf-16") + b"\x00\xd8x\x00", "utf-16", "line 2 is not utf-16"),
        (b"id,age,name\r\n1,1,a\r\n2,2,b\x00c\r\n", "utf-8", "line 3 holds a NUL"),
        ("id,age,name\n1,1,a\n".encode("utf-16-le"), "utf-8", "line 1 holds a NUL"),
        (TEXT.encode("utf-16"), "utf-8", "declare `encoding: utf-16`"),
        (TEXT.encode("utf-8-sig"), "latin-1", "declare `encoding: utf-8`"),
        (b'id,"age,name\n1,1,a\n', "utf-8", "line 1 cannot be read"),
    ],
)
def test_what_is_no_such_text_stops_with_its_line(
    workshop, make_source, content, encoding, message
):
    workshop.write(content)
    source = make_source(encoding=encoding)
    with pytest.raises(SourceError, match=f"people.csv: .*{message}"):
        verify(workshop, source)
    with pytest.raises(SourceError, match=message):
        workshop.load(source)


@pytest.mark.parametrize("chunk_bytes", [3, 5, 7, 1 << 20])
def test_chunks_may_end_anywhere(workshop, make_source, monkeypatch, chunk_bytes):
    monkeypatch.setattr(decoding, "_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(csv_text, "_HEADER_BYTES", 1 << 20)
    content = "id,age,name\r\n1,1,Zoé😀\r\n2,2,\r\n\r\n3,3,x\r\n\r\n\r\n"
    workshop.write(content)
    text = verify(workshop, make_source())
    assert (text.lines, text.line_end, text.header) == (5, "\r\n", ("id", "age", "name"))
    workshop.write(b"\xfe\xff" + content.encode("utf-16-be"))
    assert verify(workshop, make_source(encoding="utf-16")).lines == 5
    workshop.write(content.encode() + b"4,4,\xff\r\n")
    with pytest.raises(SourceError, match="line 8 is not utf-8"):
        verify(workshop, make_source())


def test_a_damaged_gzip_stops(workshop, make_source):
    whole = gzip.compress(TEXT.encode() * 200)
    source = make_source(path="people.csv.gz")
    wrong_sum = bytearray(whole)
    wrong_sum[-8] ^= 1
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for content in (whole[: len(whole) // 2], whole[:-4], wrong_sum, flipped):
        workshop.write(bytes(content), "people.csv.gz")
        with pytest.raises(SourceError, match=r"people.csv.gz: the gzip is damaged or cut short"):
            workshop.load(source)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("people.csv", PACKED, "compressed by gzip; give it .* in `.gz`"),
        ("people.csv.gz", TEXT.encode(), "it is not compressed by gzip, as its name says"),
        ("people.csv.zst", TEXT.encode(), "it is not compressed by zstd, as its name says"),
        ("people.csv.zst", PACKED, "compressed by gzip; give it"),
        ("people.csv.gz", b"\x28\xb5\x2f\xfdxx", "compressed by zstd; give it .* in `.zst`"),
        ("people.csv", b"PK\x03\x04xx", "it is a zip archive or a workbook; unpack it"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_file_is_packed_as_its_name_says(workshop, make_source, name, content, message, encoding):
    """Of a gzip without its suffix, Latin-1 would make text, and UTF-8 a wrong complaint."""
    workshop.write(content, name)
    with pytest.raises(SourceError, match=message):
        workshop.load(make_source(path=name, encoding=encoding))


def test_a_gzip_of_several_members_is_whole(workshop, make_source):
    workshop.write(gzip.compress(b"id,age,name\n1,1,a\n") + gzip.compress(b"2,2,b\n"), "p.csv.gz")
    workshop.load(make_source(path="p.csv.gz"))
    assert workshop.rows() == [(1, "1"), (2, "2")]


def test_a_gzip_bomb_stops_before_it_has_unpacked(workshop, make_source, monkeypatch):
    # A megabyte of blanks shrinks 1000 times, a file people use 3 to 30 times.
    bomb = gzip.compress(b"id,age,name\n" + b" " * 2_000_000)
    workshop.write(bomb, "people.csv.gz")
    monkeypatch.setattr(decoding, "SMALLEST_BOMB_BYTES", 1_000_000)
    with pytest.raises(SourceError, match="unpacks to more than 200 times its size"):
        workshop.load(make_source(path="people.csv.gz"))
    honest = gzip.compress(TEXT.encode() + os.urandom(10_000).hex().encode())
    workshop.write(honest, "people.csv.gz")
    verify(workshop, make_source(path="people.csv.gz"))


def test_a_header_may_hold_quotes_and_line_breaks(workshop, make_source):
    workshop.write('"id","age\nin years","name"\n1,30,a\n2,,b\n')
    columns = {
        "id": {"type": "text"},
        "age": {"type": "integer", "header": "age\nin years"},
    }
    source = make_source(columns=columns)
    assert verify(workshop, source).header_lines == 2
    workshop.load(source)
    assert workshop.rows("source_row, id, age") == [(1, "1", 30), (2, "2", None)]


def test_the_field_limit_of_the_process_stays(workshop, make_source):
    before = csv.field_size_limit()
    workshop.write('id,age,name\n1,1,"a\nb"\n')
    workshop.load(make_source())
    assert csv.field_size_limit() == before


def test_copies_are_removed_when_the_load_fails(workshop, make_source):
    workshop.write("wrong,header\n1,2\n".encode("utf-16"))
    with pytest.raises(SourceError):
        workshop.load(make_source(encoding="utf-16"))
    left = [p for p in Path(workshop.home).rglob("*") if "utf8" in p.name or "spill" in p.name]
    assert left == []
