"""A table and its contract are told of in one step: what holds, what does not, what was cut off."""

import datetime as dt
from contextlib import contextmanager
from types import SimpleNamespace

import dagster as dg
import pytest

from segmentation_pipeline.assets import outcome, table_results
from segmentation_pipeline.assets.resources import PARTITION_TAG, Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.publication.gate import validation_faults
from segmentation_pipeline.warehouse import Table, open_warehouse, write_table

NIGHT = dt.date(2025, 6, 30)
SEGMENTS = Table("lens", "segment_nights")
RULES = Table("lens", "segment_rules")
BOTH = (SEGMENTS.name, RULES.name)
MARKER = "Ann Lee"


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def rows_of(table, **values):
    """Write a SELECT of one row as a contract wants it, but for `values` (SQL by column)."""
    columns = CONTRACTS[table.name].work_columns
    sample = {"VARCHAR": f"'{MARKER}'", "DATE": "DATE '2025-06-30'", "BOOLEAN": "TRUE"}
    return "SELECT " + ", ".join(
        f"CAST({values.get(c.name, sample.get(c.type, '1'))} AS {c.type}) AS {c.name}"
        for c in columns
    )


def run(connection, tmp_path, queries, *, told=BOTH):
    """Make both tables by one step and one table of them by the next, as a night would."""

    class Opened(Workshop):
        @contextmanager
        def yield_for_execution(self, _context):
            self._home, self._connection = SimpleNamespace(logs=tmp_path / "logs"), connection
            yield self

    @dg.multi_asset(
        name="lens__both",
        specs=[dg.AssetSpec(["lens", name]) for name in (*BOTH, "scalings")],
        check_specs=contract_checks("lens", *BOTH, "scalings"),
    )
    def both(context: dg.AssetExecutionContext, workshop: Opened):
        with workshop.step(context) as (warehouse, build):
            for table in (SEGMENTS, RULES):
                rows = write_table(warehouse, table, queries[table], build)
                if table.name in told:
                    yield table_result(warehouse, table, rows, build, {"shown": 7})
                else:
                    yield dg.MaterializeResult(asset_key=["lens", table.name])
            scalings = Table("lens", "scalings")
            rows = write_table(warehouse, scalings, "SELECT 1 AS centre", build)
            yield table_result(warehouse, scalings, rows, build)

    @dg.asset(key_prefix=["lens"], deps=[["lens", "segment_nights"]])
    def later() -> None:
        pass

    return dg.materialize(
        [both, later],
        resources={"workshop": Opened(home_path=str(tmp_path))},
        tags={PARTITION_TAG: str(NIGHT)},
        raise_on_error=False,
    )


def made(result):
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


def checks(result):
    return {
        (one.asset_key.path[-1], one.check_name): one.passed
        for one in result.get_asset_check_evaluations()
    }


def test_tables_that_hold_pass_and_may_be_published(connection, tmp_path):
    result = run(connection, tmp_path, {table: rows_of(table) for table in (SEGMENTS, RULES)})

    assert result.success
    assert made(result) == {*BOTH, "scalings", "later"}
    # What has no contract has no check.
    assert checks(result) == {(name, "contract"): True for name in BOTH}
    (told,) = [
        event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key.path[-1] == "segment_nights"
    ]
    assert told["shown"].value == 7
    assert told["dagster/row_count"].value == 1
    evaluation = result.get_asset_check_evaluations()[0]
    assert evaluation.blocking
    assert evaluation.description.startswith("all ")
    assert validation_faults(connection, [SEGMENTS, RULES], NIGHT) == []


def test_a_broken_contract_stops_what_comes_after_and_names_no_value(connection, tmp_path):
    contract = CONTRACTS[RULES.name]
    promised = [c.name for c in contract.work_columns if not c.is_nullable]
    column = next(name for name in promised if name not in contract.work_key)
    queries = {SEGMENTS: rows_of(SEGMENTS), RULES: rows_of(RULES, **{column: "NULL"})}

    result = run(connection, tmp_path, queries)

    assert not result.success
    # The step goes on: every table is told of. What comes after any of them is not made.
    assert made(result) == {*BOTH, "scalings"}
    assert checks(result) == {
        ("segment_nights", "contract"): True,
        ("segment_rules", "contract"): False,
    }
    (failure,) = outcome.failures(result.all_events)
    assert failure.startswith(f"check lens/segment_rules: contract: {column}__not_null: ")
    assert MARKER not in failure
    assert validation_faults(connection, [SEGMENTS, RULES], NIGHT) == [
        f"lens.segment_rules failed {column}__not_null"
    ]


def test_a_table_whose_contract_is_not_told_of_fails_its_step(connection, tmp_path):
    queries = {table: rows_of(table) for table in (SEGMENTS, RULES)}

    result = run(connection, tmp_path, queries, told=("segment_nights",))

    assert not result.success
    assert "lens__segment_rules_contract" in " ".join(outcome.failures(result.all_events))
    (fault,) = validation_faults(connection, [SEGMENTS, RULES], NIGHT)
    assert fault.startswith("lens.segment_rules has not been validated since run")


def test_a_night_that_dies_before_the_contract_is_looked_at_is_made_good_by_the_next(
    connection, tmp_path, monkeypatch
):
    def die(*_arguments):
        raise MemoryError

    queries = {table: rows_of(table) for table in (SEGMENTS, RULES)}
    with monkeypatch.context() as patched:
        patched.setattr(table_results, "validate_table", die)
        assert not run(connection, tmp_path, queries).success
    (fault,) = validation_faults(connection, [SEGMENTS], NIGHT)
    assert "has not been validated" in fault

    assert run(connection, tmp_path, queries).success
    assert validation_faults(connection, [SEGMENTS, RULES], NIGHT) == []
