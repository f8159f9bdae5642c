"""`segmentation inspect`: what is proposed for files that nobody declared loads, and gives nothing
of a person away."""

import datetime as dt
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import (
    check_source,
    latest_date,
    propose_customers,
    propose_segmentation,
)
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.home import load_home

TODAY = dt.date(2026, 12, 31)

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference"
COUNT = 60
ROWS = "".join(f"{i},C{i:03d},{i % 7}.5,{'ab'[i % 2]}\n" for i in range(COUNT))


def propose(workshop, *names):
    """The proposal as text and as a specification, after a look by the readers of a night."""
    text = propose_customers(workshop.home, [workshop.home / name for name in names], TODAY)
    spec = CustomersSpec.model_validate(yaml.safe_load(text))
    told = [
        line for name, source in spec.sources.items()
        for line in check_source(workshop.home, name, source)
    ]  # fmt: skip
    return text, spec, told


def people(delimiter=","):
    header = [
        "Customer No",
        "fullName",
        "E-Mail",
        "phone",
        "Segment",
        "born",
        "Umsatz",
        "plz",
        "ok",
    ]
    rows = [
        [f"{i:05d}", f"MARKER {i}", f"marker{i}@x.de", f"+49 170 {1000000 + i}", "AB"[i % 2] * 3,
         f"{1 + i % 28:02d}.{1 + i % 12:02d}.19{50 + i % 50}", f"1.{100 + i},5{i % 10}",
         f"0{1000 + i}", "true" if i % 3 else "false"]
        for i in range(COUNT)
    ]  # fmt: skip
    return "\r\n".join(delimiter.join(row) for row in [header, *rows]) + "\r\n"


def test_a_german_export_is_declared_whole(workshop):
    text = people(";").replace("MARKER 1\r", "Jörg\r").replace("MARKER 2;", "Jörg;")
    workshop.write(text.encode("cp1252"), "exports/kunden.csv")
    text, spec, told = propose(workshop, "exports/kunden.csv")
    source = spec.sources["kunden"]
    assert (source.kind, source.path, source.delimiter, source.encoding) == (
        "crm", "exports/kunden.csv", ";", "cp1252"
    )  # fmt: skip
    assert (source.decimal_mark, source.thousands_mark, source.key) == (",", ".", "customer_no")
    types = {name: column.type for name, column in source.columns.items()}
    assert types == {
        "customer_no": "text", "full_name": "text", "e_mail": "text", "phone": "text",
        "segment": "category", "born": "date", "umsatz": "number", "plz": "text", "ok": "boolean",
    }  # fmt: skip
    personal = {name for name, column in source.columns.items() if column.personal}
    assert personal == {"full_name", "e_mail", "phone"}
    assert source.columns["segment"].categories == ["AAA", "BBB"]
    assert source.columns["born"].formats == ["%d.%m.%Y"]
    assert told == [f"kunden: exports/kunden.csv: {COUNT} rows"]
    assert not any(word in text for word in ("MARKER", "marker", "@", "+49", "Jörg"))
    assert "encoding guessed" in text


def test_dates_that_could_be_two_things_are_left_to_a_person(workshop):
    rows = "".join(f"{i},0{1 + i % 9}/0{1 + i % 9}/2025\n" for i in range(30))
    workshop.write("id,seen\n" + rows, "a.csv")
    text, spec, _ = propose(workshop, "a.csv")
    assert spec.sources["a"].columns["seen"].formats == ["%d/%m/%Y"]
    assert "DECIDE: all values are also dates by %m/%d/%Y" in text


def test_files_that_know_the_same_customer_share_a_key(workshop):
    workshop.write("".join(["id,city\n", *(f"K{i},Rome\n" for i in range(30))]), "crm.csv")
    for day in (1, 2):
        events = (
            f'{{"event_id": {i}, "id": "K{i % 7}", "at": "2025-01-0{day}T10:00:00Z",'
            f' "page": {{"kind": "home"}}}}\n'
            for i in range(40)
        )
        workshop.write("".join(events), f"web/web_2025-01-0{day}.ndjson")
    text, spec, told = propose(
        workshop, "crm.csv", "web/web_2025-01-01.ndjson", "web/web_2025-01-02.ndjson"
    )
    web = spec.sources["web"]
    assert (web.kind, web.key, web.time, web.path) == ("web", "id", "at", "web/web_*.ndjson")
    assert web.columns["page_kind"].header == "/page/kind"
    assert spec.customers.base == "crm"
    assert str(spec.nights.first) == "2025-01-02"
    assert len(told) == 3
    assert "file_name" not in text


def test_dated_snapshots_are_one_source(workshop):
    for day in (1, 2):
        workshop.write(
            "id,age\n" + "".join(f"{i},{i}\n" for i in range(9)), f"crm_2025010{day}.csv"
        )
    _, spec, _ = propose(workshop, "crm_20250101.csv", "crm_20250102.csv")
    assert spec.sources["crm"].path == "crm_*.csv"
    assert spec.sources["crm"].snapshot_date.file_name == "crm_%Y%m%d.csv"


def test_events_alone_make_their_customers(workshop):
    table = pa.table(
        {
            "CustomerID": pa.array([float(i % 9) if i % 5 else None for i in range(90)]),
            "Code": [f"C{i}" if i % 3 else str(i) for i in range(90)],
            "Amount": [i / 4 for i in range(90)],
            "When": pa.array([1735689600 + i for i in range(90)], pa.timestamp("s")),
        }
    )
    pq.write_table(table, workshop.home / "sales.parquet")
    text, spec, told = propose(workshop, "sales.parquet")
    sales = spec.sources["sales"]
    assert (sales.kind, sales.time, sales.columns["code"].type) == ("transactions", "when", "text")
    assert spec.customers.base == "sales_customers"
    assert "DECIDE: 18 of 90 rows say no customer" in text
    assert all("72 rows; 18 rows cannot be read" in line for line in told)
    workshop.load(sales)
    assert workshop.rows("DISTINCT customer_id")[0][0] in {str(i) for i in range(9)}
    # The number that is the key tells nothing about a customer.
    features = yaml.safe_load(propose_segmentation(text))["features"]
    assert list(features) == ["sales_count", "sales_recency", "sales_amount"]
    assert features["sales_amount"]["clip"] == {"lower_quantile": 0.01, "upper_quantile": 0.99}


def test_fixed_width_is_seen_by_its_blanks(workshop):
    lines = [f"{i % 40:05d} {20250101 + i % 28} {i / 3:8.2f}\n" for i in range(120)]
    workshop.write("".join(lines), "sales.txt")
    _, spec, told = propose(workshop, "sales.txt")
    source = spec.sources["sales"]
    places = [(column.start, column.width, column.type) for column in source.columns.values()]
    assert places == [(1, 5, "text"), (6, 9, "date"), (15, 9, "number")]
    assert (source.kind, source.key) == ("transactions", "column_1")
    assert told[0] == "sales: sales.txt: 120 rows"


def test_a_file_without_header_gets_positions(workshop):
    workshop.write("".join(f"{i},{i * 2},x{i % 3}\n" for i in range(30)), "a.csv")
    text, spec, _ = propose(workshop, "a.csv")
    assert not spec.sources["a"].has_header
    assert [column.position for column in spec.sources["a"].columns.values()] == [1, 2, 3]
    assert "line 1 seems to be a row" in text
    assert "DECIDE: no column seems to identify a customer" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("id,a\n", "a header and no row"),
        (None, "there is no such file"),
        ("{}\n{}\n", "no column of it has a name of its own"),
        ("PAR1 is how Parquet begins", "a Parquet file that is damaged or cut short"),
    ],
)
def test_what_cannot_be_inspected_says_why(workshop, content, message):
    if content is not None:
        workshop.write(content, "a.csv")
    with pytest.raises(SourceError, match=message):
        propose_customers(workshop.home, [workshop.home / "a.csv"], TODAY)


def test_a_file_outside_the_home_is_refused(workshop, tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\n")
    with pytest.raises(SourceError, match="copy it below the home"):
        propose_customers(workshop.home, [tmp_path / "a.csv"], TODAY)
    with pytest.raises(SourceError, match="no file to inspect"):
        propose_customers(workshop.home, [], TODAY)


def test_a_first_segmentation_has_every_feature_there_can_be(workshop):
    workshop.write("id,city,name\n" + "".join(f"K{i},C{i % 3},x\n" for i in range(30)), "crm.csv")
    rows = "".join(f"K{i % 7},2025-01-0{1 + i % 9},{i / 4}\n" for i in range(60))
    workshop.write("id,day,amount\n" + rows, "sales.csv")
    text, _, _ = propose(workshop, "crm.csv", "sales.csv")
    (workshop.home / "customers.yaml").write_text(text, encoding="utf-8")
    workshop.write(propose_segmentation(text), "segmentations/first_look.yaml")
    features = load_home(workshop.home).segmentations["first_look"].features
    assert list(features) == ["city", "sales_count", "sales_recency", "sales_amount"]


def test_a_first_segmentation_takes_no_birth_for_behaviour_and_no_constant(workshop):
    rows = "".join(f"K{i},C{i % 3},shop,{1950 + i % 40},{i * 7 % 11}\n" for i in range(60))
    workshop.write("id,city,brand,Year_Birth,orders\n" + rows, "crm.csv")
    text, _, _ = propose(workshop, "crm.csv")
    (workshop.home / "customers.yaml").write_text(text, encoding="utf-8")
    workshop.write(propose_segmentation(text), "segmentations/first_look.yaml")
    features = load_home(workshop.home).segmentations["first_look"].features
    assert {name: one.criterion for name, one in features.items()} == {
        "city": "needs", "year_birth": "needs", "orders": "behaviour"
    }  # fmt: skip


@pytest.mark.parametrize(
    "said",
    ["x{}", "The staff was kind on day {}, but it was a long wait before anybody came to see me."],
)
def test_a_file_of_ids_and_texts_alone_makes_no_segmentation(workshop, said):
    rows = "".join(f'K{i},"{said.format(i)}"\n' for i in range(60))
    workshop.write("id,comment\n" + rows, "crm.csv")
    text, _, _ = propose(workshop, "crm.csv")
    assert ("free_text" in text) == (" " in said)
    with pytest.raises(SourceError, match="no column can make segments"):
        propose_segmentation(text)


@pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not here")
@pytest.mark.parametrize("header", [",customer,x,c", '"","customer","x","c"'])
def test_an_index_without_a_name_does_not_make_a_row_of_the_header(workshop, header):
    """As pandas and R write a table with its index."""
    workshop.write(f"{header}\n{ROWS}", "people.csv")
    text, spec, told = propose(workshop, "people.csv")
    assert list(spec.sources["people"].columns) == ["customer", "x", "c"]
    assert "# no name in the header, and left out: column 1" in text
    assert told == ["people: people.csv: 60 rows; undeclared columns ignored: (column 1)"]


def test_columns_of_one_name_are_left_to_a_person(workshop):
    workshop.write(f"id,customer,x,x\n{ROWS}", "people.csv")
    text, spec, _ = propose(workshop, "people.csv")
    assert list(spec.sources["people"].columns) == ["id", "customer"]
    assert '# DECIDE: 2 columns are called "x", and are left out' in text
    # Words alone, some of them twice, may be a row as well.
    workshop.write("a,b,a\nc,d,c\n", "words.csv")
    assert not propose(workshop, "words.csv")[1].sources["words"].has_header


def test_names_that_yaml_takes_for_something_else_stay_names(workshop):
    workshop.write(f"no,null,on,off\n{ROWS}", "true.csv")
    text, spec, told = propose(workshop, "true.csv")
    assert list(spec.sources) == ["true"]
    assert list(spec.sources["true"].columns) == ["no", "null", "on", "off"]
    assert told == ["true: true.csv: 60 rows"]
    (workshop.home / "segmentations").mkdir()
    (workshop.home / "segmentations" / "first_look.yaml").write_text(propose_segmentation(text))
    (workshop.home / "customers.yaml").write_text(text)
    assert "on" in load_home(workshop.home).segmentations["first_look"].features


def test_a_key_of_an_object_may_begin_with_a_slash(workshop):
    workshop.write('{"id":"a","/w":1}\n{"id":"b","/w":2}\n', "people.ndjson")
    _, spec, told = propose(workshop, "people.ndjson")
    assert spec.sources["people"].columns["column_1w"].header == "/~1w"
    assert told == ["people: people.ndjson: 2 rows"]


def test_personal_columns_and_births_are_seen_in_other_languages(workshop):
    rows = "".join(f"K{i:03d};Weg {i};1.{i % 12 + 1}.1980;{i},5\n" for i in range(COUNT))
    workshop.write(f"Kundennummer;Straße;Geburtsdatum;Größe\n{rows}", "kunden.csv")
    _, spec, _ = propose(workshop, "kunden.csv")
    columns = spec.sources["kunden"].columns
    assert {name: one.personal for name, one in columns.items()} == {
        "kundennummer": False, "strasse": True, "geburtsdatum": False, "grosse": False
    }  # fmt: skip
    # A day of birth says nothing of the first night.
    assert str(spec.nights.first) == "2025-01-01"


@pytest.mark.parametrize(
    ("path", "rows", "key"),
    [
        ("hospital/hospital.csv", 283, None),
        ("customer_personality/marketing_campaign.csv", 2_240, "id"),
        ("customer_personality/alt_marketing_campaign_semicolon_iso_dates.csv", 2_240, "id"),
        ("cdnow/CDNOW_sample.txt", 6_919, "column_1"),
        ("cdnow/cdnow_customers_summary.csv", 2_357, "id"),
        ("online_retail/online_retail.parquet", 406_829, None),
    ],
)
def test_the_reference_files_load_as_proposed(workshop, path, rows, key):
    name = Path(path).name
    shutil.copy(REFERENCE / path, workshop.home / name)
    text, spec, told = propose(workshop, name)
    (workshop.home / "customers.yaml").write_text(text, encoding="utf-8")
    workshop.write(propose_segmentation(text), "segmentations/first_look.yaml")
    assert len(load_home(workshop.home).segmentations["first_look"].features) >= 3
    source = next(iter(spec.sources.values()))
    assert told[0].startswith(f"{next(iter(spec.sources))}: {name}: {rows:,} rows")
    assert key is None or source.key == key


def test_the_first_night_is_one_that_run_would_take(workshop):
    """A date of the customers tells no night, nor does a mistyped year."""
    rows = "".join(f"K{i},2026-03-{i % 28 + 1:02}\n" for i in range(30))
    workshop.write("id,joined\n" + rows, "crm.csv")
    events = "".join(f"K{i % 10},2025-11-{i % 28 + 1:02}T10:00:00,2.5\n" for i in range(60))
    workshop.write("id,at,eur\n" + events + "K1,2062-11-05T10:00:00,2.5\n", "orders.csv")

    text, _, _ = propose(workshop, "crm.csv", "orders.csv")

    workshop.write(text, "customers.yaml")
    workshop.write(propose_segmentation(text), "segmentations/first_look.yaml")
    home = load_home(workshop.home)
    assert home.customers.nights.first == dt.date(2025, 11, 28)
    assert latest_date(home, not_after=TODAY) == home.customers.nights.first


def test_the_first_night_of_dated_exports_is_that_of_the_last(workshop):
    rows = "id,age\n" + "".join(f"K{i},{20 + i}\n" for i in range(30))
    for day in ("2024-05-01", "2024-05-02"):
        workshop.write(rows, f"crm_{day}.csv")

    _, spec, _ = propose(workshop, "crm_2024-05-01.csv", "crm_2024-05-02.csv")

    assert spec.nights.first == dt.date(2024, 5, 2)


def test_what_a_night_could_not_read_is_no_number(workshop):
    rows = "".join(
        f'K{i},{i}.5,"{i},50 €","{i},345,678",{10**19 + i},{20 + i} EUR\n' for i in range(10, 40)
    )
    workshop.write("id,plain,comma,grouped,large,unit\n" + rows, "crm.csv")

    _, spec, _ = propose(workshop, "crm.csv")

    types = {name: column.type for name, column in spec.sources["crm"].columns.items()}
    assert types == {
        "id": "text", "plain": "number", "comma": "text", "grouped": "text", "large": "number",
        "unit": "integer",
    }  # fmt: skip


def test_a_column_of_another_type_than_in_another_file_gets_a_name_of_its_own(workshop):
    workshop.write("id,age\n" + "".join(f"K{i},{20 + i}\n" for i in range(30)), "crm.csv")
    said = "".join(f"K{i},{('young', 'old')[i % 2]}\n" for i in range(30))
    workshop.write("id,age\n" + said, "survey.csv")

    _, spec, _ = propose(workshop, "crm.csv", "survey.csv")

    assert spec.sources["crm"].columns["age"].type == "integer"
    asked = spec.sources["survey"].columns["survey_age"]
    assert (asked.type, asked.header) == ("category", "age")


def test_a_blank_line_before_everything(workshop):
    """It is no record to be counted; a night refuses it, which is told as such."""
    workshop.write("\nid,age\n" + "K1,20\n", "crm.csv")
    with pytest.raises(SourceError, match="line 1 has none of the 2 declared columns"):
        propose(workshop, "crm.csv")
