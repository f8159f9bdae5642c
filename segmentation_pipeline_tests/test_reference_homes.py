"""Three real data sets as homes: files -> checked customers -> features, by the job's own steps.

The files lie beside the project, not in it; where they are missing, these tests are skipped. What
must come out stands in their README.
"""

import csv
import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import pytest
import yaml

from segmentation_pipeline.definitions import build_definitions
from segmentation_pipeline.warehouse import open_warehouse

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"
pytestmark = pytest.mark.skipif(not REFERENCE.exists(), reason="the reference files are not here")

PERSONALITY_NUMBERS = [
    "Income", "Kidhome", "Teenhome", "Recency", "MntWines", "MntFruits", "MntMeatProducts",
    "MntFishProducts", "MntSweetProducts", "MntGoldProds", "NumDealsPurchases", "NumWebPurchases",
    "NumCatalogPurchases", "NumStorePurchases", "NumWebVisitsMonth", "AcceptedCmp1", "AcceptedCmp2",
    "AcceptedCmp3", "AcceptedCmp4", "AcceptedCmp5", "Complain", "Z_CostContact", "Z_Revenue",
    "Response",
]  # fmt: skip
CDNOW_FORMAT = {"path": "CDNOW_sample.txt", "format": "fixed_width", "has_header": False}
CDNOW_DAY = {"type": "date", "formats": ["%Y%m%d"], "start": 12, "width": 9}
CDNOW_ID = {"type": "text", "start": 1, "width": 6}
CDNOW_NUMBER = {"type": "integer", "start": 7, "width": 5}
RETAIL_KEY = {"expression": "CAST(TRY_CAST(customer AS DOUBLE) AS BIGINT)"}
SOLD = {
    "name": "was_sold",
    "description": "No cancelled line, no gift and no correction.",
    "predicate": "NOT starts_with(invoice, 'C') AND quantity > 0 AND price > 0",
    "quarantine": "row",
    "maximum_share": 0.1,
}


def engineer(home, as_of, file, customers, features):
    """Write a home around a file, run a night up to its features, and open what it made."""
    shutil.copy(REFERENCE / file, home)
    (home / "segmentations").mkdir()
    (home / "customers.yaml").write_text(yaml.safe_dump(customers))
    segmentation = {"title": "R", "criteria": {"behaviour": "all"}, "features": features}
    (home / "segmentations" / "reference.yaml").write_text(yaml.safe_dump(segmentation))
    engineered = dg.AssetSelection.assets(["reference", "engineered_features"])
    wanted = engineered.upstream().required_multi_asset_neighbors()
    definitions = dg.Definitions.merge(
        build_definitions(home, lock_timeout_seconds=0),
        dg.Definitions(jobs=[dg.define_asset_job("to_the_features", selection=wanted)]),
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("to_the_features")
        assert job.execute_in_process(partition_key=as_of.isoformat(), instance=instance).success
    return open_warehouse(home / "warehouse.duckdb", threads=2)


def number(column, **settings):
    return {"criterion": "behaviour", "column": column} | settings


def aggregate(**settings):
    return {"criterion": "behaviour", "aggregate": settings}


def personality(home, name, settings, date_format):
    columns = {
        "id": {"type": "text", "header": "ID"},
        "birth_year": {
            "type": "integer", "header": "Year_Birth",
            "minimum": 1910, "maximum_rejected_share": 0.01,
        },
        "education": {"type": "category", "header": "Education"},
        "marital_status": {
            "type": "category",
            "header": "Marital_Status",
            "categories": ["Single", "Married", "Together", "Divorced", "Widow"],
            "aliases": {"Single": ["Alone"]},
            "maximum_rejected_share": 0.01,
        },
        "enrolled": {"type": "date", "header": "Dt_Customer", "formats": [date_format]},
    }  # fmt: skip
    for header in PERSONALITY_NUMBERS:
        columns[header.lower()] = {"type": "number", "header": header}
    columns["income"] |= {"maximum": 600_000, "maximum_rejected_share": 0.01}
    people = {"kind": "crm", "path": name, "key": "id", "columns": columns, **settings}
    customers = {
        "name": "Shoppers", "nights": {"first": dt.date(2014, 12, 31)},
        "sources": {"people": people}, "customers": {"base": "people"},
    }  # fmt: skip
    home.mkdir()
    file = f"customer_personality/{name}"
    return engineer(home, dt.date(2014, 12, 31), file, customers, {"income": number("income")})


def test_customer_personality_is_the_same_from_its_two_formats(tmp_path):
    tabs = personality(tmp_path / "tabs", "marketing_campaign.csv", {"delimiter": "\t"}, "%d-%m-%Y")
    semicolons = personality(
        tmp_path / "semicolons",
        "alt_marketing_campaign_semicolon_iso_dates.csv",
        {"delimiter": ";", "encoding": "utf-8-sig"},
        "%Y-%m-%d",
    )
    query = "SELECT * FROM core.customers ORDER BY customer_id"
    with tabs as one, semicolons as other:
        customers = one.execute(query).fetchall()
        assert customers == other.execute(query).fetchall()
        counted = one.execute(
            "SELECT count(*), count(DISTINCT customer_id), count(*) - count(income),"
            " count(*) - count(birth_year), count(*) - count(marital_status),"
            " count(*) FILTER (marital_status = 'Single'),"
            " count(DISTINCT (z_costcontact, z_revenue)), max(income) FROM core.customers"
        ).fetchone()
    # Blank incomes and 666666; three births before 1910; two of `Absurd`, two of `YOLO`;
    # three of `Alone` beside 480 of `Single`.
    assert counted == (2_240, 2_240, 24 + 1, 3, 4, 483, 1, 162_397)


def test_online_retail_gives_its_customers_with_recency_frequency_and_money(tmp_path):
    columns = {
        "customer": {"type": "text", "header": "CustomerID"},
        "invoice": {"type": "text", "header": "InvoiceNo"},
        "code": {"type": "text", "header": "StockCode"},
        "description": {"type": "text", "header": "Description"},
        "quantity": {"type": "integer", "header": "Quantity"},
        "at": {"type": "timestamp", "header": "InvoiceDate"},
        "price": {"type": "number", "header": "UnitPrice"},
        "country": {"type": "category", "header": "Country"},
    }
    lines = {
        "path": "online_retail.parquet", "format": "parquet", "key": RETAIL_KEY, "time": "at",
        "columns": columns, "expectations": [SOLD], "maximum_rejected_share": 0.25,
    }  # fmt: skip
    customers = {
        "name": "Retail",
        "nights": {"first": dt.date(2011, 12, 10)},
        "sources": {
            "buyers": lines | {"kind": "survey"},
            "lines": lines | {"kind": "transactions"},
        },
        "customers": {"base": "buyers"},
    }
    features = {
        "recency": aggregate(source="lines", function="recency_days"),
        "frequency": aggregate(source="lines", function="distinct", column="invoice"),
        "pieces": aggregate(source="lines", function="sum", column="quantity"),
    }
    made = engineer(
        tmp_path, dt.date(2011, 12, 10), "online_retail/online_retail.parquet", customers, features
    )
    with made as connection:
        found = connection.execute(
            "SELECT * FROM reference.engineered_features ORDER BY customer_id"
        )
        names = [column[0] for column in found.description]
        engineered = {row[names.index("customer_id")]: dict(zip(names, row, strict=True))
                      for row in found.fetchall()}  # fmt: skip
        expected = connection.execute(
            "SELECT CAST(CustomerID AS BIGINT)::VARCHAR,"
            " date_diff('day', CAST(max(InvoiceDate) AS DATE), DATE '2011-12-10'),"
            " count(DISTINCT InvoiceNo), sum(Quantity)"
            " FROM (SELECT DISTINCT * FROM read_parquet(?)) WHERE CustomerID IS NOT NULL"
            " AND InvoiceNo NOT LIKE 'C%' AND Quantity > 0 AND UnitPrice > 0 GROUP BY ALL",
            [str(REFERENCE / "online_retail/online_retail.parquet")],
        ).fetchall()
    assert len(engineered) == len(expected) == 4_338
    for customer, recency, frequency, pieces in expected:
        row = engineered[customer]
        assert (row["recency"], row["frequency"], row["pieces"]) == (recency, frequency, pieces)


def test_cdnow_recomputes_frequency_recency_and_age_of_every_customer(tmp_path):
    purchases = {
        "kind": "transactions", "key": "customer", "time": "day",
        "columns": {"customer": CDNOW_ID, "day": CDNOW_DAY}, **CDNOW_FORMAT,
    }  # fmt: skip
    seen = {"customer": CDNOW_ID, "number": CDNOW_NUMBER, "day": CDNOW_DAY, "first_day": CDNOW_DAY}
    first = {
        "kind": "survey", "keep": "first", "key": "customer", "time": "day", "columns": seen,
        **CDNOW_FORMAT,
    }  # fmt: skip
    customers = {
        "name": "CDNOW",
        "nights": {"first": dt.date(1997, 9, 30)},
        "sources": {"buyers": first, "purchases": purchases},
        "customers": {"base": "buyers"},
    }
    features = {
        "days": {
            "use": "input",
            "aggregate": {"source": "purchases", "function": "distinct", "column": "day"},
        },
        "silence": {
            "use": "input",
            "aggregate": {"source": "purchases", "function": "recency_days"},
        },
        "frequency": {"criterion": "behaviour", "expression": "days - 1"},
        "age": {
            "criterion": "behaviour",
            "unit": "weeks",
            "expression": "date_diff('day', first_day, as_of) / 7.0",
        },
        "recency": {"criterion": "behaviour", "unit": "weeks", "expression": "age - silence / 7.0"},
    }
    made = engineer(tmp_path, dt.date(1997, 9, 30), "cdnow/CDNOW_sample.txt", customers, features)
    # The summary knows a customer by the number within the sample, the file's second column.
    with made as connection:
        rows = connection.execute(
            "SELECT customer_id, number, frequency, recency, age"
            " FROM reference.engineered_features JOIN core.customers USING (customer_id)"
            " ORDER BY customer_id"
        ).fetchall()
    with (REFERENCE / "cdnow/cdnow_customers_summary.csv").open(newline="") as file:
        summary = {int(row["ID"]): row for row in csv.DictReader(file)}
    assert len(rows) == len(summary) == 2_357
    assert rows[0][0] == "00004"
    for _, customer, frequency, recency, age in rows:
        known = summary[customer]
        assert frequency == int(known["frequency"])
        assert recency == pytest.approx(float(known["recency"]), abs=0.0051)
        assert age == pytest.approx(float(known["T"]), abs=0.0051)
