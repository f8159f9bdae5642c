"""Excel files; the workbooks are written by hand, so that no library for it is needed."""

import datetime as dt
import io
import zipfile
from xml.sax.saxutils import escape

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source, propose_customers, sheet_size
from segmentation_pipeline.ingestion import sheets as sheets_module

TODAY = dt.date(2026, 12, 31)

DATE, TIME = 1, 2
"""Styles of a number that is a date, or a date with a time."""

_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/xl/workbook.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>'
)
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STYLES = (
    f'<styleSheet xmlns="{_MAIN}"><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="14"/>'
    '<xf numFmtId="22"/></cellXfs></styleSheet>'
)


@pytest.fixture
def workbook():
    """Write a workbook from {sheet: rows}; a pair is a number with a style."""
    return _workbook


def _workbook(sheets):
    content = io.BytesIO()
    names = list(sheets)
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", _TYPES)
        packed.writestr("_rels/.rels", _links([("officeDocument", "xl/workbook.xml")]))
        listed = "".join(
            f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"/>'
            for number, name in enumerate(names, start=1)
        )
        packed.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>',
        )
        parts = [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(names) + 1)]
        packed.writestr("xl/_rels/workbook.xml.rels", _links([*parts, ("styles", "styles.xml")]))
        packed.writestr("xl/styles.xml", _STYLES)
        for number, name in enumerate(names, start=1):
            packed.writestr(f"xl/worksheets/sheet{number}.xml", _sheet(sheets[name]))
    return content.getvalue()


def _links(targets):
    listed = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, start=1)
    )
    return f'<Relationships xmlns="{_PACKAGE}">{listed}</Relationships>'


def _sheet(rows):
    written = "".join(
        f'<row r="{number}">'
        + "".join(_cell(f"{chr(65 + at)}{number}", value) for at, value in enumerate(row))
        + "</row>"
        for number, row in enumerate(rows, start=1)
        if row
    )
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{written}</sheetData></worksheet>'


def _cell(place, value):
    match value:
        case None:
            return ""
        case bool():
            return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
        case str() if value.startswith("#"):
            return f'<c r="{place}" t="e"><v>{value}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        case (number, style):
            return f'<c r="{place}" s="{style}"><v>{number}</v></c>'
        case _:
            return f'<c r="{place}"><v>{value}</v></c>'


PEOPLE = [
    ["id", "age", "name", "born", "shoe"],
    ["007", 30.0, "Ann", (45658, DATE), 1],
    [],
    [17, "old", "a\nb", "31.12.2024", 2],
    [None, None, None, None, None],
    ["x", "#N/A", True, (45658.5, TIME), 3],
    [None, 1, "nobody", None, None],
]
COLUMNS = {
    "id": {"type": "text"},
    "age": {"type": "integer"},
    "name": {"type": "text"},
    "born": {"type": "date", "formats": ["%d.%m.%Y"]},
}


def test_a_sheet_is_read_typed_and_its_rows_are_numbered_as_excel_shows_them(
    workshop, make_source, workbook
):
    workshop.write(workbook({"People": PEOPLE}), "people.xlsx")
    source = make_source(
        format="excel", path="people.xlsx", columns=COLUMNS, maximum_rejected_share=0.5
    )
    summary = workshop.load(source)
    assert workshop.rows("source_row, id, age, name, born::VARCHAR") == [
        (1, "007", 30, "Ann", "2025-01-01"),
        (3, "17", None, "a\nb", "2024-12-31"),
        (5, "x", None, "true", "2025-01-01"),
    ]
    assert workshop.rejects() == [(4, "age", "not a whole number"), (7, None, "no customer id")]
    assert summary.ignored_columns == ("shoe",)
    (told,) = check_source(workshop.home, "people", source)
    assert told.startswith("people: people.xlsx: 3 rows; 1 rows cannot be read")


def test_a_workbook_of_several_sheets_needs_the_sheets_name(workshop, make_source, workbook):
    workshop.write(workbook({"Notes": [["x"], ["y"]], "B & C": PEOPLE}), "people.xlsx")
    parts = {
        "format": "excel", "path": "people.xlsx", "columns": COLUMNS, "maximum_rejected_share": 0.5,
    }  # fmt: skip
    with pytest.raises(
        SourceError, match=r"it has 2 sheets \(Notes, B & C\); say which by `sheet`"
    ):
        workshop.load(make_source(**parts))
    with pytest.raises(SourceError, match="no sheet `Note`; did you mean `Notes`"):
        workshop.load(make_source(**parts, sheet="Note"))
    assert workshop.load(make_source(**parts, sheet="B & C")).rows == 3


def test_a_sheet_without_header_is_read_by_position(workshop, make_source, workbook):
    workshop.write(workbook({"s": PEOPLE[1:]}), "people.xlsx")
    columns = {"id": {"type": "text", "position": 1}, "name": {"type": "text", "position": 3}}
    source = make_source(
        format="excel", path="people.xlsx", columns=columns, has_header=False, column_count=5,
        maximum_rejected_share=0.5,
    )  # fmt: skip
    workshop.load(source)
    assert workshop.rows("source_row, id, name") == [
        (1, "007", "Ann"), (3, "17", "a\nb"), (5, "x", "true")
    ]  # fmt: skip
    assert workshop.rejects() == [(6, None, "no customer id")]


def test_what_is_no_whole_workbook_stops(workshop, make_source, workbook):
    whole = workbook({"s": PEOPLE})
    source = make_source(format="excel", path="people.xlsx", columns=COLUMNS)
    flipped = bytearray(whole)
    flipped[len(whole) // 2 : len(whole) // 2 + 40] = bytes(40)
    for content in (b"", b"id,age\n1,2\n", whole[: len(whole) // 2], bytes(flipped)):
        workshop.write(content, "people.xlsx")
        with pytest.raises(SourceError, match=r"people.xlsx: it is no Excel file, or is damaged"):
            workshop.load(source)
    for rows in ([], PEOPLE[:1], [*PEOPLE[:1], [], [None]]):
        workshop.write(workbook({"s": rows}), "people.xlsx")
        with pytest.raises(SourceError, match="the sheet has no row"):
            workshop.load(source)


def test_a_workbook_that_explodes_stops(workshop, make_source, workbook, monkeypatch):
    monkeypatch.setattr(sheets_module, "SMALLEST_BOMB_BYTES", 100_000)
    workshop.write(workbook({"s": [["id"], [" " * 2_000_000]]}), "people.xlsx")
    with pytest.raises(SourceError, match="it unpacks to more than 200 times its size"):
        workshop.load(make_source(format="excel", path="people.xlsx"))


def test_a_value_far_from_the_others_stops_before_the_reader_asks_for_the_room(
    workshop, make_source, workbook, monkeypatch
):
    """Tried: one in the last cell of a sheet asks for 512 GB, which ends the process."""
    source = make_source(
        format="excel", path="people.xlsx", columns=COLUMNS, sheet="s", maximum_rejected_share=1
    )
    far = PEOPLE + [[] for _ in range(1_000)] + [[*["x"] * 3, (45658, DATE), *[None] * 20, "y"]]
    monkeypatch.setattr(sheet_size, "_CHUNK_BYTES", 100)
    workshop.write(workbook({"s": far}), "people.xlsx")
    workshop.load(source)

    monkeypatch.setattr(sheet_size, "_SMALL_CELLS", 20_000)
    told = r"the sheet spans 25,200 cells, and 27 of them have a value: .*, down to row 1,008;"
    with pytest.raises(SourceError, match=told):
        check_source(workshop.home, "people", source)
    with pytest.raises(SourceError, match=told):
        propose_customers(workshop.home, [workshop.home / "people.xlsx"], TODAY)
    # Another sheet may be as it likes: it isn't read.
    workshop.write(workbook({"other": far, "s": PEOPLE}), "people.xlsx")
    workshop.load(source)
