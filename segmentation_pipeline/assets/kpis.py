"""Group `measurement` of a segmentation: how each segment does, by the home's KPIs."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.customers import CUSTOMERS_KEY
from segmentation_pipeline.assets.metadata import Metadata, small_table
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.sources import raw_key
from segmentation_pipeline.assets.table_results import contract_checks, table_result
from segmentation_pipeline.ingestion import raw_table
from segmentation_pipeline.measurement.kpi_inputs import kpi_sources
from segmentation_pipeline.measurement.kpi_parts import forget_parts
from segmentation_pipeline.measurement.kpis import make_segment_kpis
from segmentation_pipeline.preparation import CUSTOMERS, LEFT_OUT_ROWS
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import Table, literal, read_build, require_builds


def build_kpi_assets(home: Home, name: str) -> Sequence[dg.AssetsDefinition]:
    """Make the asset of a segmentation's KPIs."""
    sources = sorted({one for kpi in home.customers.kpis.values() for one in kpi_sources(kpi)})
    history, kpis = Table(name, "segment_history"), Table(name, "segment_kpis")

    @dg.asset(
        key_prefix=[name],
        deps=[
            [name, "segment_history"],
            CUSTOMERS_KEY,
            *(raw_key(source) for source in sources),
        ],
        kinds={"duckdb"},
        check_specs=contract_checks(name, "segment_kpis"),
    )
    def segment_kpis(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """How each segment does by the home's KPIs, on every date that was run."""
        with workshop.step(context) as (connection, build):
            needed = [history, CUSTOMERS, LEFT_OUT_ROWS, *(raw_table(one) for one in sources)]
            require_builds(connection, needed, build.as_of)
            made = make_segment_kpis(connection, name, workshop.home.customers, build)
            if made.corrected:
                first, last = made.corrected[0], made.corrected[-1]
                context.log.info(
                    f"rows came late, or a KPI is declared otherwise: {len(made.corrected)} dates"
                    f" from {first} to {last} were measured again"
                )
            shown = (
                "SELECT segment_id, kpi, value, lower, upper, change, unit, measured_customers"
                f" FROM {kpis.sql} WHERE kpi_date = {literal(build.as_of)}"
                " ORDER BY segment_id, kpi"
            )
            told: Metadata = {
                "kpis": small_table(connection, shown),
                "corrected_dates": [str(date) for date in made.corrected],
            }
            measured = (Table(one, "segment_kpis") for one in workshop.home.segmentations)
            if all(read_build(connection, table) == build for table in measured):
                forget_parts(connection)
            return table_result(connection, kpis, made.rows, build, told)

    return [segment_kpis]
