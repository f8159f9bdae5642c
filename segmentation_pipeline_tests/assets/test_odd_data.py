"""A whole night of data that lack what the example has."""

import datetime as dt

import pytest

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.publication import read_published, verify

CUSTOMERS = """\
name: Shop
nights: {first: 2025-03-01}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: id
    columns:
      id: {type: text}
      colour: {type: category}
      size: {type: category}
      shop: {type: category}
customers: {base: crm}
"""
WARDROBE = """\
title: Wardrobe
criteria: {preferences: What they wear.}
features: {colour: {criterion: preferences}, size: {criterion: preferences}}
clustering: {algorithm: k_means, segments: 2}
"""
SHOPS = """\
title: Shops
criteria: {behaviour: Where they buy.}
features: {shop: {criterion: behaviour}}
"""


@pytest.fixture
def published(made_once):
    """What is published of eighty customers, two kinds by what they wear, of one shop."""

    def make(home):
        rows = [f"c{number},{('red,S', 'blue,L')[number % 2]},Bern" for number in range(80)]
        (home / "segmentations").mkdir(parents=True)
        (home / "crm.csv").write_text("id,colour,size,shop\n" + "\n".join(rows))
        (home / "customers.yaml").write_text(CUSTOMERS)
        (home / "segmentations" / "wardrobe.yaml").write_text(WARDROBE)
        (home / "segmentations" / "shops.yaml").write_text(SHOPS)
        result = run_night(home, dt.date(2025, 3, 1), progress=lambda *_: None)
        assert result.success, result.failures

    return made_once("odd", make) / "published"


def test_customers_of_whom_nothing_is_a_number(published):
    assert verify(published) == []
    sizes = read_published(
        published, "SELECT customers FROM segments WHERE segmentation = 'wardrobe'"
    )
    assert sizes == [(40,), (40,)]
    for table in ("feature_distributions", "segment_profiles"):
        assert read_published(published, f"SELECT count(*) FROM {table}") == [(0,)]


def test_customers_who_are_all_alike(published):
    query = "SELECT customers, share, verdict FROM segments WHERE segmentation = 'shops'"
    assert read_published(published, query) == [(80, 1.0, "no structure")]
