"""The verdict on an experiment, in words: what may be said, and nothing that may not.

What belongs here: the order of the questions (are the arms right, are they large enough, is it
over, was anything sent, is there an effect), and the sentence. The figures come from elsewhere.
"""

from datetime import date

from segmentation_pipeline.measurement.compared import LEAST_CUSTOMERS
from segmentation_pipeline.measurement.effects import Effect
from segmentation_pipeline.measurement.power import ALPHA
from segmentation_pipeline.measurement.sample_ratio import INVALID_BELOW

FEW_SENT = 0.5
"""Share of the treated who were sent something, below which the verdict mentions it."""


def effect_verdict(
    effect: Effect | None,
    *,
    unit: str | None,
    higher_is_better: bool,
    n_treated: int,
    n_control: int,
    sample_ratio_p: float,
    sent_share: float | None,
    corrected_p: float | None,
    is_final: bool,
    end_date: date,
) -> str:
    """Say what is known of a strategy's effect, and how surely.

    Args:
        effect: As `estimate_effect` gives it.
        unit: Of the KPI, or None.
        higher_is_better: Whether more is good news.
        n_treated: Customers assigned to treatment.
        n_control: Customers held out.
        sample_ratio_p: Of these counts.
        sent_share: Of the treated, who were sent something; None if no source tells.
        corrected_p: The p by which to judge, corrected by Holm: of the effect where `is_final`,
            before that day of the sequential test, or None where there is none.
        is_final: Whether the experiment's last day is over.
        end_date: That day.

    """
    if sample_ratio_p < INVALID_BELOW:
        return (
            f"invalid: {n_treated:,} treated and {n_control:,} held out is not the share that was "
            f"planned (p {_p(sample_ratio_p)}); find out who got lost before reading any effect"
        )
    if min(n_treated, n_control) < LEAST_CUSTOMERS:
        return (
            f"too few: {n_treated:,} treated and {n_control:,} held out; no verdict below "
            f"{LEAST_CUSTOMERS} in each arm"
        )
    unsent = f"none of the {n_treated:,} treated was sent anything"
    is_unsent = sent_share == 0.0
    if not is_final and (is_unsent or effect is None or corrected_p is None or corrected_p > ALPHA):
        # Before the lists of the first night were worked off, nobody can have been sent anything.
        so_far = f"; {unsent} so far" if is_unsent else ""
        return f"running: to be read on {end_date.isoformat()}{so_far}"
    if is_unsent:
        return f"not sent: {unsent}"
    if effect is None:
        return (
            f"nothing to compare: fewer than {LEAST_CUSTOMERS} customers of an arm have a value, "
            "or all have the same"
        )
    if effect.attrition_p < INVALID_BELOW:
        return (
            "invalid: customers without a value are more frequent in one arm than in the other "
            f"(p {_p(effect.attrition_p)})"
        )
    sentence = _found(
        effect, unit, corrected_p, higher_is_better=higher_is_better, is_final=is_final
    )
    if sent_share is not None and sent_share < FEW_SENT:
        sentence += f"; only {sent_share:.0%} of the treated were sent anything"
    return sentence


def _found(
    effect: Effect,
    unit: str | None,
    corrected_p: float | None,
    *,
    higher_is_better: bool,
    is_final: bool,
) -> str:
    in_unit = f" {unit}" if unit else ""
    if corrected_p is None or corrected_p > ALPHA:
        sentence = (
            f"no detectable effect; smallest detectable = {_figure(effect.smallest_detectable)}"
            f"{in_unit}{_share(effect, effect.smallest_detectable)}"
        )
        if effect.lower > 0 or effect.upper < 0:
            found = "" if corrected_p is None else f" (corrected p {_p(corrected_p)})"
            sentence += f"; {_figure(effect.effect)} is not beyond chance{found}"
        return sentence
    word = "more" if effect.effect > 0 else "less"
    news = "better" if (effect.effect > 0) == higher_is_better else "worse"
    size = f"{word} by {_figure(abs(effect.effect))}{in_unit}{_share(effect, abs(effect.effect))}"
    if not is_final:
        return (
            f"{size}, which is {news}; seen before the last day (p for nightly looks "
            f"{_p(corrected_p)}), when sizes are told too large"
        )
    return (
        f"{size}, which is {news} (95 % interval {_figure(effect.lower)} to "
        f"{_figure(effect.upper)}; corrected p {_p(corrected_p)})"
    )


def _share(effect: Effect, size: float) -> str:
    return f" ({size / effect.control_mean:.1%})" if effect.control_mean > 0 else ""


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _p(value: float) -> str:
    return "< .0001" if value < 0.0001 else "= " + f"{value:.2g}".removeprefix("0")
