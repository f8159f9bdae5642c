"""`segmentation check` says by what the next night would be stopped, and leaves the home alone."""

import datetime as dt
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from segmentation_pipeline.assets import foresight
from segmentation_pipeline.assets.foresight import foreseen_stops
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.ingestion import load_source
from segmentation_pipeline.lock import hold_lock
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Build, DatabaseError, open_warehouse

CUSTOMERS = """\
name: Shop
nights: {first: 2025-06-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: id
    maximum_volume_change: null
    columns:
      id: {type: text}
      orders: {type: integer, minimum: 0}
  web:
    kind: web
    path: web.csv
    key: id
    time: seen_on
    columns:
      id: {type: text}
      seen_on: {type: date}
customers: {base: crm}
"""
SEGMENTATION = """\
title: Lens
criteria: {behaviour: What they do.}
features:
  orders: {criterion: behaviour}
"""
PEOPLE = [f"{number},{number}" for number in range(20)]
VISITS = [f"{number},2025-06-24" for number in range(20)]


@pytest.fixture
def home(write_home):
    folder = write_home(CUSTOMERS, lens=SEGMENTATION)
    write(folder)
    return folder


def write(home, people=PEOPLE, visits=VISITS):
    (home / "crm.csv").write_text("\n".join(["id,orders", *people]) + "\n")
    (home / "web.csv").write_text("\n".join(["id,seen_on", *visits]) + "\n")


def check(home):
    """Exit status, output and errors of the command."""
    run = subprocess.run(
        [sys.executable, "-m", "segmentation_pipeline.cli", "check", "--home", home],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.returncode, run.stdout, run.stderr


def stops(home):
    return foreseen_stops(load_home(home), dt.date(2025, 6, 24), {})


def test_the_command_says_by_what_and_fails(home):
    files = sorted(home.rglob("*"))
    status, told, faults = check(home)
    assert (status, told.splitlines()[-1]) == (0, "The next night would be for 2025-06-24.")
    assert (faults, sorted(home.rglob("*"))) == ("", files)

    write(home, visits=[*VISITS, "x,2025-06-24", "y,2025-06-24"])
    status, _, faults = check(home)
    assert status == 1
    assert faults.startswith("It would be stopped:\n  source `web`: 2 of 22 rows (9.09%) are of no")


@pytest.mark.parametrize(
    ("people", "stop"),
    [
        ([*PEOPLE[2:], "0,few", "1,many"],
         "source `crm`: 2 of 20 values of `orders` cannot be read (10.00%)"),
        ([*PEOPLE[2:], "0,-1", "1,-1"],
         "raw.raw_crm: orders__between: 2 of 20 rows do not hold; 5 % may"),
        ([f"{number}," for number in range(12)] + PEOPLE[12:],
         "raw.raw_crm: orders__not_null: 12 of 20 rows do not hold; 50 % may"),
    ],
)  # fmt: skip
def test_a_share_that_is_too_large_is_told_before_the_night(home, people, stop):
    write(home, people)
    (told,) = stops(home)
    assert told.startswith(stop)
    assert not (home / "warehouse.duckdb").exists()


def test_a_feature_that_makes_no_segments_is_told_before_the_night(home):
    declared = CUSTOMERS.replace("{type: integer, minimum: 0}", "{type: category}")
    (home / "customers.yaml").write_text(declared)
    write(home, people=[f"{number},order {number}" for number in range(40)])
    (told,) = stops(home)
    assert told.startswith(
        "lens: feature `orders` looks like an identifier: 40 categories among 40"
    )


def test_who_was_a_customer_once_is_known_from_the_nights_before(home):
    """Without the history, visits of those who left would be of nobody."""
    spec = load_home(home)
    with open_warehouse(spec.warehouse) as connection:
        for name, source in spec.customers.sources.items():
            load_source(connection, home, name, source, Build(dt.date(2025, 6, 23), "before"))
    before = spec.warehouse.read_bytes()
    write(home, people=PEOPLE[2:])
    assert stops(home) == []
    assert spec.warehouse.read_bytes() == before


def test_rows_that_the_night_will_no_longer_keep_are_not_counted_on(home):
    customers = home / "customers.yaml"
    customers.write_text(customers.read_text() + "retention: {sources: {web: 90 days}}\n")
    old = [f"{number},2025-03-01" for number in range(20)]
    write(home, visits=[*old, *VISITS])
    assert stops(home) == []

    customers.write_text(
        customers.read_text().replace(
            "    time: seen_on\n", "    time: seen_on\n    minimum_rows: 30\n"
        )
    )
    (told,) = stops(home)
    assert told.startswith("raw.raw_web: table__row_count: ")


def test_without_room_for_the_copy_nothing_is_tried_and_that_is_said(home, monkeypatch):
    spec = load_home(home)
    with open_warehouse(spec.warehouse):
        pass
    monkeypatch.setattr(foresight.shutil, "disk_usage", lambda _: SimpleNamespace(free=10**4))
    monkeypatch.setattr(foresight.shutil, "copyfile", None)
    with pytest.raises(PipelineError, match=r"was not tried.* 0 MB free.*TMPDIR"):
        stops(home)


def test_a_run_that_begins_while_the_warehouse_is_copied_is_noticed(home, monkeypatch):
    spec = load_home(home)
    with open_warehouse(spec.warehouse):
        pass
    copy = foresight.shutil.copyfile

    def copied_while_written(file, to):
        copy(file, to)
        os.utime(file, ns=(0, 0))

    monkeypatch.setattr(foresight.shutil, "copyfile", copied_while_written)
    with pytest.raises(PipelineError, match=r"was not tried.*a run began to write"):
        stops(home)


def test_what_duckdb_says_of_the_copy_is_told_without_a_value(home, monkeypatch):
    def stopped(*_):
        raise DatabaseError("Could not write 'Ann Lee': No space left on device")

    monkeypatch.setattr(foresight, "bring_up_to_date", stopped)
    with pytest.raises(PipelineError, match=r"was not tried.*stopped with Error") as told:
        stops(home)
    assert "Ann" not in str(told.value)


def test_a_home_that_is_held_is_not_tried(home):
    write(home, visits=[f"x{number},2025-06-24" for number in range(20)])
    with hold_lock(load_home(home).lock, "night", timeout_seconds=0):
        status, told, _ = check(home)
    assert status == 0
    assert "whether it would be stopped is not looked for" in told
