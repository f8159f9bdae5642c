"""A row for each attribute of a customer becomes one row per customer."""

import random

import pytest
from pydantic import ValidationError

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source

LONG = {
    "long": {"attribute": "attribute", "value": "value", "latest_by": "changed_on"},
    "columns": {
        "id": {"type": "text"},
        "changed_on": {"type": "date"},
        "age": {"type": "integer", "header": "AGE"},
        "city": {"type": "category"},
        "member": {"type": "boolean"},
    },
    "snapshot_date": {"file_name": "people_%Y-%m-%d.csv"},
    "path": "people_*.csv",
}
NAME = "people_2025-01-31.csv"
HEADER = "id,attribute,value,changed_on\n"
ROWS = [
    "7,AGE,29,2024-01-01",
    "7,AGE,30,2024-06-01",
    "7,city,Bern,2024-06-01",
    "8,city, Genf ,2024-01-01",
    "8,member,true,2024-01-02",
    "9,AGE,forty,2024-01-01",
]
VALUES = "customer_id, age, city, member, changed_on::VARCHAR"
WIDE = [
    ("7", 30, "Bern", None, "2024-06-01"),
    ("8", None, "Genf", True, "2024-01-02"),
    ("9", None, None, None, "2024-01-01"),
]
REMARKS = "SELECT step, name, rows, line FROM core.load_remarks ORDER BY step"


def write(workshop, *rows, name=NAME):
    workshop.write(HEADER + "".join(f"{row}\n" for row in rows), name)


def wide(workshop):
    return workshop.query(f"SELECT {VALUES} FROM raw.raw_people ORDER BY customer_id")


def test_attributes_become_columns_of_their_types(workshop, make_source):
    write(workshop, *ROWS)
    summary = workshop.load(make_source(**LONG))
    assert wide(workshop) == WIDE
    assert workshop.rejects() == [(7, "age", "not a whole number")]
    assert (summary.rows, summary.rejected_rows, summary.rejected_values) == (3, 0, 1)
    assert workshop.rows("source_row, customer_id") == [(2, "7"), (4, "8"), (6, "9")]
    assert workshop.query(REMARKS) == [("overtaken_attribute", None, 1, None)]


def test_the_order_of_rows_and_the_format_change_nothing(workshop, make_source):
    for seed in range(5):
        rows = random.Random(seed).sample(ROWS, len(ROWS))
        write(workshop, *rows)
        workshop.load(make_source(**LONG))
        assert wide(workshop) == WIDE
    workshop.query(
        f"COPY (FROM read_csv('{workshop.home}/{NAME}', all_varchar = true))"
        f" TO '{workshop.home}/people_2025-01-31.parquet'"
    )
    parquet = {"path": "people_*.parquet", "format": "parquet"}
    dated = {"snapshot_date": {"file_name": "people_%Y-%m-%d.parquet"}}
    workshop.query("DROP TABLE raw.raw_people")
    workshop.load(make_source(**(LONG | parquet | dated)))
    assert wide(workshop) == WIDE


def test_the_latest_row_counts_also_when_it_is_empty_or_unreadable(workshop, make_source):
    write(
        workshop,
        "7,AGE,30,2024-01-01",
        "7,AGE,,2024-06-01",
        "8,AGE,31,2024-01-01",
        "8,AGE,old,2024-06-01",
        "9,AGE,32,2024-01-01",
        "9,AGE,33,",
    )
    workshop.load(make_source(**LONG))
    assert [row[:2] for row in wide(workshop)] == [("7", None), ("8", None), ("9", 32)]


def test_unknown_attributes_are_counted_and_named_by_line_only(workshop, make_source):
    write(workshop, *ROWS, "7,shoe_size,42,2024-01-01", "8,secret,x,2024-01-01")
    source = make_source(**LONG)
    summary = workshop.load(source)
    assert wide(workshop) == WIDE
    said = (
        "2 rows tell attributes that nobody declared (first on line 8): left aside. Declare them "
        "in `columns` (`header` is the attribute's name), or list them in `ignore_rows`"
    )
    overtaken = "1 of 6 rows are overtaken by another on the same attribute"
    assert summary.remarks == (f"{NAME}: {said}", f"{NAME}: {overtaken}")
    assert ("unknown_attribute", None, 2, 8) in workshop.query(REMARKS)
    values = "1 values of `age` cannot be read"
    assert check_source(workshop.home, "people", source) == [
        f"people: {NAME}: 6 rows; 3 customers; {values}; {said}; {overtaken}"
    ]


def test_a_row_without_attribute_or_id_is_rejected(workshop, make_source):
    write(workshop, *ROWS, "7,,42,2024-01-01", ",AGE,42,2024-01-01")
    source = make_source(**LONG)
    with pytest.raises(SourceError, match=r"2 of 8 rows cannot be read .* line 8: no attribute na"):
        workshop.load(source)
    workshop.load(source.model_copy(update={"maximum_rejected_share": 0.3}))
    assert [reject for reject in workshop.rejects() if reject[1] is None] == [
        (8, None, "no attribute named"),
        (9, None, "no customer id"),
    ]


def test_rows_later_than_the_snapshot_are_left_aside(workshop, make_source):
    write(workshop, *ROWS, "7,AGE,31,2025-01-31", "7,AGE,32,2025-02-01")
    workshop.load(make_source(**LONG))
    assert wide(workshop)[0] == ("7", 31, "Bern", None, "2025-01-31")
    assert ("later_attribute", None, 1, 9) in workshop.query(REMARKS)


def test_trust_goes_before_the_date(workshop, make_source):
    long = LONG["long"] | {"trust": {"column": "origin", "order": ["hr", "web"]}}
    columns = LONG["columns"] | {"origin": {"type": "category"}}
    workshop.write(
        "id,attribute,value,changed_on,origin\n"
        "7,AGE,30,2024-06-01,web\n7,AGE,29,2024-01-01,hr\n7,AGE,28,2023-01-01,hr\n"
        "8,AGE,31,2024-06-01,import\n8,AGE,32,2024-01-01,web\n9,AGE,33,2024-06-01,\n",
        NAME,
    )
    workshop.load(make_source(**(LONG | {"long": long, "columns": columns})))
    assert [row[:2] for row in wide(workshop)] == [("7", 29), ("8", 32), ("9", 33)]


def test_contradictions_that_nothing_decides_are_counted(workshop, make_source):
    long = {"attribute": "attribute", "value": "value"}
    columns = {name: one for name, one in LONG["columns"].items() if name != "changed_on"}
    undated = LONG | {"long": long, "columns": columns}
    write(workshop, "7,city,Genf,", "7,city,Bern,", "7,AGE,30,", "7,AGE,30,", "8,city,Bern,")
    summary = workshop.load(make_source(**undated))
    cities = "SELECT customer_id, age, city FROM raw.raw_people ORDER BY ALL"
    assert workshop.query(cities) == [("7", 30, "Bern"), ("8", None, "Bern")]
    assert ("contradicted_attribute", None, 1, None) in workshop.query(REMARKS)
    assert "1 attributes of a customer have rows that contradict each other" in summary.remarks[-1]


def test_a_header_that_lacks_the_attribute_is_named(workshop, make_source):
    workshop.write("id,kind,value,changed_on\n7,AGE,30,2024-01-01\n", NAME)
    with pytest.raises(SourceError, match="lacks `attribute`"):
        workshop.load(make_source(**LONG))


def test_nothing_else_of_the_row_becomes_a_column_of_customers(make_source):
    assert list(make_source(**LONG).attribute_columns) == ["age", "city", "member"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"kind": "survey", "snapshot_date": None}, "`long` is for kind crm"),
        ({"key": {"row_number": True}, "path": "p.csv"}, "with a key that its rows share"),
        ({"columns": {"id": {"type": "text"}, "changed_on": {"type": "date"}}}, "needs attributes"),
        ({"columns": LONG["columns"] | {"changed_on": {"type": "text"}}}, "neither date nor"),
        (
            {"columns": LONG["columns"] | {"town": {"type": "text", "header": "city"}}},
            "two of `columns` are the attribute `city`",
        ),
    ],
)
def test_a_long_table_that_makes_no_sense_is_refused(make_source, parts, said):
    with pytest.raises(ValidationError, match=said):
        make_source(**(LONG | parts))
