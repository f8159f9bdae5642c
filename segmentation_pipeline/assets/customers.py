"""Group `customers`: one clean row per customer, and what was done to make it so."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import column_lineage, small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.sources import raw_key
from segmentation_pipeline.ingestion import raw_table, snapshot_in_force
from segmentation_pipeline.preparation import CLEANING_REPORT, CUSTOMERS, make_customers
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.unused import unused_texts
from segmentation_pipeline.warehouse import require_builds

CUSTOMERS_KEY = dg.AssetKey(["customers"])


def build_customer_assets(home: Home) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of the group `customers`."""
    raw_keys = [raw_key(name) for name in home.customers.sources]

    @dg.multi_asset(
        specs=[
            dg.AssetSpec(
                CUSTOMERS_KEY,
                deps=raw_keys,
                kinds={"duckdb"},
                description="One clean row per customer: the sources cleaned, joined, completed.",
            ),
            dg.AssetSpec(
                "cleaning_report",
                deps=raw_keys,
                kinds={"duckdb"},
                description="What cleaning did, to how many rows, column by column.",
            ),
        ]
    )
    def customers(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> tuple[dg.MaterializeResult, dg.MaterializeResult]:
        spec = workshop.home.customers
        with workshop.step(context) as (connection, build):
            require_builds(connection, [raw_table(name) for name in spec.sources], build.as_of)
            snapshots = {
                name: snapshot_in_force(
                    connection, name, source, build.as_of, approximate=workshop.approximate
                )
                for name, source in spec.sources.items()
                if source.kind == "crm"
            }
            made = make_customers(connection, spec, snapshots, build, unused_texts(workshop.home))
            described = {name: c.description for name, c in spec.customer_columns().items()}
            answers = {
                part: name
                for name, declared in spec.answers().items()
                for one in declared
                for part in one.as_columns(name)
            }
            lineage = {
                column: [(raw_key(source), answers.get(column, column)) for source in sources]
                for column, sources in spec.columns_by_source().items()
            }
            report = (
                f"SELECT * FROM {CLEANING_REPORT.sql} ORDER BY source, rows DESC, step, column_name"
            )
            return (
                dg.MaterializeResult(
                    asset_key=CUSTOMERS_KEY,
                    metadata={
                        **table_metadata(connection, CUSTOMERS, made.customers, described),
                        **column_lineage(lineage),
                    },
                ),
                dg.MaterializeResult(
                    asset_key="cleaning_report",
                    metadata={
                        **table_metadata(connection, CLEANING_REPORT, made.report_rows),
                        "report": small_table(connection, report),
                    },
                ),
            )

    return [customers]
