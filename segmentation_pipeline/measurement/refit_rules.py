"""What follows from the figures of a night: keep the model, fit another one, or call a person.

Pure rules over figures. Where the figures come from belongs to `refit_decision` and `drift`.
"""

import datetime as dt
import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from segmentation_pipeline.specification.refit import Refit

Verdict = Literal["first", "keep", "refit", "alert"]
Level = Literal["ok", "warn", "alarm"]


@dataclass(frozen=True)
class FeatureFigures:
    """How one feature drifted: a row of `feature_drift`, as far as decisions need it.

    `psi` and `floor` are None where there are no values, `new_category_share` is None of a number.
    """

    feature: str
    psi: float | None
    floor: float | None
    missing_share: float
    reference_missing_share: float
    new_category_share: float | None


@dataclass(frozen=True)
class Finding:
    """Something that a night found: what it is called, and how it is said."""

    cause: str
    reason: str


@dataclass(frozen=True)
class ChurnNight:
    """A night of the model in force: its date, and the share of the customers who moved."""

    as_of: dt.date
    share: float


@dataclass(frozen=True)
class Evidence:
    """All that a decision is made from.

    `model_version` is what the night finds in force, None where none is; `fitted` is the date that
    it was fitted for, `has_reference` whether it knows the customers that it was fitted on. `churn`
    are its nights, newest first, the one in which it was put in force left out. `requests` are
    (number, reason) of people who asked for a refit; `last_refit` is the date of the last one that
    was acted upon, `is_on_trial` whether a challenger still is; `stale_sources` are (source, what
    its check said).
    """

    model_version: int | None
    fitted: dt.date | None = None
    has_reference: bool = False
    is_specification_changed: bool = False
    features: Sequence[FeatureFigures] = ()
    median_distance_ratio: float | None = None
    churn: Sequence[ChurnNight] = ()
    requests: Sequence[tuple[int, str]] = ()
    stale_sources: Sequence[tuple[str, str]] = ()
    last_refit: dt.date | None = None
    is_on_trial: bool = False


@dataclass(frozen=True)
class Judgement:
    """A verdict with its findings, most pressing first, and the figures that aren't evidence."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    waiting: tuple[Finding, ...] = ()
    """What would ask for a refit, and has to wait: for repair, or for the last refit."""

    @property
    def causes(self) -> list[str]:
        """The names of what the verdict follows from."""
        return [finding.cause for finding in self.findings]


def psi_level(figures: FeatureFigures, rules: Refit) -> Level:
    """Say how much a PSI means; ok where there is none."""
    if figures.psi is None or figures.floor is None:
        return "ok"
    if figures.psi > max(rules.psi_alarm, rules.floor_alarm * figures.floor):
        return "alarm"
    if figures.psi > max(rules.psi_warning, rules.floor_warning * figures.floor):
        return "warn"
    return "ok"


def faults(figures: FeatureFigures, rules: Refit) -> list[Finding]:
    """Find what is off with a feature that no new model mends."""
    found = []
    name, missing = figures.feature, figures.missing_share
    if missing - figures.reference_missing_share > rules.missing_rise:
        found.append(
            Finding(
                f"missing:{name}",
                f"{missing:.0%} of the customers lack `{name}`, "
                f"{figures.reference_missing_share:.0%} when the model was fitted: look for what "
                "fills it",
            )
        )
    new = figures.new_category_share
    if new is not None and new > rules.new_category_share:
        found.append(
            Finding(
                f"new_categories:{name}",
                f"{new:.1%} of the values of `{name}` are in categories that were new or rare "
                "when the model was fitted: add them to the column's `aliases` or `categories`, "
                "then refit",
            )
        )
    return found


def feature_level(figures: FeatureFigures, rules: Refit) -> tuple[Level, str | None]:
    """Say how much a feature drifted, and why it isn't ok."""
    wrong = [finding.reason for finding in faults(figures, rules)]
    level = psi_level(figures, rules)
    if level != "ok":
        wrong.append(_psi_reason(figures))
    return ("alarm" if faults(figures, rules) else level), "; ".join(wrong) or None


def warned_share(features: Sequence[FeatureFigures], rules: Refit) -> float | None:
    """Share of features whose PSI is a warning or an alarm; None where there are none."""
    if not features:
        return None
    return sum(psi_level(one, rules) != "ok" for one in features) / len(features)


def usual_churn(churn: Sequence[ChurnNight], rules: Refit) -> float | None:
    """Median of the share who moved, over the nights before the newest; None where none is."""
    before = [night.share for night in churn[1 : 1 + rules.churn_nights]]
    return statistics.median(before) if before else None


def judge(evidence: Evidence, rules: Refit, as_of: dt.date) -> Judgement:
    """Decide, by rule 4 of the refit triggers.

    A person's request and a changed specification count whatever else is; then what no refit mends
    calls for a person, and a refit for what is measured waits until that is repaired, since it
    would be fitted on the fault. So does one while a challenger is on trial, and within `rest_days`
    of the last refit.
    """
    if evidence.model_version is None:
        return Judgement("first", ())
    wanted = _decreed(evidence)
    broken = _faults_of_night(evidence, rules)
    measured = _measured(evidence, rules, as_of)
    if wanted:
        return Judgement("refit", (*wanted, *measured, *broken))
    if broken:
        return Judgement("alert", tuple(broken), tuple(measured))
    if measured and (evidence.is_on_trial or _is_resting(evidence, rules, as_of)):
        return Judgement("keep", (), tuple(measured))
    if measured:
        return Judgement("refit", tuple(measured))
    return Judgement("keep", ())


def reasons(judgement: Judgement, evidence: Evidence, rules: Refit) -> str:
    """Say a judgement in words, most pressing first."""
    told = [finding.reason for finding in judgement.findings]
    if judgement.waiting:
        waiting = "; ".join(finding.reason for finding in judgement.waiting)
        told.append(f"{_why_waiting(judgement.verdict, evidence, rules)}: {waiting}")
    if judgement.verdict == "first":
        told.append("there is no model yet")
    if judgement.verdict == "keep" and not told:
        told.append("nothing asks for another model")
    if evidence.model_version is not None and not evidence.has_reference:
        told.append(
            f"no reference: model version {evidence.model_version} was made by an earlier release, "
            "so drift of its features isn't measured until the next refit"
        )
    return "; ".join(told)


def _why_waiting(verdict: Verdict, evidence: Evidence, rules: Refit) -> str:
    if verdict == "alert":
        return "a refit waits until that is repaired"
    if evidence.is_on_trial or evidence.last_refit is None:
        return "a refit waits, since a challenger is on trial"
    until = evidence.last_refit + dt.timedelta(days=rules.rest_days)
    return f"a refit waits until {until}, `rest_days` after the last one"


def _decreed(evidence: Evidence) -> list[Finding]:
    found = []
    if evidence.is_specification_changed:
        reason = "what the model depends on was changed in the segmentation's file"
        found.append(Finding("specification", reason))
    for number, reason in evidence.requests:
        said = f": {reason}" if reason else ""
        found.append(Finding(f"asked:{number}", f"a person asked for it{said}"))
    return found


def _faults_of_night(evidence: Evidence, rules: Refit) -> list[Finding]:
    stale = [
        Finding(f"stale:{source}", f"source `{source}` is stale: {said}")
        for source, said in evidence.stale_sources
    ]
    return stale + [one for figures in evidence.features for one in faults(figures, rules)]


def _measured(evidence: Evidence, rules: Refit, as_of: dt.date) -> list[Finding]:
    """Find what asks for a refit; features by PSI, the highest first."""
    alarmed = [one for one in evidence.features if psi_level(one, rules) == "alarm"]
    found = [
        Finding(f"psi:{one.feature}", _psi_reason(one))
        for one in sorted(alarmed, key=lambda one: (-(one.psi or 0), one.feature))
    ]
    warned = sum(psi_level(one, rules) != "ok" for one in evidence.features)
    # One of a handful would be a fifth of them, and make every warning an alarm.
    if warned > 1 and warned / len(evidence.features) >= rules.warned_share:
        told = f"{warned} of {len(evidence.features)} features drifted"
        found.append(Finding("warned_share", told))
    ratio = evidence.median_distance_ratio
    if ratio is not None and ratio > 1 + rules.distance_rise:
        told = f"the median distance to the own segment grew by {ratio - 1:.0%}"
        found.append(Finding("distance", told))
    found += _churn(evidence, rules)
    if evidence.fitted is not None and rules.age_days is not None:
        age = (as_of - evidence.fitted).days
        if age > rules.age_days:
            found.append(Finding("age", f"the model was fitted {age} days ago"))
    return found


def _churn(evidence: Evidence, rules: Refit) -> list[Finding]:
    """Compare the newest night with those before, unless it covers more days than is usual."""
    nights = evidence.churn[: 1 + rules.churn_nights]
    usual = usual_churn(nights, rules)
    if usual is None or len(nights) <= rules.churn_after_nights:
        return []
    days = [(one.as_of - other.as_of).days for one, other in itertools.pairwise(nights)]
    newest = nights[0].share
    if days[0] > statistics.median(days):
        return []
    if newest <= max(rules.churn_multiple * usual, rules.churn_share):
        return []
    return [
        Finding("churn", f"{newest:.1%} of the customers moved in one night, {usual:.1%} usual")
    ]


def _is_resting(evidence: Evidence, rules: Refit, as_of: dt.date) -> bool:
    last = evidence.last_refit
    return last is not None and as_of < last + dt.timedelta(days=rules.rest_days)


def _psi_reason(figures: FeatureFigures) -> str:
    psi, floor = figures.psi or 0.0, figures.floor or 0.0
    return f"`{figures.feature}` has another distribution (PSI {psi:.2f}, by chance {floor:.2f})"
