"""Whether an undeclared column seems to hold answers of a survey: a scale, options, free text.

A guess for a person to check, as all of `profiling` is.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from segmentation_pipeline.ingestion.scales_sql import folded_sql
from segmentation_pipeline.specification.columns import ColumnSpec
from segmentation_pipeline.warehouse import Connection, literal

_ENOUGH = 0.95
_MOST_OPTIONS = 30
_LONGEST_OPTION = 60
_REPEATS = 3
"""An option is chosen by so many customers in the mean, or it is none."""
_SEVERAL_SHARE = 0.05
"""So many of the answers hold more than one option, or none does."""
_MOST_FRAMES = 20
"""So many ways of words around a number are those of a questionnaire; more, and it is text."""
_FEWEST_WORDS = 3
"""So many words of a scale are no accident."""
_WORDS_OF_TEXT = 4.0
_SEPARATORS = (";", "|", " / ", ", ", ",")
_SCALES = (
    ("strongly disagree", "disagree", "neutral", "agree", "strongly agree"),
    ("strongly disagree", "disagree", "neither agree nor disagree", "agree", "strongly agree"),
    ("very dissatisfied", "dissatisfied", "neutral", "satisfied", "very satisfied"),
    ("very unlikely", "unlikely", "neutral", "likely", "very likely"),
    ("never", "rarely", "sometimes", "often", "always"),
    ("very poor", "poor", "fair", "good", "very good"),
    ("poor", "fair", "good", "very good", "excellent"),
    ("not at all", "slightly", "moderately", "very", "extremely"),
    ("stimme gar nicht zu", "stimme eher nicht zu", "teils teils", "stimme eher zu",
     "stimme voll zu"),
    ("nie", "selten", "manchmal", "oft", "immer"),
)  # fmt: skip
"""From the lowest, which is 1, to the highest."""
_FRAMED = (
    r"(?i)((about|approx\.?|approximately|around|roughly|ca\.?|circa|over|under|up to|at least"
    r"|more than|less than|etwa|rund|über|unter|~|<|>|≈)\s*)?[+-]?\d[\d.,]*\s*"
    r"(\+|%|/\s*\d+|(of|out of|von)\s+\d+|[-\x{2013}:=.)]\s*\D{2,40}|[\p{L}€$£ ]{1,20}"
    r"|\([\p{L} ]{1,30}\))?"
)
_PLAIN = r"[+-]?\d+([.,]\d+)?"
_WHOLE = r"\D*\d+(/\d+)?\D*(\d+)?"

AnswerType = Literal["integer", "number", "choices", "free_text"]


@dataclass(frozen=True)
class SeemingAnswer:
    """What a column seems to be declared as, besides its place, and what to say of it."""

    type: AnswerType
    settings: dict[str, Any]
    remark: str


def seeming_answer(connection: Connection, values: str, present: int) -> SeemingAnswer | None:
    """Judge values that are no plain numbers, dates or personal data; None where nothing is seen.

    `values` is a relation of different texts `v` and how often each stands there, `n`.
    """
    found = _scale(connection, values, present) or _choices(connection, values, present)
    if found is not None:
        try:
            ColumnSpec.model_validate({"type": found.type, **found.settings})
        except ValidationError:
            return None
        return found
    return _free_text(connection, values, present)


def _scale(connection: Connection, values: str, present: int) -> SeemingAnswer | None:
    is_framed = f"regexp_full_match(v, {literal(_FRAMED)})"
    is_plain = f"regexp_full_match(v, {literal(_PLAIN)})"
    framed, plain, frames, fractions = connection.execute(
        f"SELECT coalesce(sum(n) FILTER ({is_framed}), 0), coalesce(sum(n) FILTER ({is_plain}), 0),"
        rf" count(DISTINCT regexp_replace(v, '\d[\d.,]*', '#', 'g')) FILTER ({is_framed}),"
        f" count(*) FILTER ({is_framed} AND NOT regexp_full_match(v, {literal(_WHOLE)}))"
        f" FROM {values} WHERE v IS NOT NULL"
    ).fetchall()[0]
    rest = connection.execute(
        f"SELECT {folded_sql('v')} AS word, sum(n) FROM {values}"
        f" WHERE v IS NOT NULL AND NOT {is_framed} GROUP BY word ORDER BY 2 DESC, 1 LIMIT 20"
    ).fetchall()
    words = {str(word): int(count) for word, count in rest}
    scale = max(_SCALES, key=lambda one: len({*one} & {*words}))
    worth = {word: place for place, word in enumerate(scale, start=1) if word in words}
    worth = worth if len(worth) >= _FEWEST_WORDS else {}
    understood = int(framed) + sum(words[word] for word in worth)
    has_words = plain < framed or worth
    if not has_words or frames > _MOST_FRAMES or understood < _ENOUGH * present:
        return None
    settings: dict[str, Any] = {"words": worth} if worth else {}
    if plain < framed:
        settings["number"] = "first"
    remark = "DECIDE: " + " and ".join(
        [
            *(["the first number among words is taken"] if plain < framed else []),
            *(["words are worth their place on a scale"] if worth else []),
        ]
    )
    return SeemingAnswer("number" if fractions else "integer", settings, remark)


def _choices(connection: Connection, values: str, present: int) -> SeemingAnswer | None:
    """Take the first separator by which answers are several of few options, now one, now more."""
    for separator in _SEPARATORS:
        parts = f"string_split(v, {literal(separator)})"
        several, one = connection.execute(
            f"SELECT coalesce(sum(n) FILTER (len({parts}) > 1), 0),"
            f" coalesce(sum(n) FILTER (len({parts}) = 1), 0)"
            f" FROM {values} WHERE v IS NOT NULL"
        ).fetchall()[0]
        if several < max(_SEVERAL_SHARE * present, 2) or not one:
            continue
        options = connection.execute(
            f"SELECT arg_max(option, times), sum(times) FROM (SELECT trim(part) AS option,"
            f" sum(n) AS times FROM (SELECT n, unnest({parts}) AS part FROM {values}"
            " WHERE v IS NOT NULL) GROUP BY option) WHERE option <> ''"
            f" GROUP BY {folded_sql('option')} ORDER BY 2 DESC, 1 LIMIT {_MOST_OPTIONS + 1}"
        ).fetchall()
        names = [str(name) for name, _ in options]
        chosen = sum(int(times) for _, times in options)
        if (
            1 < len(names) <= _MOST_OPTIONS
            and chosen >= _REPEATS * len(names)
            and max(map(len, names)) <= _LONGEST_OPTION
        ):
            settings = {"separator": separator, "options": names}
            return SeemingAnswer("choices", settings, "DECIDE: several options in one answer")
    return None


def _free_text(connection: Connection, values: str, present: int) -> SeemingAnswer | None:
    words, different = connection.execute(
        f"SELECT coalesce(avg(len(string_split_regex(trim(v), '\\s+'))), 0), count(*)"
        f" FROM {values} WHERE v IS NOT NULL"
    ).fetchall()[0]
    if words < _WORDS_OF_TEXT or different < present / 3:
        return None
    remark = "what people write: only its length and counts go further, never the text"
    return SeemingAnswer("free_text", {}, remark)
