"""Rows that are too old leave the raw table once, and their files are not loaded again."""

import datetime as dt

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import snapshot_in_force, usual_rows
from segmentation_pipeline.ingestion.expiry import expire_rows, require_rows
from segmentation_pipeline.warehouse import Build

COLUMNS = {"id": {"type": "text"}, "day": {"type": "date"}, "visits": {"type": "integer"}}


@pytest.fixture
def web(make_source):
    return make_source(kind="web", path="web/*.csv", columns=COLUMNS, time="day")


@pytest.fixture
def crm(make_source):
    return make_source(
        path="crm/*.csv", snapshot_date={"file_name": "crm_%Y-%m-%d.csv"}, minimum_rows=1
    )


def expire(workshop, source, keep, day):
    build = Build(dt.date(2025, 1, day), f"run-{day}")
    return expire_rows(workshop.connection, "people", source, keep, build)


def test_old_events_go_and_their_file_is_not_loaded_again(workshop, web):
    workshop.write("id,day,visits\na,2025-01-01,1\nb,2025-01-02,2\n", "web/1.csv")
    workshop.write("id,day,visits\na,2025-01-02,3\nb,2025-01-09,4\n", "web/2.csv")
    workshop.load(web, 9)

    assert expire(workshop, web, "5 days", 10) == 3

    assert workshop.rows("load_id, customer_id, visits") == [(2, "b", 4)]
    again = workshop.load(web, 10)
    assert (again.files_loaded, again.files_skipped) == (0, 2)
    assert expire(workshop, web, "5 days", 10) == 0
    assert workshop.rows("customer_id") == [("b",)]


@pytest.mark.parametrize("paths", [["web/1.csv", "web/2.csv"], ["web/1.csv", "web/1.csv"]])
def test_what_could_not_be_read_of_old_rows_is_forgotten_with_them(workshop, web, paths):
    """Else its share of the rows that are there would grow night by night, and stop one."""
    header = "id,day,visits\n"
    days = [
        'a,2025-01-01,"fe\nw"\na,2025-01-02,1\nb,2025-01-07,2\n',
        "c,2025-01-08,3\nd,2025-01-09,many\n",
    ]
    told: dict[str, str] = {}
    for path, rows in zip(paths, days, strict=True):
        told[path] = told.get(path, header) + rows
    for path, content in told.items():
        workshop.write(content, path)
    workshop.load(web, 9)
    columns = "SELECT column_name FROM core.rejected_rows ORDER BY ALL"
    assert workshop.query(columns) == [("visits",), ("visits",)]

    assert expire(workshop, web, "5 days", 10) == 2

    assert workshop.query(columns) == [("visits",)]
    assert workshop.rows("customer_id") == [("b",), ("c",), ("d",)]


def test_that_rows_were_cut_is_no_loss_of_rows(workshop, web):
    for day in (1, 2, 3):
        workshop.write(f"id,day,visits\na,2025-01-0{day},1\nb,2025-01-0{day},1\n", f"web/{day}.csv")
        workshop.load(web, day)
    assert usual_rows(workshop.connection, "people", web, dt.date(2025, 1, 4), None) == 4

    expire(workshop, web, "1 day", 3)

    assert usual_rows(workshop.connection, "people", web, dt.date(2025, 1, 4), None) == 2


def test_a_changed_file_brings_its_rows_and_the_old_ones_go_again(workshop, web):
    workshop.write("id,day,visits\na,2025-01-01,1\n", "web/1.csv")
    workshop.load(web, 9)
    expire(workshop, web, "5 days", 10)
    workshop.write("id,day,visits\na,2025-01-01,1\na,2025-01-08,7\n", "web/1.csv")

    assert workshop.load(web, 10).files_loaded == 1
    assert expire(workshop, web, "5 days", 10) == 1

    assert workshop.rows("customer_id, visits") == [("a", 7)]


def test_a_night_that_looks_back_at_rows_that_went_is_refused(workshop, web):
    workshop.write("id,day,visits\na,2025-01-01,1\nb,2025-01-09,4\n", "web/1.csv")
    workshop.load(web, 9)
    require_rows(workshop.connection, "people", dt.date(2025, 1, 5), 5)
    expire(workshop, web, "5 days", 10)

    require_rows(workshop.connection, "people", dt.date(2025, 1, 10), 6)
    with pytest.raises(SourceError, match="looks back to 2025-01-04, and rows before 2025-01-05"):
        require_rows(workshop.connection, "people", dt.date(2025, 1, 10), 7)
    with pytest.raises(SourceError, match="run a date from 2025-01-09 on"):
        require_rows(workshop.connection, "people", dt.date(2025, 1, 8), 5)


def test_a_snapshot_goes_once_another_one_was_in_force_for_so_long(workshop, crm):
    workshop.write("id,age,name\na,1,Ann\nb,2,Bob\nc,3,Cy\n", "crm/crm_2025-01-01.csv")
    workshop.write("id,age,name\na,1,Ann\nb,2,Bob\n", "crm/crm_2025-01-03.csv")
    workshop.write("id,age,name\na,9,Ann\n", "crm/crm_2025-01-08.csv")
    workshop.load(crm, 9)

    assert expire(workshop, crm, "5 days", 9) == 3

    # The one of the third was in force on the fourth. Of who had left by then the id alone stays.
    assert workshop.rows("load_id, customer_id, age, name") == [
        (1, "c", None, None),
        (2, "a", 1, "Ann"),
        (2, "b", 2, "Bob"),
        (3, "a", 9, "Ann"),
    ]
    in_force = [
        snapshot_in_force(workshop.connection, "people", crm, dt.date(2025, 1, day))
        for day in (3, 7, 8)
    ]
    assert in_force == [2, 2, 3]
    with pytest.raises(SourceError, match="no snapshot covers 2025-01-02"):
        snapshot_in_force(workshop.connection, "people", crm, dt.date(2025, 1, 2))
    again = workshop.load(crm, 10)
    assert (again.files_loaded, again.files_skipped) == (0, 3)

    assert expire(workshop, crm, "1 day", 10) == 2
    assert workshop.rows("load_id, customer_id, name") == [
        (1, "c", None),
        (2, "b", None),
        (3, "a", "Ann"),
    ]
    assert expire(workshop, crm, "1 day", 20) == 0
