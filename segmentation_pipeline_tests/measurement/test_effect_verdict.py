from dataclasses import replace
from datetime import date

import pytest

from segmentation_pipeline.measurement.effect_verdict import effect_verdict
from segmentation_pipeline.measurement.effects import Effect

EFFECT = Effect(
    method="Welch",
    treated_mean=5.4,
    control_mean=5.0,
    effect=0.4,
    relative_effect=0.08,
    lower=0.21,
    upper=0.59,
    p_value=0.00004,
    standard_error=0.097,
    smallest_detectable=0.33,
    uses_history=True,
    winsorised_effect=None,
    attrition_p=0.6,
)
NONE = replace(EFFECT, effect=0.05, lower=-0.14, upper=0.24, p_value=0.6)


def verdict(effect=EFFECT, **changes):
    facts = {
        "unit": "visits",
        "higher_is_better": True,
        "n_treated": 3500,
        "n_control": 1500,
        "sample_ratio_p": 0.8,
        "sent_share": 0.97,
        "corrected_p": 0.00024,
        "is_final": True,
        "end_date": date(2025, 9, 30),
    }
    return effect_verdict(effect, **(facts | changes))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            verdict(),
            (
                "more by 0.4 visits (8.0%), which is better (95 % interval 0.21 to 0.59; "
                "corrected p = .00024)"
            ),
        ),
        (
            verdict(NONE, corrected_p=1.0),
            "no detectable effect; smallest detectable = 0.33 visits (6.6%)",
        ),
        (
            verdict(n_treated=3650, n_control=1350, sample_ratio_p=3e-6),
            (
                "invalid: 3,650 treated and 1,350 held out is not the share that was planned "
                "(p < .0001); find out who got lost before reading any effect"
            ),
        ),
        (
            verdict(None, n_control=180, corrected_p=None),
            "too few: 3,500 treated and 180 held out; no verdict below 200 in each arm",
        ),
        (verdict(NONE, sent_share=0.0), "not sent: none of the 3,500 treated was sent anything"),
        (
            verdict(is_final=False, corrected_p=None),
            "running: to be read on 2025-09-30",
        ),
        (verdict(is_final=False, corrected_p=0.2), "running: to be read on 2025-09-30"),
        (
            verdict(is_final=False, corrected_p=None, sent_share=0.0),
            (
                "running: to be read on 2025-09-30; none of the 3,500 treated was sent anything "
                "so far"
            ),
        ),
        (
            verdict(None, corrected_p=None),
            (
                "nothing to compare: fewer than 200 customers of an arm have a value, or all have "
                "the same"
            ),
        ),
    ],
)
def test_each_verdict_in_its_words(said, words):
    assert said == words


def test_less_of_what_should_be_less_is_better():
    fewer = replace(EFFECT, effect=-0.4, lower=-0.59, upper=-0.21)

    assert verdict(fewer, higher_is_better=False).startswith(
        "less by 0.4 visits (8.0%), which is better (95 % interval -0.59 to -0.21"
    )
    assert "which is worse" in verdict(fewer)


def test_what_is_seen_early_is_told_without_an_interval():
    said = verdict(is_final=False, corrected_p=0.01)

    assert said.startswith("more by 0.4 visits (8.0%), which is better; seen before the last day")
    assert "interval" not in said


def test_what_correction_takes_away_is_told():
    said = verdict(replace(EFFECT, lower=0.01), corrected_p=0.2)

    assert said == (
        "no detectable effect; smallest detectable = 0.33 visits (6.6%); 0.4 is not beyond chance "
        "(corrected p = .2)"
    )


def test_few_messages_and_unequal_losses_are_told():
    assert verdict(NONE, corrected_p=1.0, sent_share=0.2).endswith(
        "; only 20% of the treated were sent anything"
    )
    assert verdict(replace(EFFECT, attrition_p=1e-5)).startswith("invalid: customers without a")
    assert "sent" not in verdict(sent_share=None)


def test_without_a_mean_above_zero_there_is_no_share():
    loss = replace(EFFECT, control_mean=-2.0, effect=1234.5, lower=1200.0, upper=1270.0)

    assert verdict(loss, unit=None).startswith("more by 1,234, which is better (95 % interval 1,2")
