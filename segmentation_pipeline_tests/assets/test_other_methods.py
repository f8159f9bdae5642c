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
    # More than a fifth are in no segment; the figures of the others are measured all the same.
    assert gold + silver < 0.8 * CUSTOMERS
    stability = read_published(
        home / "published",
        "SELECT m.lowest_jaccard, v.lowest_jaccard FROM model_candidates m"
        " JOIN structure_verdict v USING (segmentation) WHERE segmentation = 'tiers'",
    )
    assert stability == [(1.0, 1.0)]


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


def test_the_model_goes_on_too_where_no_candidate_keeps_to_the_limits(home):
    write(
        home,
        "groups",
        {
            "algorithm": "k_means",
            "segments": 2,
            "smallest_share": 0.4999,
            "if_continuum": "keep_model",
        },
    )
    night(home, SECOND + dt.timedelta(days=1))

    found = read_published(
        home / "published",
        "SELECT is_chosen, model_candidates.reason, is_stale, count(*) FROM model_candidates"
        " JOIN segments USING (segmentation) WHERE segmentation = 'groups' GROUP BY ALL",
    )
    (is_chosen, reason, is_stale, segments) = found[0]
    assert (is_chosen, is_stale, segments) == (False, False, 3)
    assert reason.startswith("inadmissible: the smallest segment has")
