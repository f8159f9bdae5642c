"""What a condition of the playbook asks for and what was found, in words that a marketer reads.

Every number of what was found is a cell of a published table, rounded as far as it still tells on
which side of the playbook's bound it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.segments.wording import (
    feature_words,
    is_kpi_in_percent,
    is_rate,
    told_figures,
    unit_words,
)
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.specification.kpis import Kpi
from segmentation_pipeline.specification.strategies import Condition


@dataclass(frozen=True)
class Subjects:
    """What conditions can be about, by name: a segmentation's features and the home's KPIs."""

    features: Mapping[str, FeatureSpec]
    kpis: Mapping[str, Kpi]


@dataclass(frozen=True)
class Finding:
    """Whether a condition holds for a segment, and the figures behind that."""

    holds: bool
    words: str


def condition_words(condition: Condition, subjects: Subjects) -> str:
    """Say what a condition asks for.

    >>> condition_words(Condition(measure="share", at_least=0.1, at_most=0.5), Subjects({}, {}))
    'at least 10%, at most 50% of all customers'
    """
    is_share = _is_share(condition, subjects)
    bounds = ", ".join(
        f"{word} {f'{bound * 100:,.10g}%' if is_share else f'{bound:,.10g}'}"
        for word, bound in (("at least", condition.at_least), ("at most", condition.at_most))
        if bound is not None
    )
    subject = _subject(condition, subjects)
    if condition.kpi is not None:
        change = "change " if condition.measure == "change" else ""
        return f"{subject}: {change}{_with_unit(bounds, condition, subjects.kpis[condition.kpi])}"
    if condition.feature is None:
        return f"{bounds} {'of all ' if is_share else ''}customers"
    match condition.measure:
        case "share":
            return f"{subject} for {bounds}"
        case "lift":
            return f"{subject} {bounds} times as frequent as with everybody"
        case "standardised_difference":
            return f"{subject}: standardised difference {bounds}"
        case "trait_rank":
            return f"{subject}: place among the traits {bounds}"
        case _:
            unit = unit_words(subjects.features[condition.feature])
            return f"{subject}: {condition.measure} {bounds}{f' {unit}' if unit else ''}"


def find(condition: Condition, row: Mapping[str, Any] | None, subjects: Subjects) -> Finding:
    """Hold a condition against the row of a published table that answers it.

    That is a segment's row of `segments`, `segment_profiles`, `segment_category_shares`, with its
    `rank` as `trait_rank` of `segment_traits`, or with everybody's `value` as `overall_value` of
    `segment_kpis`. Where there is none, or the figure is missing
    or withheld, the condition doesn't hold.
    """
    value = None if row is None else row[condition.measure]
    if row is None or value is None:
        lack = "no trait" if condition.measure == "trait_rank" else "no figure"
        return Finding(False, f"{_subject(condition, subjects)}: {lack}")
    holds = (condition.at_least is None or value >= condition.at_least) and (
        condition.at_most is None or value <= condition.at_most
    )
    if condition.kpi is not None:
        return Finding(holds, _kpi_words(condition, row, subjects))
    return Finding(holds, _found_words(condition, row, subjects))


def _found_words(condition: Condition, row: Mapping[str, Any], subjects: Subjects) -> str:
    bounds = [bound for bound in (condition.at_least, condition.at_most) if bound is not None]
    value = row[condition.measure]
    if condition.feature is None:
        if condition.measure == "customers":
            return f"{value:,} customers"
        return f"{_told(value, bounds, is_share=True)} of all customers"
    if condition.measure == "trait_rank":
        return f"{str(row['sentence']).removesuffix('.')} (trait {value})"
    subject = _subject(condition, subjects)
    if condition.category is not None:
        near = bounds if condition.measure == "share" else []
        share, overall = _compared(row["share"], row["overall_share"], near, is_share=True)
        against = overall and f", against {overall} of everybody"
        lift = f" ({_told(value, bounds, is_share=False)} times as frequent)"
        return f"{subject} for {share}{against}{lift if condition.measure == 'lift' else ''}"
    feature = subjects.features[condition.feature]
    is_percent = is_rate(condition.feature, feature)
    unit = f" {words}" if (words := unit_words(feature)) else ""
    if condition.measure == "median":
        return f"{subject}: median {_told(value, bounds, is_share=is_percent)}{unit}"
    near = bounds if condition.measure == "mean" else []
    mean, overall = _compared(row["mean"], row["overall_mean"], near, is_share=is_percent)
    against = overall and f", against everybody's {overall}"
    told = f"{subject}: {mean}{unit} on average{against}"
    if condition.measure == "mean":
        return told
    return f"{told} (standardised difference {_told(value, bounds, is_share=False)})"


def _kpi_words(condition: Condition, row: Mapping[str, Any], subjects: Subjects) -> str:
    """Tell a KPI next to everybody's, or its change next to the two figures that it lies between.

    Where a segment's `change` is told, so are `value` and `previous_value`, which it comes of.
    """
    is_share = _is_share(condition, subjects)
    kpi = subjects.kpis[str(condition.kpi)]
    subject = _subject(condition, subjects)
    bounds = [bound for bound in (condition.at_least, condition.at_most) if bound is not None]
    if condition.measure == "value":
        told, overall = _compared(row["value"], row["overall_value"], bounds, is_share=is_share)
        against = overall and f", against everybody's {overall}"
        return f"{subject}: {_with_unit(told, condition, kpi)}{against}"
    now, before = _compared(row["value"], row["previous_value"], [], is_share=is_share)
    change = _with_unit(_told(row["change"], bounds, is_share=is_share), condition, kpi)
    return f"{subject}: {now}, against {before} in the {kpi.window_days} days before ({change})"


def _with_unit(figures: str, condition: Condition, kpi: Kpi) -> str:
    """Put a KPI's unit after its figures; a difference of shares is in percentage points."""
    if is_kpi_in_percent(kpi.kind, kpi.unit):
        is_change = condition.measure == "change"
        return f"{figures.replace('%', '')} percentage points" if is_change else figures
    return f"{figures} {' per '.join(kpi.unit.split('/'))}" if kpi.unit else figures


def _compared(
    value: float, overall: float | None, near: Sequence[float], *, is_share: bool
) -> tuple[str, str]:
    """Write a segment's figure and everybody's, which is empty where it is withheld."""
    if overall is None:
        return _told(value, near, is_share=is_share), ""
    told = _told(value, [overall, *near], is_share=is_share)
    return told, _told(overall, [value], is_share=is_share)


def _told(value: float, others: Sequence[float], *, is_share: bool) -> str:
    """Write a figure with as many digits as tell it apart from each of the others."""
    told = (told_figures(value, other, is_share=is_share)[0] for other in (value, *others))
    return max(told, key=len)


def _is_share(condition: Condition, subjects: Subjects) -> bool:
    if condition.kpi is not None:
        kpi = subjects.kpis[condition.kpi]
        return is_kpi_in_percent(kpi.kind, kpi.unit)
    if condition.feature is None or condition.category is not None:
        return condition.measure == "share"
    is_mean = condition.measure in ("mean", "median")
    return is_mean and is_rate(condition.feature, subjects.features[condition.feature])


def _subject(condition: Condition, subjects: Subjects) -> str:
    if condition.kpi is not None:
        return subjects.kpis[condition.kpi].description.removesuffix(".")
    if condition.feature is None:
        return "customers"
    words = subjects.features[condition.feature].description or feature_words(condition.feature)
    return words if condition.category is None else f"{words}: {condition.category}"
