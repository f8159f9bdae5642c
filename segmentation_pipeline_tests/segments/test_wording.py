"""Sentences and phrases, word by word."""

import pytest

from segmentation_pipeline.segments.wording import (
    attribute_words,
    told_figures,
    trait_sentence,
    unit_words,
)
from segmentation_pipeline.specification.features import FeatureSpec


def feature(**settings):
    return FeatureSpec.model_validate({"criterion": "behaviour", **settings})


VISITS = feature(description="Visits of our site", unit="visits/90 days")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("visits", VISITS, None, 4.767, 1.517, 4.0),
         "Visits of our site: 4.8 visits per 90 days on average, clearly above everybody's 1.5."),
        (("visits", VISITS, None, 1.31, 1.52, -0.6),
         "Visits of our site: 1.3 visits per 90 days on average, below everybody's 1.5."),
        (("open_rate", feature(), None, 0.19, 0.494, -0.3),
         "Open rate: 19% on average, a little below everybody's 49%."),
        (("contract_value_eur", feature(unit="EUR/month"), None, 1796.7, 2179.2, -0.9),
         "Contract value eur: 1,797 EUR per month on average, clearly below everybody's 2,179."),
        (("role", feature(description="Role"), "Nurse", 0.283, 0.107, 0.9),
         "Role: Nurse for 28%, against 11% of everybody."),
        (("role", feature(description="Role"), "Nurse", 0.1, 0.25, -0.4),
         "Role: Nurse for only 10%, against 25% of everybody."),
    ],
)  # fmt: skip
def test_a_sentence_says_both_figures(arguments, sentence):
    assert trait_sentence(*arguments) == sentence


def test_yes_and_no_is_told_as_a_share():
    told = trait_sentence("is_member", feature(), None, 0.5, 0.25, 1.0, is_boolean=True)

    assert told == "Is member: 50%, clearly above everybody's 25%."


def test_figures_have_as_many_digits_as_tell_them_apart():
    assert told_figures(31.4, 31.2, is_share=False) == ("31.4", "31.2")
    assert told_figures(0.0123, 0.0119, is_share=True) == ("1.23%", "1.19%")
    assert told_figures(5.0, 5.0, is_share=False) == ("5.0", "5.0")
    assert told_figures(-0.52, 0.25, is_share=False) == ("-0.52", "0.25")
    assert told_figures(-0.02, 2.6, is_share=False) == ("0.0", "2.6")


@pytest.mark.parametrize(
    ("name", "settings", "high", "low"),
    [
        ("contract_value_eur", {"unit": "EUR/month"}, "high contract value", "low contract value"),
        ("congresses", {"unit": "congresses"}, "many congresses", "few congresses"),
        ("average_visit_minutes", {"unit": "min"}, "long average visit", "short average visit"),
        ("open_rate", {}, "high open rate", "low open rate"),
        ("age", {"unit": "years"}, "older", "younger"),
        ("has_children", {}, "children", "no children"),
        ("sales", {"unit": "EUR"}, "high sales", "low sales"),
        ("visits", {"aggregate": {"source": "web", "function": "recency_days"}},
         "long silence", "recent activity"),
    ],
)  # fmt: skip
def test_phrases_are_made_of_the_features_own_name(name, settings, high, low):
    phrases = [
        attribute_words(name, feature(**settings), None, is_high=h)[0] for h in (True, False)
    ]

    assert phrases == [high, low]


def test_one_has_no_plural():
    assert unit_words(feature(unit="congresses"), is_one=True) == "congress"
    assert unit_words(feature(unit="visits/90 days"), is_one=True) == "visit per 90 days"
    assert unit_words(feature(unit="EUR"), is_one=True) == "EUR"
