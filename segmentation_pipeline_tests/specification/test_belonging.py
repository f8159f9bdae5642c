"""`eligible` and `typing`: checked when loaded, and nothing to a home that doesn't have them."""

import pytest

from segmentation_pipeline.errors import SpecificationError
from segmentation_pipeline.specification.home import fitting_digest, load_home
from segmentation_pipeline.specification.typing_features import sources_read, typing_features

CUSTOMERS = """\
name: Clinic staff
nights: {first: 2025-06-24}
sources:
  crm:
    kind: crm
    path: crm.csv
    key: staff_id
    columns:
      staff_id: {type: text}
      gender: {type: category, sensitive: true}
      country: {type: category}
      papers: {type: integer}
  survey:
    kind: survey
    path: survey.csv
    key: staff_id
    time: said_at
    keep: latest
    columns:
      staff_id: {type: text}
      said_at: {type: timestamp}
      country: {type: category}
      mood: {type: number}
  web:
    kind: web
    path: web.csv
    key: staff_id
    time: seen_at
    columns:
      staff_id: {type: text}
      seen_at: {type: timestamp}
customers: {base: crm}
"""
SEGMENTATION = """\
title: Mood
criteria: {needs: How they feel.}
features:
  mood: {criterion: needs}
  papers: {use: profile}
  country: {use: profile}
  visits: {use: profile, aggregate: {source: web, function: count}}
  half: {use: input, expression: mood / 2}
  both: {use: profile, expression: half + visits}
  known: {use: profile, expression: has_survey}
"""


@pytest.fixture
def load(write_home):
    def load(added=""):
        home = load_home(write_home(CUSTOMERS, mood=SEGMENTATION + added))
        return home.segmentations["mood"], home.customers

    return load


def test_a_feature_comes_from_every_source_on_its_way(load):
    spec, customers = load()

    found = {name: set(sources_read(name, spec, customers)) for name in spec.features}

    assert found == {
        "mood": {"survey"},
        "papers": {"crm"},
        "country": {"crm", "survey"},
        "visits": {"web"},
        "half": {"survey"},
        "both": {"survey", "web"},
        "known": {"survey"},
    }


@pytest.mark.parametrize(
    ("typing", "features"),
    [
        ("{sources: [survey]}", ["papers", "visits"]),
        ("{sources: [web]}", ["mood", "papers", "country", "known"]),
        ("{sources: [survey, web]}", ["papers"]),
        ("{sources: [survey], features: [visits]}", ["visits"]),
    ],
)
def test_typing_learns_from_what_needs_none_of_the_sources(load, typing, features):
    spec, customers = load(f"typing: {typing}\n")

    assert list(typing_features(spec, customers)) == features


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("eligible: cuntry = 'DE'\n", "`cuntry`.*country"),
        ("eligible: gender = 'F'\n", "`gender` is sensitive"),
        ("eligible: (SELECT 1) = 1\n", "cannot hold a query"),
        ("typing: {sources: [survy]}\n", "no source `survy`.*survey"),
        ("typing: {sources: [crm]}\n", "every customer has `crm`"),
        ("typing: {sources: []}\n", "at least 1 item"),
        ("typing: {sources: [survey], features: [pappers]}\n", "no feature `pappers`.*papers"),
        ("typing: {sources: [survey], features: [both]}\n", "`both` reads survey"),
        ("typing: {sources: [web], features: [half]}\n", "`half` is an input"),
        ("typing: {sources: [survey], learner: forest}\n", "learner"),
    ],
)
def test_what_can_not_be_is_refused_with_its_line(load, added, message):
    with pytest.raises(SpecificationError, match=rf"mood\.yaml:\d+(?s:.*){message}"):
        load(added)


def test_a_segmentation_all_of_whose_features_are_lacking_is_refused(load, tmp_path):
    load()
    (tmp_path / "segmentations" / "mood.yaml").write_text(
        "title: Mood\ncriteria: {needs: n}\nfeatures:\n  mood: {criterion: needs}\n"
        "typing: {sources: [survey]}\n",
        encoding="utf-8",
    )

    with pytest.raises(SpecificationError, match="declare some that don't"):
        load_home(tmp_path)


def test_what_a_model_depends_on_has_another_digest_and_nothing_else_has(load):
    plain = fitting_digest(load()[0])
    typed = fitting_digest(load("typing: {sources: [survey]}\n")[0])
    told = fitting_digest(load("typing: {sources: [survey], in_profiles: true}\n")[0])
    eligible = fitting_digest(load("eligible: country = 'DE'\n")[0])

    assert told == typed
    assert len({plain, typed, eligible}) == 3
