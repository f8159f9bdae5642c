"""A warehouse in a temporary file, a customer base with web events, and short ways to specify."""

import datetime as dt

import pyarrow as pa
import pytest

from segmentation_pipeline.features.engineered import make_engineered_features
from segmentation_pipeline.features.fitting import fit_preparation
from segmentation_pipeline.features.sample import read_feature_sample
from segmentation_pipeline.specification.customers import CustomersSpec
from segmentation_pipeline.specification.segmentation import SegmentationSpec
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, record_build

AS_OF = dt.date(2026, 1, 31)


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        yield connection


@pytest.fixture
def build():
    return Build(AS_OF, "run")


@pytest.fixture
def specify():
    """Features, as in a YAML file -> SegmentationSpec; `criterion` is filled in."""

    def _specify(features, **settings):
        features = {
            name: ({} if feature.get("use") in ("input", "profile") else {"criterion": "needs"})
            | feature
            for name, feature in features.items()
        }
        content = {"title": "test", "criteria": {"needs": "test"}, "features": features}
        return SegmentationSpec.model_validate(content | settings)

    return _specify


@pytest.fixture
def customers_spec():
    """A CRM table whose columns are given, and web events."""

    def _customers_spec(columns, limits=None):
        web = {"cid": "text", "seen_at": "timestamp", "page": "category", "pages": "integer"}
        sources = {
            "crm": {"kind": "crm", "path": "crm.csv", "columns": {"cid": "text", **columns}},
            "web": {
                "kind": "web",
                "path": "web.csv",
                "time": "seen_at",
                "columns": web | {"euros": "number"},
            },
        }
        for source in sources.values():
            source["key"] = "cid"
            source["columns"] = {name: {"type": kind} for name, kind in source["columns"].items()}
        return CustomersSpec.model_validate(
            {
                "name": "test",
                "nights": {"first": "2026-01-01"},
                "sources": sources,
                "customers": {"base": "crm"},
                "limits": limits or {},
            }
        )

    return _customers_spec


@pytest.fixture
def put_customers(connection, build):
    """Make core.customers of columns: name -> values, customer_id among them."""

    def _put_customers(columns):
        table = Table("core", "customers")
        connection.register("given", pa.table(columns))
        connection.execute(f"CREATE OR REPLACE TABLE {table.sql} AS FROM given")
        connection.unregister("given")
        record_build(connection, table, build)

    return _put_customers


@pytest.fixture
def put_features(connection, build):
    """Make lens.engineered_features of columns: name -> values, customer_id among them."""

    def _put_features(columns):
        table = Table("lens", "engineered_features")
        connection.execute("CREATE SCHEMA IF NOT EXISTS lens")
        connection.register("given", pa.table(columns))
        connection.execute(f"CREATE OR REPLACE TABLE {table.sql} AS FROM given")
        connection.unregister("given")
        record_build(connection, table, build)
        return table

    return _put_features


@pytest.fixture
def engineer(connection, build, customers_spec):
    """Make lens.engineered_features; returns the summary and name -> values by customer_id."""

    def _engineer(spec, columns, events_sql=None):
        summary = make_engineered_features(
            connection, "lens", spec, customers_spec(columns), {"web": events_sql}, build
        )
        query = "SELECT * FROM lens.engineered_features ORDER BY customer_id"
        return summary, connection.sql(query).to_arrow_table().to_pydict()

    return _engineer


@pytest.fixture
def fit(connection):
    """Fit a specification on all of lens.engineered_features."""

    def _fit(spec):
        features = [name for name, feature in spec.features.items() if feature.use == "clustering"]
        table = Table("lens", "engineered_features")
        return fit_preparation(read_feature_sample(connection, table, features, 7, 100_000), spec)

    return _fit
