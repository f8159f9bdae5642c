"""The lists of who gets what: hold-outs never on them, no cell that a spreadsheet would run."""

import csv
import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.errors import PublicationError, StaleUpstreamError
from segmentation_pipeline.measurement.lists import STRATEGY_LISTS
from segmentation_pipeline.publication import publish, rollback, verify
from segmentation_pipeline.publication.exports import write_list
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table, open_in_memory

EXPERIMENTS = """\
kpis:
  papers: {description: Papers, kind: mean, expression: publications, window_days: 30}
experiments: {key: clinic, permission: "TRUE"}
"""
PLAYBOOK = """\
strategies:
  write:
    when: [{measure: customers, at_least: 1}]
    message: Come and see.
    channel: email
    goal_kpi: papers
    priority: 1
    experiment: {hold_out: 0.5, days: 30}
"""
INJECTIONS = ["=1+1", "+49 30", "-2", "@SUM(A1)", "\tx", "\rx", "plain", 'say "hi"', "a;=b", "a,b"]
ARMS = {"c1": "treated", "c2": "treated", "c3": "hold_out", "c4": "global_hold_out"}


@pytest.fixture
def with_lists(workbench):
    """The workbench, with a strategy of `engagement` that is an experiment."""
    folder = workbench.home.path
    for path, text in (("customers", EXPERIMENTS), ("segmentations/engagement", PLAYBOOK)):
        with (folder / f"{path}.yaml").open("a", encoding="utf-8") as file:
            file.write(text)
    return dataclasses.replace(workbench, home=load_home(folder))


def make_night(bench, connection, build, *, listed=("c1", "c2"), arms=ARMS):
    """Make a night whose experiment has `arms`, and whose lists name `listed`."""
    validated = bench.make_night(connection, build)
    rows = ", ".join(f"('{one}', '{arm}')" for one, arm in arms.items())
    bench.write(
        connection,
        Table("engagement", "strategy_assignments"),
        "SELECT 'write' AS strategy, customer_id, 'engagement-1' AS segment_id, FALSE AS is_typed,"
        " arm, DATE '2025-06-01' AS assigned_date, DATE '2025-07-01' AS end_date,"
        " NULL::BIGINT AS sent_count, NULL::BIGINT AS delivered_count, NULL::BIGINT AS"
        f" bounced_count FROM (VALUES {rows}) AS t(customer_id, arm)",
        build,
    )
    names = ", ".join(f"('{one}')" for one in listed)
    bench.write(
        connection,
        STRATEGY_LISTS,
        "SELECT 'engagement' AS segmentation, 'write' AS strategy, customer_id"
        f" FROM (VALUES {names}) AS t(customer_id)",
        build,
    )
    return validated


def publish_night(bench, build, **made):
    with bench.open() as connection:
        validated = make_night(bench, connection, build, **made)
        return publish(connection, bench.home, build, bench.ready(), validated)


def exports(bench):
    return bench.home.published / "current" / "exports"


def cells(bench):
    with (exports(bench) / "write.csv").open(newline="", encoding="utf-8") as file:
        return [*csv.reader(file)]


def test_a_list_has_the_customers_to_be_contacted_as_csv_and_parquet(with_lists, night):
    publish_night(with_lists, night(1))

    assert cells(with_lists) == [["customer_id", "strategy"], ["c1", "write"], ["c2", "write"]]
    assert pq.read_table(exports(with_lists) / "write.parquet").to_pylist() == [
        {"customer_id": "c1", "strategy": "write"},
        {"customer_id": "c2", "strategy": "write"},
    ]
    assert verify(with_lists.home.published) == []


def test_who_is_held_out_is_on_no_list_whatever_the_warehouse_says(with_lists, night):
    publish_night(with_lists, night(1), listed=[*ARMS, "c5"])

    assert [row[0] for row in cells(with_lists)[1:]] == ["c1", "c2"]


def test_a_list_is_part_of_the_manifest_and_of_verify(with_lists, night):
    publish_night(with_lists, night(1))
    manifest = json.loads((exports(with_lists).parent / "manifest.json").read_text())
    assert {"exports/write.csv", "exports/write.parquet"} <= set(manifest["files"])

    file = exports(with_lists) / "write.csv"
    file.chmod(0o644)
    file.write_text(file.read_text() + '"c3","write"\n')

    assert verify(with_lists.home.published) == [
        "exports/write.csv is not the file that was published: its digest differs"
    ]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("'c3', 'write'", "lists 1 customers who are not to be treated by it"),
        ("'c1', 'call'", "lists 1 customers who are not to be treated by it"),
    ],
)
def test_the_audit_refuses_a_list_of_others(with_lists, night, monkeypatch, rows, fault):
    def tampered(connection, _query, path):
        write_list(connection, f"FROM (VALUES ({rows})) AS t(customer_id, strategy)", path)

    monkeypatch.setattr("segmentation_pipeline.publication.exports.write_list", tampered)

    with pytest.raises(PublicationError, match=fault):
        publish_night(with_lists, night(1))


def test_the_audit_refuses_a_csv_that_is_not_its_parquet(with_lists, night, monkeypatch):
    def tampered(connection, query, path):
        write_list(connection, query, path)
        file = path.with_suffix(".csv")
        file.write_text(file.read_text().replace("c2", "c3"))

    monkeypatch.setattr("segmentation_pipeline.publication.exports.write_list", tampered)

    with pytest.raises(PublicationError, match="CSV and Parquet files differ in 2 rows"):
        publish_night(with_lists, night(1))


def test_a_past_date_changes_no_list(with_lists, night):
    publish_night(with_lists, night(2))

    publish_night(with_lists, night(1), listed=["c1"])

    assert [row[0] for row in cells(with_lists)[1:]] == ["c1", "c2"]
    assert verify(with_lists.home.published) == []


def test_rollback_brings_the_list_before_back(with_lists, night):
    publish_night(with_lists, night(1))
    publish_night(with_lists, night(2), listed=["c1"])
    assert len(cells(with_lists)) == 2

    rollback(with_lists.home.published)

    assert len(cells(with_lists)) == 3


def test_a_list_of_nobody_is_there_and_empty(with_lists, night):
    publish_night(with_lists, night(1), listed=["nobody"])

    assert cells(with_lists) == [["customer_id", "strategy"]]
    assert verify(with_lists.home.published) == []


def test_lists_of_another_date_are_refused(with_lists, night):
    with with_lists.open() as connection:
        make_night(with_lists, connection, night(1))
        validated = with_lists.make_night(connection, night(2))
        with pytest.raises(StaleUpstreamError, match="strategy_lists was made for 2025-06-01"):
            publish(connection, with_lists.home, night(2), with_lists.ready(), validated)


def test_a_home_without_experiments_has_no_lists(workbench, night):
    workbench.publish(night(1))

    assert not exports(workbench).exists()


def test_no_cell_is_a_formula(tmp_path):
    with open_in_memory() as connection:
        connection.execute("CREATE TABLE people AS SELECT unnest(?) AS customer_id", [INJECTIONS])
        write_list(connection, "SELECT *, 'write' AS strategy FROM people", tmp_path / "write")

    text = (tmp_path / "write.csv").read_bytes().decode()
    with (tmp_path / "write.csv").open(newline="", encoding="utf-8") as file:
        found = [row[0] for row in csv.reader(file)][1:]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in found)
    assert {cell.removeprefix("'") for cell in found} == set(INJECTIONS)
    assert sum(cell.startswith("'") for cell in found) == 6
    # Every cell is quoted: where a semicolon separates, `a;=b` would begin a formula.
    assert all(row.startswith('"') and row.endswith('"') for row in text.strip().split("\n"))
    as_they_are = pq.read_table(tmp_path / "write.parquet")["customer_id"].to_pylist()
    assert sorted(as_they_are) == sorted(INJECTIONS)
