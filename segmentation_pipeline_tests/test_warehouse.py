"""The warehouse: builds, dates, transactions, and one writer at a time."""

import datetime as dt
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pyarrow as pa
import pytest

from segmentation_pipeline.errors import LockedError, PipelineError, StaleUpstreamError
from segmentation_pipeline.lock import hold_lock, lock_holder
from segmentation_pipeline.warehouse import (
    Build,
    Connection,
    DatabaseError,
    Table,
    count_rows,
    literal,
    open_in_memory,
    open_warehouse,
    quote,
    read_batches,
    read_build,
    require_builds,
    write_batches,
    write_table,
    write_view,
)

MONDAY = Build(dt.date(2025, 6, 30), "run-1")
TABLE = Table("staff", "order")


@pytest.fixture
def connection(tmp_path):
    with open_warehouse(tmp_path / "warehouse.duckdb") as opened:
        yield opened


def test_a_table_carries_its_date_and_run(connection):
    rows = write_table(connection, TABLE, "SELECT unnest(range(5)) AS n", MONDAY)

    assert rows == count_rows(connection, TABLE) == 5
    assert read_build(connection, TABLE) == MONDAY


def test_writing_again_replaces_also_a_view_by_a_table(connection):
    write_view(connection, TABLE, "SELECT 1 AS n", MONDAY, rows=1)
    write_table(connection, TABLE, "SELECT 2 AS n", MONDAY)

    assert connection.execute(f"FROM {TABLE.sql}").fetchall() == [(2,)]


def test_a_failed_write_leaves_the_table_before(connection):
    write_table(connection, TABLE, "SELECT 1 AS n", MONDAY)
    later = Build(dt.date(2025, 7, 1), "run-2")

    with pytest.raises(DatabaseError):
        write_table(connection, TABLE, "SELECT 'x'::INTEGER AS n", later)

    assert connection.execute(f"FROM {TABLE.sql}").fetchall() == [(1,)]
    assert read_build(connection, TABLE) == MONDAY


def test_a_step_refuses_an_upstream_of_another_date(connection):
    write_table(connection, TABLE, "SELECT 1 AS n", MONDAY)

    require_builds(connection, [TABLE], MONDAY.as_of)
    with pytest.raises(StaleUpstreamError, match="made for 2025-06-30, not for 2025-07-01"):
        require_builds(connection, [TABLE], dt.date(2025, 7, 1))
    with pytest.raises(StaleUpstreamError, match="has not been made yet"):
        require_builds(connection, [Table("staff", "other")], MONDAY.as_of)


def test_batches_stream_from_one_table_into_another(connection):
    source = Table("staff", "source")
    write_table(connection, source, "SELECT unnest(range(300000)) AS n", MONDAY)

    with connection.cursor() as reading:
        reader = read_batches(reading, f"SELECT n FROM {source.sql}", rows=10_000)
        rows = write_batches(connection, TABLE, pa.schema({"n": pa.int64()}), reader, MONDAY)

    assert rows == 300_000
    found = connection.execute(f"SELECT sum(n), count(DISTINCT n) FROM {TABLE.sql}").fetchall()
    assert found == [(300_000 * 299_999 // 2, 300_000)]


@pytest.mark.parametrize("name", ['a"; DROP TABLE x; --', "select", "ümlaut", "a b"])
def test_any_name_is_quoted(name):
    with open_in_memory() as memory:
        assert memory.sql(f"SELECT 1 AS {quote(name)}").columns == [name]


def test_a_name_that_cannot_be_quoted_is_refused():
    with pytest.raises(PipelineError, match="empty or holds a NUL"):
        quote("a\0b")


@pytest.mark.parametrize(
    "value", ["it's", "", 0.1, 1e300, -5, 5e-324, True, None, float("inf"), dt.date(2025, 1, 2)]
)
def test_a_literal_reads_back_to_the_last_bit(value):
    with open_in_memory() as memory:
        assert memory.execute(f"SELECT {literal(value)}").fetchall() == [(value,)]


def test_a_second_writer_is_told_who_writes(tmp_path):
    path = tmp_path / "lock"

    with hold_lock(path, "first", timeout_seconds=0):
        assert lock_holder(path) == f"run first (process {os.getpid()})"
        with (
            pytest.raises(LockedError, match=r"held by run first \(process"),
            hold_lock(path, "second", timeout_seconds=0),
        ):
            pass

    assert lock_holder(path) is None
    with hold_lock(path, "second", timeout_seconds=0):
        assert "second" in lock_holder(path)


def test_a_waiting_writer_gets_the_lock_when_it_is_freed(tmp_path):
    path = tmp_path / "lock"
    # An executor ends its process by a word: a Pool's SIGTERM is lost where a shell ignores that.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        with hold_lock(path, "first", timeout_seconds=0):
            waiting = pool.submit(_take_lock, path)
            time.sleep(0.5)
            assert not waiting.done()
        assert waiting.result(timeout=30)


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path):
    path = tmp_path / "lock"
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from segmentation_pipeline.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 'doomed', timeout_seconds=0):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LockedError), hold_lock(path, "next", timeout_seconds=0):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()

    with hold_lock(path, "next", timeout_seconds=0):
        pass


def _take_lock(path):
    with hold_lock(path, "waiting", timeout_seconds=20):
        return True


def test_a_warehouse_loads_no_extension_from_the_network(connection: Connection):
    setting = "SELECT current_setting('autoinstall_known_extensions')"

    assert connection.execute(setting).fetchall() == [(False,)]
