"""What readers find is exactly what the work tables held, described as the contracts say."""

import datetime as dt
import json
import stat
from pathlib import Path

import pytest

from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import PublicationError, StaleUpstreamError
from segmentation_pipeline.publication import current_version, publish, verify
from segmentation_pipeline.specification.home import digest, fitting_digest
from segmentation_pipeline.warehouse import Table, column_types, open_warehouse

FIRST = dt.date(2025, 6, 1)


def test_readers_find_the_rows_of_all_segmentations_with_where_they_come_from(workbench, night):
    published = workbench.publish(night(1))

    assert published.is_news
    assert published.stale == ()
    assert verify(workbench.home.published) == []
    origin = (FIRST, "run-1", 1)
    assert workbench.read("FROM segments") == [
        (
            "engagement",
            "engagement-1",
            None,
            "segment 1",
            4,
            4 / 6,
            None,
            False,
            "weak",
            *origin,
            False,
        ),
        (
            "engagement",
            "engagement-2",
            None,
            "segment 2",
            2,
            2 / 6,
            None,
            False,
            "weak",
            *origin,
            False,
        ),
        (
            "profession",
            "profession-1",
            None,
            "segment 1",
            2,
            2 / 6,
            None,
            False,
            "weak",
            *origin,
            False,
        ),
        (
            "profession",
            "profession-2",
            None,
            "segment 2",
            2,
            2 / 6,
            None,
            False,
            "weak",
            *origin,
            False,
        ),
        (
            "profession",
            "profession-3",
            None,
            "segment 3",
            2,
            2 / 6,
            None,
            False,
            "weak",
            *origin,
            False,
        ),
    ]
    assert workbench.read("FROM customer_segments") == [
        (
            segmentation,
            f"c{number}",
            f"{segmentation}-{segment}",
            f"{segmentation}-{segment}",
            f"{segmentation}-{segment % len(set(numbers)) + 1}",
            float(segment),
            0.5,
            None,
            False,
            False,
            False,
            None,
            *origin,
        )
        for segmentation, numbers in workbench.assigned.items()
        for number, segment in enumerate(numbers, 1)
    ]


def test_a_run_names_its_criteria_digests_and_model(workbench, night):
    workbench.publish(night(1), model_version=4)

    home = workbench.home
    ((source_digest,),) = workbench.read("SELECT DISTINCT source_digest FROM segmentation_runs")
    assert len(source_digest) == 64
    assert workbench.read("FROM segmentation_runs") == [
        (
            FIRST,
            "run-1",
            name,
            json.dumps({"behaviour": 'How they use the web; "often" counts.'}),
            "k_means",
            segments,
            6,
            0.5,
            digest(home.customers, home.segmentations[name]),
            fitting_digest(home.segmentations[name]),
            source_digest,
            "preparation",
            "model 4",
            None,
            4,
        )
        for name, segments in (("engagement", 2), ("profession", 3))
    ]


@pytest.mark.usefixtures("after_first_night")
def test_documented_columns_are_the_actual_ones(workbench, night):
    with open_warehouse(workbench.home.published / "segments.duckdb", read_only=True) as readers:
        for name, contract in CONTRACTS.items():
            declared = {column.name: column.type for column in contract.columns}
            assert column_types(readers, Table("main", name)) == declared
        tables = readers.execute(
            "SELECT table_name, comment FROM duckdb_tables() ORDER BY table_name"
        ).fetchall()
        columns = readers.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert tables == [
        (name, f"{CONTRACTS[name].description} Grain: {CONTRACTS[name].grain}.")
        for name in sorted(CONTRACTS)
    ]
    assert set(columns) == {
        (name, c.name, c.description + (f" Unit: {c.unit}." if c.unit else ""))
        for name, contract in CONTRACTS.items()
        for c in contract.columns
    }
    assert workbench.read(
        "SELECT table_name, column_name, type, unit, description, is_key FROM data_dictionary"
        " WHERE table_name = 'segments' ORDER BY position"
    ) == [
        ("segments", c.name, c.type, c.unit, c.description, c.name in CONTRACTS["segments"].key)
        for c in CONTRACTS["segments"].columns
    ]
    ((documented,),) = workbench.read("SELECT count(*) FROM data_dictionary")
    assert documented == len(columns)


@pytest.mark.usefixtures("after_first_night")
def test_parquet_files_hold_the_same_rows_in_the_same_order(workbench, night):
    folder = workbench.home.published / "current" / "parquet"
    assert {path.stem for path in folder.iterdir()} == set(CONTRACTS)
    for name in CONTRACTS:
        assert workbench.read(f"FROM '{folder / name}.parquet'") == workbench.read(f"FROM {name}")


@pytest.mark.usefixtures("after_first_night")
def test_what_is_published_cannot_be_written_to(workbench, night):
    files = [path for path in (workbench.home.published / "versions").rglob("*") if path.is_file()]
    assert len(files) == 2 + len(CONTRACTS)
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o444}
    assert (workbench.home.published / "segments.duckdb").readlink() == Path(
        "current/segments.duckdb"
    )
    assert (workbench.home.published / "current").readlink() == Path("versions/000001-run-1")


def test_without_a_ready_segmentation_nothing_is_published(workbench, night):
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(1))
        with pytest.raises(PublicationError, match="no segmentation is ready for 2025-06-01"):
            publish(connection, workbench.home, night(1), {}, validated)
        strange = {"geography": workbench.ready()["engagement"]}
        with pytest.raises(StaleUpstreamError, match=r"geography\.segments has not been made"):
            publish(connection, workbench.home, night(1), strange, validated)
    assert not workbench.home.published.exists()


def test_a_work_table_of_another_date_is_refused(workbench, night):
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(1))
        table = Table("profession", "segment_profiles")
        query = workbench.work_queries("profession")[table.name]
        workbench.write(connection, table, query, night(2))
        validated.remove(table)
        with pytest.raises(StaleUpstreamError, match="for 2025-06-02, not for 2025-06-01"):
            publish(connection, workbench.home, night(1), workbench.ready(), validated)
    assert current_version(workbench.home.published) is None


def test_progress_is_told_step_by_step(workbench, night):
    steps: list[str] = []
    with workbench.open() as connection:
        validated = workbench.make_night(connection, night(1))
        publish(
            connection,
            workbench.home,
            night(1),
            workbench.ready(),
            validated,
            on_step=steps.append,
        )

    tables = list(CONTRACTS)
    assert steps == [
        "check what was validated",
        "look at the version before",
        "cut what is no longer kept",
        "count segments against each other",
        *(f"write {name}" for name in tables),
        *(f"write {name} as Parquet" for name in tables),
        "write the lists of who gets what",
        "close segments.duckdb",
        "write the manifest",
        "make files read-only and durable",
        "audit",
        "move to the versions",
        "link segments.duckdb",
        "put in force",
        "delete versions that are no longer kept",
    ]
