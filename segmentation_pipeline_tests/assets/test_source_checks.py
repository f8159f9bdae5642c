"""What is expected of sources, across them and from load to load, as checks in Dagster."""

import datetime as dt
import random

import dagster as dg
import pytest

from segmentation_pipeline.assets import outcome
from segmentation_pipeline.assets.checks import build_checks
from segmentation_pipeline.assets.customers import build_customer_assets
from segmentation_pipeline.assets.resources import Workshop
from segmentation_pipeline.assets.sources import build_source_assets
from segmentation_pipeline.publication import read_published
from segmentation_pipeline.publication.gate import validation_faults
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table, open_warehouse

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2026-03-01}
sources:
  crm:
    kind: crm
    path: crm/*.csv
    snapshot_date: {file_name: "%Y-%m-%d.csv"}
    key: id
    columns:
      id: {type: text}
      joined_on: {type: date}
      role: {type: category}
    expectations:
      - {name: joined_by_now, predicate: joined_on <= as_of, severity: warning}
  web:
    kind: web
    path: web/*.csv
    key: id
    time: seen_on
    maximum_orphan_share: 1
    references: {source: crm, at_least: 0.95}
    distribution: {columns: {amount: error}}
    columns:
      id: {type: text}
      seen_on: {type: date}
      amount: {type: number}
    expectations:
      - {name: after_joining, predicate: seen_on >= customers.joined_on, severity: warning}
customers:
  base: crm
  expectations:
    - {name: customer_by_now, predicate: joined_on <= as_of}
"""
SEGMENTATION = """\
title: Age
criteria: {demographics: How old they are.}
features: {joined: {criterion: demographics, expression: year(joined_on)}}
"""
PEOPLE = 100


def write_night(home, date, *, strangers=0, factor=1.0):
    draw = random.Random(date.toordinal())
    crm = [f"c{n},{date if n < 2 else '2026-01-01'},{'ab'[n % 2]}" for n in range(PEOPLE)]
    web = [f"c{n},{date},{draw.expovariate(1) * factor:.3f}" for n in range(PEOPLE)]
    web += [f"x{n},{date},1" for n in range(strangers)]
    write(home / "crm" / f"{date}.csv", ["id,joined_on,role", *crm])
    write(home / "web" / f"{date}.csv", ["id,seen_on,amount", *web])


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def run(home_path, date):
    """Load, check and make customers of a date; returns (asset, check) -> evaluation.

    Warnings that are worth an alert stand under ("", "warnings").
    """
    home = load_home(home_path)
    checks = build_checks(home)[: len(home.customers.sources) + 1]
    result = dg.materialize(
        [*build_source_assets(home), *build_customer_assets(home), *checks],
        resources={"workshop": Workshop(home_path=str(home_path))},
        tags={"dagster/partition": str(date)},
        raise_on_error=False,
    )
    found = {
        (one.asset_key.to_user_string(), one.check_name): one
        for one in result.get_asset_check_evaluations()
    }
    return result.success, found | {("", "warnings"): outcome.warnings(result.all_events)}


def recorded(home_path, date):
    """(table, expectation) -> what `validation_results` has of a date."""
    with open_warehouse(home_path / "warehouse.duckdb", read_only=True) as connection:
        rows = connection.execute(
            "SELECT table_name, expectation, severity, outcome, success, evaluated_rows,"
            " unexpected_rows, message FROM core.validation_results WHERE as_of = ?",
            [date],
        ).fetchall()
        tables = [Table("raw", "raw_crm"), Table("raw", "raw_web"), Table("core", "customers")]
        return {row[:2]: row[2:] for row in rows}, validation_faults(connection, tables, date)


def test_checks_pass_stop_and_are_recorded(tmp_path):
    write(tmp_path / "customers.yaml", CUSTOMERS.splitlines())
    write(tmp_path / "segmentations" / "age.yaml", SEGMENTATION.splitlines())
    first, second, third = (dt.date(2026, 3, number) for number in (1, 2, 3))
    across, beside = "web__references_crm", "web__beside_customer__after_joining"

    write_night(tmp_path, first, strangers=5)
    is_good, checks = run(tmp_path, first)
    assert is_good
    # There is nothing before: a warning of its own, which stops nothing.
    compared = checks["raw_web", "table__distribution"]
    assert (compared.passed, compared.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert compared.metadata["outcome"].value == "not_compared"
    assert checks["", "warnings"] == ()
    assert checks["raw_crm", "joined_by_now"].passed
    assert checks["customers", "customer_by_now"].passed
    assert checks["customers", across].passed
    assert checks["customers", beside].metadata["evaluated_rows"].value == PEOPLE
    rows, faults = recorded(tmp_path, first)
    assert faults == []
    assert rows["core.customers", across] == (
        "error", "held", True, 105, 5,
        "100 of 105 ids are known to `crm`; at least 95 % must be",
    )  # fmt: skip

    write_night(tmp_path, second, strangers=6)
    is_good, checks = run(tmp_path, second)
    # 11 rows of strangers, of 6 different ones: 100 of 106 is too little.
    assert not is_good
    assert not checks["customers", across].passed
    assert checks["customers", across].severity == dg.AssetCheckSeverity.ERROR
    # The two who joined today were seen yesterday; that is only told.
    assert (checks["customers", beside].passed, checks["customers", beside].severity) == (
        False, dg.AssetCheckSeverity.WARN,
    )  # fmt: skip
    assert checks["", "warnings"] == (
        f"check customers: {beside}: 2 of 200 rows do not hold; 0 % may",
    )
    assert checks["raw_web", "table__distribution"].passed
    rows, faults = recorded(tmp_path, second)
    assert faults == [f"core.customers failed {across}"]
    assert rows["core.customers", beside][:5] == ("warning", "failed", False, 200, 2)
    # All columns are recorded, and one check tells of them.
    assert rows["raw.raw_web", "amount__quantile_change"][:3] == ("error", "held", True)
    assert ("raw_web", "amount__quantile_change") not in checks

    write_night(tmp_path, third, factor=100)
    is_good, checks = run(tmp_path, third)
    assert not is_good
    assert checks["raw_web", "table__distribution"].severity == dg.AssetCheckSeverity.ERROR
    assert ("customers", across) not in checks
    rows, _ = recorded(tmp_path, third)
    assert rows["raw.raw_web", "amount__quantile_change"][:3] == ("error", "failed", False)
    # The night before stopped at `customers`; the load itself had passed.
    assert rows["raw.raw_web", "table__distribution"][-1].startswith(
        "100 new rows were compared with the load of 2026-03-02: changed are amount. amount: a "
        "quartile of the load of 2026-03-02 moved by "
    )


@pytest.mark.parametrize("predicate", ["joined_on <= as_of", "role::INTEGER > 0"])
def test_a_check_that_cannot_run_is_a_failure(tmp_path, predicate):
    text = CUSTOMERS.replace("joined_on <= as_of, severity", f"{predicate}, severity", 1)
    write(tmp_path / "customers.yaml", text.splitlines())
    write(tmp_path / "segmentations" / "age.yaml", SEGMENTATION.splitlines())
    date = dt.date(2026, 3, 1)
    write_night(tmp_path, date)

    _, checks = run(tmp_path, date)

    rows, _ = recorded(tmp_path, date)
    can_run = predicate == "joined_on <= as_of"
    assert checks["raw_crm", "joined_by_now"].passed == can_run
    assert rows["raw.raw_crm", "joined_by_now"][1] == ("held" if can_run else "not_run")


def test_readers_find_the_outcome_of_every_check(published_home):
    published = published_home / "published"

    assert read_published(
        published,
        "SELECT table_name, severity, outcome, success FROM validation_results"
        " WHERE expectation = 'table__distribution' ORDER BY ALL",
    ) == [
        (f"raw.raw_{source}", "warning", "not_compared", False)
        for source in ("crm", "survey", "web")
    ]
    assert read_published(
        published,
        "SELECT DISTINCT success, outcome FROM validation_results"
        " WHERE expectation <> 'table__distribution' AND severity = 'error'",
    ) == [(True, "held")]
