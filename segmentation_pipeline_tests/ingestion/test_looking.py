import datetime as dt
import gzip
from types import SimpleNamespace

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.ingestion import check_source, latest_date

SURVEY = {
    "kind": "survey",
    "time": "given_on",
    "columns": {
        "id": {"type": "text"},
        "age": {"type": "integer"},
        "given_on": {"type": "date", "formats": ["%d.%m.%Y"]},
    },
}
HEADER = "id,age,given_on,shoe\n"


def home_of(workshop, **sources):
    return SimpleNamespace(path=workshop.home, customers=SimpleNamespace(sources=sources))


def test_check_tells_what_a_night_would_find_and_writes_nothing(workshop, make_source):
    workshop.write(
        HEADER + "1,30,01.02.2025,1\n2,old,02.02.2025,1\n3,4\n,5,02.02.2025,1\n", "a.csv"
    )
    workshop.write(gzip.compress(f"{HEADER}1,30,01.02.2025,1\n".encode()), "b.csv.gz")
    before = sorted(workshop.home.rglob("*"))
    source = make_source(**SURVEY, path="*.csv*", maximum_rejected_share=0.5)
    assert check_source(workshop.home, "people", source) == [
        (
            "people: a.csv: 2 rows; 2 rows cannot be read (line 4: too few values;"
            " 1 without a customer id or a time); 1 values of `age` cannot be read;"
            " undeclared columns ignored: shoe"
        ),
        "people: b.csv.gz: 1 rows; undeclared columns ignored: shoe",
    ]
    assert sorted(workshop.home.rglob("*")) == before


def test_check_stops_where_a_night_would(workshop, make_source):
    source = make_source(**SURVEY)
    with pytest.raises(SourceError, match="no file matches"):
        check_source(workshop.home, "people", source)
    workshop.write(HEADER)
    with pytest.raises(SourceError, match="a header and no row"):
        check_source(workshop.home, "people", source)
    workshop.write(HEADER + "1,30,01.02.2025,1\n3,4\n")
    with pytest.raises(SourceError, match=r"1 of 2 rows cannot be read .* line 3: too few values"):
        check_source(workshop.home, "people", source)


def test_what_duckdb_refuses_is_told_without_its_words(workshop, make_source):
    """It is met while rows are read: its own message has the file's values."""
    workshop.write(HEADER + "1,30,01.02.2025,MARKER\n2,31,02.02.2025,1\r3,32,02.02.2025,1\n")
    source = make_source(**SURVEY)
    for look in (
        lambda: check_source(workshop.home, "people", source),
        lambda: latest_date(home_of(workshop, people=source)),
    ):
        with pytest.raises(SourceError, match="do its lines end in more than one way") as raised:
            look()
        assert "MARKER" not in str(raised.value)


def test_check_reads_parquet(workshop, make_source):
    workshop.query(
        f"COPY (SELECT i::VARCHAR AS id, 1e0 / i AS age FROM range(1, 4) t(i))"
        f" TO '{workshop.home}/people.parquet'"
    )
    columns = {"id": {"type": "text"}, "age": {"type": "integer"}}
    source = make_source(format="parquet", path="people.parquet", columns=columns)
    assert check_source(workshop.home, "people", source) == [
        "people: people.parquet: 3 rows; 2 values of `age` cannot be read"
    ]


def test_the_latest_date_is_that_of_the_newest_answer_event_or_snapshot(workshop, make_source):
    workshop.write(HEADER + "1,30,03.02.2025,1\n2,3,x,1\n3,3,01.01.2030,1\n", "survey.csv")
    workshop.write("id,age,name\n1,30,a\n", "crm_2025-02-07.csv")
    workshop.write("id,age,name\n1,30,a\n", "crm_2025-02-05.csv")
    survey = make_source(**SURVEY, path="survey.csv")
    crm = make_source(path="crm_*.csv", snapshot_date={"file_name": "crm_%Y-%m-%d.csv"})
    undated = make_source(path="crm_2025-02-05.csv")
    assert latest_date(home_of(workshop, undated=undated)) is None
    assert latest_date(home_of(workshop, crm=crm)) == dt.date(2025, 2, 7)
    assert latest_date(home_of(workshop, survey=survey, crm=crm)) == dt.date(2030, 1, 1)


def test_dates_that_lie_in_the_future_do_not_count(workshop, make_source):
    workshop.write(HEADER + "1,30,03.02.2025,1\n3,3,01.01.2030,1\n", "survey.csv")
    survey = make_source(**SURVEY, path="survey.csv")
    today = dt.date(2025, 6, 1)
    assert latest_date(home_of(workshop, survey=survey), not_after=today) == dt.date(2025, 2, 3)
    assert latest_date(home_of(workshop, survey=survey), dt.date(2020, 1, 1)) is None
