"""Whole nights of data that lack what the example has."""

import datetime as dt

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.publication import read_published, verify

NIGHT = dt.date(2025, 3, 1)
CUSTOMERS = """\
name: Shop
nights: {first: 2025-03-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: id
    columns: {id: {type: text}, colour: {type: category}, size: {type: category}}
customers: {base: crm}
"""
WARDROBE = """\
title: Wardrobe
criteria: {preferences: What they wear.}
features: {colour: {criterion: preferences}, size: {criterion: preferences}}
clustering: {algorithm: k_means, segments: 2}
"""


def test_customers_of_whom_nothing_is_a_number(write_home):
    home = write_home(CUSTOMERS, wardrobe=WARDROBE)
    rows = [f"c{number},{('red,S', 'blue,L')[number % 2]}" for number in range(80)]
    (home / "crm.csv").write_text("id,colour,size\n" + "\n".join(rows))

    result = run_night(home, NIGHT, progress=lambda *_: None)

    assert result.success, result.failures
    published = home / "published"
    assert verify(published) == []
    sizes = read_published(published, "SELECT customers FROM segments ORDER BY ALL")
    assert sizes == [(40,), (40,)]
    for table in ("feature_distributions", "segment_profiles"):
        assert read_published(published, f"SELECT count(*) FROM {table}") == [(0,)]


def test_customers_who_are_all_alike(write_home):
    home = write_home(CUSTOMERS, wardrobe=WARDROBE)
    rows = [f"c{number},red,S" for number in range(80)]
    (home / "crm.csv").write_text("id,colour,size\n" + "\n".join(rows))

    result = run_night(home, NIGHT, progress=lambda *_: None)

    assert result.success, result.failures
    published = home / "published"
    assert verify(published) == []
    assert read_published(published, "SELECT customers, share FROM segments") == [(80, 1.0)]
    assert read_published(published, "SELECT verdict FROM structure_verdict") == [("no structure",)]
