"""Whole nights of methods that the example doesn't use: rules, a kept model, an autoencoder."""

import datetime as dt

import numpy as np
import pytest
import yaml

from segmentation_pipeline.assets.night import run_night
from segmentation_pipeline.publication import read_published, verify

FIRST = dt.date(2025, 3, 1)
SECOND = dt.date(2025, 3, 2)
CUSTOMERS = 160


def night(home, as_of):
    result = run_night(home, as_of, progress=lambda *_: None)
    assert result.success, result.failures
    return result


def segmentation(clustering):
    return {
        "title": "By what they spend",
        "criteria": {"behaviour": "Orders of the year."},
        "features": {"orders": {"criterion": "behaviour"}, "spent": {"criterion": "behaviour"}},
        "clustering": clustering,
    }


@pytest.fixture(scope="module")
def spending():
    """One crowd: nothing divides these customers."""
    rng = np.random.default_rng(5)
    return np.round(rng.normal([12, 300], [3, 60], (CUSTOMERS, 2)), 2)


@pytest.fixture(scope="module")
def home(tmp_path_factory, spending):
    folder = tmp_path_factory.mktemp("home")
    rows = "\n".join(f"c{i:03},{a},{b}" for i, (a, b) in enumerate(spending))
    (folder / "crm.csv").write_text(f"id,orders,spent\n{rows}\n")
    customers = {
        "name": "Shop",
        "nights": {"first": FIRST},
        "sources": {
            "crm": {
                "kind": "crm",
                "path": "crm.csv",
                "key": "id",
                "columns": {
                    "id": {"type": "text"},
                    "orders": {"type": "number"},
                    "spent": {"type": "number"},
                },
            }
        },
        "customers": {"base": "crm"},
    }
    (folder / "customers.yaml").write_text(yaml.safe_dump(customers))
    (folder / "segmentations").mkdir()
    write(
        folder,
        "tiers",
        {
            "algorithm": "rules",
            "rules": [
                {"name": "Gold", "where": "spent >= 350 and orders >= 10"},
                {"name": "Silver", "where": "spent >= 300"},
            ],
        },
    )
    write(folder, "groups", {"algorithm": "k_means", "segments": 3})
    night(folder, FIRST)
    return folder


def write(folder, name, clustering):
    spec = segmentation(clustering)
    (folder / "segmentations" / f"{name}.yaml").write_text(yaml.safe_dump(spec))


def test_rules_make_segments_that_hold_whom_they_say(home, spending):
    orders, spent = spending.T
    gold = int(((spent >= 350) & (orders >= 10)).sum())
    silver = int((spent >= 300).sum()) - gold

    found = dict(
        read_published(
            home / "published", "SELECT label, customers FROM segments WHERE segmentation = 'tiers'"
        )
    )

    assert found["Gold"] == gold
    assert found["Silver"] == silver
    assert sum(found.values()) == CUSTOMERS
    assert verify(home / "published") == []


def test_a_continuum_keeps_the_model_where_the_yaml_says_so_and_tells(home):
    before = read_published(
        home / "published",
        "SELECT customer_id, segment_id FROM customer_segments WHERE segmentation = 'groups'",
    )
    write(home, "groups", {"algorithm": "k_means", "segments": 2, "if_continuum": "keep_model"})
    night(home, SECOND)

    assert (
        read_published(
            home / "published",
            "SELECT customer_id, segment_id FROM customer_segments WHERE segmentation = 'groups'",
        )
        == before
    )
    reasons = read_published(
        home / "published",
        "SELECT segments, is_chosen, reason FROM model_candidates WHERE segmentation = 'groups'",
    )
    assert [(k, chosen) for k, chosen, _ in reasons] == [(2, False)]
    assert "model version 1 goes on" in reasons[0][2]
    assert "keep_model" in reasons[0][2]
