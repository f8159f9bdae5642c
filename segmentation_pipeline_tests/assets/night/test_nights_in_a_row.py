"""Nights that follow each other: a later one, an older one, the newest one again."""

import datetime as dt

import numpy as np
import pytest

from segmentation_pipeline.publication import read_published, verify
from segmentation_pipeline.scoring import load_published_model
from segmentation_pipeline.specification.home import load_home
from segmentation_pipeline.warehouse import open_warehouse

LAST = dt.date(2025, 6, 30)
OLDER = LAST - dt.timedelta(days=2)
EARLY = LAST - dt.timedelta(days=4)


def published(home, query):
    return read_published(home / "published", query)


@pytest.fixture(scope="session")
def newest_again(older_night, after_a_night):
    """And the newest night again."""
    return after_a_night("newest_again", older_night, LAST)


@pytest.fixture(scope="session")
def two_nights(early_night, after_a_night):
    """Two nights, four days apart: the home, and what the first one had published."""
    before = {
        table: published(early_night, f"SELECT {columns} FROM {table}")
        for table, columns in (
            ("segments", "segment_id, label"),
            ("customer_segments", "segmentation, customer_id, segment_id"),
        )
    }
    return after_a_night("two_nights", early_night, LAST), before


def test_a_later_night_keeps_the_model_and_its_ids(two_nights):
    home, before = two_nights

    found = published(home, "SELECT segment_id, label FROM segments")
    assert sorted(found) == sorted(before["segments"])
    runs = published(
        home, "SELECT as_of, segmentation, model_version FROM segmentation_runs ORDER BY ALL"
    )
    assert runs == [
        (EARLY, "engagement", 1),
        (EARLY, "profession", 1),
        (LAST, "engagement", 1),
        (LAST, "profession", 1),
    ]


def test_a_segment_is_another_than_the_raw_one_where_the_hold_rule_says_so_alone(two_nights):
    home, before = two_nights
    last_night = {row[:2]: row[2] for row in before["customer_segments"]}
    rows = published(
        home, "SELECT segmentation, customer_id, segment_id, raw_segment_id FROM customer_segments"
    )
    places, centres = {}, {}
    for name in ("engagement", "profession"):
        found = load_published_model(load_home(home), name)
        centres |= dict(zip(found.segment_ids, found.model.arrays["prototypes"], strict=True))
        columns = ", ".join(f'"{column}"' for column in found.model.feature_names)
        with open_warehouse(home / "warehouse.duckdb", read_only=True) as connection:
            matrix = connection.execute(
                f"SELECT customer_id, {columns} FROM {name}.feature_matrix"
            ).fetchall()
        places |= {(name, customer): np.array(point) for customer, *point in matrix}

    others = 0
    for name, customer, segment, raw in rows:
        old = last_night.get((name, customer))
        if old in (None, raw):
            assert segment == raw
            continue
        from_old, from_raw = (
            places[name, customer] - centres[old],
            places[name, customer] - centres[raw],
        )
        between = centres[old] - centres[raw]
        t = (from_old @ from_old - from_raw @ from_raw) / (between @ between)
        assert segment == (raw if t >= 0.2 else old)
        others += 1

    assert len(rows) > 500
    assert others >= 1


def test_an_older_night_changes_dated_rows_only(first_night, older_night):
    rows = "FROM customer_segments ORDER BY ALL"

    assert published(older_night, rows) == published(first_night, rows)
    dates = published(older_night, "SELECT DISTINCT as_of FROM segmentation_runs ORDER BY as_of")
    assert dates == [(OLDER,), (LAST,)]
    assert verify(older_night / "published") == []


def test_the_older_night_does_not_take_the_newest_ones_model_away(newest_again):
    models = published(
        newest_again, f"SELECT DISTINCT model_version FROM segmentation_runs WHERE as_of = '{LAST}'"
    )
    assert models == [(1,)]


def test_a_verdict_is_made_once_and_stays_with_its_model(first_night, older_night, newest_again):
    shown = "SELECT examined_date FROM engagement.structure_verdict"
    with open_warehouse(older_night / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute(shown).fetchall() == [(OLDER,)]

    with open_warehouse(newest_again / "warehouse.duckdb", read_only=True) as connection:
        assert connection.execute(shown).fetchall() == [(LAST,)]
        kept = "SELECT segmentation, model_version, examined_date FROM core.structure_verdicts"
        assert connection.execute(f"{kept} ORDER BY ALL").fetchall() == [
            (name, version, date)
            for name in ("engagement", "profession")
            for version, date in ((1, LAST), (2, OLDER))
        ]
    # What was decided about models has changed since, so that the night is published anew.
    verdicts = "SELECT * EXCLUDE run_id FROM structure_verdict ORDER BY ALL"
    assert published(newest_again, verdicts) == published(first_night, verdicts)
