"""A card for each segment: who they are, what sets them apart, how to know them, what to do."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segmentation_pipeline.reports.edition import Edition, Row
from segmentation_pipeline.reports.kpis import kpi_lines
from segmentation_pipeline.reports.segment_charts import Names, marks, token
from segmentation_pipeline.reports.views import Bar, Card, Part, SegmentRule, Strategy, Trait
from segmentation_pipeline.reports.wording import bin_label, counted, number, percent, words
from segmentation_pipeline.segments.wording import is_told_in_percent
from segmentation_pipeline.specification.kpis import EVERYBODY

_MOST_TRAITS = 5
_TELLING_DIFFERENCE = 0.2
_TELLING_LIFT = 1.25
_NO_STRATEGY = "none"
_NOISE_NOTE = "These customers are like nobody else: no segment holds them."
_OUTDATED = "The name was given when the segment was born, and no longer fits its traits."


@dataclass(frozen=True)
class _Told:
    """Rows of one segmentation that cards are made of, by segment."""

    profiles: Mapping[str, Sequence[Row]]
    shares: Mapping[str, Sequence[Row]]
    traits: Mapping[str, Sequence[Row]]
    personas: Mapping[str, Sequence[Row]]
    rules: Mapping[str, Sequence[Row]]
    strategies: Mapping[str, Sequence[Row]]
    kpis: Mapping[str, Sequence[Row]]
    bins: Mapping[str, Sequence[Row]]


def make_cards(edition: Edition, name: str, segments: Sequence[Row], names: Names) -> list[Card]:
    """Make the cards of a segmentation, in the order of `segments`; `names` gives the colours."""
    told = _Told(
        *(
            _by_segment(edition.of(table, name))
            for table in (
                "segment_profiles",
                "segment_category_shares",
                "segment_traits",
                "segment_personas",
                "segment_rules",
                "segment_strategies",
                "segment_kpis",
                "feature_distributions",
            )
        )
    )
    has_playbook = bool(told.strategies)
    parts = make_parts(segments, names)
    return [
        _card(row, part, told, has_playbook=has_playbook)
        for row, part in zip(segments, parts, strict=True)
    ]


def make_parts(segments: Sequence[Row], names: Names) -> list[Part]:
    """Say of each segment how large a part of the whole it is, and how it is marked."""
    drawn = marks(names)
    return [
        Part(
            number=token(segment_id),
            name=names[segment_id],
            share=percent(row["share"]),
            percent=round(100 * row["share"], 2),
            colour=drawn[segment_id].colour,
            is_dark=_is_dark(drawn[segment_id].colour),
        )
        for row in segments
        for segment_id in [str(row["segment_id"])]
    ]


def persona_names(edition: Edition, name: str) -> dict[str, str]:
    """Segment id -> what it is called: the persona's name where there is one, else the label."""
    called = {str(row["segment_id"]): str(row["label"]) for row in edition.of("segments", name)}
    found = {
        str(row["segment_id"]): str(row["name"])
        for row in edition.of("segment_personas", name)
        if row.get("name")
    }
    return {segment_id: found.get(segment_id, label) for segment_id, label in called.items()}


def _by_segment(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["segment_id"]), []).append(row)
    return found


def _card(row: Row, part: Part, told: _Told, *, has_playbook: bool) -> Card:
    segment_id = str(row["segment_id"])
    persona = (told.personas.get(segment_id) or [{}])[0]
    notes = [
        *([_NOISE_NOTE] if row["is_noise"] else []),
        *([_OUTDATED] if persona.get("is_name_outdated") else []),
    ]
    strategies = [
        _strategy(one)
        for one in sorted(told.strategies.get(segment_id, []), key=lambda one: one["rank"])
        if one["strategy"] != _NO_STRATEGY
    ]
    rules = told.rules.get(segment_id, [])
    return Card(
        key=segment_id,
        part=part,
        customers=counted(row["customers"], "customer"),
        headline=str(persona.get("headline") or ""),
        note=" ".join(notes),
        typical=_typical(persona.get("typical_customer")),
        traits=_traits(segment_id, told),
        about=[
            (question, str(persona[key]))
            for key, question in (
                ("wants", "What they want"),
                ("behaves", "How they behave"),
                ("worth", "What they are worth"),
            )
            if persona.get(key)
        ],
        kpis=kpi_lines(told.kpis.get(segment_id, []), told.kpis.get(EVERYBODY, [])),
        rule=_rule(rules[0]) if rules else None,
        strategies=strategies,
        is_without_strategy=has_playbook and not strategies and not row["is_noise"],
    )


def _typical(text: str | None) -> list[tuple[str, str]]:
    if not text:
        return []
    found: Mapping[str, Any] = json.loads(text)
    return [
        (words(key), number(value) if isinstance(value, int | float) else str(value))
        for key, value in found.items()
        if value is not None
    ]


def _traits(segment_id: str, told: _Told) -> list[Trait]:
    """Give the traits that were made for people; without any, what differs most."""
    bins = _by_feature(told.bins.get(segment_id, []))
    descriptions = {
        str(row["feature"]): row["description"] for row in told.profiles.get(segment_id, [])
    }
    shares = {str(row["feature"]) for row in told.profiles.get(segment_id, []) if _is_share(row)}
    made = sorted(told.traits.get(segment_id, []), key=lambda row: row["rank"])[:_MOST_TRAITS]
    if told.traits:
        return [
            _trait(
                str(row["sentence"]),
                str(descriptions.get(str(row["feature"])) or words(row["feature"])),
                bins.get(str(row["feature"]), []) if row["kind"] == "number" else [],
                is_share=str(row["feature"]) in shares,
            )
            for row in made
        ]
    return [*_number_traits(segment_id, told, bins), *_category_traits(segment_id, told)][
        :_MOST_TRAITS
    ]


def _is_share(profile: Row) -> bool:
    return is_told_in_percent(str(profile["feature"]), profile["unit"])


def _number_traits(segment_id: str, told: _Told, bins: Mapping[str, Sequence[Row]]) -> list[Trait]:
    telling = [
        row
        for row in sorted(told.profiles.get(segment_id, []), key=lambda row: row["rank"])
        if abs(row["standardised_difference"] or 0.0) >= _TELLING_DIFFERENCE
    ]
    return [
        _trait(
            f"{row['description'] or words(row['feature'])}: {number(row['mean'], row['unit'])} on "
            f"average; everybody {number(row['overall_mean'], row['unit'])}.",
            str(row["description"] or words(row["feature"])),
            bins.get(str(row["feature"]), []),
            is_share=_is_share(row),
        )
        for row in telling
    ]


def _category_traits(segment_id: str, told: _Told) -> list[Trait]:
    telling = [
        row
        for row in told.shares.get(segment_id, [])
        if (row["lift"] or 0.0) >= _TELLING_LIFT and (row["customers"] or 0) > 0
    ]
    telling.sort(key=lambda row: (-row["lift"], row["feature"], row["category"]))
    return [
        Trait(
            f"{words(row['feature']).capitalize()} \u201c{row['category']}\u201d: "
            f"{percent(row['share'])}; everybody {percent(row['overall_share'])}."
        )
        for row in telling
    ]


def _trait(sentence: str, feature: str, bins: Sequence[Row], *, is_share: bool) -> Trait:
    if not bins:
        return Trait(sentence)
    highest = max(max(row["share"], row["overall_share"]) for row in bins) or 1.0
    bars = [
        Bar(
            label=bin_label(row["lower"], row["upper"], is_share=is_share),
            share=percent(row["share"]),
            overall_share=percent(row["overall_share"]),
            height=round(100 * row["share"] / highest, 1),
            overall_height=round(100 * row["overall_share"] / highest, 1),
        )
        for row in bins
    ]
    told = "; ".join(f"{bar.label}: {bar.share}, everybody {bar.overall_share}" for bar in bars)
    return Trait(sentence, feature, bars, f"{feature}. {told}.")


def _by_feature(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["feature"]), []).append(row)
    return found


def _rule(row: Row) -> SegmentRule:
    kind, _, told = str(row["rule"]).partition(": ")
    if row["sql_predicate"] is None:
        return SegmentRule("No short rule finds them.", _sentence(told or kind), "")
    quality = (
        f"Of the customers it picks, {percent(row['precision'])} are in this segment; it finds "
        f"{percent(row['recall'])} of the segment."
    )
    if row["is_approximate"]:
        quality = f"This is an approximation. {quality}"
    words_of_rule = told if kind == "approximately" else str(row["rule"])
    words_of_rule = words_of_rule.replace(">=", "\u2265").replace("<=", "\u2264")
    return SegmentRule(_sentence(words_of_rule), quality, str(row["sql_predicate"]))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _strategy(row: Row) -> Strategy:
    facts = [
        (heading, words(row[key]) if key == "goal_kpi" else str(row[key]))
        for key, heading in (
            ("channel", "Through"),
            ("offer", "Offer"),
            ("goal_kpi", "Watch"),
        )
        if row.get(key)
    ]
    return Strategy(
        _sentence(words(row["strategy"])),
        str(row["message"] or ""),
        facts,
        str(row["evidence"] or ""),
    )


def _is_dark(colour: str) -> bool:
    """Whether white letters are read on a colour: its relative luminance (WCAG 2.2) is low."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.18
