"""An erased customer is in no table and in no byte of what the pipeline made, and stays away."""

import datetime as dt

import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.clustering.kept_effects import effect_of
from segmentation_pipeline.clustering.registry import ModelRecord
from segmentation_pipeline.clustering.registry_tables import create_registry
from segmentation_pipeline.errors import PipelineError
from segmentation_pipeline.publication import erase_customers, rollback, verify
from segmentation_pipeline.publication.manifest import describe_files, read_manifest, write_manifest
from segmentation_pipeline.publication.versions import (
    current_version,
    version_folder,
    version_folders,
)
from segmentation_pipeline.segments.nights import Night, NightChanges, keep_night
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table, count_rows, open_warehouse

MARKER = "marker-of-the-erased"


def erase(workbench, *customer_ids, on_step=lambda _: None):
    return erase_customers(
        workbench.home,
        list(customer_ids),
        salt="salt",
        requested_on=dt.date(2025, 7, 1),
        on_step=on_step,
    )


def customers_of(workbench, table="customer_segments"):
    return {row[0] for row in workbench.read(f"SELECT DISTINCT customer_id FROM {table}")}


def files_with(folder, text):
    return [
        path.name
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and text.encode() in path.read_bytes()
    ]


@pytest.fixture
def two_nights(workbench, night):
    workbench.publish(night(1))
    workbench.publish(night(2), file_digest="bb")
    return workbench


def test_every_version_and_the_warehouse_lose_the_customer_and_keep_their_sums(two_nights):
    before = two_nights.read(
        "SELECT segmentation, segment_id, customers FROM segments ORDER BY ALL"
    )

    done = erase(two_nights, "c3")

    published = two_nights.home.published
    assert done.versions == 2
    assert done.published_rows > 0
    assert done.warehouse_rows > 0
    assert verify(published) == []
    segments = "SELECT segmentation, segment_id, customers FROM segments ORDER BY ALL"
    assert two_nights.read(segments) == before
    (nobody,) = customers_of(two_nights) - {"c1", "c2", "c4", "c5", "c6"}
    assert nobody.startswith("erased-")
    # One and the same name in all tables of a version, so that they can still be joined.
    assert nobody in customers_of(two_nights, "segment_history")
    assert nobody in customers_of(two_nights, "segment_movements")
    with two_nights.open() as connection:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_columns()"
            " WHERE column_name = 'customer_id' AND NOT internal"
        ).fetchall()
        assert len(tables) > 4
        for schema, table in tables:
            query = f"SELECT count(*) FROM {schema}.{table} WHERE customer_id = 'c3'"
            assert connection.execute(query).fetchall() == [(0,)]

    rollback(published)

    assert verify(published) == []
    assert "c3" not in customers_of(two_nights)


def test_no_byte_of_a_deleted_row_is_left(two_nights):
    with two_nights.open() as connection:
        connection.execute(
            "CREATE TABLE core.notes AS SELECT 'c' || i AS customer_id,"
            f" CASE WHEN i = 3 THEN '{MARKER}' ELSE 'note ' || i END AS note FROM range(9) t(i)"
        )
        connection.execute("CHECKPOINT")
    assert files_with(two_nights.home.path, MARKER) == ["warehouse.duckdb"]

    erase(two_nights, "c3")

    assert files_with(two_nights.home.path, MARKER) == []
    with two_nights.open() as connection:
        assert connection.execute("SELECT count(*) FROM core.notes").fetchall() == [(8,)]


def test_pictures_kept_with_a_model_go_whole(two_nights, night):
    with two_nights.open() as connection:
        create_registry(connection)
        first = night(1).as_of
        model = ModelRecord(
            "engagement", 1, first, "run", "", "", "digest", "k_means", 2, "champion", "1.9", ""
        )
        effect_of(connection, model, "preprocessing", night(1), lambda: {"picture": MARKER})
        connection.execute("CHECKPOINT")

    erase(two_nights, "c3")

    assert files_with(two_nights.home.path, MARKER) == []
    with two_nights.open() as connection:
        assert count_rows(connection, Table("core", "model_effects")) == 0


def test_the_history_keeps_that_somebody_was_erased_on_the_newest_night(two_nights, night):
    with two_nights.open() as connection:
        nobody = NightChanges(6, 0, 0, 0, 0, 0, 0)
        for day in (1, 2):
            keep_night(connection, "engagement", Night(night(day).as_of, 1), nobody)
        # As if the first night had been run again: all that is known of it is newer.
        connection.execute("UPDATE core.builds SET as_of = ?", [night(1).as_of])

    erase(two_nights, "c3")

    with two_nights.open() as connection:
        rows = connection.execute(
            "SELECT customer_id, segment_id, valid_from, valid_to, end_reason"
            " FROM engagement.segment_history WHERE end_reason = 'erased'"
        ).fetchall()
    first, last = dt.date(2025, 6, 1), dt.date(2025, 6, 2)
    assert rows == [("erased-1", "engagement-1", first, last, "erased")]


def test_the_same_files_are_news_once_somebody_was_erased(two_nights, night):
    assert not two_nights.publish(night(2), file_digest="bb").is_news
    erase(two_nights, "c3")

    assert two_nights.publish(night(2), file_digest="bb").is_news


def test_killed_at_any_step_readers_see_a_whole_version_and_a_second_call_finishes(
    workbench, night, few_tables
):
    workbench.publish(night(1))
    steps = [
        "look for them",
        "take them out of the warehouse",
        "write version 000001-run-1 anew",
        "delete the versions that held them",
        "write the warehouse anew",
        "look whether they are gone",
    ]

    for last in range(len(steps)):
        customer_id = f"c{1 + last}"
        version = current_version(workbench.home.published).version
        seen = []

        def die(step, last=last, seen=seen):
            seen.append(step)
            if len(seen) > last:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            erase(workbench, customer_id, on_step=die)
        assert [one.replace(version, "000001-run-1") for one in seen] == steps[: last + 1]
        assert verify(workbench.home.published) == []

        erase(workbench, customer_id)

        assert verify(workbench.home.published) == []
        assert customer_id not in customers_of(workbench)


def test_a_customer_of_a_version_that_nothing_leads_to_is_erased(workbench, night):
    workbench.publish(night(1))
    published = workbench.home.published
    stranger = "UPDATE engagement.customer_segments SET customer_id = 'c7' WHERE customer_id = 'c3'"
    workbench.publish_after(night(2), stranger)
    with workbench.open() as connection:
        connection.execute("DELETE FROM engagement.customer_segments WHERE customer_id = 'c7'")
    rollback(published)
    assert len(version_folders(published)) == 2

    done = erase(workbench, "c7")

    assert (done.warehouse_rows, done.versions) == (0, 0)
    assert [path.name for path in version_folders(published)] == ["000001-run-1"]


def test_lists_of_customers_in_a_version_lose_the_row(two_nights):
    published = two_nights.home.published
    manifest = current_version(published)
    folder = version_folder(published, manifest.version)
    (folder / "lists").mkdir()
    (folder / "lists" / "mail.csv").write_text(
        "customer_id,strategy\nc2,mail\nc3,mail\n", encoding="utf-8"
    )
    with open_warehouse(folder.parent / "x.duckdb") as connection:
        connection.execute(
            "COPY (SELECT 'c' || i AS customer_id FROM range(2, 5) t(i))"
            f" TO '{folder / 'lists' / 'mail.parquet'}'"
        )
    (folder.parent / "x.duckdb").unlink()
    write_manifest(folder, manifest.model_copy(update={"files": describe_files(folder)}))

    erase(two_nights, "c3")

    fresh = version_folder(published, current_version(published).version)
    assert (fresh / "lists" / "mail.csv").read_text() == "customer_id,strategy\nc2,mail\n"
    listed = pq.read_table(fresh / "lists" / "mail.parquet").to_pylist()
    assert sorted(row["customer_id"] for row in listed) == ["c2", "c4"]
    assert set(read_manifest(fresh).files) >= {"lists/mail.csv", "lists/mail.parquet"}


def test_a_file_of_somebody_else_that_holds_the_id_is_named(two_nights):
    with two_nights.open() as connection:
        connection.execute("CREATE TABLE core.notes AS SELECT 'E-000017' AS customer_id")
    (two_nights.home.path / "crm.csv").write_text("staff_id\nE-000017\nE-0000171\n")
    (two_nights.home.path / "other.csv").write_text("staff_id\nE-0000171\n")

    done = erase(two_nights, "E-000017")

    assert done.elsewhere == ("crm.csv",)
    assert (done.warehouse_rows, done.versions) == (1, 0)


def test_an_unknown_id_changes_nothing_and_is_not_repeated(two_nights):
    before = describe_files(two_nights.home.path)

    with pytest.raises(PipelineError, match="Nothing was changed") as caught:
        erase(two_nights, "c1", "c-secret")

    assert "c-secret" not in str(caught.value)
    after = describe_files(two_nights.home.path)
    assert {name for name in before if before[name] != after[name]} <= {"warehouse.duckdb"}
    assert "c1" in customers_of(two_nights)


def test_a_customer_known_by_a_row_number_cannot_be_erased(two_nights):
    file = two_nights.home.path / "customers.yaml"
    text = file.read_text().replace("key: staff_id", "key: {row_number: true}")
    file.write_text(text.replace("kind: crm", "kind: crm\n    approximate_dates: true"))
    home = load_home(two_nights.home.path)

    with pytest.raises(PipelineError, match="row number"):
        erase_customers(
            home, ["1"], salt="s", requested_on=dt.date(2025, 7, 1), on_step=lambda _: None
        )
