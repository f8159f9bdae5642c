"""Group `sources`: each source's raw table, the audit of its loads, and what could not be read."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.assets.metadata import small_table, table_metadata
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.source_rows import bring_up_to_date
from segmentation_pipeline.ingestion import REJECTED_ROWS, SOURCE_LOADS, raw_table
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.specification.sources import SourceSpec
from segmentation_pipeline.warehouse import record_build, require_builds


def raw_key(source: str) -> dg.AssetKey:
    """Name the asset of a source's raw table."""
    return dg.AssetKey([f"raw_{source}"])


def build_source_assets(home: Home) -> Sequence[dg.AssetsDefinition]:
    """Make the assets of the group `sources`."""
    sources = home.customers.sources
    raw_keys = [raw_key(name) for name in sources]
    raw_tables = [raw_table(name) for name in sources]

    @dg.asset(deps=raw_keys, kinds={"duckdb"})
    def source_loads(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        """Which file was loaded when, with its digest, bytes, rows, rejects and seconds."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, raw_tables, build.as_of)
            rows = record_build(connection, SOURCE_LOADS, build)
            newest = (
                "SELECT source, file, rows, rejected_rows, rejected_values, seconds, as_of"
                f" FROM {SOURCE_LOADS.sql} ORDER BY load_id DESC"
            )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, SOURCE_LOADS, rows),
                    "newest_loads": small_table(connection, newest),
                }
            )

    @dg.asset(deps=raw_keys, kinds={"duckdb"})
    def rejected_rows(
        context: dg.AssetExecutionContext, workshop: Workshop
    ) -> dg.MaterializeResult:
        """Rows and values that could not be read, by file, line and reason; never their content."""
        with workshop.step(context) as (connection, build):
            require_builds(connection, raw_tables, build.as_of)
            rows = record_build(connection, REJECTED_ROWS, build)
            counted = (
                "SELECT source, column_name, reason, count(*) AS rows, min(line) AS first_line"
                f" FROM {REJECTED_ROWS.sql} GROUP BY ALL"
                " ORDER BY rows DESC, source, column_name, reason"
            )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(connection, REJECTED_ROWS, rows),
                    "by_reason": small_table(connection, counted),
                }
            )

    raw = [_raw_asset(name, source) for name, source in sources.items()]
    return [*raw, source_loads, rejected_rows]


def _raw_asset(name: str, source: SourceSpec) -> dg.AssetsDefinition:
    url = source.database.url_variable if source.database is not None else ""
    origin = source.path or f"the database that {url} names"

    @dg.asset(
        key=raw_key(name),
        description=source.description or f"The rows of {origin}, typed and otherwise as is.",
        kinds={"duckdb", source.format},
        tags={"source_kind": source.kind},
    )
    def raw(context: dg.AssetExecutionContext, workshop: Workshop) -> dg.MaterializeResult:
        with workshop.step(context) as (connection, build):
            rows = bring_up_to_date(connection, workshop.home, name, build, workshop.environment)
            loaded, expired = rows.loaded, rows.expired
            if expired:
                context.log.info(f"source {name}: {expired:,} rows are no longer kept")
            for column in loaded.ignored_columns:
                context.log.warning(f"source {name}: column `{column}` is not declared: ignored")
            for remark in loaded.remarks:
                context.log.warning(f"source {name}: {remark}")
            if loaded.ignored_columns and not source.is_attributes and source.duplicates != "keep":
                context.log.warning(
                    f"source {name}: rows that differ in undeclared columns only count as copies, "
                    "and once: declare what tells them apart, or say `duplicates: keep`"
                )
            return dg.MaterializeResult(
                metadata={
                    **table_metadata(
                        connection,
                        raw_table(name),
                        loaded.rows,
                        {key: column.description for key, column in source.columns.items()},
                    ),
                    "files_loaded": loaded.files_loaded,
                    "files_skipped": loaded.files_skipped,
                    "rejected_rows": loaded.rejected_rows,
                    "rejected_values": loaded.rejected_values,
                    "rows_no_longer_kept": expired,
                }
            )

    return raw
