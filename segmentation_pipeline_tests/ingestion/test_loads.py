import datetime as dt
import gzip
from pathlib import Path

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import snapshot_in_force
from segmentation_pipeline.ingestion.files import SourceFile
from segmentation_pipeline.ingestion.loads import (
    Load,
    PlannedLoad,
    current_loads,
    plan_loads,
    reading_digest,
)

HEADER = "id,age,name\n"
SURVEY = {"kind": "survey"}
DATED = {"path": "crm_*.csv", "snapshot_date": {"file_name": "crm_%Y-%m-%d.csv"}}


def day(number):
    return dt.date(2025, 1, number)


def file(name, digest):
    return SourceFile(Path("/home") / name, name, digest, 1, 1)


def ages(workshop):
    return workshop.rows("customer_id, age")


# A survey or a stream is what its files are tonight.


def test_an_unchanged_file_is_skipped_but_the_night_is_recorded(workshop, make_source):
    source = make_source(**SURVEY)
    workshop.write(HEADER + "1,30,a\n2,old,b\n")
    first = workshop.load(source)
    second = workshop.load(source, day=2)
    assert (first.files_loaded, first.files_skipped) == (1, 0)
    assert (second.files_loaded, second.files_skipped) == (0, 1)
    assert (second.rows, second.rejected_values) == (2, 1)
    assert workshop.query("SELECT as_of, run_id, rows FROM core.builds") == [(day(2), "run-2", 2)]
    assert workshop.query("SELECT load_id, as_of FROM core.source_loads") == [(1, day(1))]


def test_a_changed_file_replaces_its_own_rows_and_no_others(workshop, make_source):
    source = make_source(**SURVEY, path="*.csv")
    workshop.write(HEADER + "1,30,a\n", "a.csv")
    workshop.write(HEADER + "2,old,b\n", "b.csv")
    workshop.load(source)
    workshop.write(HEADER + "1,31,a\n3,33,c\n", "a.csv")
    summary = workshop.load(source, day=2)
    assert (summary.files_loaded, summary.files_skipped, summary.rows) == (1, 1, 3)
    assert sorted(ages(workshop)) == [("1", 31), ("2", None), ("3", 33)]
    assert workshop.rejects() == [(2, "age", "not a whole number")]
    audit = workshop.query("SELECT load_id, file, rows, as_of FROM core.source_loads ORDER BY 1")
    assert audit == [(1, "a.csv", 1, day(1)), (2, "b.csv", 1, day(1)), (3, "a.csv", 2, day(2))]
    assert [load.load_id for load in current_loads(workshop.connection, "people")] == [2, 3]


def test_what_a_large_file_brings_after_one_that_brought_nothing_is_read(workshop, make_source):
    rows = 130_000  # More than a row group of DuckDB: see `warehouse.checkpoint`.
    workshop.write(HEADER + "0,30,a\n", "a.csv")
    workshop.write(HEADER + "".join(f"{number},old,b\n" for number in range(1, rows)), "b.csv")

    assert workshop.load(make_source(**SURVEY, path="*.csv")).rejected_values == rows - 1
    found = workshop.query("SELECT sum(line), count(DISTINCT line) FROM core.rejected_rows")
    assert found == [(rows * (rows + 1) // 2 - 1, rows - 1)]


def test_what_was_noted_of_replaced_rows_goes_with_them(workshop, make_source):
    workshop.write(HEADER + "1,old,a\n")
    workshop.load(make_source(**SURVEY))
    workshop.write(HEADER + "1,30,a\n")
    assert workshop.load(make_source(**SURVEY), day=2).rejected_values == 0
    assert workshop.rejects() == []


def test_the_rows_of_a_file_that_is_gone_go_too(workshop, make_source):
    source = make_source(**SURVEY, path="*.csv")
    workshop.write(HEADER + "1,30,a\n", "a.csv")
    path = workshop.write(HEADER + "2,40,b\n", "b.csv")
    workshop.load(source)
    path.rename(workshop.home / "renamed.csv")
    summary = workshop.load(source, day=2)
    assert (summary.files_loaded, summary.files_skipped, summary.rows) == (1, 1, 2)
    assert sorted(ages(workshop)) == [("1", 30), ("2", 40)]


def test_the_same_content_under_two_names_is_refused(workshop, make_source):
    workshop.write(HEADER + "1,30,a\n", "a.csv")
    workshop.write(HEADER + "1,30,a\n", "b.csv")
    with pytest.raises(SourceError, match=r"b.csv is a copy of a.csv"):
        workshop.load(make_source(**SURVEY, path="*.csv"))


def test_a_file_beside_its_packed_self_is_refused(workshop, make_source):
    workshop.write(HEADER + "1,30,a\n", "a.csv")
    workshop.write(gzip.compress((HEADER + "1,30,a\n").encode()), "a.csv.gz")
    with pytest.raises(SourceError, match=r"a.csv.gz is a copy of a.csv; remove one"):
        workshop.load(make_source(**SURVEY, path="*.csv*"))


def test_another_declaration_loads_again(workshop, make_source):
    workshop.write(HEADER + "1,30,a\n")
    workshop.load(make_source(**SURVEY))
    columns = {"id": {"type": "text"}, "age": {"type": "text"}, "years": {"type": "number"}}
    columns["years"]["header"] = "age"
    summary = workshop.load(make_source(**SURVEY, columns=columns), day=2)
    assert (summary.files_loaded, summary.files_skipped) == (1, 0)
    assert workshop.rows("id, age, years") == [("1", "30", 30.0)]
    assert len(workshop.rows("*")[0]) == 6


def test_only_what_decides_how_files_are_read_loads_again(make_source):
    plain = make_source()
    columns = {name: column.model_dump() for name, column in plain.columns.items()}
    described = columns | {"age": columns["age"] | {"description": "In years.", "minimum": 0.0}}
    reordered = dict(reversed(columns.items()))
    same = [
        make_source(columns=described),
        make_source(description="People.", minimum_rows=5, maximum_orphan_share=0.5),
    ]
    other = [
        make_source(columns=reordered),
        make_source(columns=columns | {"age": columns["age"] | {"null_words": ["-"]}}),
        make_source(encoding="latin-1"),
        make_source(null_words=[]),
        make_source(key="name"),
    ]
    assert {reading_digest(source) for source in same} == {reading_digest(plain)}
    assert len({reading_digest(source) for source in [plain, *other]}) == 1 + len(other)


# A CRM table is a row of snapshots.


def snapshot_ages(workshop, source, as_of, **options):
    load_id = snapshot_in_force(workshop.connection, "people", source, as_of, **options)
    return workshop.query(
        f"SELECT customer_id, age FROM raw.raw_people WHERE load_id = {load_id} ORDER BY 1"
    )


def test_a_changed_crm_file_is_a_new_snapshot_dated_by_the_night(workshop, make_source):
    source = make_source()
    workshop.write(HEADER + "1,30,a\n")
    workshop.load(source, day=2)
    workshop.load(source, day=3)
    workshop.write(HEADER + "1,31,a\n2,40,b\n")
    summary = workshop.load(source, day=4)
    assert (summary.files_loaded, summary.rows) == (1, 3)
    assert snapshot_ages(workshop, source, day(2)) == [("1", 30)]
    assert snapshot_ages(workshop, source, day(3)) == [("1", 30)]
    assert snapshot_ages(workshop, source, day(4)) == [("1", 31), ("2", 40)]
    assert snapshot_ages(workshop, source, day(31)) == [("1", 31), ("2", 40)]


def test_a_date_before_the_oldest_snapshot_is_refused_unless_approximate(workshop, make_source):
    source = make_source()
    workshop.write(HEADER + "1,30,a\n")
    workshop.load(source, day=5)
    workshop.write(HEADER + "1,31,a\n")
    workshop.load(source, day=6)
    with pytest.raises(SourceError, match="no snapshot covers 2025-01-04, the oldest is of 2025-0"):
        snapshot_in_force(workshop.connection, "people", source, day(4))
    assert snapshot_ages(workshop, source, day(4), approximate=True) == [("1", 30)]
    allowed = make_source(approximate_dates=True)
    assert snapshot_ages(workshop, allowed, day(4)) == [("1", 30)]


def test_without_a_load_there_is_no_snapshot(workshop, make_source):
    with pytest.raises(SourceError, match="nothing has been loaded"):
        snapshot_in_force(workshop.connection, "people", make_source(), day(1), approximate=True)


def test_a_file_that_changes_back_is_a_snapshot_of_its_own(workshop, make_source):
    source = make_source()
    for number, age in enumerate((30, 31, 30), start=1):
        workshop.write(HEADER + f"1,{age},a\n")
        assert workshop.load(source, day=number).files_loaded == 1
    assert snapshot_ages(workshop, source, day(2)) == [("1", 31)]
    assert snapshot_ages(workshop, source, day(3)) == [("1", 30)]


def test_two_snapshots_of_a_night_the_last_one_counts(workshop, make_source):
    source = make_source()
    for age in (30, 31):
        workshop.write(HEADER + f"1,{age},a\n")
        workshop.load(source, day=1)
    assert snapshot_ages(workshop, source, day(1)) == [("1", 31)]


def test_a_date_run_again_does_not_backdate_the_newest_snapshot(workshop, make_source):
    source = make_source()
    workshop.write(HEADER + "1,30,a\n")
    workshop.load(source, day=1)
    workshop.write(HEADER + "1,31,a\n")
    workshop.load(source, day=5)
    assert workshop.load(source, day=3).files_loaded == 0
    assert snapshot_ages(workshop, source, day(3)) == [("1", 30)]


def test_a_crm_table_without_dates_is_one_file(workshop, make_source):
    workshop.write(HEADER + "1,30,a\n", "a.csv")
    workshop.write(HEADER + "2,30,a\n", "b.csv")
    with pytest.raises(SourceError, match="matches 2 files, and a CRM table without"):
        workshop.load(make_source(path="*.csv"))


def test_dated_files_are_snapshots_and_a_changed_one_is_replaced(workshop, make_source):
    source = make_source(**DATED)
    workshop.write(HEADER + "1,30,a\n", "crm_2025-01-01.csv")
    workshop.write(HEADER + "1,30,a\n", "crm_2025-01-03.csv")
    workshop.load(source, day=9)
    assert snapshot_ages(workshop, source, day(2)) == [("1", 30)]
    workshop.write(HEADER + "1,31,a\n", "crm_2025-01-03.csv")
    summary = workshop.load(source, day=9)
    assert (summary.files_loaded, summary.files_skipped, summary.rows) == (1, 1, 2)
    assert snapshot_ages(workshop, source, day(2)) == [("1", 30)]
    assert snapshot_ages(workshop, source, day(3)) == [("1", 31)]
    (workshop.home / "crm_2025-01-01.csv").unlink()
    workshop.load(source, day=10)
    assert snapshot_ages(workshop, source, day(2)) == [("1", 30)]


def test_a_file_without_its_date_stops(workshop, make_source):
    workshop.write(HEADER + "1,30,a\n", "crm_today.csv")
    with pytest.raises(SourceError, match=r"crm_today.csv: the name does not give"):
        workshop.load(make_source(**DATED))


def test_another_declaration_reads_the_newest_snapshot_again_and_keeps_older_ones(
    workshop, make_source
):
    source = make_source()
    workshop.write(HEADER + "1,30,a\n")
    workshop.load(source, day=1)
    workshop.write(HEADER + "1,31,7\n")
    workshop.load(source, day=2)
    columns = {
        "id": {"type": "text"},
        "name": {"type": "integer"},
        "age": {"type": "text"},
        "shoe": {"type": "text", "header": "name"},
    }
    wider = make_source(columns=columns)
    assert workshop.load(wider, day=3).files_loaded == 1
    rows = workshop.rows("load_id, source_row, customer_id, id, name, age, shoe")
    assert rows == [(1, 1, "1", "1", None, "30", None), (3, 1, "1", "1", 7, "31", "7")]
    assert workshop.query("SELECT snapshot_date FROM core.source_loads ORDER BY load_id") == [
        (day(1),),
        (day(2),),
        (day(2),),
    ]
    assert snapshot_in_force(workshop.connection, "people", wider, day(3)) == 3


# What the plan says without a file on disk.


def test_plan_of_a_stream(make_source):
    source = make_source(**SURVEY, path="*.csv")
    digest = reading_digest(source)
    current = [
        Load(1, "same.csv", "s", digest, None),
        Load(2, "changed.csv", "c", digest, None),
        Load(3, "gone.csv", "g", digest, None),
        Load(4, "declared_otherwise.csv", "d", "before", None),
    ]
    files = [
        file("changed.csv", "C"),
        file("declared_otherwise.csv", "d"),
        file("new.csv", "n"),
        file("same.csv", "s"),
    ]
    plan = plan_loads("people", source, files, current, day(1))
    assert plan.to_load == tuple(PlannedLoad(one) for one in files[:3])
    assert plan.skipped == 1
    assert plan.outdated == (2, 3, 4)


def test_plan_of_a_source_that_was_a_crm_table_drops_its_snapshots(make_source):
    source = make_source(**SURVEY)
    current = [
        Load(1, "people.csv", "a", "crm", day(1)),
        Load(2, "people.csv", "b", "crm", day(2)),
    ]
    plan = plan_loads("people", source, [file("people.csv", "b")], current, day(3))
    assert (plan.outdated, len(plan.to_load)) == ((1, 2), 1)


def test_plan_of_a_source_that_becomes_a_crm_table(make_source):
    current = [Load(1, "people.csv", "a", "survey", None)]
    plan = plan_loads("people", make_source(), [file("people.csv", "a")], current, day(3))
    assert plan.to_load == (PlannedLoad(file("people.csv", "a"), day(3)),)
    assert plan.outdated == (1,)
