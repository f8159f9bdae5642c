"""The round trip: nights go in, and what readers find is exactly what is expected."""

import datetime as dt
import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from segmentation_pipeline import contracts
from segmentation_pipeline.contracts import CONTRACTS
from segmentation_pipeline.errors import PublicationError, StaleUpstreamError
from segmentation_pipeline.publication import (
    audit,
    building,
    current_version,
    publish,
    tables,
    verify,
)
from segmentation_pipeline.specification.home import digest, load_home
from segmentation_pipeline.warehouse import Table, column_types, open_warehouse

FIRST, SECOND, THIRD = (dt.date(2025, 6, day) for day in (1, 2, 3))
SEGMENTS = "SELECT segmentation, segment_id, customers, as_of, is_stale FROM segments"
IN_ENGAGEMENT = (
    "SELECT customer_id, segment_id FROM customer_segments WHERE segmentation = 'engagement'"
)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Everything below a folder, to the byte."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_readers_find_the_rows_of_all_segmentations_with_where_they_come_from(workbench, night):
    published = workbench.publish(night(1))

    assert published.is_news
    assert published.stale == ()
    assert verify(workbench.home.published) == []
    origin = (FIRST, "run-1", 1)
    assert workbench.read("FROM segments") == [
        ("engagement", "engagement-1", "segment 1", 4, 4 / 6, *origin, False),
        ("engagement", "engagement-2", "segment 2", 2, 2 / 6, *origin, False),
        ("profession", "profession-1", "segment 1", 2, 2 / 6, *origin, False),
        ("profession", "profession-2", "segment 2", 2, 2 / 6, *origin, False),
        ("profession", "profession-3", "segment 3", 2, 2 / 6, *origin, False),
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
            False,
            False,
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
            source_digest,
            "preparation",
            "model 4",
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


@pytest.mark.usefixtures("after_first_night")
def test_the_next_night_replaces_current_rows_and_adds_dated_ones(workbench, night):
    moved = workbench.moved("engagement", 2, 1, 1, 1, 2, 2)

    published = moved.publish(night(2), file_digest="bb")

    assert published.manifest.version == "000002-run-2"
    assert workbench.read(IN_ENGAGEMENT) == [
        ("c1", "engagement-2"),
        ("c2", "engagement-1"),
        ("c3", "engagement-1"),
        ("c4", "engagement-1"),
        ("c5", "engagement-2"),
        ("c6", "engagement-2"),
    ]
    assert workbench.read("SELECT DISTINCT as_of, run_id FROM customer_segments") == [
        (SECOND, "run-2")
    ]
    assert workbench.read("SELECT as_of, run_id, segmentation FROM segmentation_runs") == [
        (FIRST, "run-1", "engagement"),
        (FIRST, "run-1", "profession"),
        (SECOND, "run-2", "engagement"),
        (SECOND, "run-2", "profession"),
    ]
    checked = "SELECT as_of, run_id, count(*) FROM validation_results GROUP BY ALL ORDER BY ALL"
    assert workbench.read(checked) == [(FIRST, "run-1", 14), (SECOND, "run-2", 14)]
    assert workbench.read("SELECT digest FROM source_loads") == [("bb",)]
    assert verify(workbench.home.published) == []


def test_the_same_night_from_the_same_inputs_is_no_news(workbench, night):
    first = workbench.publish(night(1))
    before = contents(workbench.home.published)

    again = workbench.publish(night(1, "another-run"))

    assert not again.is_news
    assert again.digest == first.digest
    assert again.manifest == first.manifest
    assert contents(workbench.home.published) == before


@pytest.mark.usefixtures("after_first_night")
@pytest.mark.parametrize("changed", [{"file_digest": "bb"}, {"model_version": 2}])
def test_the_same_night_from_other_inputs_is_news_and_replaces_its_rows(workbench, night, changed):
    again = workbench.publish(night(1, "another-run"), **changed)

    assert again.is_news
    assert workbench.read("SELECT as_of, run_id, segmentation FROM segmentation_runs") == [
        (FIRST, "another-run", "engagement"),
        (FIRST, "another-run", "profession"),
    ]
    assert workbench.read("SELECT DISTINCT as_of, run_id FROM validation_results") == [
        (FIRST, "another-run")
    ]


def test_a_changed_specification_is_news(workbench, night):
    first = workbench.publish(night(1))
    file = workbench.home.path / "segmentations" / "engagement.yaml"
    edited = file.read_text(encoding="utf-8").replace("title: Lens", "title: Other lens")
    file.write_text(edited, encoding="utf-8")
    again = replace(workbench, home=load_home(workbench.home.path)).publish(night(1, "other-run"))

    assert first.digest != again.digest
    assert again.is_news


@pytest.mark.usefixtures("after_first_night")
def test_a_segmentation_that_is_not_ready_keeps_its_rows_and_is_stale(workbench, night):
    before = workbench.read("FROM customer_segments WHERE segmentation = 'profession'")

    published = workbench.of("engagement").publish(night(2))

    assert published.stale == ("profession",)
    assert workbench.read(SEGMENTS) == [
        ("engagement", "engagement-1", 4, SECOND, False),
        ("engagement", "engagement-2", 2, SECOND, False),
        ("profession", "profession-1", 2, FIRST, True),
        ("profession", "profession-2", 2, FIRST, True),
        ("profession", "profession-3", 2, FIRST, True),
    ]
    assert workbench.read("FROM customer_segments WHERE segmentation = 'profession'") == before
    for table in ("segment_profiles", "segment_category_shares", "model_candidates"):
        assert workbench.read(f"SELECT DISTINCT segmentation, as_of FROM {table} ORDER BY ALL") == [
            ("engagement", SECOND),
            ("profession", FIRST),
        ]
    assert verify(workbench.home.published) == []


@pytest.mark.usefixtures("after_first_night")
def test_a_stale_segmentation_is_fresh_again_once_it_is_ready(workbench, night):
    workbench.of("engagement").publish(night(2))

    published = workbench.of("profession").publish(night(2, "later-run"))

    assert published.is_news
    assert published.stale == ()
    assert workbench.read(
        "SELECT DISTINCT segmentation, as_of, run_id, is_stale FROM segments ORDER BY ALL"
    ) == [
        ("engagement", SECOND, "run-2", False),
        ("profession", SECOND, "later-run", False),
    ]


@pytest.mark.usefixtures("after_first_night")
def test_a_segmentation_that_left_the_home_leaves_the_current_tables(workbench, night):
    published = workbench.without("profession").publish(night(1, "other-run"))

    assert published.is_news
    for table in ("segments", "customer_segments", "model_candidates"):
        assert workbench.read(f"SELECT DISTINCT segmentation FROM {table}") == [("engagement",)]
    assert workbench.read("SELECT segmentation FROM segmentation_runs") == [
        ("engagement",),
        ("profession",),
    ]


@pytest.mark.usefixtures("after_first_night")
def test_an_older_date_changes_its_dated_rows_only(workbench, night):
    workbench.publish(night(3), file_digest="cc")
    current = [name for name, contract in CONTRACTS.items() if not contract.is_dated]
    before = {name: workbench.read(f"FROM {name}") for name in current}
    moved = workbench.moved("engagement", 1, 1, 1, 1, 1, 2)

    published = moved.publish(night(2), file_digest="bb")

    assert published.is_news
    assert published.manifest.as_of == THIRD
    assert published.manifest.night == SECOND
    assert {name: workbench.read(f"FROM {name}") for name in current} == before
    runs = (
        "SELECT as_of, run_id, customers FROM segmentation_runs WHERE segmentation = 'engagement'"
    )
    assert workbench.read(runs) == [
        (FIRST, "run-1", 6),
        (SECOND, "run-2", 6),
        (THIRD, "run-3", 6),
    ]
    assert workbench.read("SELECT DISTINCT as_of FROM validation_results ORDER BY as_of") == [
        (FIRST,),
        (SECOND,),
        (THIRD,),
    ]
    again = moved.publish(night(2, "once-more"), file_digest="bb")
    assert not again.is_news
    assert again.digest == published.digest


@pytest.mark.usefixtures("after_first_night")
def test_a_date_between_makes_only_the_older_segmentation_current(workbench, night):
    workbench.of("engagement").publish(night(3))

    published = workbench.publish(night(2))

    assert published.stale == ("profession",)
    assert workbench.read(
        "SELECT DISTINCT segmentation, as_of, is_stale FROM segments ORDER BY ALL"
    ) == [("engagement", THIRD, False), ("profession", SECOND, True)]


def test_what_an_earlier_release_published_is_copied_as_far_as_it_goes(
    workbench, night, monkeypatch
):
    earlier = {name: c for name, c in CONTRACTS.items() if name != "feature_selection"}
    candidates = earlier["model_candidates"]
    earlier["model_candidates"] = replace(
        candidates, columns=tuple(c for c in candidates.columns if c.name != "reason")
    )
    with monkeypatch.context() as patched:
        for module in (contracts, audit, building, tables):
            patched.setattr(module, "CONTRACTS", earlier)
        workbench.publish(night(1))
    assert verify(workbench.home.published) == [
        "it has the contracts of another release, which this one cannot audit"
    ]

    workbench.of("engagement").publish(night(2))

    assert verify(workbench.home.published) == []
    assert workbench.read("SELECT segmentation, reason FROM model_candidates") == [
        ("engagement", "chosen"),
        ("profession", None),
    ]
    assert workbench.read("SELECT segmentation FROM feature_selection") == [("engagement",)]


@pytest.mark.usefixtures("after_first_night")
def test_readers_keep_the_version_they_hold_and_find_the_next_when_they_connect(workbench, night):
    file = workbench.home.published / "segments.duckdb"
    with open_warehouse(file, read_only=True) as holding:
        assert holding.execute("SELECT max(as_of) FROM segments").fetchall() == [(FIRST,)]

        workbench.publish(night(2))

        assert holding.execute("SELECT max(as_of) FROM segments").fetchall() == [(FIRST,)]
        with open_warehouse(file, read_only=True) as connecting:
            assert connecting.execute("SELECT max(as_of) FROM segments").fetchall() == [(SECOND,)]


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
        *(f"write {name}" for name in tables),
        *(f"write {name} as Parquet" for name in tables),
        "close segments.duckdb",
        "write the manifest",
        "make files read-only and durable",
        "audit",
        "move to the versions",
        "link segments.duckdb",
        "put in force",
        "delete versions that are no longer kept",
    ]
