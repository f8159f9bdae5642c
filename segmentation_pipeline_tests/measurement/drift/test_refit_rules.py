"""Each trigger of a refit fires where it should, and just below its threshold doesn't."""

import datetime as dt
from dataclasses import replace

import pytest
from pydantic import ValidationError

from segmentation_pipeline.measurement.refit_rules import (
    ChurnNight,
    Evidence,
    FeatureFigures,
    feature_level,
    judge,
    psi_level,
    reasons,
    usual_churn,
    warned_share,
)
from segmentation_pipeline.specification.refit import Refit

RULES = Refit()
TODAY = dt.date(2025, 6, 30)
QUIET = FeatureFigures("quiet", 0.01, 0.02, 0.0, 0.0, None)
CALM = Evidence(3, fitted=TODAY - dt.timedelta(days=30), has_reference=True, features=[QUIET] * 10)


def feature(name="age", psi=0.0, floor=0.02, missing=0.0, missing_before=0.0, new=None):
    return FeatureFigures(name, psi, floor, missing, missing_before, new)


def with_features(*drifted):
    return replace(CALM, features=[*drifted, *[QUIET] * (10 - len(drifted))])


def nights(*shares, every=1):
    """Nights before today, newest first."""
    return [
        ChurnNight(TODAY - dt.timedelta(days=every * (1 + back)), share)
        for back, share in enumerate(shares)
    ]


def causes(evidence, rules=RULES):
    found = judge(evidence, rules, TODAY)
    return found.verdict, found.causes


def waiting(evidence, rules=RULES):
    found = judge(evidence, rules, TODAY)
    return found.verdict, [finding.cause for finding in found.waiting]


@pytest.mark.parametrize(
    ("psi", "floor", "level"),
    [
        (0.10, 0.01, "ok"),
        (0.101, 0.01, "warn"),
        (0.25, 0.01, "warn"),
        (0.251, 0.01, "alarm"),
        # Few customers: twice and three times the floor are above the fixed thresholds.
        (0.2, 0.11, "ok"),
        (0.23, 0.11, "warn"),
        (0.32, 0.11, "warn"),
        (0.34, 0.11, "alarm"),
        (None, None, "ok"),
    ],
)
def test_a_psi_is_judged_by_the_larger_of_two_thresholds(psi, floor, level):
    assert psi_level(feature(psi=psi, floor=floor), RULES) == level


def test_the_thresholds_are_those_of_the_specification():
    rules = Refit(psi_warning=0.01, psi_alarm=0.02, floor_warning=1, floor_alarm=1)

    levels = [psi_level(feature(psi=psi, floor=0.0), rules) for psi in (0.01, 0.015, 0.021)]
    assert levels == ["ok", "warn", "alarm"]
    assert psi_level(feature(psi=0.021, floor=0.03), rules) == "ok"


def test_without_a_model_it_is_the_first_night():
    found = judge(Evidence(None), RULES, TODAY)

    assert (found.verdict, found.causes) == ("first", [])
    assert reasons(found, Evidence(None), RULES) == "there is no model yet"


def test_a_calm_night_keeps_the_model():
    found = judge(CALM, RULES, TODAY)

    assert (found.verdict, found.causes) == ("keep", [])
    assert reasons(found, CALM, RULES) == "nothing asks for another model"


def test_a_psi_alarm_asks_for_a_refit_and_a_warning_does_not():
    assert causes(with_features(feature(psi=0.3))) == ("refit", ["psi:age"])
    assert causes(with_features(feature(psi=0.2))) == ("keep", [])


def test_the_largest_psi_is_told_first():
    evidence = with_features(feature("a", psi=0.3), feature("b", psi=0.4))

    assert causes(evidence) == ("refit", ["psi:b", "psi:a", "warned_share"])
    assert reasons(judge(evidence, RULES, TODAY), evidence, RULES).startswith(
        "`b` has another distribution (PSI 0.40, by chance 0.02); `a` has another distribution"
    )


def test_a_fifth_of_the_features_warned_asks_for_a_refit():
    one, other = feature("a", psi=0.2), feature("b", psi=0.2)

    assert causes(with_features(one, other)) == ("refit", ["warned_share"])
    assert causes(with_features(one)) == ("keep", [])
    assert causes(with_features(one, other), Refit(warned_share=0.21)) == ("keep", [])


def test_one_warned_feature_of_a_handful_is_no_alarm():
    assert causes(replace(CALM, features=[feature(psi=0.2), QUIET, QUIET])) == ("keep", [])


def test_a_median_distance_that_grew_asks_for_a_refit():
    assert causes(replace(CALM, median_distance_ratio=1.16)) == ("refit", ["distance"])
    assert causes(replace(CALM, median_distance_ratio=1.15)) == ("keep", [])
    assert causes(replace(CALM, median_distance_ratio=0.5)) == ("keep", [])
    rules = Refit(distance_rise=0.3)
    assert causes(replace(CALM, median_distance_ratio=1.29), rules) == ("keep", [])


def test_churn_above_three_times_its_median_asks_for_a_refit():
    usual = [0.004] * 14

    assert causes(replace(CALM, churn=nights(0.0121, *usual))) == ("refit", ["churn"])
    assert causes(replace(CALM, churn=nights(0.0119, *usual))) == ("keep", [])


def test_churn_below_one_percent_is_never_much():
    assert causes(replace(CALM, churn=nights(0.0099, *[0.0001] * 14))) == ("keep", [])
    assert causes(replace(CALM, churn=nights(0.0101, *[0.0001] * 14))) == ("refit", ["churn"])


def test_churn_is_judged_after_fourteen_nights():
    assert causes(replace(CALM, churn=nights(0.2, *[0.004] * 13))) == ("keep", [])
    assert causes(replace(CALM, churn=nights(0.2, *[0.004] * 14))) == ("refit", ["churn"])


def test_the_median_is_of_the_thirty_nights_before():
    shares = [0.05, *[0.002] * 30, *[0.9] * 60]

    assert usual_churn(nights(*shares), RULES) == 0.002
    assert causes(replace(CALM, churn=nights(*shares))) == ("refit", ["churn"])


def test_a_night_after_a_gap_covers_more_days_and_is_not_judged():
    churn = [ChurnNight(TODAY - dt.timedelta(days=1), 0.2)]
    churn += [ChurnNight(TODAY - dt.timedelta(days=6 + back), 0.004) for back in range(20)]

    assert causes(replace(CALM, churn=churn)) == ("keep", [])
    assert causes(replace(CALM, churn=nights(0.2, *[0.004] * 20, every=7))) == ("refit", ["churn"])


def test_a_model_older_than_ninety_days_asks_for_a_refit():
    for days, verdict in ((90, "keep"), (91, "refit")):
        fitted = TODAY - dt.timedelta(days=days)
        assert causes(replace(CALM, fitted=fitted))[0] == verdict
    old = replace(CALM, fitted=TODAY - dt.timedelta(days=1000))
    assert causes(old) == ("refit", ["age"])
    assert causes(old, Refit(age_days=None)) == ("keep", [])


def test_a_changed_specification_and_a_person_ask_for_a_refit():
    assert causes(replace(CALM, is_specification_changed=True)) == ("refit", ["specification"])
    asked = replace(CALM, requests=[(3, "new contracts")])
    found = judge(asked, RULES, TODAY)
    assert (found.verdict, found.causes) == ("refit", ["asked:3"])
    assert reasons(found, asked, RULES) == "a person asked for it: new contracts"


def test_a_feature_that_is_suddenly_missing_calls_a_person():
    broken = feature(psi=None, floor=None, missing=1.0, missing_before=0.1)

    assert causes(with_features(broken)) == ("alert", ["missing:age"])
    assert feature_level(broken, RULES)[0] == "alarm"
    assert causes(with_features(feature(missing=0.3, missing_before=0.1))) == ("keep", [])
    assert causes(with_features(feature(missing=0.31, missing_before=0.1)))[0] == "alert"


def test_new_categories_above_five_percent_call_a_person():
    assert causes(with_features(feature(new=0.051))) == ("alert", ["new_categories:age"])
    assert causes(with_features(feature(new=0.05))) == ("keep", [])


def test_a_stale_source_calls_a_person():
    evidence = replace(CALM, stale_sources=[("web", "the newest row is 4 days old")])

    assert causes(evidence) == ("alert", ["stale:web"])
    assert "web" in reasons(judge(evidence, RULES, TODAY), evidence, RULES)


def test_what_is_measured_waits_until_a_fault_is_repaired():
    broken = feature("broken", psi=None, floor=None, missing=1.0)
    evidence = with_features(broken, feature(psi=0.9))

    assert causes(evidence) == ("alert", ["missing:broken"])
    assert waiting(evidence) == ("alert", ["psi:age"])
    assert "a refit waits until that is repaired" in reasons(
        judge(evidence, RULES, TODAY), evidence, RULES
    )


def test_a_person_is_obeyed_whatever_is_broken():
    evidence = replace(
        with_features(feature(missing=1.0, psi=None, floor=None)), requests=[(1, "")]
    )

    assert causes(evidence) == ("refit", ["asked:1", "missing:age"])


def test_the_same_alarm_asks_for_no_second_refit_before_the_rest_is_over():
    drifted = with_features(feature(psi=0.9))
    for days, verdict in ((1, "keep"), (13, "keep"), (14, "refit")):
        evidence = replace(drifted, last_refit=TODAY - dt.timedelta(days=days))
        assert judge(evidence, RULES, TODAY).verdict == verdict
    evidence = replace(drifted, last_refit=TODAY - dt.timedelta(days=1))
    assert waiting(evidence) == ("keep", ["psi:age"])
    told = reasons(judge(evidence, RULES, TODAY), evidence, RULES)
    assert told.startswith("a refit waits until 2025-07-13, `rest_days` after the last one: `age`")
    assert causes(evidence, Refit(rest_days=0)) == ("refit", ["psi:age"])


def test_nothing_measured_asks_for_a_refit_while_a_challenger_is_on_trial():
    evidence = replace(
        with_features(feature(psi=0.9)),
        is_on_trial=True,
        last_refit=TODAY - dt.timedelta(days=60),
    )

    assert waiting(evidence) == ("keep", ["psi:age"])
    assert "a challenger is on trial" in reasons(judge(evidence, RULES, TODAY), evidence, RULES)


def test_neither_a_person_nor_a_changed_file_waits():
    resting = replace(CALM, last_refit=TODAY - dt.timedelta(days=1), is_on_trial=True)

    assert causes(replace(resting, requests=[(2, "")]))[0] == "refit"
    assert causes(replace(resting, is_specification_changed=True))[0] == "refit"


def test_a_model_without_a_reference_is_kept_and_the_night_says_so():
    evidence = Evidence(1, fitted=TODAY - dt.timedelta(days=5))
    found = judge(evidence, RULES, TODAY)

    assert found.verdict == "keep"
    assert "no reference: model version 1" in reasons(found, evidence, RULES)
    assert causes(replace(evidence, fitted=TODAY - dt.timedelta(days=91)))[0] == "refit"


def test_the_share_of_warned_features_counts_those_of_another_distribution():
    found = [feature(psi=0.2), feature(psi=0.9), feature(missing=1.0, psi=None, floor=None), QUIET]

    assert warned_share(found, RULES) == 0.5
    assert warned_share([], RULES) is None


def test_a_feature_says_why_it_is_not_ok():
    level, reason = feature_level(feature(psi=0.3, new=0.2), RULES)

    assert level == "alarm"
    assert reason.startswith("20.0% of the values of `age` are in categories")
    assert reason.endswith("`age` has another distribution (PSI 0.30, by chance 0.02)")
    assert feature_level(QUIET, RULES) == ("ok", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"psi_warning": 0.3},
        {"floor_warning": 4},
        {"churn_after_nights": 31},
        {"warned_share": 0},
        {"unknown": 1},
    ],
)
def test_thresholds_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        Refit.model_validate(wrong)
