"""Traits in words: sentences with their figures, and the phrases that names are made of.

What belongs here: words, and how figures are rounded in them. What is told belongs to `traits`.
"""

import re

from segmentation_pipeline.specification.features import FeatureSpec

_TIME_UNITS = frozenset(
    {"seconds", "minutes", "hours", "days", "weeks", "months", "years", "min", "s", "h"}
)
_LARGE, _MEDIUM = 0.8, 0.5
"""What Cohen (1988) calls so."""
_MOST_DIGITS = 6


def trait_sentence(
    name: str,
    feature: FeatureSpec,
    category: str | None,
    value: float,
    overall: float,
    difference: float,
    *,
    is_boolean: bool = False,
) -> str:
    """Say a trait in a sentence, with the segment's figure and everybody's.

    `value` and `overall` are means in the feature's unit or shares, `difference` the standardised
    one: what Cohen (1988) calls large is "clearly" above or below, what is small "a little".

    >>> age = FeatureSpec(description="Age", unit="years", criterion="demographics")
    >>> trait_sentence("age", age, None, 32.9, 42.1, -2.0)
    "Age: 33 years on average, clearly below everybody's 42."
    >>> trait_sentence("role", age, "Nurse", 0.196, 0.074, 0.5)
    'Age: Nurse for 20%, against 7% of everybody.'
    """
    told = feature.description or feature_words(name).capitalize()
    is_share = category is not None or is_boolean or is_rate(name, feature)
    inside, everybody = told_figures(value, overall, is_share=is_share)
    if category is not None:
        only = "" if difference > 0 else "only "
        return f"{told}: {category} for {only}{inside}, against {everybody} of everybody."
    side = "above" if difference > 0 else "below"
    figure = f"{inside} {unit}" if (unit := unit_words(feature)) else inside
    average = "" if is_boolean else " on average"
    return f"{told}: {figure}{average}, {_strength(difference)}{side} everybody's {everybody}."


def told_figures(value: float, overall: float, *, is_share: bool) -> tuple[str, str]:
    """Round two figures alike: to what a reader keeps, and to as many digits as tell them apart.

    >>> told_figures(1796.7, 2179.2, is_share=False), told_figures(4.77, 1.52, is_share=False)
    (('1,797', '2,179'), ('4.8', '1.5'))
    >>> told_figures(0.956, 0.492, is_share=True), told_figures(0.5, 0.501, is_share=True)
    (('96%', '49%'), ('50.0%', '50.1%'))
    """
    largest = max(abs(value), abs(overall))
    digits = 0 if is_share or largest >= 20 else 1 if largest >= 1 else 2
    kind = "%" if is_share else "f"
    for more in range(digits, _MOST_DIGITS + 1):
        told = f"{value:z,.{more}{kind}}", f"{overall:z,.{more}{kind}}"
        if told[0] != told[1] or value == overall:
            return told
    return told


def is_rate(name: str, feature: FeatureSpec) -> bool:
    """Whether a feature is told in percent."""
    return is_told_in_percent(name, feature.unit)


def is_told_in_percent(name: str, unit: str | None) -> bool:
    """Whether a number is told in percent: a rate or share by its name, without a unit."""
    return unit is None and name.endswith(("_rate", "_share"))


def is_kpi_in_percent(kind: str, unit: str | None) -> bool:
    """Whether a KPI is told in percent: a share of customers, or a quotient without a unit."""
    return kind == "binary" or (kind == "ratio" and unit is None)


def unit_words(feature: FeatureSpec, *, is_one: bool = False) -> str:
    """The unit, as one says it, of one or of more.

    >>> unit_words(FeatureSpec(unit="EUR/month"))
    'EUR per month'
    >>> unit_words(FeatureSpec(unit="visits/90 days"), is_one=True)
    'visit per 90 days'
    """
    unit, *per = (feature.unit or "").split("/")
    if is_one and len(unit) > len("min"):
        unit = re.sub(r"((?<=ss|ch|sh)e)?s$", "", unit)
    return " per ".join([unit, *per])


def feature_words(name: str) -> str:
    """A feature's name as words."""
    return name.replace("_", " ")


def people_words(feature: FeatureSpec, category: str | None, *, is_high: bool) -> str | None:
    """What the specification calls those who stand out so, if it does."""
    if category is None:
        return feature.words.get("high" if is_high else "low")
    words = feature.words.get(category)
    return None if words is None else f"mostly {words}"


def attribute_words(
    name: str, feature: FeatureSpec, category: str | None, *, is_high: bool
) -> tuple[str, bool]:
    """Say by the feature's own name what stands out, and whether that is something one has.

    >>> number = FeatureSpec(unit="EUR/month", criterion="needs")
    >>> attribute_words("contract_value_eur", number, None, is_high=True)
    ('high contract value', True)
    >>> attribute_words("online_visits", FeatureSpec(unit="visits"), None, is_high=False)
    ('few online visits', True)
    >>> attribute_words("age", FeatureSpec(), None, is_high=True)
    ('older', False)
    """
    words = name.split("_")
    if category is not None:
        return f"{' '.join(words)} mostly {category}", False
    if words == ["age"]:
        return ("older" if is_high else "younger"), False
    if feature.aggregate is not None and feature.aggregate.function == "recency_days":
        return ("long silence" if is_high else "recent activity"), True
    unit = (feature.unit or "").split("/")[0].lower()
    if words[0] in ("is", "has") and len(words) > 1:
        noun = " ".join(words[1:])
        return (noun if is_high else f"no {noun}"), words[0] == "has"
    if len(words) > 1 and (words[-1] in _TIME_UNITS or unit in _TIME_UNITS):
        kept = words[:-1] if words[-1] in _TIME_UNITS else words
        return f"{'long' if is_high else 'short'} {' '.join(kept)}", True
    if len(words) > 1 and re.fullmatch(r"[a-z]{3}", unit) and words[-1] == unit:
        words = words[:-1]
    elif _is_plural(words[-1], feature):
        return f"{'many' if is_high else 'few'} {' '.join(words)}", True
    return f"{'high' if is_high else 'low'} {' '.join(words)}", True


def _is_plural(last_word: str, feature: FeatureSpec) -> bool:
    """Whether a name ends in things that are counted."""
    is_counted = feature.aggregate is None or feature.aggregate.function in ("count", "distinct")
    is_money = re.fullmatch(r"[A-Z]{3}(/.*)?", feature.unit or "") is not None
    return is_counted and not is_money and re.search(r"[^s]s$", last_word) is not None


def _strength(difference: float) -> str:
    size = abs(difference)
    return "clearly " if size >= _LARGE else "" if size >= _MEDIUM else "a little "
