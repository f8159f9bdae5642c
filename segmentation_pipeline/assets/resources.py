"""What a run holds: the home's lock and the one writing connection, for the whole of the run."""

import datetime as dt
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from segmentation_pipeline.assets.housekeeping import put_in_place, tidy_up
from segmentation_pipeline.assets.stage_log import logged_stage
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.publication.compaction import clear_fresh_warehouse
from segmentation_pipeline.specification.home import Home, load_home
from segmentation_pipeline.warehouse import Build, Connection, DatabaseError, open_warehouse

PARTITION_TAG = "dagster/partition"
Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


class Workshop(dg.ConfigurableResource):
    """A home's warehouse, opened by the one run that may write to it.

    Dagster enters it once per run under the in-process executor, and leaves it after a failure too.
    """

    home_path: str
    lock_timeout_seconds: float | None = None
    approximate: bool = False
    new_segment_ids: bool = False

    _home: Home = PrivateAttr()
    _connection: Connection = PrivateAttr()

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["Workshop"]:
        """Take the lock, open the warehouse, tidy up when the run ends, and give both back."""
        self._home = load_home(Path(self.home_path))
        timeout = self.lock_timeout_seconds
        if timeout is None:
            timeout = self._home.customers.nights.lock_timeout_seconds
        limits = self._home.customers.limits
        run_id = context.run.run_id if context.run is not None else "no-run"
        log = context.log or logging.getLogger(__name__)
        with hold_lock(self._home.lock, run_id, timeout_seconds=timeout):
            clear_fresh_warehouse(self._home)
            with open_warehouse(
                self._home.warehouse, memory_limit=limits.memory, threads=limits.threads
            ) as connection:
                create_registry(connection)
                self._connection = connection
                yield self
                is_written_anew = tidy_up(connection, self._home, context.instance, log)
            if is_written_anew:
                put_in_place(self._home, log)

    @property
    def home(self) -> Home:
        """The home's specification, as it was when the run began."""
        return self._home

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of the run, in which sources that are databases find their URL.

        It is no field: Dagster shows those in its UI.
        """
        return os.environ

    @contextmanager
    def step(self, context: Context) -> Iterator[tuple[Connection, Build]]:
        """Lend the connection to a step, for the date and the run that it works for.

        DuckDB's messages may quote a customer's values: they leave here without them.
        """
        build = Build(self._as_of(context), context.run.run_id)
        stage = context.op_execution_context.op.name
        try:
            with logged_stage(self._connection, self._home, stage, build):
                yield self._connection, build
        except DatabaseError as error:
            raise PipelineError(
                f"DuckDB stopped with {type(error).__name__}: {_without_values(str(error))}"
            ) from None

    def _as_of(self, context: Context) -> dt.date:
        """Find the date of a run: its partition; a check run alone looks at the newest tables."""
        partition = context.run.tags.get(PARTITION_TAG)
        if partition is not None:
            return dt.date.fromisoformat(partition)
        newest = self._connection.execute("SELECT max(as_of) FROM core.builds").fetchall()[0][0]
        if not isinstance(newest, dt.date):
            raise PipelineError("this run has no date: launch it with a partition")
        return newest


def _without_values(message: str) -> str:
    """Keep the first line of a DuckDB message, with everything in quotation marks left out.

    >>> _without_values('Conversion Error: Could not convert string "Ann" to INT32')
    'Conversion Error: Could not convert string ... to INT32'
    """
    return re.sub(r"'[^']*'|\"[^\"]*\"", "...", message.splitlines()[0] if message else "")
