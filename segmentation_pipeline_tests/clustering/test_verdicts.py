"""A verdict stays with its model, and a night shows that of the model in force."""

import datetime as dt

import pytest

from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.clustering.stability import Stability
from segmentation_pipeline.clustering.structure.border import BorderTest
from segmentation_pipeline.clustering.structure.null_test import NullComparison
from segmentation_pipeline.clustering.structure.one_split import OneSplit
from segmentation_pipeline.clustering.structure.verdict import Evidence, judge, no_structure
from segmentation_pipeline.clustering.verdicts import (
    is_judged,
    keep_verdict,
    make_structure_verdict,
)
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    read_build,
)

FIRST = Build(dt.date(2026, 1, 31), "run-1")
SECOND = Build(dt.date(2026, 2, 1), "run-2")
WORK_TABLE = Table("lens", "structure_verdict")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb", threads=2) as connection:
        connection.execute("CREATE SCHEMA lens")
        yield connection


def model(version, k=2):
    return ModelRecord(
        "lens", version, FIRST.as_of, "run", "", "", "", "k_means", k, "champion", "1.9", ""
    )


def evidence(null):
    border, stability = BorderTest(0.99, -0.25), Stability((0.94123, 0.88), "bootstrap")
    return Evidence(2, 0.3, 0.3, border, stability, null)


def shown(connection):
    (row,) = connection.sql(f"FROM {WORK_TABLE.sql}").to_arrow_table().to_pylist()
    return row


def test_the_figures_are_those_of_the_verdict(connection):
    rule = OneSplit("publications >= 10", 0.989, 0.97)
    found = judge(evidence(NullComparison(0.3, -0.2, 0.6)), n_customers=283, n_tried=3,
                  one_split=rule)  # fmt: skip
    keep_verdict(connection, model(1), found, FIRST)

    assert make_structure_verdict(connection, model(1), SECOND) == 1

    assert shown(connection) == {
        "verdict": "continuum",
        "sentence": found.sentence,
        "segments": 2,
        "examined_customers": 283,
        "examined_date": FIRST.as_of,
        "candidates": 3,
        "is_separated": False,
        "border_p": 0.99,
        "border_depth": -0.25,
        "null_z": -0.2,
        "null_p": 0.6,
        "lowest_jaccard": 0.88,
        "jaccards": "[0.9412, 0.88]",
        "stability_scheme": "bootstrap",
        "one_split_rule": "publications >= 10",
        "one_split_fidelity": 0.989,
        "one_split_recall": 0.97,
    }
    assert read_build(connection, WORK_TABLE) == SECOND


def test_its_columns_are_those_of_the_contract(connection):
    keep_verdict(connection, model(1), no_structure("There is one.", n_customers=9), FIRST)
    make_structure_verdict(connection, model(1), FIRST)

    contract = CONTRACTS["structure_verdict"]
    assert column_types(connection, WORK_TABLE) == {
        column.name: column.type for column in contract.work_columns
    }
    required = {column.name for column in contract.work_columns if not column.is_nullable}
    assert {name for name, value in shown(connection).items() if value is not None} == required


def test_each_model_has_its_own(connection):
    assert not is_judged(connection, model(1))
    many = judge(evidence(None), n_customers=600, n_tried=3)
    keep_verdict(connection, model(1), many, FIRST)
    keep_verdict(connection, model(2, k=1), no_structure("One.", n_customers=9), SECOND)

    assert is_judged(connection, model(1))
    assert not is_judged(connection, model(3))
    make_structure_verdict(connection, model(2, k=1), SECOND)
    assert (shown(connection)["verdict"], shown(connection)["segments"]) == ("no structure", 1)
    make_structure_verdict(connection, model(1), FIRST)
    assert (shown(connection)["verdict"], shown(connection)["null_z"]) == ("continuum", None)
