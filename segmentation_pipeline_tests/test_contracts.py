"""Contracts are complete, and speak one language."""

import re

import pytest

from segmentation_pipeline.contracts import CONTRACTS, Contract, contracts_digest
from segmentation_pipeline.warehouse import is_plain_identifier

TABLES = [
    "segments",
    "customer_segments",
    "segment_profiles",
    "segment_category_shares",
    "segment_rules",
    "segment_traits",
    "segment_personas",
    "segment_strategies",
    "sensitive_shares",
    "segment_kpis",
    "strategy_audience",
    "strategy_assignments",
    "strategy_effects",
    "typing_accuracy",
    "typing_confusion",
    "segment_registry",
    "segment_transitions",
    "segment_history",
    "segment_movements",
    "segment_migration",
    "segment_nights",
    "segment_crosstab",
    "segment_map",
    "feature_distributions",
    "feature_importance",
    "preprocessing_effect",
    "feature_drift",
    "refit_decision",
    "model_candidates",
    "structure_verdict",
    "feature_selection",
    "model_versions",
    "model_events",
    "challenger_nights",
    "validation_results",
    "cleaning_report",
    "source_loads",
    "segmentation_runs",
    "data_dictionary",
]
EVERY_CONTRACT = pytest.mark.parametrize("contract", CONTRACTS.values(), ids=CONTRACTS)


def test_the_published_tables():
    assert list(CONTRACTS) == TABLES
    assert all(contract.name == name for name, contract in CONTRACTS.items())
    assert [c.name for c in CONTRACTS.values() if c.is_dated] == [
        "strategy_audience",
        "segment_transitions",
        "segment_movements",
        "segment_migration",
        "segment_nights",
        "feature_drift",
        "refit_decision",
        "challenger_nights",
        "validation_results",
        "segmentation_runs",
    ]
    assert [c.name for c in CONTRACTS.values() if not c.has_segmentation] == [
        "validation_results",
        "cleaning_report",
        "source_loads",
        "data_dictionary",
    ]


@EVERY_CONTRACT
def test_its_key_is_of_its_columns(contract: Contract):
    names = [column.name for column in contract.columns]
    nullable = {column.name for column in contract.columns if column.is_nullable}

    assert len(set(names)) == len(names)
    assert contract.key
    assert set(contract.key) <= set(names)
    # A step that is about whole rows is about no column; who enters comes from no segment.
    optional = {"column_name", "from_segment_id", "to_segment_id"}
    assert nullable & set(contract.key) <= optional


@EVERY_CONTRACT
def test_its_columns_are_named_and_described_as_everywhere(contract: Contract):
    for column in contract.columns:
        assert is_plain_identifier(column.name)
        assert column.name == column.name.lower()
        assert re.fullmatch(r"[^\n]+\.", column.description), column.name
        assert column.type in {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE"}
        assert (column.type == "BOOLEAN") == (
            column.name.startswith(("is_", "has_")) or column.name == "success"
        )
        if column.name.endswith("share"):
            assert column.type == "DOUBLE"


def test_a_column_has_one_type_in_all_tables():
    types: dict[str, set[str]] = {}
    for contract in CONTRACTS.values():
        for column in contract.columns:
            types.setdefault(column.name, set()).add(column.type)

    assert {name: found for name, found in types.items() if len(found) > 1} == {}


def test_every_run_id_and_duration_is_volatile_and_nothing_else():
    volatile = {
        column.name
        for contract in CONTRACTS.values()
        for column in contract.columns
        if column.is_volatile
    }

    assert volatile == {"run_id", "seconds"}


def test_a_work_table_lacks_what_publication_adds():
    segments = CONTRACTS["segments"]

    assert [column.name for column in segments.work_columns] == [
        "segment_id",
        "number_in_model",
        "label",
        "customers",
        "share",
        "expected_customers",
        "is_noise",
        "verdict",
    ]
    assert segments.work_key == ("segment_id",)


def test_the_digest_is_that_of_all_contracts():
    assert re.fullmatch(r"[0-9a-f]{64}", contracts_digest())
    assert contracts_digest() == contracts_digest()
