"""How many rows are usual: the median of earlier snapshots, or of earlier nights."""

import datetime as dt

from segmentation_pipeline.ingestion import snapshot_in_force, usual_rows

WEB = {
    "kind": "web",
    "path": "web_*.csv",
    "key": "id",
    "time": "seen_on",
    "columns": {"id": {"type": "text"}, "seen_on": {"type": "date"}},
}
CRM = {
    "path": "crm_*.csv",
    "snapshot_date": {"file_name": "crm_%Y-%m-%d.csv"},
    "columns": {"id": {"type": "text"}},
}


def day(number):
    return dt.date(2025, 1, number)


def usual(workshop, source, number):
    load_id = None
    if source.kind == "crm":
        load_id = snapshot_in_force(workshop.connection, "people", source, day(number))
    return usual_rows(workshop.connection, "people", source, day(number), load_id)


def test_of_a_stream_it_is_the_median_of_the_nights_before(workshop, make_source):
    source = make_source(**WEB)
    assert usual(workshop, source, 1) is None
    for number, rows in enumerate([10, 4, 6], start=1):
        workshop.write("id,seen_on\n" + f"1,2025-01-0{number}\n" * rows, f"web_{number}.csv")
        workshop.load(source, number)

    # The table had 10, 14 and 20 rows.
    assert usual(workshop, source, 1) is None
    assert usual(workshop, source, 2) == 10
    assert usual(workshop, source, 3) == 12
    assert usual(workshop, source, 4) == 14

    # A date run again is judged as it was, and counts once.
    workshop.load(source, 2)
    assert usual(workshop, source, 2) == 10
    assert usual(workshop, source, 4) == 20


def test_of_more_than_a_week_only_the_last_nights_count(workshop, make_source):
    source = make_source(**WEB)
    for number in range(1, 10):
        workshop.write("id,seen_on\n1,2025-01-01\n", f"web_{number}.csv")
        (workshop.home / f"web_{number}.csv").write_text(
            "id,seen_on\n" + f"{number},2025-01-01\n" * (100 if number == 1 else 1)
        )
        workshop.load(source, number)

    # 100, 101, ... 108: the nights 3 to 9 had 102 to 108.
    assert usual(workshop, source, 10) == 105


def test_of_a_crm_table_it_is_the_median_of_the_snapshots_before(workshop, make_source):
    source = make_source(**CRM)
    for number, rows in enumerate([10, 12, 30], start=1):
        people = "".join(f"{number}{row}\n" for row in range(rows))
        workshop.write(f"id\n{people}", f"crm_2025-01-0{number}.csv")
    workshop.load(source, 3)

    assert usual(workshop, source, 1) is None
    assert usual(workshop, source, 2) == 10
    assert usual(workshop, source, 3) == 11
