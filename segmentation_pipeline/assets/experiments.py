"""Group `measurement`, once per home: strategies as experiments, and what they bring.

One customer is in one strategy's experiment at a time, whatever segmentation it is of. So this is
made for the home, of the segmentations that are ready: one that failed keeps who it has, and
doesn't hold up the others.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.measurement.assignments import (
    assign_strategies,
    forget_standing,
    make_strategy_assignments,
)
from segmentation_pipeline.measurement.audience import make_strategy_audience
from segmentation_pipeline.measurement.experiments import running_experiments
from segmentation_pipeline.measurement.lists import STRATEGY_LISTS, make_strategy_lists
from segmentation_pipeline.measurement.strategy_effects import make_strategy_effects
from segmentation_pipeline.preparation import CUSTOMERS
from segmentation_pipeline.publication import validation_faults
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Build, Connection, Table, require_builds

_LISTS_KEY = dg.AssetKey("strategy_lists")
_READ = ("customer_segments", "segment_strategies")
_DRAWN = ("strategy_assignments", "strategy_audience")
_MADE = (*_DRAWN, "strategy_effects")


def experiment_keys(home: Home) -> list[dg.AssetKey]:
    """List what is made of all segmentations at once, and so by no job of one of them alone."""
    made = [dg.AssetKey([name, table]) for name in home.segmentations for table in _MADE]
    return [_LISTS_KEY, *made]


def build_experiment_assets(home: Home) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of experiments."""
    read = [dg.AssetKey([name, table]) for name in home.segmentations for table in _READ]
    deps = [dg.AssetKey("customers"), *read]

    @dg.multi_asset(
        name="strategy_experiments",
        specs=[
            dg.AssetSpec(
                _LISTS_KEY,
                deps=deps,
                kinds={"duckdb"},
                description="Who is to be contacted by which strategy; hold-outs are left out.",
            ),
            *(
                dg.AssetSpec(
                    dg.AssetKey([name, table]),
                    deps=deps,
                    kinds={"duckdb"},
                    description=CONTRACTS[table].description,
                )
                for name in home.segmentations
                for table in _DRAWN
            ),
        ],
        check_specs=[
            check for name in home.segmentations for check in contract_checks(name, *_DRAWN)
        ],
    )
    def strategy_experiments(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [CUSTOMERS], build.as_of)
            for one in running_experiments(connection, workshop.home):
                if one.is_changed:
                    context.log.warning(
                        f"{one.segmentation}: the experiment of {one.strategy} began on "
                        f"{one.started_date} and goes on as it was declared then: to change it, "
                        "give the strategy another name"
                    )
            ready = ready_for_experiments(connection, workshop.home, build)
            drawn = assign_strategies(connection, workshop.home, ready, workshop.environment, build)
            listed = make_strategy_lists(connection, workshop.home, build)
            yield dg.MaterializeResult(
                asset_key=_LISTS_KEY,
                metadata={
                    **table_metadata(connection, STRATEGY_LISTS, listed),
                    "assigned_tonight": drawn,
                },
            )
            for name in workshop.home.segmentations:
                yield from _segmentation_results(connection, workshop.home, name, build)
            forget_standing(connection)

    return [strategy_experiments, _effects_asset(home)]


def _effects_asset(home: Home) -> dg.AssetsDefinition:
    drawn = [Table(name, "strategy_assignments") for name in home.segmentations]

    @dg.multi_asset(
        name="strategy_effects",
        specs=[
            dg.AssetSpec(
                dg.AssetKey([name, "strategy_effects"]),
                deps=[dg.AssetKey([table.schema, table.name]) for table in drawn],
                kinds={"duckdb", "numpy"},
                description=CONTRACTS["strategy_effects"].description,
            )
            for name in home.segmentations
        ],
        check_specs=[
            check
            for name in home.segmentations
            for check in contract_checks(name, "strategy_effects")
        ],
    )
    def strategy_effects(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [CUSTOMERS, *drawn], build.as_of)
            for name, rows in make_strategy_effects(connection, workshop.home, build).items():
                effects = Table(name, "strategy_effects")
                verdicts = (
                    "SELECT strategy, segment_id, goal_kpi, treated_count, hold_out_count,"
                    f" end_date, is_final, verdict FROM {effects.sql} ORDER BY ALL"
                )
                shown = {"verdicts": small_table(connection, verdicts)}
                yield table_result(connection, effects, rows, build, shown)

    return strategy_effects


def ready_for_experiments(connection: Connection, home: Home, build: Build) -> list[str]:
    """Name the segmentations whose segments and strategies are tonight's and passed checks."""
    return [
        name
        for name in home.segmentations
        if not validation_faults(connection, [Table(name, read) for read in _READ], build.as_of)
    ]


def _segmentation_results(
    connection: Connection, home: Home, name: str, build: Build
) -> Iterator[dg.MaterializeResult]:
    assignments = Table(name, "strategy_assignments")
    rows = make_strategy_assignments(connection, home.customers, name, build)
    arms = (
        "SELECT strategy, segment_id, arm, count(*) AS customers, sum(sent_count) AS sent"
        f" FROM {assignments.sql} GROUP BY ALL ORDER BY ALL"
    )
    yield table_result(
        connection, assignments, rows, build, {"arms": small_table(connection, arms)}
    )
    audience = Table(name, "strategy_audience")
    rows = make_strategy_audience(connection, home, name, build)
    shown = {"audience": small_table(connection, f"FROM {audience.sql} ORDER BY strategy")}
    yield table_result(connection, audience, rows, build, shown)
