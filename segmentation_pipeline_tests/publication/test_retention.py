"""What is kept no longer goes, at whole rows and whole spells; what is published stays sound."""

import datetime as dt
from dataclasses import replace

import pytest

from segmentation_pipeline.kept import first_kept
from segmentation_pipeline.publication import publish, verify
from segmentation_pipeline.publication.retention import apply_retention, clear_past_nights
from segmentation_pipeline.segments.history import create_history, erase_from_history
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import Table

SPELLS = """
INSERT INTO engagement.segment_history BY NAME
SELECT 'c1' AS customer_id, 'engagement-2' AS segment_id, DATE '2025-01-01' AS valid_from,
    DATE '2025-02-01' AS valid_to, 'entered' AS reason, 'moved' AS end_reason
UNION ALL
SELECT 'c2', 'engagement-2', DATE '2025-01-01', DATE '2025-06-12', 'entered', 'left'
"""


def keeping(workbench, retention):
    """The same home with another retention."""
    file = workbench.home.path / "customers.yaml"
    text = file.read_text(encoding="utf-8").split("retention:")[0]
    file.write_text(f"{text}retention: {retention}\n", encoding="utf-8")
    return replace(workbench, home=load_home(workbench.home.path))


def dates(workbench, table):
    return [str(row[0]) for row in workbench.read(f"SELECT DISTINCT as_of FROM {table} ORDER BY 1")]


@pytest.mark.usefixtures("after_first_night")
def test_rows_of_past_dates_go_and_what_is_published_stays_sound(workbench, night):
    home = keeping(workbench, "{tables: {segment_movements: 10 days, segment_nights: 2 weeks}}")

    done = home.publish(night(16))

    every_date = ["2025-06-01", "2025-06-16"]
    assert dates(home, "segment_movements") == ["2025-06-16"]
    assert dates(home, "segment_nights") == ["2025-06-16"]
    assert dates(home, "segmentation_runs") == every_date
    assert dates(home, "segment_migration") == every_date
    assert done.cut == {"segment_movements": 12, "segment_nights": 2}
    assert verify(home.home.published) == []
    assert not home.publish(night(16)).is_news

    # A past date that is run again gets no rows that are kept no longer.
    home.publish(night(1, "again"), file_digest="bb")

    assert dates(home, "segment_movements") == ["2025-06-16"]
    assert dates(home, "segmentation_runs") == every_date
    assert verify(home.home.published) == []


@pytest.mark.usefixtures("after_first_night")
def test_validation_results_stay_for_400_days_where_nothing_is_said(workbench, night):
    done = workbench.publish(replace(night(1), as_of=dt.date(2026, 7, 7), run_id="later"))

    assert dates(workbench, "validation_results") == ["2026-07-07"]
    assert dates(workbench, "segment_movements") == ["2025-06-01", "2026-07-07"]
    assert set(done.cut) == {"validation_results"}
    with workbench.open() as connection:
        rows = connection.execute("SELECT DISTINCT as_of FROM core.validation_results").fetchall()
    assert rows == [(dt.date(2026, 7, 7),)]
    assert verify(workbench.home.published) == []


def test_spells_go_as_a_whole_once_they_have_ended_for_so_long(workbench, night):
    home = keeping(workbench, "{tables: {segment_history: 1 month}}")
    asked = "SELECT customer_id, valid_from, valid_to FROM segment_history ORDER BY ALL"

    home.publish_after(night(20), SPELLS)

    # Spells that began long ago and have not ended stay whole, and so does what ended lately.
    june, january = dt.date(2025, 6, 1), dt.date(2025, 1, 1)
    in_force = [(f"c{number}", june, None) for number in range(1, 7)]
    ended = ("c2", january, dt.date(2025, 6, 12))
    assert home.read(asked + " LIMIT 3") == [("c1", june, None), ("c1", june, None), ended]
    assert set(home.read(asked)) == {*in_force, ended}
    assert verify(home.home.published) == []
    with home.open() as connection:
        rows = connection.execute("SELECT count(*) FROM engagement.segment_history").fetchall()
        assert rows == [(7,)]
        assert first_kept(connection, "segment_history") == dt.date(2025, 5, 20)
        assert apply_retention(connection, home.home, dt.date(2025, 6, 20)) == {}
        # The clock of nights goes back where an older date is run again; what is gone stays gone.
        apply_retention(connection, home.home, dt.date(2025, 6, 1))
        assert first_kept(connection, "segment_history", "segment_kpis") == dt.date(2025, 5, 20)


@pytest.mark.usefixtures("after_first_night")
def test_a_cut_that_is_killed_is_made_by_the_next_night(workbench, night):
    home = keeping(workbench, "{tables: {segment_history: 1 month, validation_results: 1 week}}")
    with home.open() as connection:
        home.make_night(connection, night(20))
        connection.execute(SPELLS)

    class KilledError(Exception):
        pass

    def die(step):
        if step == "cut what is no longer kept":
            raise KilledError

    with home.open() as connection, pytest.raises(KilledError):
        publish(
            connection,
            home.home,
            night(20),
            home.ready(),
            [Table("engagement", "segments"), Table("profession", "segments")],
            on_step=die,
        )
    assert verify(home.home.published) == []

    done = home.publish_after(night(20, "again"), SPELLS)

    assert set(done.cut) == {"validation_results"}
    assert dates(home, "validation_results") == ["2025-06-20"]
    assert verify(home.home.published) == []


def test_names_of_nobody_are_not_given_twice_after_a_cut(workbench):
    with workbench.open() as connection:
        create_history(connection, "engagement")
        connection.execute(
            "INSERT INTO engagement.segment_history VALUES"
            " ('erased-7', 'engagement-1', '2025-05-01', '2025-06-01', 'entered', 'erased'),"
            " ('c1', 'engagement-1', '2025-05-01', NULL, 'entered', NULL)"
        )
        connection.execute("CREATE TABLE core.gone AS SELECT 'c1' AS customer_id")

        gone = Table("core", "gone")
        assert erase_from_history(connection, "engagement", gone, dt.date(2025, 6, 2)) == 1

        names = connection.execute("SELECT customer_id FROM engagement.segment_history ORDER BY 1")
        assert names.fetchall() == [("erased-7",), ("erased-8",)]


def test_reports_and_logs_of_past_nights_go_and_nothing_else(workbench):
    home = keeping(workbench, "{reports: 1 week, logs: null}").home
    for date in ("2025-06-01", "2025-06-08", "2025-06-09"):
        (home.reports / date).mkdir(parents=True)
        (home.reports / date / "report.html").write_text("report")
        home.logs.mkdir(exist_ok=True)
        (home.logs / f"{date}.jsonl").write_text("{}\n")
    (home.reports / "2025-notes.txt").write_text("mine")

    assert clear_past_nights(home, dt.date(2025, 6, 15)) == {"reports": 1}
    assert clear_past_nights(home, dt.date(2025, 6, 15)) == {}

    left = sorted(path.name for path in home.reports.iterdir())
    assert left == ["2025-06-08", "2025-06-09", "2025-notes.txt"]
    assert len(list(home.logs.iterdir())) == 3
