"""What a rule asks of one feature, in words for people and in SQL.

What belongs here: an interval of a number and a set of categories, each with or without those who
have no value. How a rule is found belongs to `rule_tree`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segmentation_pipeline.segments.wording import feature_words, unit_words
from segmentation_pipeline.specification.features import FeatureSpec
from segmentation_pipeline.warehouse import literal


@dataclass(frozen=True)
class AskedFeature:
    """A feature as a rule names it."""

    words: str
    sql: str
    """What it is in the relation that the predicate runs on."""
    unit: str = ""
    is_rate: bool = False
    """Whether it is told in percent."""
    is_boolean: bool = False


def named_with_unit(name: str, feature: FeatureSpec) -> tuple[str, str]:
    """Name a feature and its unit for people, without saying a word twice.

    >>> named_with_unit("online_visits", FeatureSpec(unit="visits/90 days"))
    ('online visits', 'per 90 days')
    >>> named_with_unit("contract_value_eur", FeatureSpec(unit="EUR/month"))
    ('contract value', 'EUR per month')
    """
    words, unit = feature_words(name).split(), unit_words(feature).split()
    if unit and words[-1] == unit[0].lower() and unit[0].isupper() and len(words) > 1:
        words = words[:-1]
    elif unit and unit[0] in words:
        unit = unit[1:]
    return " ".join(words), " ".join(unit)


@dataclass(frozen=True)
class NumberCondition:
    """A number from `lower` on and below `upper`, or none, as far as these are admitted."""

    lower: float = -math.inf
    upper: float = math.inf
    has_values: bool = True
    has_missing: bool = False
    is_whole: bool = False

    @property
    def length(self) -> int:
        """How much there is to say."""
        return len(self._bounds()) or int(not self.has_values)

    def covers(self, other: "Condition") -> bool:
        """Whether it admits all whom the other one does."""
        if not isinstance(other, NumberCondition):
            return False
        is_inside = self.has_values and self.lower <= other.lower and other.upper <= self.upper
        return (is_inside or not other.has_values) and self.has_missing >= other.has_missing

    def joined(self, other: "Condition") -> "NumberCondition | None":
        """Admit whom either admits; None where a gap between them is not admitted."""
        if not isinstance(other, NumberCondition):
            return None
        if self.has_values and other.has_values:
            first, second = sorted((self, other), key=lambda one: one.lower)
            if first.upper < second.lower:
                return None
        with_values = [one for one in (self, other) if one.has_values]
        return NumberCondition(
            min((one.lower for one in with_values), default=-math.inf),
            max((one.upper for one in with_values), default=math.inf),
            bool(with_values),
            self.has_missing or other.has_missing,
            self.is_whole,
        )

    def words(self, feature: AskedFeature) -> str:
        """Say it, such as "publications >= 9 papers"."""
        if not self.has_values:
            return f"{feature.words} is missing"
        bounds = self._bounds()
        if self.is_whole and self.upper == self.lower + 1:
            bounds = [("=", self.lower)]
        if not bounds:
            return f"{feature.words} is known"
        said = " and ".join(f"{sign} {_readable(bound, feature)}" for sign, bound in bounds)
        told = f"{feature.words} {said} {feature.unit}".rstrip()
        return f"{told} (or missing)" if self.has_missing else told

    def predicate_sql(self, feature: AskedFeature) -> str:
        """Write it as a predicate; never NULL unless the value is."""
        if not self.has_values:
            return f"{feature.sql} IS NULL"
        terms = [f"{feature.sql} {sign} {_exact(bound)}" for sign, bound in self._bounds()]
        if not terms:
            return f"{feature.sql} IS NOT NULL"
        asked = " AND ".join(terms)
        return f"({asked} OR {feature.sql} IS NULL)" if self.has_missing else asked

    def _bounds(self) -> list[tuple[str, float]]:
        bounds = ((">=", self.lower), ("<", self.upper))
        return [(sign, bound) for sign, bound in bounds if math.isfinite(bound)]


@dataclass(frozen=True)
class CategoryCondition:
    """One of some categories; None stands for no value. `known` are all that there are."""

    admitted: frozenset[str | None]
    known: frozenset[str | None]

    @property
    def length(self) -> int:
        """How much there is to say."""
        return min(len(self.admitted), len(self.known - self.admitted))

    def covers(self, other: "Condition") -> bool:
        """Whether it admits all whom the other one does."""
        return isinstance(other, CategoryCondition) and self.admitted >= other.admitted

    def joined(self, other: "Condition") -> "CategoryCondition | None":
        """Admit whom either admits."""
        if not isinstance(other, CategoryCondition):
            return None
        return CategoryCondition(self.admitted | other.admitted, self.known)

    def words(self, feature: AskedFeature) -> str:
        """Say it by those admitted or by those left out, whichever are fewer."""
        admitted, left_out = self._named(self.admitted), self._named(self.known - self.admitted)
        if left_out == ["missing"] and len(admitted) > 1:
            return f"{feature.words} is known"
        if len(admitted) <= len(left_out):
            return f"{feature.words} is {_listed(admitted, 'or')}"
        if len(left_out) == 1:
            return f"{feature.words} is not {left_out[0]}"
        return f"{feature.words} is neither {_listed(left_out, 'nor')}"

    def predicate_sql(self, feature: AskedFeature) -> str:
        """Write it as a predicate; never NULL unless the value is."""
        admitted = sorted(one for one in self.admitted if one is not None)
        left_out = sorted(one for one in self.known - self.admitted if one is not None)
        is_missing = f"{feature.sql} IS NULL"
        if not admitted:
            return is_missing
        if not left_out:
            return "TRUE" if None in self.admitted else f"{feature.sql} IS NOT NULL"
        is_in = len(self.admitted) <= len(self.known - self.admitted)
        asked = _is_one_of(feature, admitted if is_in else left_out, is_in=is_in)
        return f"({asked} OR {is_missing})" if None in self.admitted else asked

    def _named(self, categories: frozenset[str | None]) -> list[str]:
        named = sorted(one.lower() if one in _TRUTHS else one for one in categories if one)
        return named + (["missing"] if None in categories else [])


Condition = NumberCondition | CategoryCondition

_TRUTHS = ("True", "False")
"""What the two categories of a boolean are called."""


def _is_one_of(feature: AskedFeature, categories: Sequence[str], *, is_in: bool) -> str:
    named = [one.upper() if feature.is_boolean else literal(one) for one in categories]
    if len(named) == 1:
        return f"{feature.sql} {'=' if is_in else '<>'} {named[0]}"
    return f"{feature.sql} {'IN' if is_in else 'NOT IN'} ({', '.join(named)})"


def _listed(names: Sequence[str], word: str) -> str:
    if len(names) < 2:
        return "".join(names)
    separator = ", " if word == "or" else f" {word} "
    return f"{separator.join(names[:-1])} {word} {names[-1]}"


def _readable(number: float, feature: AskedFeature) -> str:
    shown = 100 * number if feature.is_rate else number
    return f"{shown:,.12g}{'%' if feature.is_rate else ''}"


def _exact(number: float) -> str:
    text = f"{number:.12g}"
    if "e" in text or float(text) != number:
        return f"'{number!r}'::DOUBLE"
    return text
