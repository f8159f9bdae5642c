"""What a night writes, without what it computes: for benchmarks of what stays on the disk."""

import datetime as dt
import logging
import shutil
import sqlite3
from pathlib import Path

import dagster as dg

from segmentation_pipeline.assets.checks import (
    validated_home_tables,
    validated_segmentation_tables,
)
from segmentation_pipeline.assets.housekeeping import put_in_place, tidy_up
from segmentation_pipeline.assets.publication import ready_segmentations
from segmentation_pipeline.assets.stage_log import logged_stage
from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.ingestion.expiry import expire_rows
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.measurement.kpi_table import kpi_figures, segment_kpis_sql
from segmentation_pipeline.publication import publish
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.specification.home import Home
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    Table,
    literal,
    open_warehouse,
    record_build,
    write_table,
)

_MOVERS = 100
"""One customer in so many changes segment each night."""
_KEPT_AS_IT_IS = ("source_loads", "rejected_rows", "validation_results", "segment_kpis")


def write_night(home: Home, build: Build) -> None:
    """Load, write, publish and tidy up for a date after the last one; the segments stay."""
    limits = home.customers.limits
    log = logging.getLogger("written_nights")
    with (
        hold_lock(home.lock, build.run_id, timeout_seconds=0),
        dg.DagsterInstance.from_config(str(home.path / "dagster")) as instance,
    ):
        with open_warehouse(
            home.warehouse, memory_limit=limits.memory, threads=limits.threads
        ) as connection:
            for name, source in home.customers.sources.items():
                with logged_stage(connection, home, f"raw_{name}", build):
                    load_source(connection, home.path, name, source, build)
                    keep = home.customers.retention.sources.get(name)
                    if keep is not None:
                        expire_rows(connection, name, source, keep, build)
            _write_tables(connection, home, build)
            with logged_stage(connection, home, "published", build):
                _publish(connection, home, build)
            _make_report(home, build)
            _record_run(instance, home.path / "dagster", build.run_id)
            is_written_anew = tidy_up(connection, home, instance, log)
        if is_written_anew:
            put_in_place(home, log)


def _write_tables(connection: Connection, home: Home, build: Build) -> None:
    (before,) = connection.execute("SELECT max(as_of) FROM core.validation_results").fetchall()[0]
    built = connection.execute("SELECT table_name FROM core.builds ORDER BY ALL").fetchall()
    for table in (Table(*name.split(".", 1)) for (name,) in built):
        if table.schema == "raw" or table.name in _KEPT_AS_IT_IS:
            record_build(connection, table, build)
            continue
        connection.execute(f"CREATE OR REPLACE TEMP TABLE as_before AS FROM {table.sql}")
        write_table(connection, table, "FROM temp.as_before", build)
    connection.execute("DROP TABLE temp.as_before")
    connection.execute(
        "INSERT INTO core.validation_results BY NAME SELECT * REPLACE"
        f" ({literal(build.as_of)} AS as_of, {literal(build.run_id)} AS run_id)"
        f" FROM core.validation_results WHERE as_of = {literal(before)}"
    )
    for name in home.segmentations:
        _move_customers(connection, name, build.as_of)
        figures = kpi_figures(name).sql
        connection.execute(
            f"INSERT INTO {figures} BY NAME SELECT * REPLACE ({literal(build.as_of)} AS kpi_date)"
            f" FROM {figures} WHERE kpi_date = {literal(before)}"
        )
        query = segment_kpis_sql(name, home.customers.kpis)
        write_table(connection, Table(name, "segment_kpis"), query, build)
        customers = Table(name, "customer_segments").sql
        (count,) = connection.execute(f"SELECT count(*) FROM {customers}").fetchall()[0]
        (model,) = connection.execute(
            "SELECT max(model_version) FROM core.segment_nights WHERE segmentation = ?", [name]
        ).fetchall()[0]
        changes = NightChanges(int(count), 0, 0, int(count) // _MOVERS, 0, 0, 0)
        keep_night(connection, name, Night(build.as_of, int(model)), changes)


def _move_customers(connection: Connection, name: str, as_of: dt.date) -> None:
    """End a spell in a hundred, and begin one in the next segment."""
    history, date = Table(name, "segment_history").sql, literal(as_of)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE movers AS
            SELECT customer_id FROM {history}
            WHERE valid_to IS NULL AND hash(customer_id || {date}) % {_MOVERS} = 0;
        UPDATE {history} SET valid_to = {date}, end_reason = 'moved'
            WHERE valid_to IS NULL AND customer_id IN (SELECT customer_id FROM movers);
        INSERT INTO {history} SELECT customer_id, (SELECT min(segment_id) FROM {history}), {date},
            NULL, 'moved', NULL FROM movers;
        DROP TABLE movers
    """)


def _publish(connection: Connection, home: Home, build: Build) -> None:
    ready, faults = ready_segmentations(connection, home, build.as_of)
    if faults:
        raise RuntimeError(f"{build.as_of}: {faults}")
    validated = [
        *validated_home_tables(home),
        *(table for name in ready for table in validated_segmentation_tables(name)),
    ]
    publish(connection, home, build, ready, validated)


def _make_report(home: Home, build: Build) -> None:
    """Copy the last report, as another night's would be."""
    last = max(home.reports.iterdir())
    shutil.copytree(last, home.reports / build.as_of.isoformat(), dirs_exist_ok=True)


def _record_run(instance: dg.DagsterInstance, folder: Path, run_id: str) -> None:
    """Copy the record of the newest run: its row, its own file, and what the index says of it."""
    (newest,) = instance.get_runs(limit=1)
    instance.add_run(newest._replace(run_id=run_id))
    runs = folder / "history" / "runs"
    shutil.copyfile(runs / f"{newest.run_id}.db", runs / f"{run_id}.db")
    with sqlite3.connect(runs / "index.db") as index:
        for table in ("event_logs", "asset_check_executions"):
            columns = [row[1] for row in index.execute(f"PRAGMA table_info({table})")]
            others = ", ".join(name for name in columns if name not in ("id", "run_id"))
            index.execute(
                f"INSERT INTO {table} (run_id, {others}) SELECT ?, {others} FROM {table}"
                " WHERE run_id = ?",
                [run_id, newest.run_id],
            )
    index.close()
