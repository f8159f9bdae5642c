"""Business rules as a model: who belongs where can be read off the rules."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.clustering.model import load_model, save_model
from segmentation_pipeline.clustering.rules import rule_labels, rules_assignment_sql, rules_model
from segmentation_pipeline.errors import ClusteringError
from segmentation_pipeline.features.sample import FeatureSample, read_feature_sample
from segmentation_pipeline.specification.clustering import RfmGrid, Rule
from segmentation_pipeline.warehouse import Build, Table, open_warehouse, write_table

SHOPPERS = Table("shop", "engineered_features")
NIGHT = Build(dt.date(2025, 6, 30), "run-1")
ROWS = """
    SELECT * FROM (VALUES
        ('a', 10.0, 5.0, 900.0, 'gold'), ('b', 400.0, 1.0, 20.0, NULL),
        ('c', 30.0, 9.0, 50.0, 'basic'), ('d', NULL, 0.0, NULL, 'basic')
    ) AS t(customer_id, days_since, orders, spent, tier)
"""
RULES = [
    Rule(name="Gold", where="tier = 'gold'"),
    Rule(name="Lapsed", where="days_since > 365"),
    Rule(name="Frequent", where="orders / (orders - 9) > 1 OR orders >= 5"),
]


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "w.duckdb") as opened:
        write_table(opened, SHOPPERS, ROWS, NIGHT)
        yield opened


def assigned(connection, model):
    query = rules_assignment_sql(model, SHOPPERS.sql)
    return dict(connection.execute(f"SELECT customer_id, raw_segment FROM ({query})").fetchall())


def sample_of(**values):
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in values.items()}
    count = len(next(iter(columns.values())))
    return FeatureSample(np.array([f"c{i}" for i in range(count)], dtype=object), columns)


def test_a_customer_belongs_to_the_first_rule_that_holds_and_else_to_none(connection):
    model = rules_model(RULES, sample_of(orders=[1.0]))

    assert assigned(connection, model) == {"a": 0, "b": 1, "c": 2, "d": -1}
    assert model.parameters["names"] == ["Gold", "Lapsed", "Frequent"]
    assert model.parameters["segments"] == 3
    assert model.feature_names == ("tier", "days_since", "orders")


def test_the_sample_is_labelled_in_its_own_order(connection):
    model = rules_model(RULES, sample_of(orders=[1.0]))
    sample = read_feature_sample(connection, SHOPPERS, ["orders"], seed=4, limit=3)

    labels = rule_labels(connection, model, SHOPPERS, seed=4, limit=3)

    everyone = assigned(connection, model)
    assert labels.tolist() == [everyone[customer] for customer in sample.customer_ids]


def test_a_grid_cuts_at_quantiles_and_recent_is_high(connection):
    sample = sample_of(
        days_since=np.arange(0.0, 600.0), orders=np.arange(600.0), spent=np.arange(600.0) * 2
    )
    grid = RfmGrid(recency="days_since", frequency="orders", monetary="spent", levels=3)
    model = rules_model(grid, sample)

    names = model.parameters["names"]
    found = {customer: names[label] for customer, label in assigned(connection, model).items()}
    # Cuts: days since 199.67 and 399.33, orders the same, money 399.33 and 798.67.
    assert found == {"a": "R3 F1 M3", "b": "R1 F1 M1", "c": "R3 F1 M1", "d": "R1 F1 M1"}
    assert len(names) == len(set(names)) == 27
    np.testing.assert_allclose(model.arrays["frequency_cuts"], [599 / 3, 2 * 599 / 3])


def test_a_grid_of_a_constant_is_refused_with_the_feature():
    sample = sample_of(days=[1.0, 2, 3, 4], orders=[7.0] * 4, spent=[1.0, 2, 3, 4])
    grid = RfmGrid(recency="days", frequency="orders", monetary="spent", levels=3)

    with pytest.raises(ClusteringError, match=r"frequency .`orders`. can't be cut into 3 levels"):
        rules_model(grid, sample)


def test_a_model_of_rules_survives_its_folder(connection, tmp_path):
    model = rules_model(RULES, sample_of(orders=[1.0]))
    digest = save_model(model, tmp_path / "model")

    assert assigned(connection, load_model(tmp_path / "model", digest)) == assigned(
        connection, model
    )
