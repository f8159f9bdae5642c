"""Group `segments` of a segmentation: how well those are typed who lack a source."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.clustering.champion import Champion, require_champion
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.segments.typing_tables import (
    assessment_in_force,
    make_typing_accuracy,
    make_typing_confusion,
)
from segmentation_pipeline.warehouse import Build, Connection, Table, require_builds

_TABLES = ("typing_accuracy", "typing_confusion")


def build_belonging_assets(name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the assets that tell of typing; both tables are empty where nobody is typed."""

    @dg.multi_asset(
        name=f"{name}__typing",
        specs=[
            dg.AssetSpec(
                [name, table],
                # The ids of the segments are given there.
                deps=[[name, "customer_segments"]],
                kinds={"scikitlearn"},
                description=CONTRACTS[table].description,
            )
            for table in _TABLES
        ],
        check_specs=contract_checks(name, *_TABLES),
    )
    def typing(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> Iterator[dg.MaterializeResult]:
        with workshop.step(context) as (connection, build):
            require_builds(connection, [Table(name, "customer_segments")], build.as_of)
            champion = require_champion(connection, workshop.home, name, build.as_of)
            found = assessment_in_force(champion)
            if found is not None and found.refusals:
                context.log.warning(
                    f"{name}: typing is refused, so customers who lack a source are unknown: "
                    + "; ".join(found.refusals)
                )
            floor = workshop.home.customers.limits.smallest_group
            makers: dict[str, Callable[[Connection, str, Champion, Build], int]] = {
                "typing_accuracy": make_typing_accuracy,
                "typing_confusion": partial(make_typing_confusion, smallest_group=floor),
            }
            for table_name, make in makers.items():
                table = Table(name, table_name)
                rows = make(connection, name, champion, build)
                shown = {"rows": small_table(connection, f"FROM {table.sql}")}
                yield table_result(connection, table, rows, build, shown)

    return [typing]
