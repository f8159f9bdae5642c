"""The tables of segments over time are those that their contracts describe."""

import datetime as dt
import re

import pytest

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.contracts.history import HISTORY_CONTRACTS
from segmentation_pipeline.segments.identity import (
    make_segment_registry,
    make_segment_transitions,
    meet_model,
)
from segmentation_pipeline.segments.matching import all_born
from segmentation_pipeline.segments.migration import make_segment_migration
from segmentation_pipeline.segments.movements import make_segment_movements, record_night
from segmentation_pipeline.segments.nights import Night, make_segment_nights
from segmentation_pipeline.segments.overlap import make_segment_crosstabs
from segmentation_pipeline.warehouse import (
    Build,
    Table,
    column_types,
    open_warehouse,
    read_build,
    write_table,
)

NIGHT = Build(dt.date(2025, 6, 1), "run-1")
EVERY_CONTRACT = pytest.mark.parametrize(
    "contract", HISTORY_CONTRACTS, ids=[contract.name for contract in HISTORY_CONTRACTS]
)


@pytest.fixture(scope="module")
def connection(tmp_path_factory):
    with open_warehouse(tmp_path_factory.mktemp("contracts") / "w.duckdb") as opened:
        meet_model(opened, "x", 1, all_born(2), NIGHT, before=None)
        query = "SELECT 'a' AS customer_id, 'x-1' AS segment_id, 'x-1' AS raw_segment_id"
        write_table(opened, Table("x", "customer_segments"), query, NIGHT)
        record_night(opened, "x", Night(NIGHT.as_of, 1), NIGHT, hold="margin")
        for make in (
            make_segment_registry,
            make_segment_transitions,
            make_segment_movements,
            make_segment_nights,
        ):
            make(opened, "x", NIGHT)
        make_segment_migration(opened, "x", NIGHT, 1)
        make_segment_crosstabs(opened, ["x"], 1, NIGHT)
        yield opened


@EVERY_CONTRACT
def test_its_work_table_is_as_it_says(connection, contract):
    table = Table("x", contract.name)
    types = column_types(connection, table)

    described = {column.name: column.type for column in contract.columns}
    assert {column.name for column in contract.work_columns} <= types.keys()
    assert types.items() <= described.items()
    assert read_build(connection, table) == NIGHT
    required = [column.name for column in contract.work_columns if not column.is_nullable]
    counted = ", ".join(f"count(*) - count({name})" for name in required)
    assert not any(connection.execute(f"SELECT {counted} FROM {table.sql}").fetchall()[0])


@EVERY_CONTRACT
def test_it_speaks_the_language_of_the_others(contract):
    names = [column.name for column in contract.columns]
    types = {column.name: column.type for other in CONTRACTS.values() for column in other.columns}
    nullable = {column.name for column in contract.columns if column.is_nullable}

    assert len(set(names)) == len(names)
    assert set(contract.key) <= set(names)
    assert nullable & set(contract.key) <= {"from_segment_id", "to_segment_id"}
    for column in contract.columns:
        assert types.get(column.name, column.type) == column.type
        assert re.fullmatch(r"[^\n]+\.", column.description), column.name
        assert (column.type == "BOOLEAN") == column.name.startswith(("is_", "has_"))
